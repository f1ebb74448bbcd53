/* gzip and brotli: there and back, in pieces; flushed, cut off, corrupt. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/brotli.h"
#include "base/deflate.h"
#include "check.h"

#include <stdlib.h>

enum { SIZE = 200000 };

static char text[SIZE];
static char back[SIZE * 2];

static void fill(void) {
    unsigned seed = 1;

    for (size_t i = 0; i < SIZE; i++) {
        seed = seed * 1664525 + 1013904223;
        text[i] = (char)('a' + (seed >> 24) % 16);
    }
}

/* Decodes all of `p`; returns the size, or -1 for corrupt data. */
static long decode(ct_inflate *z, const char *p, size_t n, size_t room) {
    ct_str in = { p, (uint32_t)n };
    size_t total = 0, size;

    do {
        if (!ct_inflate_run(z, &in, back + total, room, &size)) return -1;
        total += size;
    } while (size && total + room <= sizeof back);
    return (long)total;
}

static ct_buf encode(size_t n, int level) {
    ct_deflate *d = ct_deflate_new(level);
    ct_buf out = { 0 };

    ct_deflate_run(d, text, n, CT_FLUSH_END, &out);
    ct_deflate_free(d);
    return out;
}

static void test_round_trip(void) {
    for (size_t n = 0; n <= SIZE; n = n ? n * 7 : 1) {
        ct_buf b = encode(n, 6);
        ct_inflate *z = ct_inflate_new();

        CHECK(decode(z, ct_buf_bytes(&b), b.len, 999) == (long)n);
        CHECK(memcmp(back, text, n) == 0);
        CHECK(ct_inflate_is_whole(z));
        ct_inflate_free(z);
        ct_buf_fini(&b);
    }
}

static void test_flush(void) {
    ct_deflate *d = ct_deflate_new(6);
    ct_inflate *z = ct_inflate_new();
    ct_buf b = { 0 };

    ct_deflate_run(d, "hello", 5, CT_FLUSH_SYNC, &b);
    CHECK(decode(z, ct_buf_bytes(&b), b.len, 999) == 5);
    CHECK(memcmp(back, "hello", 5) == 0);
    CHECK(!ct_inflate_is_whole(z));
    ct_buf_drain(&b, b.len);
    ct_deflate_run(d, "", 0, CT_FLUSH_SYNC, &b);
    ct_deflate_run(d, "", 0, CT_FLUSH_END, &b);
    CHECK(decode(z, ct_buf_bytes(&b), b.len, 999) == 0);
    CHECK(ct_inflate_is_whole(z));
    ct_deflate_free(d);
    ct_inflate_free(z);
    ct_buf_fini(&b);
}

static void test_members(void) {
    ct_buf b = encode(3, 1), c = encode(4, 9);
    ct_inflate *z = ct_inflate_new();

    ct_buf_add(&b, ct_buf_bytes(&c), c.len);
    CHECK(decode(z, ct_buf_bytes(&b), b.len, 1) == 7);
    CHECK(ct_inflate_is_whole(z));
    CHECK(decode(z, "garbage", 7, 999) == -1);
    ct_inflate_free(z);
    ct_buf_fini(&b);
    ct_buf_fini(&c);
}

/* Cut off at each byte it is not whole; with any byte changed in the middle or
 * in the check sum it is corrupt. */
static void test_broken(void) {
    ct_buf b = encode(100, 6);
    char *p = ct_buf_bytes(&b);

    for (size_t n = 0; n < b.len; n++) {
        ct_inflate *z = ct_inflate_new();

        CHECK(decode(z, p, n, 999) >= 0 && !ct_inflate_is_whole(z));
        ct_inflate_free(z);
    }
    for (size_t i = b.len - 8; i < b.len; i++) {
        ct_inflate *z = ct_inflate_new();

        p[i] ^= 1;
        CHECK(decode(z, p, b.len, 999) == -1);
        p[i] ^= 1;
        ct_inflate_free(z);
    }
    ct_buf_fini(&b);
}

/* A decoder in memory of its caller's, which must do for the largest window. */
static void test_place(void) {
    void *place = malloc(CT_INFLATE_PLACE);
    ct_buf b = encode(SIZE, 9), c = encode(100, 1);
    ct_inflate *z = ct_inflate_place(place);

    ct_buf_add(&b, ct_buf_bytes(&c), c.len);
    CHECK(decode(z, ct_buf_bytes(&b), b.len, 999) == SIZE + 100);
    CHECK(memcmp(back, text, SIZE) == 0);
    CHECK(ct_inflate_is_whole(z));
    CHECK(decode(z, "garbage", 7, 999) == -1);
    free(place);
    ct_buf_fini(&b);
    ct_buf_fini(&c);
}

/* What a decoder gives in one call is bounded, whatever it is given. */
static void test_bomb(void) {
    ct_deflate *d = ct_deflate_new(9);
    ct_inflate *z = ct_inflate_new();
    ct_buf b = { 0 };
    ct_str in;
    size_t size;

    memset(back, 0, SIZE);
    for (int i = 0; i < 50; i++)
        ct_deflate_run(d, back, SIZE, CT_FLUSH_NONE, &b);
    ct_deflate_run(d, "", 0, CT_FLUSH_END, &b);
    CHECK(b.len < 12000);
    in = (ct_str){ ct_buf_bytes(&b), (uint32_t)b.len };
    CHECK(ct_inflate_run(z, &in, back, 4096, &size));
    CHECK(size == 4096 && in.n > 0);
    ct_deflate_free(d);
    ct_inflate_free(z);
    ct_buf_fini(&b);
}

/* That its output decodes, spec/tornado/web/compress_spec.lua sees. */
static void test_brotli(void) {
    ct_brotli *b = ct_brotli_new(5);
    ct_buf out = { 0 };
    size_t flushed;

    ct_brotli_run(b, "hello", 5, CT_FLUSH_SYNC, &out);
    flushed = out.len;
    CHECK(flushed > 0);
    memset(back, 'x', SIZE);
    ct_brotli_run(b, back, SIZE, CT_FLUSH_NONE, &out);
    ct_brotli_run(b, "", 0, CT_FLUSH_END, &out);
    CHECK(out.len > flushed && out.len < 1000);
    ct_brotli_free(b);
    ct_buf_fini(&out);
}

int main(void) {
    fill();
    test_round_trip();
    test_flush();
    test_members();
    test_broken();
    test_place();
    test_bomb();
    test_brotli();
    ct_deflate_free(NULL);
    ct_inflate_free(NULL);
    ct_brotli_free(NULL);
    return check_report();
}
