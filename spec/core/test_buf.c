/* The buffer against a plain model: random adds and drains give the bytes that
 * went in, in order; and an empty buffer holds no memory. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "check.h"
#include <stdlib.h>

static bool holds(const ct_buf *b, const char *want) {
    size_t n = strlen(want);

    return b->len == n && memcmp(ct_buf_bytes(b), want, n) == 0;
}

static bool holds_nothing(const ct_buf *b) {
    return !b->data && !b->len && !b->head && !b->size;
}

static void test_add_and_drain(void) {
    ct_buf b = { 0 };

    ct_buf_add(&b, "", 0);
    CHECK(holds_nothing(&b));
    ct_buf_add(&b, "Hello, ", 7);
    ct_buf_add(&b, "world", 5);
    CHECK(holds(&b, "Hello, world"));
    ct_buf_drain(&b, 7);
    CHECK(holds(&b, "world"));
    ct_buf_drain(&b, 0);
    ct_buf_drain(&b, 5);
    CHECK(holds_nothing(&b));
    ct_buf_drain(&b, 0);
    ct_buf_fini(&b);
    ct_buf_fini(&b);
}

static void test_reserve(void) {
    ct_buf b = { 0 };
    char *p = ct_buf_reserve(&b, 1000);

    memset(p, 'x', 1000);
    ct_buf_added(&b, 3);
    CHECK(holds(&b, "xxx"));
    CHECK(ct_buf_reserve(&b, 900) == p + 3); /* there is room */
    ct_buf_fini(&b);
    CHECK(ct_buf_reserve(&b, 10) != NULL);
    ct_buf_added(&b, 0);
    CHECK(holds_nothing(&b));
}

/* What has been drained is used again instead of growing for ever. */
static void test_queue(void) {
    ct_buf b = { 0 };
    char chunk[100] = { 0 };

    ct_buf_add(&b, chunk, sizeof chunk);
    for (int i = 0; i < 100000; i++) {
        ct_buf_add(&b, chunk, sizeof chunk);
        ct_buf_drain(&b, sizeof chunk);
    }
    CHECK(b.len == sizeof chunk);
    CHECK(b.size <= 1600);
    ct_buf_fini(&b);
}

/* Byte k that goes in is k mod 251. */
static void test_random(void) {
    ct_buf b = { 0 };
    unsigned in = 0, out = 0;
    bool same = true;

    srand(1);
    for (int i = 0; i < 20000; i++) {
        unsigned n = (unsigned)rand() % 700;
        if (rand() % 2) {
            char *p = ct_buf_reserve(&b, n + 5);
            for (unsigned k = 0; k < n; k++) p[k] = (char)(in++ % 251);
            ct_buf_added(&b, n);
        } else {
            if (n > b.len) n = (unsigned)b.len;
            for (unsigned k = 0; k < n; k++)
                same &= ct_buf_bytes(&b)[k] == (char)(out++ % 251);
            ct_buf_drain(&b, n);
        }
    }
    CHECK(same);
    CHECK(b.len == in - out);
    ct_buf_fini(&b);
}

int main(void) {
    test_add_and_drain();
    test_reserve();
    test_queue();
    test_random();
    return check_report();
}
