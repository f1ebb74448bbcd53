/* Threads for what would block the loop. A job runs on one of them, and its
 * `done` is called on the loop. Threads are made on demand, up to a number, and
 * stay; no signal is handled in them. Lifetime: its owner's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_POOL_H
#define CT_POOL_H

#include "io/waker.h"
#include <stdatomic.h>

typedef struct ct_pool ct_pool;

enum { CT_POOL_THREADS = 256 }; /* the most that a pool may have */

/* Part of its owner's struct, zeroed. The owner sets `run` and `done`; the job
 * is the pool's from ct_pool_add() until `done` is called. */
typedef struct ct_job {
    ct_note note;
    ct_list node;
    ct_pool *pool;
    void (*run)(struct ct_job *job);  /* on a thread */
    void (*done)(struct ct_job *job); /* on the loop; may free the job */
    atomic_bool dropped; /* nobody waits: `run` may look, and end early */
    bool ran;            /* for done(): false when it never began */
} ct_job;

/* A pool without threads yet; `threads` from 1 to CT_POOL_THREADS, `queue` jobs
 * may wait beside those that the threads have. Borrows `waker`. Caller frees with ct_pool_free(). */
ct_pool *ct_pool_new(ct_waker *waker, unsigned threads, unsigned queue);

/* Queues a job; false when the queue is full, or no thread can be made. */
bool ct_pool_add(ct_pool *p, ct_job *job) __attribute__((warn_unused_result));

/* Nobody waits for the job any more. True: it had not begun, and never will;
 * the caller may free it. False: its `done` is still to come. */
bool ct_pool_drop(ct_job *job);

/* Jobs that wait or run. */
unsigned ct_pool_load(ct_pool *p);

/* Marks all jobs as dropped, waits up to `seconds` for those that run, and frees
 * the pool: true, with `done` called for each job. False when a thread is still
 * at work: then the pool, that job and what it uses must be left as they are,
 * waker included, and the process is to end by _exit(). NULL is fine. */
bool ct_pool_free(ct_pool *p, double seconds)
    __attribute__((warn_unused_result));

#endif
