/* A reader copies a line and then looks whether it has changed meanwhile (a
 * seqlock). A line whose writer was killed stays odd until it is written again. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/recent.h"

#include <string.h>
#include <time.h>

static void put(char *out, size_t room, const char *p, size_t n) {
    if (n >= room) n = room - 1;
    memcpy(out, p, n);
    memset(out + n, 0, room - n);
}

static double now(void) {
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void ct_recent_add(ct_recent *r, const char *where, const char *id,
                   const char *text, size_t n) {
    uint32_t next = atomic_load(&r->next), i = next % CT_RECENT_LINES;
    ct_recent_line *line = &r->lines[i].line;
    uint32_t version = atomic_load(&r->lines[i].version) | 1;

    atomic_store(&r->lines[i].version, version);
    atomic_thread_fence(memory_order_seq_cst);
    line->time = now();
    put(line->where, sizeof line->where, where, strlen(where));
    put(line->id, sizeof line->id, id, strlen(id));
    put(line->text, sizeof line->text, text, n);
    atomic_store_explicit(&r->lines[i].version, version + 1,
                          memory_order_release);
    atomic_store(&r->next, next + 1);
}

bool ct_recent_get(const ct_recent *r, uint32_t back, ct_recent_line *out) {
    uint32_t next = atomic_load(&r->next), i, version;

    if (back >= CT_RECENT_LINES || back >= next) return false;
    i = (next - 1 - back) % CT_RECENT_LINES;
    version = atomic_load_explicit(&r->lines[i].version, memory_order_acquire);
    memcpy(out, &r->lines[i].line, sizeof *out);
    atomic_thread_fence(memory_order_acquire);
    return !(version & 1) &&
           atomic_load_explicit(&r->lines[i].version, memory_order_relaxed) ==
               version;
}
