/* What evhttp's parser does with heads that the wire has made canonical: these
 * cases pin libevent's behaviour, for the version at hand and the next ones. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/head.h"

#include "base/mem.h"
#include "check.h"
#include "http/wire.h"
#include <event2/buffer.h>
#include <event2/event.h>

static struct evbuffer *buffer;

static bool parse(ct_head *h, const char *text) {
    return ct_head_parse(h, buffer, text, strlen(text));
}

static bool is(ct_str s, const char *want) {
    return s.n == strlen(want) && memcmp(s.p, want, s.n) == 0;
}

static void test_request(void) {
    ct_head h;
    ct_str value;
    ct_pair fields[4];

    ct_head_init(&h);
    CHECK(parse(&h, "GET /a%20b?c=d&e HTTP/1.1\r\nHost: a:80\r\nX-A:  b c  \r\n"
                    "x-a: second\r\nEmpty:\r\n\r\n"));
    CHECK(evbuffer_get_length(buffer) == 0);
    CHECK(is(ct_head_uri(&h), "/a%20b?c=d&e"));
    CHECK(ct_head_find(&h, "host", 4, &value) == 1 && is(value, "a:80"));
    CHECK(ct_head_find(&h, "X-A", 3, &value) == 2 && is(value, "b c"));
    CHECK(ct_head_find(&h, "Empty", 5, &value) == 1 && value.n == 0);
    CHECK(ct_head_find(&h, "None", 4, &value) == 0);
    CHECK(ct_head_fields(&h, 0, fields, 4) == 4);
    CHECK(is(fields[2].name, "x-a") && is(fields[2].value, "second"));
    CHECK(ct_head_fields(&h, 3, fields, 4) == 1);
    CHECK(is(fields[0].name, "Empty"));
    CHECK(ct_head_fields(&h, 4, fields, 4) == 0);
    ct_head_fini(&h);
    ct_head_fini(&h); /* once more is fine */
}

/* Of a head that is kept, fields are parsed by the name that is asked for, or
 * all when all are asked for; what was given before stays as it is. */
static void test_kept(void) {
    const char text[] =
        "GET /a HTTP/1.1\r\nHost: a\r\nX-A: b\r\nx-a: c\r\n\r\n";
    uint64_t names = ct_wire_name_bit("host", 4) | ct_wire_name_bit("X-A", 3) |
                     ct_wire_name_bit("Ho", 2);
    uint32_t from = 0;
    ct_pair fields[4];
    char *none = ct_alloc(1);
    char copy[sizeof text];
    const char *kept;
    ct_str value, other;
    ct_head h;

    ct_head_init(&h);
    for (int i = 0; i < 3; i++) {
        from = 0;
        memcpy(copy, text, sizeof copy);
        kept = ct_head_keep(&h, buffer, copy, sizeof text - 1, 17, names);
        memset(copy, 'x', sizeof copy);
        CHECK(memcmp(kept, text, sizeof text - 1) == 0);
        CHECK(ct_head_find(&h, "Cookie", 6, &value) == 0 && h.waits);
        CHECK(ct_head_find(&h, "X-A", 3, &value) == 2 && is(value, "b"));
        CHECK(ct_head_find(&h, "x-A", 3, &other) == 2 && other.p == value.p);
        CHECK(ct_head_find(&h, "HOST", 4, &other) == 1 && is(other, "a"));
        CHECK(ct_head_find(&h, "Ho", 2, &other) == 0);
        CHECK(ct_head_find(&h, none, 0, &other) == 0);
        CHECK(ct_head_find(&h, "Cookie", 6, &other) == 0 && h.waits);
        CHECK(ct_head_find_from(&h, "X-A", 3, &from, &other));
        CHECK(ct_head_find_from(&h, "X-A", 3, &from, &other) && is(other, "c"));
        CHECK(!ct_head_find_from(&h, "X-A", 3, &from, &other));
        CHECK(ct_head_fields(&h, 0, fields, 4) == 3 && !h.waits);
        CHECK(is(fields[0].name, "Host") && is(fields[2].value, "c"));
        CHECK(ct_head_find(&h, "X-A", 3, &other) == 2 && is(value, "b"));
        ct_head_reset(&h);
        CHECK(ct_head_find(&h, "X-A", 3, &value) == 0);
        kept = ct_head_keep(&h, buffer, text, sizeof text - 1, 17, names);
        CHECK(kept != NULL);
        if (i == 1) CHECK(ct_head_fields(&h, 2, fields, 1) == 1);
        ct_head_reset(&h);
        CHECK(ct_head_fields(&h, 0, fields, 1) == 0);
    }
    ct_head_fini(&h);
    ct_free(none);
}

static void test_name_bits(void) {
    CHECK(ct_wire_name_bit("Content-Type", 12) ==
          ct_wire_name_bit("cONTENT-tYPE", 12));
    CHECK(ct_wire_name_bit("A", 1) == ct_wire_name_bit("a", 1));
    CHECK(ct_wire_name_bit("Host", 4) != ct_wire_name_bit("Cookie", 6));
}

static void test_reuse(void) {
    ct_head h;
    ct_str value;

    ct_head_init(&h);
    for (int i = 0; i < 3; i++) {
        CHECK(parse(&h, "POST /first HTTP/1.0\r\nA: 1\r\n\r\n"));
        ct_head_reset(&h);
        CHECK(ct_head_find(&h, "A", 1, &value) == 0);
        CHECK(ct_head_uri(&h).n == 0);
        CHECK(parse(&h, "PROPFIND /second HTTP/1.1\r\nB: 2\r\n\r\n"));
        CHECK(is(ct_head_uri(&h), "/second"));
        CHECK(ct_head_find(&h, "A", 1, &value) == 0);
        ct_head_reset(&h);
    }
    ct_head_fini(&h);
}

/* The wire never lets these through; evhttp must not crash on them. */
static void test_refused(void) {
    const char *const bad[] = { "GET\r\n\r\n",
                                "GET / HTTP/1.1\r\nno colon\r\n\r\n",
                                "GET / HTTP/1.1\r\nA: b\r\n", "" };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ct_head h;

        ct_head_init(&h);
        CHECK(!parse(&h, bad[i]));
        CHECK(evbuffer_get_length(buffer) == 0);
        ct_head_fini(&h);
    }
}

static void test_find_from(void) {
    ct_head h;
    uint32_t from = 0;
    ct_str value;

    ct_head_init(&h);
    CHECK(parse(&h,
                "GET /two HTTP/1.1\r\nCookie: a\r\nB: x\r\ncookie: c\r\n\r\n"));
    CHECK(ct_head_find_from(&h, "Cookie", 6, &from, &value) && is(value, "a"));
    CHECK(ct_head_find_from(&h, "Cookie", 6, &from, &value) && is(value, "c"));
    CHECK(!ct_head_find_from(&h, "Cookie", 6, &from, &value));
    ct_head_fini(&h);
}

int main(void) {
    event_set_mem_functions(ct_alloc, ct_realloc, ct_free);
    buffer = evbuffer_new();
    test_request();
    test_reuse();
    test_kept();
    test_name_bits();
    test_refused();
    test_find_from();
    evbuffer_free(buffer);
    return check_report();
}
