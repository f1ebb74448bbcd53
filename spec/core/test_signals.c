/* Signals that come to a child between fork() and exec(): they are the child's. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/signals.h"

#include "loop.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int heard;

static void on_signal(int signal, void *arg) {
    (void)signal, (void)arg;
    heard++;
}

/* How a child ends that sends itself that signal. */
static int end_of(int number) {
    int status = -1;
    pid_t pid = ct_signals_fork();

    if (pid == 0) {
        kill(getpid(), number);
        _exit(3);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static void test_own(void) {
    heard = 0;
    kill(getpid(), SIGUSR1);
    turn();
    CHECK(heard == 1);
}

/* The loop's handlers run in the parent alone. */
static void test_child(int number, bool ends) {
    int status = end_of(number);

    heard = 0;
    turn();
    CHECK(heard == 0);
    if (ends)
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == number);
    else
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    test_own(); /* they come as before */
}

int main(void) {
    static const int list[] = { SIGINT, SIGTERM, SIGQUIT,
                                SIGHUP, SIGUSR1, SIGUSR2 };
    ct_signals *s;

    if (!loop_begin()) return check_report();
    s = ct_signals_new(&loop, list, 6, on_signal, NULL);
    if (CHECK(s)) {
        ct_signals_patience(20, 20);
        test_own();
        for (int i = 0; i < 6; i++) test_child(list[i], i < 3);
    }
    ct_signals_free(s);
    loop_end();
    return check_report();
}
