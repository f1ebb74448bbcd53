/* Pieces of shared memory, through the environment as exec keeps it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "data/shared.h"

#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_zero(const unsigned char *p, size_t n) {
    while (n && !p[n - 1]) n--;
    return n == 0;
}

static void test_own(void) {
    ct_shared s = { 0 };
    unsigned char *p = ct_shared_get(&s, "one", 10000);

    CHECK(p && is_zero(p, 10000));
    CHECK(ct_shared_get(&s, "one", 10000) == p);
    CHECK(ct_shared_get(&s, "two", 10000) != p);
    CHECK(s.count == 2);
    CHECK(fcntl(s.pieces[0].fd, F_GETFD) == FD_CLOEXEC);
    ct_shared_fini(&s);
    CHECK(s.count == 0);
}

static void test_limits(void) {
    ct_shared s = { 0 };
    char name[] = "a";

    for (int i = 0; i < CT_SHARED_PIECES; i++, name[0]++)
        CHECK(ct_shared_get(&s, name, 1) != NULL);
    errno = 0;
    CHECK(ct_shared_get(&s, name, 1) == NULL && errno == ENOSPC);
    CHECK(ct_shared_get(&s, "a", 1) == s.pieces[0].memory);
    ct_shared_fini(&s);
    CHECK(!ct_shared_get(&s, "a_name_of_more_than_23_bytes", 1));
}

/* What a child has after exec: the descriptors, and the environment. */
static int child(ct_shared *given) {
    ct_shared s;
    char *p;

    if (!ct_shared_leave(given)) return 1;
    if (fcntl(given->pieces[0].fd, F_GETFD) != 0) return 2;
    ct_shared_take(&s);
    if (getenv("CTORNADO_SHARED")) return 3;
    if (s.count != 2 || fcntl(s.pieces[0].fd, F_GETFD) != FD_CLOEXEC) return 4;
    p = ct_shared_get(&s, "log", 64);
    if (!p || strcmp(p, "from the master") != 0) return 5;
    memcpy(p, "from the worker", 16);
    p = ct_shared_get(&s, "other", 32); /* of another version of the program */
    if (!p || *p != 0 || s.count != 2) return 6;
    return ct_shared_get(&s, "log", 64) ? 0 : 7;
}

static void test_inherited(void) {
    ct_shared s = { 0 };
    char *log = ct_shared_get(&s, "log", 64);
    char *other = ct_shared_get(&s, "other", 64);
    int status = -1;
    pid_t pid;

    memcpy(log, "from the master", 16);
    *other = 'x';
    pid = fork();
    if (pid == 0) _exit(child(&s));
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK_STR(log, "from the worker");
    CHECK(*other == 'x');
    ct_shared_fini(&s);
}

/* What another program has after exec, under other names. */
static int heir(const ct_shared *given) {
    ct_shared lent = { 0 }, s;
    const char *log;
    char *text;

    ct_shared_lend(given, "log", &lent, "old-log");
    ct_shared_lend(given, "none", &lent, "nothing");
    text = ct_shared_text(&lent);
    if (!ct_shared_keep(&lent) || putenv(text) != 0) return 1;
    ct_shared_take(&s);
    free(text);
    if (s.count != 1) return 2;
    if (ct_shared_find(&s, "log", 64)) return 3;
    if (ct_shared_find(&s, "old-log", 32)) return 4;
    log = ct_shared_find(&s, "old-log", 64);
    if (!log || strcmp(log, "of the elder") != 0) return 5;
    if (ct_shared_find(&s, "old-log", 64) != log || s.count != 1) return 6;
    ct_shared_drop(&s, "log");
    if (s.count != 1) return 8;
    ct_shared_drop(&s, "old-");
    ct_shared_drop(&s, "old-");
    return s.count == 0 ? 0 : 7;
}

static void test_lent(void) {
    ct_shared s = { 0 };
    char *log = ct_shared_get(&s, "log", 64);
    int status = -1;
    pid_t pid;

    memcpy(log, "of the elder", 13);
    CHECK(ct_shared_get(&s, "other", 64) != NULL);
    pid = fork();
    if (pid == 0) _exit(heir(&s));
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    ct_shared_fini(&s);
}

static void test_nonsense(void) {
    ct_shared s;

    setenv("CTORNADO_SHARED", "board 9999 metrics x", 1);
    ct_shared_take(&s);
    CHECK(s.count == 0 && !getenv("CTORNADO_SHARED"));
    ct_shared_take(&s);
    CHECK(s.count == 0);
}

int main(void) {
    test_own();
    test_limits();
    test_inherited();
    test_lent();
    test_nonsense();
    return check_report();
}
