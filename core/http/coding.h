/* The codings of a request: an encoder for what its reply sends, a decoder for
 * what its body has. Both end with the request. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_CODING_H
#define CT_CODING_H

#include "abi.h"
#include "base/brotli.h"
#include "base/buf.h"
#include "base/deflate.h"

typedef struct ct_coding {
    ct_deflate *gzip; /* at most one of these two */
    ct_brotli *brotli;
    ct_inflate *gunzip;
    ct_buf out; /* what the encoder gave last */
} ct_coding;

/* A new encoder, CT_CODING_GZIP or _BROTLI, in place of the one before. Caller
 * frees with ct_coding_free(). */
ct_coding *ct_coding_encoder(ct_coding *c, int coding, int level);

/* The encoder's output for `n` bytes; valid until the next call. */
ct_str ct_coding_encode(ct_coding *c, const char *p, size_t n, ct_flush flush);

/* A new decoder, of gzip. Caller frees with ct_coding_free(). */
ct_coding *ct_coding_decoder(ct_coding *c);

void ct_coding_free(ct_coding *c);

#endif
