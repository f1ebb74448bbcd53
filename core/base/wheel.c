/* The tick of a deadline is rounded up, so that its slot is looked at when the
 * deadline has passed. A deadline beyond the last slot waits in that one and
 * moves on from there, as does one that was put off meanwhile. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wheel.h"

#include "base/assert.h"

void ct_wheel_init(ct_wheel *w, uint64_t now_ms) {
    for (int i = 0; i < CT_WHEEL_SLOTS; i++) ct_list_init(&w->slots[i]);
    w->tick = now_ms / CT_WHEEL_TICK;
    w->count = 0;
}

void ct_deadline_init(ct_deadline *d) {
    ct_list_init(&d->node);
    d->at = d->slot = 0;
}

/* The tick to look at a deadline: `from` is the first that is possible. Fewer
 * than CT_WHEEL_SLOTS ahead of w->tick, so that a slot holds one tick only. */
static uint64_t tick_of(const ct_wheel *w, uint64_t at, uint64_t from) {
    uint64_t tick = at / CT_WHEEL_TICK + (at % CT_WHEEL_TICK != 0);
    uint64_t last = w->tick + CT_WHEEL_SLOTS - 1;

    if (tick < from) return from;
    return tick < last ? tick : last;
}

static void link_at(ct_wheel *w, ct_deadline *d, uint64_t tick) {
    d->slot = tick;
    ct_list_add(&w->slots[tick % CT_WHEEL_SLOTS], &d->node);
}

void ct_wheel_set(ct_wheel *w, ct_deadline *d, uint64_t at) {
    uint64_t tick = tick_of(w, at, w->tick);

    ct_assert(at > 0);
    d->at = at;
    if (ct_list_is_empty(&d->node)) {
        w->count++;
    } else {
        if (tick >= d->slot) return;
        ct_list_remove(&d->node);
    }
    link_at(w, d, tick);
}

void ct_wheel_remove(ct_wheel *w, ct_deadline *d) {
    d->at = 0;
    if (ct_list_is_empty(&d->node)) return;
    ct_list_remove(&d->node);
    w->count--;
}

/* The first node of the current slot that is due; later ones move on. */
static ct_deadline *due_in_slot(ct_wheel *w, uint64_t now_ms) {
    ct_list *slot = &w->slots[w->tick % CT_WHEEL_SLOTS];

    while (!ct_list_is_empty(slot)) {
        ct_deadline *d = ct_list_of(slot->next, ct_deadline, node);
        if (d->at <= now_ms) {
            ct_wheel_remove(w, d);
            return d;
        }
        ct_list_remove(&d->node);
        link_at(w, d, tick_of(w, d->at, w->tick + 1));
    }
    return 0;
}

ct_deadline *ct_wheel_expired(ct_wheel *w, uint64_t now_ms) {
    uint64_t now = now_ms / CT_WHEEL_TICK;

    for (; w->count && w->tick <= now; w->tick++) {
        ct_deadline *d = due_in_slot(w, now_ms);
        if (d) return d;
    }
    if (w->tick <= now) w->tick = now + 1; /* empty: nothing to look at */
    return 0;
}

uint64_t ct_wheel_next(const ct_wheel *w) {
    if (!w->count) return 0;
    for (uint64_t tick = w->tick; tick < w->tick + CT_WHEEL_SLOTS; tick++)
        if (!ct_list_is_empty(&w->slots[tick % CT_WHEEL_SLOTS]))
            return tick * CT_WHEEL_TICK;
    return 0;
}
