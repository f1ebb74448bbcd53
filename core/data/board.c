/* SPDX-License-Identifier: Apache-2.0 */
#include "data/board.h"

bool ct_board_has(const ct_board *b, ct_worker_state state) {
    uint32_t workers = b->workers;

    for (uint32_t i = 0; i < workers && i < CT_WORKERS; i++)
        if (b->rows[i].state == state) return true;
    return false;
}

void ct_board_set_workers(ct_board *b, uint32_t workers) {
    b->workers = workers;
    if (b->used < workers) b->used = workers;
}

void ct_board_serve(ct_board_row *r) {
    uint32_t starting = CT_WORKER_STARTING;

    atomic_compare_exchange_strong(&r->state, &starting, CT_WORKER_SERVING);
}

void ct_board_clear(ct_board_row *r) {
    r->generation = r->old = 0;
    r->started = 0;
    ct_count_set(&r->now.connections, 0);
    ct_count_set(&r->now.requests, 0);
    ct_count_set(&r->now.websockets, 0);
    ct_count_set(&r->now.lua, 0);
    ct_count_set(&r->now.resident, 0);
    ct_count_set(&r->now.lag, 0);
}
