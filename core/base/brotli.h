/* Brotli (RFC 7932), encoding only, a piece at a time. Lifetime: request. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_BROTLI_H
#define CT_BROTLI_H

#include "base/buf.h"
#include "base/deflate.h"
#include <stddef.h>

typedef struct BrotliEncoderStateStruct ct_brotli;

/* `quality` is 0 to 11. Caller frees with ct_brotli_free(). */
ct_brotli *ct_brotli_new(int quality);

/* Appends what becomes of `n` bytes to `out`. */
void ct_brotli_run(ct_brotli *b, const char *p, size_t n, ct_flush flush,
                   ct_buf *out);

void ct_brotli_free(ct_brotli *b);

#endif
