/* What the documents of spec/wire cannot say well: offsets, limits that take
 * kilobytes, calls after the end, and reads past the input. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "http/wire.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const ct_wire_limits limits = { 8192, 65536, 200 };

/* -- Input against a page that may not be read ---------------------------- */

enum { ROOM = 1 << 18 };

static char *guard; /* the first byte that may not be read */

static void make_guard(void) {
    char *p = mmap(NULL, ROOM + (size_t)getpagesize(), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) abort();
    guard = p + ROOM;
    if (mprotect(guard, (size_t)getpagesize(), PROT_NONE)) abort();
}

/* The `n` bytes of `p`, at the end of what may be read. */
static const char *guarded(const char *p, size_t n) {
    return memcpy(guard - n, p, n);
}

static ct_wire_verdict head_of(ct_wire *w, const char *text) {
    ct_wire_init(w);
    return ct_wire_head(w, &limits, guarded(text, strlen(text)), strlen(text));
}

/* -- Heads ---------------------------------------------------------------- */

static bool is_span(ct_wire_span s, uint32_t at, uint32_t n) {
    return s.at == at && s.n == n;
}

static void test_offsets(void) {
    ct_wire w;

    CHECK(head_of(&w, "GET /a?b HTTP/1.1\r\nHost: \tc \r\n\r\nGET") ==
          CT_WIRE_DONE);
    CHECK(w.at == 32);
    CHECK(w.fields == 1);
    CHECK(w.method == CT_METHOD_GET);
    CHECK(is_span(w.verb, 0, 3));
    CHECK(is_span(w.target, 4, 4));
    CHECK(w.path == 2);
    CHECK(is_span(w.host, 26, 1));
    CHECK(!w.canonical);

    CHECK(head_of(&w, "\r\nPUT http://b/a HTTP/1.1\r\nHost: c\r\n\r\n") ==
          CT_WIRE_DONE);
    CHECK(w.at == 38);
    CHECK(is_span(w.verb, 2, 3));
    CHECK(is_span(w.host, 13, 1));
    CHECK(is_span(w.target, 14, 2));
}

static void test_methods(void) {
    static const char *const names[] = { "OTHER", "GET",    "HEAD",    "POST",
                                         "PUT",   "DELETE", "OPTIONS", "PATCH",
                                         "TRACE", "CONNECT" };
    char text[64];
    ct_wire w;

    for (int i = 0; i <= CT_METHOD_CONNECT; i++) {
        snprintf(text, sizeof text, "%s / HTTP/1.0\r\n\r\n", names[i]);
        CHECK(head_of(&w, text) == CT_WIRE_DONE);
        CHECK(w.method == i);
    }
}

/* `at` of a refusal is the byte that is wrong. */
static void test_first_bad_byte(void) {
    static const struct {
        const char *text;
        uint32_t at;
    } cases[] = {
        { "\x01", 0 },
        { "GET\x01", 3 },
        { "GET /\x7f/ HTTP/1.1\r\n", 5 },
        { "GET / HTTX/1.1\r\n", 9 },
        { "GET / HTTP/1.1\rX", 15 },
        { "GET / HTTP/1.1\r\n X: y\r\n", 16 },
        { "GET / HTTP/1.1\r\nX(: y\r\n", 17 },
        { "GET / HTTP/1.1\r\nX: 0123456789abcdef0123\x7f\r\n", 39 },
        { "GET / HTTP/1.1\r\nX: 0123456789abcde\x01\x7f\r\n", 34 },
        { "GET / HTTP/1.1\r\nX: y\rz", 21 },
        { "GET / HTTP/1.1\r\nHost: a\r\n\rx", 26 },
    };
    ct_wire w;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(head_of(&w, cases[i].text) == CT_WIRE_BAD);
        if (!CHECK(w.at == cases[i].at))
            fprintf(stderr, "    case %zu: at %u\n", i, w.at);
    }
}

/* Each byte value in each place that has a class of bytes. */
static void test_classes(void) {
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char host[] = "!$&'()*+-._~;=:0123456789"
                               "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char name[] = "GET / HTTP/1.0\r\nX?X: y\r\n\r\n";
    char value[] = "GET / HTTP/1.0\r\nX: y?y45678901234567\r\n\r\n";
    char target[] = "GET /?/ HTTP/1.0\r\n\r\n";
    char authority[] = "GET / HTTP/1.0\r\nHost: a?\r\n\r\n";
    ct_wire w;

    for (int c = 1; c < 256; c++) {
        bool printable = c > 0x20 && c != 0x7f;

        name[17] = value[20] = target[5] = authority[23] = (char)c;
        CHECK((head_of(&w, name) == CT_WIRE_DONE) ==
              (strchr(token, c) || c == ':'));
        CHECK((head_of(&w, value) == CT_WIRE_DONE) ==
              (printable || c == ' ' || c == '\t'));
        CHECK((head_of(&w, target) == CT_WIRE_DONE) == (printable && c != '#'));
        CHECK((head_of(&w, authority) == CT_WIRE_DONE) ==
              (strchr(host, c) || c == ' ' || c == '\t'));
    }
}

/* True when the wire takes all `n` bytes, and wants more. */
static bool takes(ct_wire *w, const char *text, uint32_t n) {
    const char *p = guarded(text, n);

    return ct_wire_head(w, &limits, p, n) == CT_WIRE_MORE && w->at == n;
}

/* Values of all lengths, at all distances from the end of what may be read. */
static void test_over_read(void) {
    char text[256];
    bool all = true;
    ct_wire w;

    for (int n = 0; n < 100; n++) {
        int len = snprintf(text, sizeof text,
                           "GET / HTTP/1.1\r\nHost: a\r\nX:%0*d\r\n\r\n", n, 0);

        ct_wire_init(&w);
        for (int end = 0; end < len; end++)
            all = all && takes(&w, text, (uint32_t)end);
        CHECK(all);
        CHECK(ct_wire_head(&w, &limits, guarded(text, (size_t)len),
                           (size_t)len) == CT_WIRE_DONE);
        CHECK(w.at == (uint32_t)len);
    }
}

static void test_refused_for_good(void) {
    ct_wire w;
    size_t used, size;
    const char *data;

    CHECK(head_of(&w, "GET\n") == CT_WIRE_BAD);
    CHECK(w.status == 400);
    CHECK(ct_wire_head(&w, &limits, "GET /", 5) == CT_WIRE_BAD);
    CHECK(ct_wire_body(&w, "x", 1, &used, &data, &size) == CT_WIRE_BAD);
    CHECK(used == 0 && size == 0);
}

static void test_long_lines(void) {
    char *text = malloc(ROOM);
    int n;
    ct_wire w;

    n = snprintf(text, ROOM, "GET /%08176d HTTP/1.0\r\n\r\n", 0);
    CHECK(n == 8192 + 2);
    CHECK(head_of(&w, text) == CT_WIRE_DONE);
    snprintf(text, ROOM, "GET /%08177d HTTP/1.0\r\n\r\n", 0);
    CHECK(head_of(&w, text) == CT_WIRE_BAD && w.status == 414);
    CHECK(w.at == 8192);
    snprintf(text, ROOM, "GET / HTTP/1.0\r\nX:%065514d\r\n\r\n", 0);
    CHECK(head_of(&w, text) == CT_WIRE_DONE && w.at == 65536);
    snprintf(text, ROOM, "GET / HTTP/1.0\r\nX:%065515d\r\n\r\n", 0);
    CHECK(head_of(&w, text) == CT_WIRE_BAD && w.status == 431);
    free(text);
}

/* Limits at the top of their type must not wrap around. */
static void test_huge_limits(void) {
    const ct_wire_limits huge = { UINT32_MAX, UINT32_MAX, UINT32_MAX };
    const char text[] = "\r\nGET / HTTP/1.0\r\n\r\n";
    ct_wire w;

    ct_wire_init(&w);
    CHECK(ct_wire_head(&w, &huge, text, sizeof text - 1) == CT_WIRE_DONE);
}

static void test_canonical_fits(void) {
    const char *text = "GET http://b HTTP/1.1\r\nHost: a\r\nX:\ty \r\n\r\n";
    char out[256];
    ct_wire w;
    size_t n;

    CHECK(head_of(&w, text) == CT_WIRE_DONE);
    n = ct_wire_canonical(&w, text, out);
    CHECK(n <= w.at);
    out[n] = 0;
    CHECK_STR(out, "GET / HTTP/1.1\r\nHost:b\r\nX:y\r\n\r\n");
}

/* -- Bodies --------------------------------------------------------------- */

#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

static void test_length(void) {
    ct_wire w;
    size_t used, size;
    const char *data;

    CHECK(head_of(&w, POST "Content-Length: 5\r\n\r\n") == CT_WIRE_DONE);
    CHECK(ct_wire_has_body(&w));
    CHECK(ct_wire_body(&w, "hel", 3, &used, &data, &size) == CT_WIRE_MORE);
    CHECK(used == 3 && size == 3 && memcmp(data, "hel", 3) == 0);
    CHECK(ct_wire_body(&w, "lo!", 3, &used, &data, &size) == CT_WIRE_DONE);
    CHECK(used == 2 && size == 2 && memcmp(data, "lo", 2) == 0);
    CHECK(ct_wire_body(&w, "!", 1, &used, &data, &size) == CT_WIRE_DONE);
    CHECK(used == 0 && size == 0);
    CHECK(w.length == 5);

    CHECK(head_of(&w, POST "Content-Length: 0\r\n\r\n") == CT_WIRE_DONE);
    CHECK(!ct_wire_has_body(&w) && w.has_length);
}

/* Each call returns after one run of content. */
static void test_runs(void) {
    const char text[] = "1\r\na\r\n2\r\nbc\r\n0\r\n\r\nrest";
    const char *p = guarded(text, sizeof text - 1), *data;
    size_t n = sizeof text - 1, used, size;
    ct_wire w;

    CHECK(head_of(&w, POST "Transfer-Encoding: chunked\r\n\r\n") ==
          CT_WIRE_DONE);
    p = guarded(text, n);
    CHECK(ct_wire_body(&w, p, n, &used, &data, &size) == CT_WIRE_MORE);
    CHECK(used == 4 && data == p + 3 && size == 1);
    CHECK(ct_wire_body(&w, p + 4, n - 4, &used, &data, &size) == CT_WIRE_MORE);
    CHECK(used == 7 && data == p + 9 && size == 2);
    CHECK(ct_wire_body(&w, p + 11, n - 11, &used, &data, &size) ==
          CT_WIRE_DONE);
    CHECK(used == 7 && size == 0);
    CHECK(ct_wire_body(&w, p + 18, 4, &used, &data, &size) == CT_WIRE_DONE);
    CHECK(used == 0);
    CHECK(w.at == sizeof POST "Transfer-Encoding: chunked\r\n\r\n" - 1);
}

/* Gives `n` times `unit`, framed by `before` and `after`, as a chunked body. */
static ct_wire_verdict chunked(ct_wire *w, const char *before, const char *unit,
                               size_t n, const char *after) {
    char *text = malloc(ROOM), *end = stpcpy(text, before);
    const char *p, *data;
    size_t left, used, size;
    ct_wire_verdict v;

    while (n--) end = stpcpy(end, unit);
    end = stpcpy(end, after);
    left = (size_t)(end - text);
    head_of(w, POST "Transfer-Encoding: chunked\r\n\r\n");
    p = guarded(text, left);
    do {
        v = ct_wire_body(w, p, left, &used, &data, &size);
        p += used;
        left -= used;
    } while (v == CT_WIRE_MORE && left);
    free(text);
    return v;
}

static void test_extension_limit(void) {
    ct_wire w;

    CHECK(chunked(&w, "0;", "x", 4095, "\r\n\r\n") == CT_WIRE_DONE);
    CHECK(chunked(&w, "0;", "x", 4096, "\r\n\r\n") == CT_WIRE_BAD);
    CHECK(w.status == 400);
    CHECK(chunked(&w, "", "1;x\r\na\r\n", 2048, "0\r\n\r\n") == CT_WIRE_DONE);
    CHECK(chunked(&w, "", "1;x\r\na\r\n", 2049, "0\r\n\r\n") == CT_WIRE_BAD);
    CHECK(w.status == 400);
}

static void test_trailer_limit(void) {
    ct_wire w;

    CHECK(chunked(&w, "0\r\n", "X:45\r\n", 1365, "\r\n") == CT_WIRE_DONE);
    CHECK(chunked(&w, "0\r\n", "X:45\r\n", 1366, "\r\n") == CT_WIRE_BAD);
    CHECK(w.status == 431);
    CHECK(chunked(&w, "0;", "x", 4095, "\r\nX:y\r\n\r\n") == CT_WIRE_DONE);
}

static void test_many_chunks(void) {
    ct_wire w;

    CHECK(chunked(&w, "", "1\r\na\r\n", 20000, "0\r\n\r\n") == CT_WIRE_DONE);
    CHECK(chunked(&w, "", "0", 5000, "") == CT_WIRE_BAD);
}

int main(void) {
    make_guard();
    test_offsets();
    test_methods();
    test_first_bad_byte();
    test_classes();
    test_over_read();
    test_refused_for_good();
    test_long_lines();
    test_huge_limits();
    test_canonical_fits();
    test_length();
    test_runs();
    test_extension_limit();
    test_trailer_limit();
    test_many_chunks();
    return check_report();
}
