/* What master.c, crew.c and succession.c share: the master, and how it runs its workers. Lifetime:
 * process. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_MASTER_PARTS_H
#define CT_MASTER_PARTS_H

#include "data/board.h"
#include "data/metrics.h"
#include "io/signals.h"
#include "io/timer.h"
#include "server/child.h"
#include "server/control.h"
#include "server/elder.h"
#include "server/folder.h"
#include "server/master.h"
#include "server/upgrade.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    CT_MASTER_OWN = 2, /* seconds more than the workers' own stop_timeout */
    CT_MASTER_LEAVE =
        1000 /* ms from when nothing new comes to a socket to its end */
};

typedef struct ct_master {
    ct_loop *loop;
    const ct_vm_wishes *wishes; /* the first ones, or `own` */
    ct_vm_wishes *own, *next;   /* of later generations, or NULL */
    char **argv;
    ct_shared *shared; /* borrowed */
    ct_board *board;   /* in it, as the three below */
    ct_metrics *metrics;
    struct ct_tls_tickets *tickets;
    void *peers; /* see http/peers.h: cleared of who died */
    ct_signals *signals;
    ct_control *control;
    ct_control *former; /* given up by a reload, till that is answered */
    ct_timer *tick;     /* every second: looks at all workers */
    ct_upgrade upgrade; /* who takes its place */
    ct_elder *elder;    /* whose place it takes; borrowed */
    ct_child *children;
    char folder[CT_FOLDER_PATH]; /* that the workers share; empty: none */
    uint32_t count;              /* places of `children` that were ever used */
    uint32_t target;             /* workers that there shall be */
    uint32_t running;
    bool ready;    /* every worker has served */
    bool stopping; /* told to end */
    int exit_code;
    uint64_t kill_at; /* stopping: ms, when patience is over */
    bool surplus;     /* workers have sockets of those that an elder had more */
    uint64_t trim_at; /* ms, when they are closed; or 0 */
    /* A reload: */
    ct_control_peer *asker; /* or NULL: a signal's */
    bool reloading;
    bool again;          /* a worker asked for one meanwhile, or too early */
    bool resized;        /* it is the second one, see ct_master_adopt() */
    uint32_t waited_for; /* answers */
    bool failed;
    char why
        [CT_CHILD_ANSWER]; /* \x1f stands for a newline while it is under way */
} ct_master;

/* -- master.c -------------------------------------------------------------- */

void ct_master_start(ct_master *m, ct_child *c);

/* Has all workers load the sites anew; `asker` gets the answer, or NULL. */
void ct_master_reload(ct_master *m, ct_control_peer *asker);

/* What they say, and what is said to the control socket. */
void ct_master_on_child(ct_child *c, const char *line, int status, void *arg);
void ct_master_on_command(ct_control_peer *peer, const char *command,
                          void *arg);

/* Tells all to end; again, with `gently` false, to end now. */
void ct_master_stop(ct_master *m, bool gently);

/* -- succession.c ---------------------------------------------------------- */

/* Tells systemd, if this is its main process. */
void ct_master_notify(const ct_master *m, const char *state);

/* Who dies is not replaced. */
bool ct_master_is_ending(const ct_master *m);

/* All workers serve: the place is this master's, or an elder is asked for it. */
void ct_master_succeed(ct_master *m);

/* Once an elder has ended: it counts no more. */
void ct_master_forget_elder(ct_master *m);

/* It cannot be, for what a worker says (\x1f for newlines). */
void ct_master_tell_elder(const ct_master *m, const char *why);

/* Has another program take its place; `asker` gets the answer, or NULL. */
void ct_master_upgrade(ct_master *m, ct_control_peer *asker);

/* See ct_upgrade_fn. */
void ct_master_on_upgraded(bool must_stop, void *arg);

/* That one accepts no more, or has ended. */
void ct_master_retired(ct_master *m, ct_child *c);

/* -- crew.c ---------------------------------------------------------------- */

/* Makes a place for a worker, and opens its sockets. False, with the reason logged,
 * when one cannot be. */
bool ct_master_place(ct_master *m, uint32_t i)
    __attribute__((warn_unused_result));

/* Tells one to leave. */
void ct_master_dismiss(const ct_master *m, ct_child *c);

/* Opens the control socket that is wanted, unless it is open. The one before is
 * `former` then. */
void ct_master_control(ct_master *m);

/* New connections come to each worker alike, from here on. */
void ct_master_spread(const ct_master *m);

/* Whether new connections go past a worker, to the others, for it does not come to
 * serve. */
void ct_master_lose(const ct_master *m, ct_child *c, bool lost);

/* Closes the sockets that an elder had more. */
void ct_master_trim(ct_master *m);

/* True when the last change of workers is not through: sockets of some still wait to
 * be closed. */
bool ct_master_is_settling(const ct_master *m);

/* A reload has brought other wishes (m->next): does what can be done. True when there
 * is another number of workers now: each knows that by its generation, so all need the
 * next one. */
bool ct_master_adopt(ct_master *m);

#endif
