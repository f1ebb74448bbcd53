/* One process that serves: a loop, the HTTP side, and a generation of Lua. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WORKER_H
#define CT_WORKER_H

#include "base/events.h"
#include "base/log.h"
#include "http/server.h"
#include "io/loop.h"
#include "io/signals.h"
#include "vm/vm.h"

typedef struct ct_worker {
    ct_log log;
    ct_loop loop;
    ct_events events;
    ct_server server;
    ct_signals *signals;
    ct_vm *vm;
} ct_worker;

/* Runs the command line to its end; returns the exit code. */
int ct_worker_run(ct_worker *w, int argc, char **argv);

#endif
