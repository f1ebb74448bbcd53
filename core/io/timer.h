/* One-shot and repeating timers on the monotonic clock: never early, late by a
 * tick of the kernel (4 ms) at most when the loop is idle. Lifetime: as its
 * owner says. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_TIMER_H
#define CT_TIMER_H

#include "io/loop.h"

typedef struct ct_timer ct_timer;
typedef void ct_timer_fn(void *arg);

/* A timer that is not running. Borrows `loop`. Caller frees with
 * ct_timer_free(). */
ct_timer *ct_timer_new(ct_loop *loop, ct_timer_fn *fn, void *arg);

/* Calls fn once after `seconds` (>= 0; negative counts as 0; capped at 10
 * years), or every `seconds` when `repeat`. Restarts a running timer. */
void ct_timer_start(ct_timer *t, double seconds, bool repeat);

/* Stops; the timer may be started again. */
void ct_timer_stop(ct_timer *t);

/* Stops and frees; NULL is fine. May be called from its own callback. */
void ct_timer_free(ct_timer *t);

#endif
