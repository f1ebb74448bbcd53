/* Request bodies, in the three ways an application may want one: collected in
 * memory and on disk, piece by piece, or not at all. Nothing is read from the
 * socket before somebody asks, so the sender is held back by TCP itself. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_BODY_H
#define CT_BODY_H

#include "http/request.h"
#include <stdbool.h>
#include <stddef.h>

void ct_body_init(ct_body *b);

/* Frees memory, map and spool. */
void ct_body_fini(ct_body *b);

/* See ct_abi_body_collect(), _get() and _read() in abi.h. */
int ct_body_collect(ct_request *r, double max);
int ct_body_get(ct_request *r, ct_str *out);
int ct_body_read(ct_request *r, double max, ct_str *out);

/* True while bytes of the body may be taken from the connection. */
bool ct_body_wants_input(const ct_request *r);

/* Decodes the next `n` bytes of input; returns how many of them it took. Sets
 * r->body.done, .over or .failed, and r->wire.status when malformed. */
size_t ct_body_feed(ct_request *r, const char *p, size_t n);

/* Queues CT_EVENT_BODY if Lua waits for it. */
void ct_body_notify(ct_request *r);

#endif
