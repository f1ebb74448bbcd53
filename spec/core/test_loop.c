/* What a turn of the loop is: quiet ones come of ct_loop_soon() alone, none is long. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <event2/event.h>
#include <unistd.h>

static unsigned turns, quiet;

/* Five of them, for a moment each. */
static bool on_turn(void *arg) {
    (void)arg;
    quiet += loop.quiet;
    if (++turns == 5)
        ct_loop_stop(&loop);
    else
        ct_loop_soon(&loop);
    return false;
}

static void on_tick(void *arg) {
    ++*(unsigned *)arg;
}

static void begin_turns(void) {
    turns = quiet = 0;
    loop.after_turn = on_turn;
    ct_loop_soon(&loop);
    ct_loop_soon(&loop); /* it is one and the same */
}

static void test_quiet_turns(void) {
    if (!loop_begin()) return;
    begin_turns();
    CHECK(ct_loop_run(&loop));
    CHECK(turns == 5 && quiet == 5);
    loop_end();
}

/* A timer that is always due makes each turn a busy one. */
static void test_busy_turns(void) {
    unsigned ticks = 0;
    ct_timer *timer;

    if (!loop_begin()) return;
    timer = ct_timer_new(&loop, on_tick, &ticks);
    ct_timer_start(timer, 0, true);
    begin_turns();
    CHECK(ct_loop_run(&loop));
    CHECK(turns == 5 && quiet < 5 && ticks > 0);
    ct_timer_free(timer);
    loop_end();
}

static void on_event(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    ++*(unsigned *)arg;
}

/* As many as are ready at once take several turns. */
static void test_turn_is_short(void) {
    enum { PAIRS = 400 };
    struct event *events[PAIRS];
    int ends[PAIRS][2];
    unsigned called = 0, most = 0;

    if (!loop_begin()) return;
    for (int i = 0; i < PAIRS; i++) {
        CHECK(pipe(ends[i]) == 0 && write(ends[i][1], "x", 1) == 1);
        events[i] = event_new(loop.base, ends[i][0],
                              EV_READ | EV_PERSIST | EV_ET, on_event, &called);
        CHECK(event_add(events[i], NULL) == 0);
    }
    for (int i = 0; i < 10; i++) {
        unsigned before = called;

        turn();
        if (called - before > most) most = called - before;
    }
    CHECK(called == PAIRS);
    CHECK(most <= 128);
    for (int i = 0; i < PAIRS; i++) {
        event_free(events[i]);
        close(ends[i][0]);
        close(ends[i][1]);
    }
    loop_end();
}

/* The end of the loop while it waits for that leaves nothing behind. */
static void test_end(void) {
    if (!loop_begin()) return;
    ct_loop_soon(&loop);
    loop_end();
}

int main(void) {
    test_quiet_turns();
    test_busy_turns();
    test_turn_is_short();
    test_end();
    return check_report();
}
