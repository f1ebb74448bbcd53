/* The control socket: a unix socket on which a command is a line and its answer
 * is "ok" or "error", a newline and a text. Only the user of the server and root
 * are heard. Lifetime: process. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_CONTROL_H
#define CT_CONTROL_H

#include "io/loop.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct ct_control ct_control;
typedef struct ct_control_peer ct_control_peer;

/* A command has come; ct_control_answer() must follow, now or later. */
typedef void ct_control_fn(ct_control_peer *peer, const char *command,
                           void *arg);

/* Listens on the path. NULL and a reason in `why` when that fails. Borrows
 * `loop`. Caller frees with ct_control_free(). */
ct_control *ct_control_new(ct_loop *loop, const char *path, ct_control_fn *fn,
                           void *arg, char *why, size_t size);

/* True when it listens on that path. */
bool ct_control_is_at(const ct_control *c, const char *path);

/* Answers and closes. `peer` is over. */
void ct_control_answer(ct_control_peer *peer, bool ok, const char *text);

/* Gives up the peer without an answer; its socket is the caller's. */
int ct_control_release(ct_control_peer *peer);

/* Listens no more: closes all peers but `one`, which may be NULL.
 * NULL is fine. */
void ct_control_leave(ct_control *c, const ct_control_peer *one);

/* Closes all; NULL is fine. Peers that wait for their answer are over too. */
void ct_control_free(ct_control *c);

#endif
