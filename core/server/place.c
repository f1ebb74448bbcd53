/* How a process comes to its place among those of a server, and what they give it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/peers.h"
#include "server/keys.h"
#include "server/worker.h"
#include <unistd.h>

/* What is counted over all workers. A master has made it ready. */
static bool share_limits(ct_worker *w) {
    uint32_t row = w->inherit.worker ? w->inherit.worker - 1 : 0;
    void *peers = ct_shared_get(w->shared, "peers", ct_peers_size(CT_WORKERS));

    if (!peers || !ct_vm_share_rate(w->shared)) return false;
    if (!w->inherit.worker) ct_peers_format(peers);
    ct_peers_init(&w->server.peers, peers, row);
    return true;
}

static void begin_board(ct_worker *w) {
    w->board->pid = getpid();
    ct_board_set_workers(w->board, 1);
    w->board->heir = w->board->elder = w->elder.waiting;
    w->board->started = w->row->started;
}

bool ct_worker_place(ct_worker *w) {
    ct_inherit *i = &w->inherit;
    uint32_t at;

    ct_inherit_take(i, &w->loop);
    ct_elder_init(&w->elder, &w->loop, i->elder);
    w->shared = i->worker ? &i->shared : &w->own; /* a master may come */
    w->board = ct_shared_get(w->shared, "board", sizeof *w->board);
    w->metrics = ct_metrics_get(w->shared);
    w->history = ct_history_get(w->shared);
    if (!w->board || !w->metrics || !w->history || i->worker > CT_WORKERS) {
        ct_log_line(&w->log, CT_LEVEL_ERROR, "worker", "no shared memory: %m");
        return false;
    }
    w->tickets = ct_keys_get(&i->shared, &w->loop, !i->worker);
    at = i->worker ? i->worker - 1 : 0;
    w->row = &w->board->rows[at];
    ct_board_clear(w->row);
    ct_metrics_clear(w->metrics, at);
    ct_loop_count_in(&w->loop, &w->row->counters, w->metrics->rows[at]);
    w->log.counters = &w->row->counters;
    w->log.recent = &w->row->recent;
    if (!share_limits(w)) return false;
    w->row->pid = getpid();
    w->row->state = CT_WORKER_STARTING;
    w->row->started = (int64_t)w->loop.clock.wall;
    if (i->worker)
        ct_child_name(i->worker);
    else
        begin_board(w);
    ct_past_init(&w->past, &i->shared, w->board, w->metrics);
    return true;
}

void ct_worker_hand_over(const ct_worker *w, ct_event_type what, int fd) {
    if (w->serving)
        ct_events_add(w->generations.current->events, what, (uint32_t)fd);
    else
        close(fd);
}

void ct_worker_on_kin(uint32_t worker, int fd, void *arg) {
    if (worker == 1)
        ct_worker_hand_over(arg, CT_EVENT_ELDER, fd);
    else
        close(fd);
}
