/* Deadlines for many objects, cheap to move: a wheel of slots of
 * CT_WHEEL_TICK ms. Putting a deadline off is one store (the node stays in its
 * slot and moves on when the slot comes round); only an earlier deadline
 * relinks. Precision: one tick late, never early. Pure: the caller brings the
 * time. Lifetime: that of its owner. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WHEEL_H
#define CT_WHEEL_H

#include "base/list.h"
#include <stdint.h>

enum { CT_WHEEL_TICK = 128, CT_WHEEL_SLOTS = 1024 };

typedef struct ct_deadline {
    ct_list node;
    uint64_t at;   /* monotonic ms; 0: none */
    uint64_t slot; /* the tick whose slot the node is in */
} ct_deadline;

typedef struct ct_wheel {
    ct_list slots[CT_WHEEL_SLOTS];
    uint64_t tick;  /* the next tick to look at */
    unsigned count; /* nodes in the wheel */
} ct_wheel;

void ct_wheel_init(ct_wheel *w, uint64_t now_ms);

/* A node in no wheel. */
void ct_deadline_init(ct_deadline *d);

/* Sets or moves the deadline to `at` (ms, > 0). */
void ct_wheel_set(ct_wheel *w, ct_deadline *d, uint64_t at);

/* Takes the node out. Fine when it is not in. */
void ct_wheel_remove(ct_wheel *w, ct_deadline *d);

/* Returns a node whose deadline has passed at `now_ms`, taken out of the wheel,
 * or NULL when there is none (left). */
ct_deadline *ct_wheel_expired(ct_wheel *w, uint64_t now_ms);

/* When to look at the wheel again: milliseconds on the clock of its deadlines; 0
 * when nothing is in it. Costs a pass over the slots. */
uint64_t ct_wheel_next(const ct_wheel *w);

#endif
