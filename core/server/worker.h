/* One process that serves: a loop, the HTTP side, and generations of Lua. A
 * master may have started it; alone it has a control socket of its own.
 * Lifetime: process. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WORKER_H
#define CT_WORKER_H

#include "base/log.h"
#include "data/board.h"
#include "data/history.h"
#include "data/metrics.h"
#include "data/past.h"
#include "data/shared.h"
#include "http/server.h"
#include "io/listen.h"
#include "io/loop.h"
#include "io/signals.h"
#include "io/timer.h"
#include "server/child.h"
#include "server/control.h"
#include "server/elder.h"
#include "server/generations.h"
#include "server/inherit.h"
#include "server/shortage.h"
#include "server/upgrade.h"
#include <event2/event_struct.h>

typedef struct ct_worker {
    ct_log log;
    ct_loop loop;
    ct_server server;
    ct_signals *signals;
    ct_generations generations;
    ct_inherit inherit;
    ct_shared *shared;              /* what it has of its master, or `own` */
    ct_shared own;                  /* without a master */
    struct ct_tls_tickets *tickets; /* in what a master or elder shares */
    ct_board *board;
    ct_metrics *metrics;
    ct_past past; /* what its elders have counted */
    ct_history *history;
    ct_board_row *row;
    ct_shortage shortage;
    ct_timer *tick;      /* every second: the board's numbers */
    double ticked;       /* when it last did */
    unsigned ticks;      /* how often */
    struct event master; /* what the master says */
    unsigned have;       /* bytes of `line` */
    char line[CT_CHILD_ANSWER + 16];
    ct_event_type passed; /* the event for the descriptor that comes with it */
    ct_control *control;  /* or NULL: the master has it */
    ct_control_peer *asker; /* who asked for the reload under way, or NULL */
    bool again;             /* Lua asked for one meanwhile, or too early */
    ct_vm_wishes *wishes;   /* of the first generation; NULL with a master */
    ct_upgrade upgrade;     /* without a master: who takes its place */
    ct_elder elder;         /* and whose place it takes */
    bool serving;           /* it has said so */
    bool orphan;            /* its master is gone */
} ct_worker;

/* In place.c: finds its place, which is a row on the master's board, or a board of its
 * own, and what else it has of those that were there before. False: there is none,
 * which has been logged. */
bool ct_worker_place(ct_worker *w);

/* Runs the command line to its end; returns the exit code. */
int ct_worker_run(ct_worker *w, int argc, char **argv);

#endif
