/* The master: it owns the listening sockets and the workers, which are this same
 * program, and replaces those that die or hang. It runs no Lua and handles no
 * connection. Lifetime: process. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_MASTER_H
#define CT_MASTER_H

#include "data/shared.h"
#include "io/loop.h"
#include "server/elder.h"
#include "vm/vm.h"

/* Runs workers with the command line until it is told to end; returns the exit
 * code. What its workers are to share is found or made in `shared`;
 * `elder` is whose place it takes. Borrows all. */
int ct_master_run(ct_loop *loop, const ct_vm_wishes *wishes, ct_shared *shared,
                  ct_elder *elder, char **argv);

#endif
