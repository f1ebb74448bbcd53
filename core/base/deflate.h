/* gzip (RFC 1952) and raw deflate (RFC 1951), both ways, a piece at a time.
 * Lifetime: their owner's. */
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

enum {
    CT_DEFLATE_WINDOW = 32768, /* bytes that a match can reach back */
    CT_INFLATE_PLACE = 49152   /* see ct_inflate_place() */
};

/* gzip; `level` is 1 to 9. Caller frees with ct_deflate_free(). */
ct_deflate *ct_deflate_new(int level);

/* Raw deflate with a window of 2^bits bytes (9 to 15) and 2^(memory + 9) bytes
 * of tables (memory 1 to 9). */
ct_deflate *ct_deflate_new_raw(int level, int bits, int memory);

/* Raw only: begins anew, as if the `n` bytes at `window` had been compressed
 * before. */
void ct_deflate_restart(ct_deflate *d, const char *window, size_t n);

/* Appends what becomes of `n` bytes to `out`. */
void ct_deflate_run(ct_deflate *d, const char *p, size_t n, ct_flush flush,
                    ct_buf *out);

void ct_deflate_free(ct_deflate *d);

/* gzip. Caller frees with ct_inflate_free(). */
ct_inflate *ct_inflate_new(void);

/* gzip, with all of its memory in the CT_INFLATE_PLACE bytes at `p` (aligned to
 * 8): nobody frees it, and it ends with them. */
ct_inflate *ct_inflate_place(void *p);

/* Raw deflate, of any window. */
ct_inflate *ct_inflate_new_raw(void);

/* Raw only: begins anew, with the `n` bytes at `window` as what was decoded
 * before. */
void ct_inflate_restart(ct_inflate *z, const char *window, size_t n);

/* Raw only: copies the last bytes that were decoded to `out` (room for
 * CT_DEFLATE_WINDOW); returns how many there are. */
size_t ct_inflate_window(ct_inflate *z, char *out);

/* Decodes from the front of *in, which becomes what is left, and writes at most
 * `room` bytes to `out`, `*size` of them. False for corrupt data. All that can be
 * had is out when *size is 0. Several gzip members are one text; raw deflate ends
 * at its last block, and what follows is left in *in. */
bool ct_inflate_run(ct_inflate *z, ct_str *in, char *out, size_t room,
                    size_t *size) __attribute__((warn_unused_result));

/* True when what was taken so far is whole. */
bool ct_inflate_is_whole(const ct_inflate *z);

void ct_inflate_free(ct_inflate *z);

#endif
