/* Child processes. Their end is seen through a pidfd on the loop, and they are
 * reaped there: no SIGCHLD, no zombies. Lifetime: its owner's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_PROCESS_H
#define CT_PROCESS_H

#include "abi.h"
#include "io/loop.h"

typedef struct ct_process ct_process;

/* It has ended and is reaped; may free the process. */
typedef void ct_process_fn(void *arg);

/* Starts a program, with all signals unblocked and at their defaults, and no
 * descriptor but 0, 1 and 2. This thread waits until it has begun, which takes
 * less than a millisecond. NULL, with out->error set, when it cannot be started,
 * exec included. Borrows `loop`. Caller frees with ct_process_free(), and closes
 * out->fds. */
ct_process *ct_process_spawn(ct_loop *loop, const ct_spawn *spawn,
                             ct_process_fn *fn, void *arg, ct_spawned *out);

/* True when it has ended, with its exit code, or minus its signal, in *status. */
bool ct_process_status(const ct_process *p, int *status);

/* Sends a signal, to its group when `group` is set and it has one of its own;
 * false, with errno set, when that fails, or it has ended (ESRCH). */
bool ct_process_kill(ct_process *p, int signal, bool group)
    __attribute__((warn_unused_result));

/* Has what is left of its own group killed when it ends. */
void ct_process_kill_rest(ct_process *p);

/* Whether it shall outlive this process (CT_SPAWN_DETACHED). */
bool ct_process_is_detached(const ct_process *p);

/* Waits for its end, blocking, until `till` (ct_clock_precise()), and kills it
 * with its group then. `fn` is not called. */
void ct_process_finish(ct_process *p, double till);

/* Stops watching; does nothing to what still runs. NULL is fine. */
void ct_process_free(ct_process *p);

#endif
