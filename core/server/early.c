/* libevent's handler comes first, so that the loop hears of the signal if it turns;
 * an alarm does what it does not. Both are fit for handlers, and so is the log. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/early.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

enum { PATIENCE = 1 /* second */, COUNT = 3 };

static const int watched[COUNT] = { SIGTERM, SIGINT, SIGQUIT };

static ct_log *to; /* process-wide: handlers have no argument */
static struct sigaction before[COUNT]; /* process-wide: likewise; libevent's */
static volatile sig_atomic_t came;     /* process-wide: likewise; 0: none */

static void on_signal(int number) {
    for (int i = 0; i < COUNT; i++)
        if (watched[i] == number && before[i].sa_handler != SIG_DFL &&
            before[i].sa_handler != SIG_IGN)
            before[i].sa_handler(number);
    if (came) return;
    came = number;
    alarm(PATIENCE);
}

static void on_alarm(int number) {
    (void)number;
    ct_log_line(to, CT_LEVEL_WARNING, "worker",
                "told to end while a script is loaded that does not wait: it "
                "is cut off");
    _exit(128 + came);
}

void ct_early_begin(ct_log *log) {
    struct sigaction action = { .sa_handler = on_signal,
                                .sa_flags = SA_RESTART };

    to = log;
    sigfillset(&action.sa_mask);
    for (int i = 0; i < COUNT; i++) sigaction(watched[i], &action, &before[i]);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
}

void ct_early_taken(void) {
    if (!to) return;
    alarm(0);
    came = 0;
}

void ct_early_end(void) {
    if (!to) return;
    for (int i = 0; i < COUNT; i++) sigaction(watched[i], &before[i], NULL);
    ct_early_taken();
    signal(SIGALRM, SIG_DFL);
    to = NULL;
}
