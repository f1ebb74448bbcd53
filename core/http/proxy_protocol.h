/* The header that a proxy puts before a connection to say who it is from:
 * haproxy's PROXY protocol, versions 1 and 2 (proxy-protocol.txt). Pure, and
 * strict: what is not exactly as it says there is refused. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_PROXY_PROTOCOL_H
#define CT_PROXY_PROTOCOL_H

#include "io/address.h"
#include <stdbool.h>
#include <stddef.h>

/* The longest header that is taken, TLVs included. */
enum { CT_PROXY_MOST = 4096 };

typedef enum ct_proxy_result {
    CT_PROXY_MORE, /* good so far, not complete */
    CT_PROXY_DONE,
    CT_PROXY_BAD /* see `why` */
} ct_proxy_result;

typedef struct ct_proxy {
    size_t used;     /* DONE: its bytes */
    bool has_peer;   /* `peer` is the client; false: LOCAL, UNKNOWN, unix */
    bool tls;        /* the client speaks TLS with the proxy (PP2_TYPE_SSL) */
    ct_peer peer;    /* the source address */
    const char *why; /* BAD: what is wrong */
} ct_proxy;

/* Judges the first `n` bytes of a connection, always from their beginning. Fills
 * *out; never looks at more than CT_PROXY_MOST bytes. */
ct_proxy_result ct_proxy_parse(ct_proxy *out, const char *p, size_t n);

#endif
