/* How OpenSSL reaches the descriptor of a stream: one recv() or send() for each
 * read or write that it wants, and none that cannot help. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_TLS_BIO_H
#define CT_TLS_BIO_H

#include "io/stream.h"
#include <openssl/bio.h>
#include <stdbool.h>

/* What is known of the socket. Lifetime: the stream's. */
typedef struct ct_tls_wire {
    const ct_stream *stream; /* set before each call of OpenSSL */
    bool dry;   /* nothing is left to read: recv() is not asked again */
    bool took;  /* a read got bytes */
    bool ended; /* the peer has ended its side of the socket */
    bool began; /* the first byte has come */
    bool plain; /* and it was a letter: a record of TLS begins otherwise */
    int error;  /* errno of a read or write that failed, or 0 */
} ct_tls_wire;

/* Its BIO_get_data() is a ct_tls_wire. NULL when OpenSSL cannot. Caller frees with
 * BIO_meth_free(). */
BIO_METHOD *ct_tls_bio_new(void);

#endif
