/* Heads of responses: what is taken, and what is refused and why. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "http/response.h"
#include <stdio.h>
#include <string.h>

enum { MAX = 1000 };

/* Gives the lines of `text`, each with its LF, until one is refused. */
static bool feed(ct_response *r, const char *text) {
    while (*text) {
        const char *end = strchr(text, '\n') + 1;

        if (!ct_response_line(r, text, (size_t)(end - text))) return false;
        text = end;
    }
    return true;
}

static void takes(const char *text, uint32_t code, const char *lines) {
    ct_response r = { 0 };

    ct_response_init(&r, MAX);
    CHECK(feed(&r, text));
    CHECK(r.whole);
    CHECK(r.code == code);
    CHECK(r.lines.len == strlen(lines));
    CHECK(memcmp(ct_buf_bytes(&r.lines), lines, r.lines.len) == 0);
    ct_response_fini(&r);
}

static void refuses(const char *text, const char *why) {
    ct_response r = { 0 };

    ct_response_init(&r, MAX);
    CHECK(!feed(&r, text));
    CHECK(strcmp(r.why, why) == 0);
    CHECK(r.over == (strcmp(why, "the header is too long") == 0));
    ct_response_fini(&r);
}

static void test_taken(void) {
    takes("HTTP/1.1 200 OK\r\n\r\n", 200, "HTTP/1.1 200 OK\r\n");
    takes("HTTP/1.1 200\r\nA:\r\n\r\n", 200, "HTTP/1.1 200\r\nA:\r\n");
    takes("HTTP/2 404 \r\na: b\r\n\r\n", 404, "HTTP/2 404 \r\na: b\r\n");
    takes("HTTP/1.0 200 OK\nA: b\n c\n\n", 200,
          "HTTP/1.0 200 OK\r\nA: b\r\n c\r\n");
    takes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nA: b\r\n\r\n",
          201, "HTTP/1.1 201 Created\r\nA: b\r\n");
    takes("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked \r\n\r\nX: 1\r\n\r\n",
          200, "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked \r\n");
}

static bool is_gzip(const char *fields) {
    ct_response r = { 0 };
    char text[200];
    bool gzip;

    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%s\r\n", fields);
    ct_response_init(&r, MAX);
    CHECK(feed(&r, text) && r.whole);
    gzip = r.gzip;
    ct_response_fini(&r);
    return gzip;
}

static void test_coding(void) {
    CHECK(is_gzip("Content-Encoding: gzip\r\n"));
    CHECK(is_gzip("content-encoding:X-GZip \r\n"));
    CHECK(!is_gzip("A: gzip\r\n"));
    CHECK(!is_gzip("Content-Encoding: br\r\n"));
    CHECK(!is_gzip("Content-Encoding: gzip, gzip\r\n"));
    CHECK(!is_gzip("Content-Encoding: br\r\nContent-Encoding: gzip\r\n"));
    CHECK(!is_gzip("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n"));
}

static void test_version(void) {
    ct_response r = { 0 };

    ct_response_init(&r, MAX);
    CHECK(feed(&r, "HTTP/2 200 \r\n"));
    CHECK(r.version == 20 && !r.whole);
    CHECK(feed(&r, "HTTP/1.0 200 \r\nContent-Length: 5, 5\r\n"));
    CHECK(r.version == 10 && r.has_length && r.length == 5);
    ct_response_fini(&r);
}

static void test_refused(void) {
    refuses("HTTP/1.1 20x OK\r\n", "bad status line");
    refuses("HTTP/1.1 2000 OK\r\n", "bad status line");
    refuses("HTTP/1.1\r\n", "bad status line");
    refuses("HTTP/\r\n", "bad status line");
    refuses("HTTP/1.1 200 O\1K\r\n", "bad status line");
    refuses("A: b\r\n", "bad status line");
    refuses("HTTP/1.1 200 OK\r\nA b\r\n", "bad header line");
    refuses("HTTP/1.1 200 OK\r\nA : b\r\n", "bad header line");
    refuses("HTTP/1.1 200 OK\r\n: b\r\n", "bad header line");
    refuses("HTTP/1.1 200 OK\r\nA: \x7f\r\n", "bad header line");
}

static void test_framing(void) {
    static const char *const lengths[] = {
        "", "-1", "1, 2", "1,", "0x1", "1 1", "99999999999999999999"
    };

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char text[100];

        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n",
                 lengths[i]);
        refuses(text, "bad Content-Length");
    }
    refuses("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
            "bad Content-Length");
    refuses("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n",
            "unknown Transfer-Encoding");
    refuses("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
            "Content-Length: 1\r\n\r\n",
            "both Content-Length and Transfer-Encoding");
    refuses("HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\n",
            "a 204 with a body");
    takes("HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", 204,
          "HTTP/1.1 204 No\r\nContent-Length: 0\r\n");
}

static void test_limits(void) {
    char text[MAX * 3] = "HTTP/1.1 200 OK\r\n";
    size_t n = strlen(text);

    memset(text + n, 'a', MAX);
    memcpy(text + n + MAX, ": b\r\n", 6);
    refuses(text, "the header is too long");
    *text = 0;
    for (int i = 0; i <= CT_RESPONSE_INTERIM; i++)
        strcat(text, "HTTP/1.1 102 P\r\n\r\n");
    refuses(text, "too many interim responses");
}

int main(void) {
    test_taken();
    test_coding();
    test_version();
    test_refused();
    test_framing();
    test_limits();
    return check_report();
}
