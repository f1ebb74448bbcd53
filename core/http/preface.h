/* What may come before the first request of a connection: a proxy's word on who
 * the client is. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_PREFACE_H
#define CT_PREFACE_H

#include <stddef.h>

struct ct_conn;
struct ct_listener;

/* Takes the header of the PROXY protocol from a connection's first `n` bytes;
 * returns how many it had, 0 while it is not complete. What is malformed, or not
 * from a trusted peer, closes the connection. */
size_t ct_preface_take(struct ct_conn *c, const char *p, size_t n);

/* The peers that are believed, besides those of this machine: "IP/BITS" each,
 * with a space between. False, changing nothing, when one is none. */
_Bool ct_preface_trust(struct ct_listener *l, const char *networks, size_t n)
    __attribute__((warn_unused_result));

#endif
