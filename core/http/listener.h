/* A listener: where connections come from, with limits of its own or those of
 * all. It outlives its socket until its last connection has ended.
 * Lifetime: from ct_listener_open() to that end. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_LISTENER_H
#define CT_LISTENER_H

#include "http/server.h"
#include "io/address.h"
#include "io/listen.h"
#include "io/tls_context.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ct_listener {
    ct_server *server;
    ct_events *events; /* borrowed: of the generation that answers */
    ct_listen *listen;                /* NULL: closed, or without a socket */
    const ct_server_options *options; /* the server's, or `own` */
    ct_server_options *own;           /* or NULL */
    ct_tls_context *tls;              /* a share of it, or NULL: plain */
    uint32_t handle;
    uint32_t conns; /* alive */
    bool closed;    /* no more come: freed with the last of them */
    bool waited;    /* Lua waits for CT_EVENT_ENDED */
} ct_listener;

/* Opens a listener; 0 and a reason in `why` (`size` bytes) when that fails.
 * Its requests are told to `events`. `address` NULL: without a socket, for
 * ct_listener_pair(). */
uint32_t ct_listener_open(ct_server *s, ct_events *events, const char *address,
                          char *why, size_t size);

/* The limits that its next connections have, to be changed. Borrows. */
ct_server_options *ct_listener_options(ct_listener *l);

/* Its connections to come have TLS. Takes a share of `tls`. */
void ct_listener_secure(ct_listener *l, ct_tls_context *tls);

/* Makes a connection without the network, whose peer has that address. Returns
 * the client's end (a descriptor, non-blocking, that the caller owns), or -1:
 * errno says why. */
int ct_listener_pair(ct_listener *l, const ct_peer *peer);

/* Closes its idle connections, and has the others end with the reply under way.
 * True when none is left; else CT_EVENT_ENDED will come. */
bool ct_listener_drain(ct_listener *l);

/* Accepts no more; with `drop` its connections end at once. CT_EVENT_ENDED comes
 * with the last of them. */
void ct_listener_close(ct_listener *l, bool drop);

/* One of its connections has ended. May free it. */
void ct_listener_left(ct_listener *l);

#endif
