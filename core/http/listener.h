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

struct ct_conn;
typedef struct ct_network {
    ct_peer base;
    uint8_t bits;
} ct_network;

typedef struct ct_listener {
    ct_server *server;
    ct_events *events; /* borrowed: of the generation that answers */
    ct_listen *listen; /* NULL: closed, or without a socket */
    const ct_server_options *options; /* the server's, or `own` */
    ct_server_options *own;           /* or NULL */
    ct_counters *counters;            /* the loop's, or server->uncounted */
    ct_tls_context *tls;              /* a share of it, or NULL: plain */
    ct_network *trusted;              /* proxies; see http/preface.h */
    uint32_t trusted_count;
    uint32_t handle;
    uint32_t conns; /* alive */
    bool closed;    /* no more come: freed with the last of them */
    bool fading;    /* each ends with its next reply */
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

/* Closes its idle connections, with `heads` also those on which half a head has
 * come, and has the others end with the reply under way.
 * True when none is left; else CT_EVENT_ENDED will come. */
bool ct_listener_drain(ct_listener *l, bool heads);

/* From here on each of its connections ends with the reply under way, or, if it is
 * idle, with the next one: a client that sends just now gets its answer. */
void ct_listener_fade(ct_listener *l);

/* Accepts no more; with `drop` its connections end at once. CT_EVENT_ENDED comes
 * with the last of them. */
void ct_listener_close(ct_listener *l, bool drop);

/* From here on the connection is this listener's. A request that Lua knows stays
 * with whom it was told to. */
void ct_listener_join(ct_listener *l, struct ct_conn *c);

/* One of its connections has ended. May free it. */
void ct_listener_left(ct_listener *l);

/* A newer generation takes over: each listener of `old` that has a socket of the
 * same address as one of `new` closes, and its connections become that one's;
 * the others close, and their connections end with the reply under way. */
void ct_listener_succeed(ct_server *s, const ct_events *old,
                         const ct_events *new);

/* A generation ends: cuts off its requests, and closes its listeners with their
 * connections. */
void ct_listener_disown(ct_server *s, const ct_events *events);

#endif
