/* zlib does the work; its memory comes from mem.h, so its calls cannot fail for
 * want of it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/deflate.h"

#include "base/assert.h"
#include "base/mem.h"
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

enum { GZIP = 16 + MAX_WBITS, MEMORY = 8, PIECE = 16384 };

struct ct_deflate {
    z_stream z;
};

struct ct_inflate {
    z_stream z;
    bool whole; /* a member has ended, and none began */
    bool raw;
    char *free, *end; /* of ct_inflate_place(): what zlib has not taken */
};

static void *take_memory(void *arg, unsigned count, unsigned size) {
    (void)arg;
    return ct_alloc0((size_t)count * size);
}

static void give_memory(void *arg, void *p) {
    (void)arg;
    ct_free(p);
}

static ct_deflate *new_deflate(int level, int bits, int memory) {
    ct_deflate *d = ct_new(ct_deflate);
    int rc;

    d->z.zalloc = take_memory;
    d->z.zfree = give_memory;
    rc = deflateInit2(&d->z, level, Z_DEFLATED, bits, memory,
                      Z_DEFAULT_STRATEGY);
    ct_assert(rc == Z_OK);
    return d;
}

ct_deflate *ct_deflate_new(int level) {
    return new_deflate(level, GZIP, MEMORY);
}

ct_deflate *ct_deflate_new_raw(int level, int bits, int memory) {
    return new_deflate(level, -bits, memory);
}

void ct_deflate_restart(ct_deflate *d, const char *window, size_t n) {
    int rc = deflateReset(&d->z);

    if (rc == Z_OK && n)
        rc = deflateSetDictionary(&d->z, (const Bytef *)window, (uInt)n);
    ct_assert(rc == Z_OK);
}

void ct_deflate_run(ct_deflate *d, const char *p, size_t n, ct_flush flush,
                    ct_buf *out) {
    static const int modes[] = { Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH };

    d->z.next_in = (Bytef *)(uintptr_t)p;
    d->z.avail_in = (unsigned)n;
    do {
        d->z.next_out = (Bytef *)ct_buf_reserve(out, PIECE);
        d->z.avail_out = PIECE;
        (void)deflate(&d->z, modes[flush]); /* BUF_ERROR: nothing left */
        ct_buf_added(out, PIECE - d->z.avail_out);
    } while (d->z.avail_out == 0);
}

void ct_deflate_free(ct_deflate *d) {
    if (!d) return;
    (void)deflateEnd(&d->z);
    ct_free(d);
}

static ct_inflate *new_inflate(int bits) {
    ct_inflate *z = ct_new(ct_inflate);
    int rc;

    z->z.zalloc = take_memory;
    z->z.zfree = give_memory;
    z->raw = bits < 0;
    rc = inflateInit2(&z->z, bits);
    ct_assert(rc == Z_OK);
    return z;
}

ct_inflate *ct_inflate_new(void) {
    return new_inflate(GZIP);
}

static void *take_place(void *arg, unsigned count, unsigned size) {
    enum { ALIGN = _Alignof(max_align_t) };
    ct_inflate *z = arg;
    size_t n = ((size_t)count * size + ALIGN - 1) / ALIGN * ALIGN;
    void *p = z->free;

    ct_assert(n <= (size_t)(z->end - z->free));
    z->free += n;
    return p;
}

static void keep_place(void *arg, void *p) {
    (void)arg;
    (void)p;
}

ct_inflate *ct_inflate_place(void *p) {
    ct_inflate *z = p;
    int rc;

    *z = (ct_inflate){ 0 };
    z->free = (char *)(z + 1);
    z->end = (char *)p + CT_INFLATE_PLACE;
    z->z.opaque = z;
    z->z.zalloc = take_place;
    z->z.zfree = keep_place;
    rc = inflateInit2(&z->z, GZIP);
    ct_assert(rc == Z_OK);
    return z;
}

ct_inflate *ct_inflate_new_raw(void) {
    return new_inflate(-MAX_WBITS);
}

void ct_inflate_restart(ct_inflate *z, const char *window, size_t n) {
    int rc = inflateReset(&z->z);

    if (rc == Z_OK && n)
        rc = inflateSetDictionary(&z->z, (const Bytef *)window, (uInt)n);
    ct_assert(rc == Z_OK);
    z->whole = false;
}

size_t ct_inflate_window(ct_inflate *z, char *out) {
    uInt n = 0;

    (void)inflateGetDictionary(&z->z, (Bytef *)out, &n);
    return n;
}

bool ct_inflate_run(ct_inflate *z, ct_str *in, char *out, size_t room,
                    size_t *size) {
    int rc = Z_OK;

    z->z.next_in = (Bytef *)(uintptr_t)in->p;
    z->z.avail_in = in->n;
    z->z.next_out = (Bytef *)out;
    z->z.avail_out = (unsigned)room;
    while (rc == Z_OK && z->z.avail_out) {
        if (z->whole && (z->raw || !z->z.avail_in)) break;
        if (z->whole) rc = inflateReset(&z->z);
        z->whole = false;
        if (rc == Z_OK) rc = inflate(&z->z, Z_NO_FLUSH);
        if (rc != Z_STREAM_END) continue;
        z->whole = true;
        rc = Z_OK;
    }
    *in = (ct_str){ (const char *)z->z.next_in, z->z.avail_in };
    *size = room - z->z.avail_out;
    return rc == Z_OK || rc == Z_BUF_ERROR;
}

bool ct_inflate_is_whole(const ct_inflate *z) {
    return z->whole;
}

void ct_inflate_free(ct_inflate *z) {
    if (!z) return;
    (void)inflateEnd(&z->z);
    ct_free(z);
}
