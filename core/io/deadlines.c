/* The timer fires when the next slot of the wheel is due, and not at each tick: a
 * short timer makes every wait of the loop program the machine's, which costs
 * more than the wait itself. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/deadlines.h"

static void arm(ct_deadlines *all, uint64_t at) {
    uint64_t now = all->loop->clock.mono_ms;

    all->armed = at;
    if (at)
        ct_timer_start(all->timer, at > now ? (double)(at - now) / 1e3 : 0,
                       false);
    else
        ct_timer_stop(all->timer);
}

static void on_timer(void *arg) {
    ct_deadlines *all = arg;
    ct_deadline *d;

    while ((d = ct_wheel_expired(&all->wheel, all->loop->clock.mono_ms)))
        all->expired(d);
    arm(all, ct_wheel_next(&all->wheel));
}

void ct_deadlines_init(ct_deadlines *all, ct_loop *loop,
                       ct_deadlines_fn *expired) {
    *all = (ct_deadlines){ .loop = loop, .expired = expired };
    ct_wheel_init(&all->wheel, loop->clock.mono_ms);
    all->timer = ct_timer_new(loop, on_timer, all);
}

void ct_deadlines_set(ct_deadlines *all, ct_deadline *d, uint64_t at) {
    ct_wheel_set(&all->wheel, d, at);
    if (!all->armed || d->slot * CT_WHEEL_TICK < all->armed)
        arm(all, d->slot * CT_WHEEL_TICK);
}

void ct_deadlines_fini(ct_deadlines *all) {
    ct_timer_free(all->timer);
}
