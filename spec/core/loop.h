/* A test's loop, and the ways to run it: until somebody stops it, for a turn that
 * does not wait, and for a while. loop_begin() and loop_end() stand around it. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOP_H
#define LOOP_H

#include "check.h"
#include "io/timer.h"
#include <dirent.h>

static ct_log the_log;
static ct_loop loop;

static inline bool loop_begin(void) {
    const char *why;

    ct_log_init(&the_log);
    return CHECK(ct_loop_init(&loop, &the_log, &why));
}

static inline void loop_end(void) {
    ct_loop_fini(&loop);
    ct_log_fini(&the_log);
}

static inline void on_guard(void *arg) {
    *(bool *)arg = true;
    ct_loop_stop(&loop);
}

/* Runs until somebody stops the loop; false when that takes a minute. */
static inline bool run(void) {
    bool late = false;
    ct_timer *guard = ct_timer_new(&loop, on_guard, &late);

    ct_timer_start(guard, 60, false);
    CHECK(ct_loop_run(&loop));
    ct_timer_free(guard);
    return CHECK(!late);
}

static inline bool once(void *arg) {
    (void)arg;
    ct_loop_stop(&loop);
    return false;
}

/* One turn that does not wait. */
static inline void turn(void) {
    loop.again = true;
    loop.stopped = false;
    loop.after_turn = once;
    CHECK(ct_loop_run(&loop));
    loop.after_turn = NULL;
}

static inline int open_files(void) {
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(d)) n++;
    closedir(d);
    return n;
}

#endif
