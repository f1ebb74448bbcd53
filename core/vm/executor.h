/* Lua functions on threads. Each runs in a Lua state of its own that has the
 * framework's modules and no loop: a call that needs it raises (the guard is
 * lua/tornado/core/thread.lua). States are made on first use, on the thread, and
 * used again. Lifetime: its owner's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_EXECUTOR_H
#define CT_EXECUTOR_H

#include "io/pool.h"

typedef struct ct_executor ct_executor;

typedef struct ct_executor_options {
    unsigned threads, queue; /* see ct_pool_new() */
    double timeout;          /* seconds for a call; 0: no limit */
    double memory;           /* bytes for a Lua state; 0: no limit */
    ct_log_level level;      /* of what the functions log */
} ct_executor_options;

/* Borrows `waker`. Caller frees with ct_executor_free(). */
ct_executor *ct_executor_new(ct_waker *waker, const ct_executor_options *how);

/* Where jobs go that call ct_executor_call(). Borrows. */
ct_pool *ct_executor_pool(ct_executor *e);

/* From a job's run(): gives `n` bytes to tornado.concurrent.thread in a state.
 * Returns what that returned, or the reason it failed with *error an errno:
 * ETIMEDOUT beyond the limit, ECANCELED when *dropped became true, ENOMEM when there
 * was no memory left to tell what was raised, EFAULT. Caller frees *out with
 * ct_free(). */
size_t ct_executor_call(ct_executor *e, const atomic_bool *dropped,
                        const char *p, size_t n, char **out, int *error);

/* Has new states made: idle ones are freed, others when their call is over. */
void ct_executor_reset(ct_executor *e);

/* As ct_pool_free(). */
bool ct_executor_free(ct_executor *e, double seconds)
    __attribute__((warn_unused_result));

#endif
