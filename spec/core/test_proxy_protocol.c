/* The PROXY protocol: both versions whole and byte by byte, and what is near. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/proxy_protocol.h"

#include "check.h"
#include <stdlib.h>

static ct_proxy proxy;

/* In memory of just that size, so that ASan sees a byte too many; every shorter
 * piece must be good so far. */
static ct_proxy_result parse(const void *bytes, size_t n) {
    ct_proxy_result result = CT_PROXY_MORE;

    for (size_t i = 0; i <= n && result == CT_PROXY_MORE; i++) {
        char *copy = malloc(i ? i : 1);

        if (!copy) abort();
        memcpy(copy, bytes, i);
        result = ct_proxy_parse(&proxy, copy, i);
        free(copy);
        if (result == CT_PROXY_DONE) CHECK(proxy.used == i);
    }
    return result;
}

static ct_proxy_result text(const char *line) {
    return parse(line, strlen(line));
}

static const char *peer(void) {
    static char out[CT_ADDRESS_TEXT];

    ct_peer_ip(&proxy.peer, out);
    return proxy.has_peer ? out : "none";
}

static void test_text(void) {
    CHECK(text("PROXY TCP4 1.2.3.4 5.6.7.8 1 65535\r\n") == CT_PROXY_DONE);
    CHECK_STR(peer(), "1.2.3.4");
    CHECK(text("PROXY TCP6 ::1 2001:db8::1 0 80\r\n") == CT_PROXY_DONE);
    CHECK_STR(peer(), "::1");
    CHECK(text("PROXY TCP6 ::ffff:9.8.7.6 ::1 0 80\r\n") == CT_PROXY_DONE);
    CHECK_STR(peer(), "9.8.7.6");
    CHECK(text("PROXY UNKNOWN\r\n") == CT_PROXY_DONE);
    CHECK_STR(peer(), "none");
    CHECK(text("PROXY UNKNOWN ffff:f...f ffff 65535 65535\r\n") ==
          CT_PROXY_DONE);
    CHECK_STR(peer(), "none");
    CHECK(text("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r") == CT_PROXY_MORE);
}

static void test_bad_text(void) {
    static const char *const lines[] = {
        "GET / HTTP/1.1\r\n",
        "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
        "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 +2\r\n",
        "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7 1 2\r\n",
        "PROXY TCP4 ::1 ::2 1 2\r\n",
        "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4\r\n",
    };
    char line[200];

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!CHECK(text(lines[i]) == CT_PROXY_BAD && proxy.why &&
                   !proxy.has_peer))
            fprintf(stderr, "    %s\n", lines[i]);
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    CHECK(parse(line, 106) == CT_PROXY_MORE);
    CHECK(parse(line, 107) == CT_PROXY_BAD);
    memcpy(line + 105, "\r\n", 2);
    CHECK(parse(line, 107) == CT_PROXY_DONE);
    line[50] = 0;
    CHECK(parse(line, 107) == CT_PROXY_BAD);
}

/* A header of version 2 in `out`; returns its size. */
static size_t binary(char *out, int command, int family, const void *body,
                     size_t n) {
    memcpy(out, "\r\n\r\n\0\r\nQUIT\n", 12);
    out[12] = (char)command;
    out[13] = (char)family;
    out[14] = (char)(n >> 8);
    out[15] = (char)n;
    memcpy(out + 16, body, n);
    return 16 + n;
}

static const char v4[] = "\1\2\3\4\5\6\7\10\0\1\0\2";
static const char ssl[] = "\x20\0\5\1\0\0\0\0", noop[] = "\4\0\2ab";

static ct_proxy_result send_v2(int command, int family, const void *body,
                               size_t n) {
    static char out[70000];

    return parse(out, binary(out, command, family, body, n));
}

static void test_binary(void) {
    char body[300] = { 0 };

    CHECK(send_v2(0x21, 0x11, v4, 12) == CT_PROXY_DONE && !proxy.tls);
    CHECK_STR(peer(), "1.2.3.4");
    CHECK(send_v2(0x20, 0x11, v4, 12) == CT_PROXY_DONE);
    CHECK_STR(peer(), "none");
    CHECK(send_v2(0x20, 0, "", 0) == CT_PROXY_DONE);
    CHECK(send_v2(0x20, 0x77, "junk", 4) == CT_PROXY_DONE);
    CHECK(send_v2(0x21, 0, "", 0) == CT_PROXY_DONE);
    CHECK_STR(peer(), "none");
    CHECK(send_v2(0x21, 0, v4, 12) == CT_PROXY_DONE && proxy.used == 28);
    CHECK_STR(peer(), "none");
    CHECK(send_v2(0x21, 0x31, body, 216) == CT_PROXY_DONE);
    CHECK_STR(peer(), "none");
    body[0] = 0x20, body[1] = 1, body[15] = 7;
    CHECK(send_v2(0x21, 0x21, body, 36) == CT_PROXY_DONE);
    CHECK_STR(peer(), "2001::7");
    memset(body, 0, 10);
    memcpy(body + 10, "\xff\xff\1\2\3\4", 6);
    CHECK(send_v2(0x21, 0x21, body, 36) == CT_PROXY_DONE);
    CHECK_STR(peer(), "1.2.3.4");
}

static void test_tlvs(void) {
    char body[64];
    size_t n = 12;

    memcpy(body, v4, n);
    memcpy(body + n, noop, 5);
    n += 5;
    memcpy(body + n, ssl, 8);
    CHECK(send_v2(0x21, 0x11, body, n) == CT_PROXY_DONE && !proxy.tls);
    CHECK(send_v2(0x21, 0x11, body, n + 8) == CT_PROXY_DONE && proxy.tls);
    body[n + 3] = 6; /* certificates, but no TLS */
    CHECK(send_v2(0x21, 0x11, body, n + 8) == CT_PROXY_DONE && !proxy.tls);
    for (size_t cut = 1; cut < 8; cut++)
        CHECK(send_v2(0x21, 0x11, body, n + cut) == CT_PROXY_BAD);
    body[n + 2] = 4;
    CHECK(send_v2(0x21, 0x11, body, n + 7) == CT_PROXY_BAD);
}

static void test_bad_binary(void) {
    static char long_body[5000];

    CHECK(send_v2(0x22, 0x11, v4, 12) == CT_PROXY_BAD);
    CHECK(send_v2(0x11, 0x11, v4, 12) == CT_PROXY_BAD);
    CHECK(send_v2(0x31, 0x11, v4, 12) == CT_PROXY_BAD);
    CHECK(send_v2(0x21, 0x11, v4, 11) == CT_PROXY_BAD);
    CHECK(send_v2(0x21, 0x12, v4, 12) == CT_PROXY_BAD);
    CHECK(send_v2(0x21, 0x41, v4, 12) == CT_PROXY_BAD);
    CHECK(send_v2(0x21, 0x21, v4, 12) == CT_PROXY_BAD);
    CHECK(send_v2(0x20, 0, long_body, CT_PROXY_MOST - 16) == CT_PROXY_DONE);
    CHECK(send_v2(0x20, 0, long_body, CT_PROXY_MOST - 15) == CT_PROXY_BAD);
    CHECK(parse("\r\n\r\n\0\r\nQUIX", 11) == CT_PROXY_BAD);
    CHECK(parse("\r\n\r\n\0\r\nQUIT", 11) == CT_PROXY_MORE);
}

int main(void) {
    test_text();
    test_bad_text();
    test_binary();
    test_tlvs();
    test_bad_binary();
    return check_report();
}
