/* One process that serves: a loop, the HTTP side, and generations of Lua. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WORKER_H
#define CT_WORKER_H

#include "base/log.h"
#include "http/server.h"
#include "io/loop.h"
#include "io/signals.h"
#include "server/generations.h"

typedef struct ct_worker {
    ct_log log;
    ct_loop loop;
    ct_server server;
    ct_signals *signals;
    ct_generations generations;
} ct_worker;

/* Runs the command line to its end; returns the exit code. */
int ct_worker_run(ct_worker *w, int argc, char **argv);

#endif
