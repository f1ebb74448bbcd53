/* Unix signals as callbacks on the loop. SIGPIPE is ignored process-wide. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_SIGNALS_H
#define CT_SIGNALS_H

#include "io/loop.h"
#include <sys/types.h>

typedef struct ct_signals ct_signals;
typedef void ct_signals_fn(int signal, void *arg);

/* Watches the `n` signals of `list` (at most 8). NULL when that fails. Borrows
 * `loop`. Caller frees with ct_signals_free(). */
ct_signals *ct_signals_new(ct_loop *loop, const int *list, int n,
                           ct_signals_fn *fn, void *arg);

/* Has the process die of SIGINT or SIGTERM, as it would without a handler, when the
 * loop does not turn for so many seconds behind it; 0: never. For signals that a
 * ct_signals watches. Process-wide. */
void ct_signals_patience(unsigned interrupt, unsigned terminate);

void ct_signals_free(ct_signals *s);

/* fork(), for what exec() follows. No handler of this process runs in the child: it would
 * write to the loop that both have. SIGINT, SIGTERM and SIGQUIT end the child, and
 * SIGHUP, SIGUSR1 and SIGUSR2 are held, behind exec() too. */
pid_t ct_signals_fork(void);

/* Holds back the signals that would kill a process which does not watch them: SIGHUP,
 * SIGUSR1 and SIGUSR2 of one that starts; with `ends` also SIGINT, SIGTERM and SIGQUIT,
 * of one that ends as it was told to. If that takes half a minute, SIGALRM ends it.
 * Process-wide. */
void ct_signals_hold(bool ends);

/* They come again, and so do those that came meanwhile. */
void ct_signals_let(void);

#endif
