/* What comes before the first request of a connection: who the client is, by a
 * proxy's word if need be, and whether it has too many connections. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_PREFACE_H
#define CT_PREFACE_H

#include "io/address.h"
#include <stddef.h>
#include <sys/types.h>

struct ct_conn;
struct ct_listener;

/* Whether a listener's max_connections_per_ip allows the peer no further one.
 * Peers that are trusted, as proxies are, have no limit. */
_Bool ct_preface_is_over(const struct ct_listener *l, const ct_peer *p);

/* A connection is new, with its listener, options and peer: counts it for the peer,
 * unless a header of the PROXY protocol is to come first. */
void ct_preface_begin(struct ct_conn *c);

/* As ct_stream_recv(), while c->preface holds: to `p`, which has room for
 * CT_PROXY_MOST bytes. On a listener with TLS it takes the header alone, and AGAIN
 * stands for one that is not complete. */
ssize_t ct_preface_recv(struct ct_conn *c, char *p);

/* Takes the header of the PROXY protocol from a connection's first `n` bytes;
 * returns how many it had, 0 while it is not complete. TLS begins behind it when
 * the listener has it. What is malformed, or not from a trusted peer, closes the
 * connection. */
size_t ct_preface_take(struct ct_conn *c, const char *p, size_t n);

/* The peers that are believed, besides those of this machine: "IP/BITS" each,
 * with a space between. False, changing nothing, when one is none. */
_Bool ct_preface_trust(struct ct_listener *l, const char *networks, size_t n)
    __attribute__((warn_unused_result));

#endif
