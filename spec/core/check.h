/* A unit test is a program: it calls CHECK, and main() ends in
 * `return check_report();`. A failure prints where and what, and goes on. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int checks_passed, checks_failed;

/* Counts one check; returns `ok`. */
static inline bool check_that(bool ok, const char *file, int line,
                              const char *what) {
    if (ok) {
        checks_passed++;
    } else {
        checks_failed++;
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    }
    return ok;
}

/* The same for two strings, printed when they differ. */
static inline bool check_str(const char *got, const char *want,
                             const char *file, int line, const char *what) {
    bool ok = got && want && strcmp(got, want) == 0;

    if (check_that(ok, file, line, what)) return true;
    fprintf(stderr, "    got:  %s\n    want: %s\n", got ? got : "(null)",
            want ? want : "(null)");
    return false;
}

#define CHECK(cond) check_that((cond), __FILE__, __LINE__, #cond)
#define CHECK_STR(got, want)                                                   \
    check_str((got), (want), __FILE__, __LINE__, #got " is " #want)

/* Prints the counts; returns the program's exit code. */
static inline int check_report(void) {
    printf("%d passed, %d failed\n", checks_passed, checks_failed);
    return checks_failed != 0;
}

#endif
