/* Deadlines of many objects of one kind on the loop: a wheel, and the one timer
 * that turns it. Lifetime: its owner's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_DEADLINES_H
#define CT_DEADLINES_H

#include "base/wheel.h"
#include "io/loop.h"
#include "io/timer.h"
#include <stdint.h>

/* A deadline has passed; it is out of the wheel. May free its object. */
typedef void ct_deadlines_fn(ct_deadline *d);

typedef struct ct_deadlines {
    ct_wheel wheel;
    ct_loop *loop; /* borrowed */
    ct_timer *timer;
    uint64_t armed; /* when the timer fires: monotonic ms; 0: not running */
    ct_deadlines_fn *expired;
} ct_deadlines;

void ct_deadlines_init(ct_deadlines *all, ct_loop *loop,
                       ct_deadlines_fn *expired);

/* Sets or moves a deadline to `at`, monotonic ms. */
void ct_deadlines_set(ct_deadlines *all, ct_deadline *d, uint64_t at);

/* Takes it out; fine when it is not in. */
static inline void ct_deadlines_remove(ct_deadlines *all, ct_deadline *d) {
    ct_wheel_remove(&all->wheel, d);
}

/* Stops the timer. No deadline may be in the wheel any more. */
void ct_deadlines_fini(ct_deadlines *all);

#endif
