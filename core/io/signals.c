/* libevent's handler writes to a socketpair that its loop reads, so that the
 * callback runs as any other, in a turn. Before the handlers of SIGINT and SIGTERM
 * stands one that sets an alarm, which the turn takes back: a loop that does not
 * turn any more would leave nothing but SIGKILL. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/signals.h"

#include "base/assert.h"
#include "base/mem.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
    MOST = 8,
    END = 30 /* seconds that a process may take to end */
};

struct patience {
    int signal;
    _Atomic(unsigned) seconds;
    void (*_Atomic next)(int); /* libevent's */
};

static struct patience
    patient[2]; /* process-wide: handlers have no argument; INT, TERM */
static _Atomic(int) pressing; /* process-wide: likewise; the alarm's signal */

struct ct_signals {
    ct_loop *loop;
    ct_signals_fn *fn;
    void *arg;
    int n;
    struct event events[MOST];
};

static void on_alarm(int number) {
    (void)number;
    signal(pressing, SIG_DFL);
    (void)raise(pressing);
}

static void on_pressing(int number) {
    struct patience *p = &patient[number == SIGTERM];
    unsigned seconds = p->seconds;
    void (*next)(int) = p->next;

    if (seconds) {
        pressing = number;
        alarm(seconds);
    }
    if (next) next(number);
}

/* Stands before libevent's handler of the signal. */
static void press(struct patience *p) {
    struct sigaction action;

    sigaction(p->signal, NULL, &action);
    if (action.sa_handler == on_pressing) return;
    p->next = action.sa_handler;
    action.sa_handler = on_pressing;
    sigaction(p->signal, &action, NULL);
}

void ct_signals_patience(unsigned interrupt, unsigned terminate) {
    struct sigaction action = { .sa_handler = on_alarm };

    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    patient[0].signal = SIGINT;
    patient[0].seconds = interrupt;
    patient[1].signal = SIGTERM;
    patient[1].seconds = terminate;
    for (int i = 0; i < 2; i++) press(&patient[i]);
}

static void on_signal(evutil_socket_t signal, short what, void *arg) {
    ct_signals *s = arg;

    (void)what;
    if (signal == pressing) alarm(0);
    ct_loop_now(s->loop);
    s->fn((int)signal, s->arg);
}

ct_signals *ct_signals_new(ct_loop *loop, const int *list, int n,
                           ct_signals_fn *fn, void *arg) {
    ct_signals *s = ct_new(ct_signals);

    ct_assert(n <= MOST);
    s->loop = loop;
    s->fn = fn;
    s->arg = arg;
    for (; s->n < n; s->n++) {
        struct event *e = &s->events[s->n];
        evsignal_assign(e, loop->base, list[s->n], on_signal, s);
        if (evsignal_add(e, NULL) == -1) goto fail;
    }
    return s;

fail:
    ct_signals_free(s);
    return NULL;
}

void ct_signals_free(ct_signals *s) {
    if (!s) return;
    for (int i = 0; i < s->n; i++) event_del(&s->events[i]);
    ct_free(s);
}

/* -- Beginning and end ----------------------------------------------------- */

static void fill(sigset_t *set, bool ends) {
    static const int list[] = { SIGHUP, SIGUSR1, SIGUSR2,
                                SIGINT, SIGTERM, SIGQUIT };

    sigemptyset(set);
    for (int i = 0; i < (ends ? 6 : 3); i++) sigaddset(set, list[i]);
}

pid_t ct_signals_fork(void) {
    sigset_t all, before, held;
    pid_t pid;

    sigfillset(&all);
    fill(&held, false);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGQUIT, SIG_DFL);
        before = held;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

void ct_signals_hold(bool ends) {
    sigset_t set;

    fill(&set, ends);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (!ends) return;
    signal(SIGALRM, SIG_DFL);
    alarm(END);
}

void ct_signals_let(void) {
    sigset_t set;

    fill(&set, true);
    alarm(0);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
