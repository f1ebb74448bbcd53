/* A growing byte buffer that is consumed from the front. Empty, it holds no
 * memory. Lifetime: that of the struct it is part of. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_BUF_H
#define CT_BUF_H

#include <stddef.h>

typedef struct ct_buf {
    char *data;  /* the allocation, or NULL */
    size_t head; /* first byte that is not consumed */
    size_t len;  /* bytes from head on */
    size_t size; /* of the allocation */
} ct_buf;

/* The bytes held. Borrows; valid until the next call that changes `b`. */
static inline char *ct_buf_bytes(const ct_buf *b) {
    return b->data + b->head;
}

/* Makes room for `n` more bytes behind the last and returns where they go; the
 * caller writes there and says how many with ct_buf_added(). */
char *ct_buf_reserve(ct_buf *b, size_t n);

/* Counts `n` bytes written to what ct_buf_reserve() gave. */
void ct_buf_added(ct_buf *b, size_t n);

/* Appends a copy of `n` bytes. */
void ct_buf_add(ct_buf *b, const char *p, size_t n);

/* Takes `n` bytes (at most len) from the front; frees the memory with the last
 * byte. */
void ct_buf_drain(ct_buf *b, size_t n);

/* Frees the memory; the buffer is empty and usable again. */
void ct_buf_fini(ct_buf *b);

#endif
