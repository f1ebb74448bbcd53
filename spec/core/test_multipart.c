/* The scanner of multipart/form-data: one text of events for an input, however
 * it is cut, and a number of looks at bytes that grows with its size alone. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "http/multipart.h"

#include <stdlib.h>

enum { ROOM = 1 << 16 };

static char said[ROOM]; /* "header{data}" for each part, then "." or "!why" */

static void say(const char *p, size_t n) {
    size_t len = strlen(said);

    if (len + n >= sizeof said) abort();
    memcpy(said + len, p, n);
    said[len + n] = 0;
}

/* Feeds one input; false behind DONE and BAD. */
static bool feed(ct_multipart *m, const char *p, size_t n) {
    size_t at = 0, used;
    ct_str out;

    for (;;) {
        ct_multipart_event e =
            ct_multipart_next(m, p + at, n - at, &used, &out);

        at += used;
        if (e == CT_MULTIPART_MORE) return at == n || CHECK(at == n);
        if (e == CT_MULTIPART_DONE) say(".", 1);
        if (e == CT_MULTIPART_BAD)
            say("!", 1), say(m->reason, strlen(m->reason));
        if (e == CT_MULTIPART_DONE || e == CT_MULTIPART_BAD) return false;
        if (e == CT_MULTIPART_END) say("}", 1);
        if (e != CT_MULTIPART_END) say(out.p, out.n);
        if (e == CT_MULTIPART_BEGIN) said[strlen(said) - 4] = 0, say("{", 1);
    }
}

/* The events of `p` cut in pieces of `piece` bytes, the first of `first`. */
static const char *scan(const char *p, size_t n, size_t first, size_t piece) {
    ct_multipart m;
    size_t at = 0, size = first;

    said[0] = 0;
    CHECK(ct_multipart_init(&m, "B", 1, 3, 20));
    while (at < n || size == 0) {
        char *copy;
        bool more;

        if (size > n - at) size = n - at;
        copy = malloc(size + 1);
        memcpy(copy, p + at, size);
        more = feed(&m, copy, size);
        free(copy);
        if (!more) return said;
        at += size;
        size = piece;
    }
    say("...", 3);
    return said;
}

static const struct {
    const char *in, *out;
} cases[] = {
    { "--B--", "." },
    { "--B--\r\n", "." },
    { "--B--epilogue --B\r\n", "." },
    { "--B\r\nX: y\r\n\r\nz\r\n--B--", "X: y{z}." },
    { "--B\r\nX: y\r\n\r\n\r\n--B--", "X: y{}." },
    { "--B\r\nX: y\r\n\r\n--B--", "X: y{}." },
    { "--B\r\nX: y\r\n\r\n--A\r\n--B--", "X: y{--A}." },
    { "--B\r\nX: y\r\nZ: \t1\r\n\r\na\r\n--B\r\nP: q\r\n\r\nb\r\n--B--",
      "X: y\r\nZ: \t1{a}P: q{b}." },
    /* What looks like a delimiter is content. */
    { "--B\r\nX: y\r\n\r\n--B\r--B-x\r\n--B-\r\n--B\r\r\n--Bx\r\n--\r\n-\r\r\n\n"
      "\r\n--B--",
      "X: y{--B\r--B-x\r\n--B-\r\n--B\r\r\n--Bx\r\n--\r\n-\r\r\n\n}." },
    { "--B\r\nX: y\r\n\r\n\r\n--B\r\r\n--B--", "X: y{\r\n--B\r}." },
    { "--B\r\nX: y\r\n\r\na\r\n--B\r\n--B--", "X: y{a}--B--..." },
    { "--B\r\nX: y\r\n\r\na\r\n--B", "X: y{a..." },
    { "", "..." },
    { "--B\r\n", "..." },
    { "--B", "..." },
    /* Refused. */
    { "text\r\n--B--", "!missing headers" },
    { "\r\n--B--", "!missing headers" },
    { "--Bx\r\n", "!missing headers" },
    { "--B\r\n\r\nz\r\n--B--", "!missing headers" },
    { "--B\nX: y\n\nz\n--B--", "!missing headers" },
    { "--B\r\nX: 1234567890123456\r\n\r\n\r\n--B--", "X: 1234567890123456{}." },
    { "--B\r\nX: 123456789012345678\r\n\r\n", "!part header too large" },
};

/* What was said of a refused input, without the pieces given before. */
static const char *end_of(const char *text) {
    const char *bad = strchr(text, '!');

    return bad ? bad : text;
}

static void test_cases(void) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *in = cases[i].in;
        size_t n = strlen(in);

        CHECK_STR(end_of(scan(in, n, n, 1)), cases[i].out);
        CHECK_STR(end_of(scan(in, n, 1, 1)), cases[i].out);
        for (size_t first = 0; first < n; first++)
            CHECK_STR(end_of(scan(in, n, first, n)), cases[i].out);
    }
}

/* Each byte value in a header, and in content. */
static void test_bytes(void) {
    char header[] = "--B\r\nX: a?b\r\n\r\n\r\n--B--";
    char data[] = "--B\r\nX: y\r\n\r\na?b\r\n--B--";

    for (int c = 0; c < 256; c++) {
        bool text = (c >= 0x20 && c != 0x7f) || c == '\t';
        size_t n = sizeof header - 1;

        header[9] = data[14] = (char)c;
        scan(header, n, n, 1);
        CHECK(!strchr(said, '!') == text || c == '!');
        n = sizeof data - 1;
        scan(data, n, n, 1);
        CHECK(c == 0 || (said[5] == 'a' && said[6] == (char)c));
    }
}

static void test_boundary(void) {
    char longest[CT_MULTIPART_BOUNDARY + 1];
    ct_multipart m;

    memset(longest, 'x', sizeof longest);
    CHECK(ct_multipart_init(&m, longest, CT_MULTIPART_BOUNDARY, 1, 1));
    CHECK(!ct_multipart_init(&m, longest, sizeof longest, 1, 1));
    CHECK(!ct_multipart_init(&m, "", 0, 1, 1));
    CHECK(!ct_multipart_init(&m, "a\rb", 3, 1, 1));
    CHECK(!ct_multipart_init(&m, "a\x7f", 2, 1, 1));
    CHECK(ct_multipart_init(&m, "a b'()+_,-./:=?", 15, 1, 1));
}

static void test_parts(void) {
    char text[256] = "";

    for (int i = 0; i < 3; i++) strcat(text, "--B\r\nX: y\r\n\r\n\r\n");
    strcat(text, "--B--");
    CHECK_STR(scan(text, strlen(text), 0, 7), "X: y{}X: y{}X: y{}.");
    strcpy(text + strlen(text) - 2, "\r\nX: y\r\n\r\n\r\n--B--");
    CHECK_STR(end_of(scan(text, strlen(text), 0, 7)), "!too many parts");
}

/* Looks at bytes for `n` times `unit` between `before` and the end, in pieces. */
static double looks(const char *before, const char *unit, size_t n,
                    size_t piece) {
    size_t step = strlen(unit), size = strlen(before) + n * step + 10;
    char *text = malloc(size), *end = stpcpy(text, before);
    ct_multipart m;
    size_t used;
    ct_str out;
    double result;

    while (n--) end = stpcpy(end, unit);
    end = stpcpy(end, "\r\n--B--");
    size = (size_t)(end - text);
    CHECK(ct_multipart_init(&m, "B", 1, 100000, 10240));
    for (size_t at = 0; at < size; at += used) {
        size_t left = size - at < piece ? size - at : piece;
        ct_multipart_event e =
            ct_multipart_next(&m, text + at, left, &used, &out);

        if (e == CT_MULTIPART_BAD && !CHECK(!"refused")) break;
    }
    result = (double)m.looked / (double)size;
    free(text);
    return result;
}

static void test_linear(void) {
    static const char *const near[] = {
        "\r", "\r\n-", "\r\n--B\r", "\r\n--B-", "\r\n--\r\n--Bx", "--B--", "x"
    };
    const char *before = "--B\r\nX: y\r\n\r\n";

    for (size_t i = 0; i < sizeof near / sizeof *near; i++)
        for (size_t piece = 1; piece < 1 << 20; piece *= 16) {
            double few = looks(before, near[i], 100, piece);
            double many = looks(before, near[i], 20000, piece);

            CHECK(few < 3.5 && many < 3.5);
        }
    CHECK(looks(before, "\r\n--B\r\nX: y\r\n\r\nz", 10000, 65536) < 2);
}

static void test_refused_for_good(void) {
    ct_multipart m;
    size_t used;
    ct_str out;

    CHECK(ct_multipart_init(&m, "B", 1, 0, 0));
    CHECK(ct_multipart_next(&m, "--B\r\n", 5, &used, &out) == CT_MULTIPART_BAD);
    CHECK_STR(m.reason, "too many parts");
    CHECK(ct_multipart_next(&m, "--B--", 5, &used, &out) == CT_MULTIPART_BAD);
    CHECK(ct_multipart_next(&m, "", 0, &used, &out) == CT_MULTIPART_BAD);
}

int main(void) {
    test_cases();
    test_bytes();
    test_boundary();
    test_parts();
    test_linear();
    test_refused_for_good();
    return check_report();
}
