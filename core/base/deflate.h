/* gzip (RFC 1952), both ways, a piece at a time. Lifetime: request. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_DEFLATE_H
#define CT_DEFLATE_H

#include "abi.h"
#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct ct_deflate ct_deflate;
typedef struct ct_inflate ct_inflate;

typedef enum ct_flush {
    CT_FLUSH_NONE, /* as much as is worth it */
    CT_FLUSH_SYNC, /* all so far can be decoded */
    CT_FLUSH_END
} ct_flush;

/* `level` is 1 to 9. Caller frees with ct_deflate_free(). */
ct_deflate *ct_deflate_new(int level);

/* Appends what becomes of `n` bytes to `out`. */
void ct_deflate_run(ct_deflate *d, const char *p, size_t n, ct_flush flush,
                    ct_buf *out);

void ct_deflate_free(ct_deflate *d);

/* Caller frees with ct_inflate_free(). */
ct_inflate *ct_inflate_new(void);

/* Decodes from the front of *in, which becomes what is left, and writes at most
 * `room` bytes to `out`, `*size` of them. False for corrupt data. All that can be
 * had is out when *size is 0. Several gzip members are one text. */
bool ct_inflate_run(ct_inflate *z, ct_str *in, char *out, size_t room,
                    size_t *size) __attribute__((warn_unused_result));

/* True when what was taken so far is whole. */
bool ct_inflate_is_whole(const ct_inflate *z);

void ct_inflate_free(ct_inflate *z);

#endif
