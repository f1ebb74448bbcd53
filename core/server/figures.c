/* SPDX-License-Identifier: Apache-2.0 */
#include "server/figures.h"

#include "base/clock.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

uint64_t ct_figures_resident(void) {
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    char text[128] = "", *at = text;
    ssize_t n = fd == -1 ? 0 : read(fd, text, sizeof text - 1);
    uint64_t pages;

    if (fd != -1) close(fd);
    if (n <= 0) return 0;
    (void)strtoull(at, &at, 10); /* of all; then those in memory */
    pages = strtoull(at, NULL, 10);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void show_old(const ct_generations *g, ct_board_row *row) {
    uint32_t i = 0;

    for (const ct_list *n = g->old.next; n != &g->old && i < CT_BOARD_OLD;
         n = n->next, i++) {
        const ct_vm *vm = ct_list_of(n, const ct_vm, node);

        row->old_numbers[i] = vm->generation;
        row->old_lua[i] = vm->memory.used;
    }
    row->old = g->old_count;
}

void ct_figures_show(ct_board_row *row, const ct_generations *g) {
    row->generation = g->current->generation;
    show_old(g, row);
    ct_count_set(&row->now.lua, g->current->memory.used);
    ct_count_set(&row->now.websockets, ct_generations_websockets(g));
    ct_count_set(&row->now.resident, ct_figures_resident());
    row->beat = ct_board_now();
}

void ct_figures_lag(ct_board_row *row, double *ticked) {
    double now = ct_clock_precise(), late = now - *ticked - CT_FIGURES_TICK;

    if (*ticked > 0)
        ct_count_set(&row->now.lag, late > 0 ? (uint64_t)(late * 1e9) : 0);
    *ticked = now;
}
