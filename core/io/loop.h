/* The event loop: libevent's epoll backend with mimalloc, without locks. One
 * for each process. A turn is: wait, run what is ready, then `after_turn`,
 * which is where Lua runs (never inside a callback). */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_LOOP_H
#define CT_LOOP_H

#include "base/clock.h"
#include "base/counters.h"
#include "base/list.h"
#include "base/log.h"
#include <stdbool.h>

struct event;
struct event_base;

typedef struct ct_loop {
    struct event_base *base;
    int epoll;      /* its descriptor, or -1 before the first turn */
    ct_clock clock; /* read once a turn */
    ct_log *log;    /* borrowed */
    bool stopped;
    bool again;                    /* set: the next turn must not wait */
    bool fresh;                    /* the clock was read in this turn */
    bool quiet;                    /* no callback came in this turn */
    bool soon;                     /* see ct_loop_soon() */
    struct event *moment;          /* its end */
    double muted_till;             /* libevent may log one line a second */
    bool (*after_turn)(void *arg); /* true: call again without waiting */
    void *after_arg;
    ct_list listens;  /* all ct_listen, and sockets that were inherited */
    bool share_ports; /* listeners are one of several processes' */
    bool staging;     /* see ct_listen_new() */
    /* Where the process counts: its own, until a worker sets others. */
    ct_counters *counters;
    ct_count *slots; /* the numbers of handler 0 are its first */
    struct ct_loop_counts *own;
    char *scratch; /* CT_LOOP_SCRATCH bytes, lent during one callback */
} ct_loop;

enum { CT_LOOP_SCRATCH = 65536 };

/* Sets up libevent (allocator, fatal and log callbacks) and the base. On
 * failure returns false and points `*why` at the reason. Borrows `log`. */
bool ct_loop_init(ct_loop *loop, ct_log *log, const char **why)
    __attribute__((warn_unused_result));

/* Monotonic milliseconds of this turn. The callbacks of io/ call it first, so
 * that the clock is read once after each wait. */
static inline uint64_t ct_loop_now(ct_loop *loop) {
    if (!loop->fresh) {
        ct_clock_update(&loop->clock);
        loop->fresh = true;
    }
    return loop->clock.mono_ms;
}

/* The next wait ends after about 2 ms, if nothing else ends it: a turn that comes of
 * this alone is quiet. */
void ct_loop_soon(ct_loop *loop);

/* Has the process count there; both NULL: in memory of its own again. Borrows. */
void ct_loop_count_in(ct_loop *loop, ct_counters *counters, ct_count *slots);

/* Runs turns until ct_loop_stop(). Returns false when epoll itself failed. */
bool ct_loop_run(ct_loop *loop) __attribute__((warn_unused_result));

/* Ends ct_loop_run() after the current turn. */
void ct_loop_stop(ct_loop *loop);

/* From a callback: ends the turn behind it. What else is ready waits for the
 * next turn, which comes at once. */
void ct_loop_yield(ct_loop *loop);

/* Has epoll forget `fd` at once, whose event is deleted and which is about to be
 * closed here, or has gone to somebody else: libevent tells epoll in the next turn,
 * when it may be too late. Needed where a copy of the descriptor lives on, here or
 * in another process: epoll goes on watching what nobody has closed, and would tell
 * it to whoever has got the number. */
void ct_loop_forget(ct_loop *loop, int fd);

/* Frees the base. Everything on it must be freed before. */
void ct_loop_fini(ct_loop *loop);

#endif
