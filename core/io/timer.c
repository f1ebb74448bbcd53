/* libevent's clock is CLOCK_MONOTONIC_COARSE (its precise one costs a system
 * call a turn), which is up to a tick of the kernel behind, and cached during
 * callbacks. So the due time is kept here, and what fires before it waits
 * again: never early, at most a few milliseconds late. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/timer.h"

#include "base/mem.h"

#include <event2/event.h>
#include <event2/event_struct.h>

struct ct_timer {
    struct event event;
    ct_loop *loop;
    ct_timer_fn *fn;
    void *arg;
    double due;   /* ct_clock_precise() */
    double every; /* 0: once */
};

static void wait_for(ct_timer *t, double seconds) {
    long us = (long)(seconds * 1e6) + 1;
    struct timeval tv = { .tv_sec = us / 1000000, .tv_usec = us % 1000000 };

    event_add(&t->event, &tv);
}

/* Due times that passed while the loop was busy are left out. */
static void wait_for_next(ct_timer *t, double now) {
    long missed = (long)((now - t->due) / t->every);

    t->due += t->every * (double)(missed + 1);
    wait_for(t, t->due > now ? t->due - now : 0);
}

static void on_time(evutil_socket_t fd, short what, void *arg) {
    ct_timer *t = arg;
    double now = ct_clock_precise();

    (void)fd, (void)what;
    ct_loop_now(t->loop);
    if (now < t->due) {
        wait_for(t, t->due - now);
        return;
    }
    if (t->every > 0) wait_for_next(t, now);
    t->fn(t->arg); /* may free t */
}

ct_timer *ct_timer_new(ct_loop *loop, ct_timer_fn *fn, void *arg) {
    ct_timer *t = ct_new(ct_timer);

    t->loop = loop;
    t->fn = fn;
    t->arg = arg;
    event_assign(&t->event, loop->base, -1, 0, on_time, t);
    return t;
}

void ct_timer_start(ct_timer *t, double seconds, bool repeat) {
    const double least = repeat ? 0.001 : 0, most = 10 * 365.25 * 86400;

    if (!(seconds > least)) seconds = least; /* NaN as well */
    if (seconds > most) seconds = most;
    t->every = repeat ? seconds : 0;
    t->due = ct_clock_precise() + seconds;
    wait_for(t, seconds);
}

void ct_timer_stop(ct_timer *t) {
    event_del(&t->event);
}

void ct_timer_free(ct_timer *t) {
    if (!t) return;
    event_del(&t->event);
    ct_free(t);
}
