/* What the processes of one server show each other: a row for each worker, that
 * only that worker writes, and the master while there is none. It is the shared
 * piece "board" (data/shared.h): zeroed when it is new. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_BOARD_H
#define CT_BOARD_H

#include "base/clock.h"
#include "base/counters.h"
#include "base/recent.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    CT_WORKERS = 256, /* the most workers of one server */
    CT_BOARD_OLD =
        4, /* the most earlier generations that are shown one by one */
    CT_BOARD_PAST = CT_WORKERS /* the row of its elders: see data/past.h */
};

typedef enum ct_worker_state {
    CT_WORKER_NONE,
    CT_WORKER_STARTING, /* loads its sites */
    CT_WORKER_SERVING,
    CT_WORKER_ENDING /* answers what is under way */
} ct_worker_state;

typedef struct ct_board_row {
    _Atomic int32_t pid;
    _Atomic uint32_t state;      /* ct_worker_state */
    _Atomic uint32_t generation; /* how often its sites were loaded */
    _Atomic uint32_t old;        /* earlier generations that still have work */
    _Atomic uint64_t beat;       /* CLOCK_MONOTONIC ms of its last turn */
    _Atomic int64_t started;     /* seconds since 1970 */
    _Atomic uint32_t restarts;   /* how often a worker died here */
    /* Of the earliest of the `old`: which they are, and their states' bytes. */
    _Atomic uint32_t old_numbers[CT_BOARD_OLD];
    _Atomic uint64_t old_lua[CT_BOARD_OLD];
    ct_gauges now;
    ct_counters counters; /* of all that had this place */
    ct_recent recent;     /* their errors */
} ct_board_row;

typedef struct ct_board {
    _Atomic int32_t pid;       /* of the server: the master's */
    _Atomic uint32_t workers;  /* rows in use: ct_board_set_workers() */
    _Atomic uint32_t heir;     /* 1: it has not taken over yet */
    _Atomic uint32_t elder;    /* 1: whose place it takes still counts */
    _Atomic uint32_t replaced; /* workers that died and were replaced */
    _Atomic uint32_t reloads, reloads_failed;
    _Atomic uint32_t used;   /* the most rows that were in use */
    _Atomic int64_t started; /* seconds since 1970 */
    /* Of its elders: */
    _Atomic int64_t
        past_started; /* when the first of them was; 0: there is none */
    _Atomic uint32_t past_replaced, past_reloads, past_reloads_failed;
    _Atomic uint32_t past_upgrades; /* how many they are */
    ct_count past_dropped;          /* see ct_metrics */
    ct_board_row rows[CT_WORKERS + 1];
} ct_board;

/* The worker has died, or its place is taken by another: nothing is open, and
 * the counters go on. Its beat is the master's to begin; pid and state are those of
 * whoever is there now, which one that has just begun does not take back. */
void ct_board_clear(ct_board_row *r);

/* One that was starting serves. A worker says so when the master has been told, and a
 * master when it hears of it: so who sees the state, and who reads of it in the log, finds
 * both of them ready. The later of the two changes nothing. */
void ct_board_serve(ct_board_row *r);

/* Whether a worker is in that state. */
bool ct_board_has(const ct_board *b, ct_worker_state state);

/* How many rows are workers'. */
static inline uint32_t ct_board_workers(const ct_board *b) {
    uint32_t n = b->workers;

    return n < CT_WORKERS ? n : CT_WORKERS;
}

/* There are so many workers from now on. */
void ct_board_set_workers(ct_board *b, uint32_t workers);

/* How many rows have ever been workers': when there are fewer than before, what the
 * others have counted stays. */
static inline uint32_t ct_board_rows(const ct_board *b) {
    uint32_t n = b->used, workers = ct_board_workers(b);

    if (n < workers) n = workers;
    return n < CT_WORKERS ? n : CT_WORKERS;
}

/* What only grows is the sum of the rows ct_board_row_of(i, ct_board_rows()), for
 * each `i` from ct_board_first() to ct_board_rows(): the workers', but not before
 * they have taken over, as an elder tells nothing of them; and the elders'. */
static inline uint32_t ct_board_first(const ct_board *b) {
    return b->heir ? ct_board_rows(b) : 0;
}

static inline uint32_t ct_board_row_of(uint32_t i, uint32_t rows) {
    return i < rows ? i : CT_BOARD_PAST;
}

/* When the service began, over all upgrades: seconds since 1970. */
static inline int64_t ct_board_service_started(const ct_board *b) {
    return b->past_started ? b->past_started : b->started;
}

/* Milliseconds of the clock of `beat`. */
static inline uint64_t ct_board_now(void) {
    return (uint64_t)(ct_clock_precise() * 1000);
}

#endif
