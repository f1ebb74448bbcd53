/* One allocation, moved to its front only when at least half of it has been
 * consumed, so that each byte moves a constant number of times. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdint.h>
#include <string.h>

enum { LEAST = 64 };

/* At least `need` bytes, and twice the old size, so that growing is linear. */
static size_t grown(size_t size, size_t need) {
    size_t twice = size < LEAST ? LEAST : size * 2;

    return twice < need ? need : twice;
}

static void move_to_front(ct_buf *b) {
    memmove(b->data, b->data + b->head, b->len);
    b->head = 0;
}

/* realloc() would copy the consumed bytes as well. */
static void grow(ct_buf *b, size_t need) {
    size_t size = grown(b->size, need);

    if (b->head == 0) {
        b->data = ct_realloc(b->data, size);
    } else {
        char *data = ct_alloc(size);
        memcpy(data, b->data + b->head, b->len);
        ct_free(b->data);
        b->data = data;
        b->head = 0;
    }
    b->size = size;
}

static void make_room(ct_buf *b, size_t need) {
    if (need <= b->size && b->head >= b->size / 2)
        move_to_front(b);
    else
        grow(b, need);
}

char *ct_buf_reserve(ct_buf *b, size_t n) {
    ct_assert(n <= SIZE_MAX / 4 - b->len);

    if (!b->data) {
        b->size = grown(0, n);
        b->data = ct_alloc(b->size);
    } else if (b->size - b->head - b->len < n) {
        make_room(b, b->len + n);
    }
    return b->data + b->head + b->len;
}

void ct_buf_added(ct_buf *b, size_t n) {
    ct_assert(n <= b->size - b->head - b->len);
    b->len += n;
    if (b->len == 0) ct_buf_fini(b); /* reserved for nothing */
}

void ct_buf_add(ct_buf *b, const char *p, size_t n) {
    if (n == 0) return;
    memcpy(ct_buf_reserve(b, n), p, n);
    b->len += n;
}

void ct_buf_drain(ct_buf *b, size_t n) {
    ct_assert(n <= b->len);
    b->head += n;
    b->len -= n;
    if (b->len == 0) ct_buf_fini(b);
}

void ct_buf_fini(ct_buf *b) {
    ct_free(b->data);
    *b = (ct_buf){ 0 };
}
