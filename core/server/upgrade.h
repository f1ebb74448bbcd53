/* A binary upgrade, from the side of the program that is replaced: it starts the
 * new one, which has its listening sockets and loads the sites beside it. When that
 * serves, this one hands over and answers what it has begun; when it does not come
 * so far, nothing has changed. Lifetime: its owner's, the process. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_UPGRADE_H
#define CT_UPGRADE_H

#include "data/shared.h"
#include "io/loop.h"
#include "io/timer.h"
#include "server/control.h"
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { CT_UPGRADE_TIMEOUT = 60 }; /* seconds until the new program must serve */

/* The new one serves: this process is to accept no more, to give up its control
 * socket (all but `asker`) and the files of its sockets, to call
 * ct_upgrade_hand_over() then, and to end when it is through; or (`stop`) the new one was told to stop, and this one
 * shall, too. */
typedef void ct_upgrade_fn(bool stop, void *arg);

typedef struct ct_upgrade {
    ct_loop *loop;
    const ct_shared *shared, *counted; /* borrowed */
    char **argv;
    ct_upgrade_fn *fn;
    void *arg;
    ct_control_peer *asker; /* or NULL: a signal's */
    pid_t pid;              /* of the new one; 0: none */
    int pidfd, channel;
    char *why;    /* it has failed and will end, or NULL */
    bool loading; /* it does not serve yet */
    bool done;    /* it has served: this process is over */
    struct event on_end, on_word;
    ct_timer *limit;
} ct_upgrade;

/* Borrows all; `argv` is the command line of this process. "tickets" of `shared`
 * goes along, and what is counted (data/past.h): in `shared`, too, unless `counted`
 * of `u` is set. */
void ct_upgrade_init(ct_upgrade *u, ct_loop *loop, const ct_shared *shared,
                     char **argv, ct_upgrade_fn *fn, void *arg);

/* Starts the program that is at the path of this one now, with the sockets of the
 * loop and those of `more` (lines as of ct_listen_list(), or NULL). `asker`, if not
 * NULL, is answered how it ended. `not_now`, if not NULL, is why it cannot be. */
void ct_upgrade_begin(ct_upgrade *u, ct_control_peer *asker, const char *more,
                      const char *not_now);

/* Joins the worker with that number, from 1, to that of the new one: sends the one end
 * of a pair of sockets, and returns the other one, which is the caller's; -1 when it
 * cannot. Before ct_upgrade_hand_over(). */
int ct_upgrade_join(const ct_upgrade *u, uint32_t worker);

/* The new one may have what only one can have, and `asker` is told when it has. */
void ct_upgrade_hand_over(ct_upgrade *u);

/* Why nothing else may be begun now (a reload, another upgrade), or NULL. */
const char *ct_upgrade_is_in_the_way(const ct_upgrade *u);

/* The server is to end: so does a new program that does not serve yet. */
void ct_upgrade_cancel(ct_upgrade *u);

/* Where `asker` waits, this does until the new one has taken over, for some seconds. */
void ct_upgrade_fini(ct_upgrade *u);

#endif
