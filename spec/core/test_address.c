/* Addresses as the config has them, and as the log and handlers show them. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/address.h"

#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

/* What `text` is parsed to, or "-". */
static const char *parsed(const char *text) {
    static char out[CT_ADDRESS_TEXT];
    const char *why = NULL;
    ct_address a;

    if (!ct_address_parse(&a, text, &why)) {
        CHECK(why != NULL);
        return "-";
    }
    ct_address_format(&a, out);
    return out;
}

static const char *ip(const char *text) {
    static char out[CT_ADDRESS_TEXT];
    const char *why;
    ct_address a;

    if (!ct_address_parse(&a, text, &why)) return "-";
    ct_address_ip(&a, out);
    return out;
}

static void test_good(void) {
    CHECK_STR(parsed("8888"), "127.0.0.1:8888");
    CHECK_STR(parsed("0"), "127.0.0.1:0");
    CHECK_STR(parsed("65535"), "127.0.0.1:65535");
    CHECK_STR(parsed("localhost:80"), "127.0.0.1:80");
    CHECK_STR(parsed("0.0.0.0:80"), "0.0.0.0:80");
    CHECK_STR(parsed("[::1]:8080"), "[::1]:8080");
    CHECK_STR(parsed("[2001:DB8:0:0::1]:1"), "[2001:db8::1]:1");
    CHECK_STR(parsed("*:80"), "*:80");
    CHECK_STR(parsed("[::]:80"), "[::]:80");
    CHECK_STR(parsed("unix:/run/x.sock"), "unix:/run/x.sock");
}

static void test_bad(void) {
    static const char *const bad[] = {
        "",
        ":",
        ":80",
        "host",
        "-1",
        "65536",
        "80 ",
        " 80",
        "+80",
        "0x50",
        "example.org:80",
        "1.2.3:80",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4.5:80",
        "256.1.1.1:80",
        "::1",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[]:80",
        "[::g]:80",
        "[1.2.3.4]:80",
        "*",
        "unix:",
        "unix:x.sock",
        "[::1:80",
        "1.2.3.4:80:80",
        "99999999999999999999999999",
        "[00000000000000000000000000000000000000000000000000000000001]:80",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_STR(parsed(bad[i]), "-");
}

static void test_why(void) {
    const char *why = NULL;
    ct_address a;

    CHECK(!ct_address_parse(&a, "70000", &why));
    CHECK_STR(why, "expected a port of at most 65535");
    CHECK(!ct_address_parse(&a, "unix:x", &why));
    CHECK(strstr(why, "absolute path") != NULL);
    CHECK(!ct_address_parse(&a, "example.org:80", &why));
    CHECK(strstr(why, "expected PORT, IPv4:PORT") != NULL);
}

static void test_unix_length(void) {
    char text[5 + 109 + 1] = "unix:/", out[CT_ADDRESS_TEXT];
    const char *why;
    ct_address a;

    memset(text + 6, 'x', 107); /* 108 bytes: one too many */
    CHECK_STR(parsed(text), "-");
    text[5 + 107] = 0;
    CHECK_STR(parsed(text), text);

    /* the kernel leaves out the zero byte when the path fills the field */
    CHECK(ct_address_parse(&a, text, &why));
    ((struct sockaddr_un *)&a.sa)->sun_path[107] = 'y';
    a.size = sizeof(struct sockaddr_un);
    ct_address_format(&a, out);
    CHECK(strlen(out) == 5 + 108 && out[5 + 107] == 'y');
    a.size = sizeof(sa_family_t); /* a peer without a name */
    ct_address_format(&a, out);
    CHECK_STR(out, "unix:");
}

static void test_ip(void) {
    struct sockaddr_in6 mapped = { .sin6_family = AF_INET6 };
    ct_address a = { .size = sizeof mapped };
    char out[CT_ADDRESS_TEXT];

    CHECK_STR(ip("127.0.0.1:1"), "127.0.0.1");
    CHECK_STR(ip("[::1]:1"), "::1");
    CHECK_STR(ip("unix:/x"), "0.0.0.0");
    inet_pton(AF_INET6, "::ffff:10.1.2.3", &mapped.sin6_addr);
    mapped.sin6_port = htons(99);
    memcpy(&a.sa, &mapped, sizeof mapped);
    ct_address_ip(&a, out);
    CHECK_STR(out, "10.1.2.3");
    ct_address_format(&a, out);
    CHECK_STR(out, "10.1.2.3:99");
    CHECK(ct_address_port(&a) == 99);
}

static void test_port(void) {
    const char *why;
    ct_address a;

    CHECK(ct_address_parse(&a, "1234", &why) && ct_address_port(&a) == 1234);
    CHECK(ct_address_parse(&a, "[::]:5", &why) && ct_address_port(&a) == 5);
    CHECK(ct_address_parse(&a, "unix:/x", &why) && ct_address_port(&a) == 0);
}

static const char *peer(const char *text) {
    static char out[CT_ADDRESS_TEXT];
    ct_peer p;

    if (!ct_peer_parse(&p, text, strlen(text))) return "-";
    ct_peer_ip(&p, out);
    return out;
}

static void test_peer(void) {
    static const char *const bad[] = { "",         "1.2.3",   "1.2.3.4:80",
                                       "[::1]",    "::g",     "1.2.3.4 ",
                                       "01.2.3.4", "1.2.3.4x" };
    char text[100];
    ct_peer p;

    CHECK_STR(peer("10.1.2.3"), "10.1.2.3");
    CHECK_STR(peer("2001:DB8:0::1"), "2001:db8::1");
    CHECK_STR(peer("::ffff:10.1.2.3"), "10.1.2.3");
    CHECK(ct_peer_parse(&p, "::ffff:10.1.2.3", 15) && p.family == AF_INET);
    CHECK(p.ip[0] == 10 && p.ip[3] == 3 && p.ip[4] == 0 && p.ip[15] == 0);
    CHECK(ct_peer_parse(&p, "1.2.3.45", 7) && p.ip[3] == 4);
    CHECK(!ct_peer_parse(&p, "1.2.3.4\0", 8));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_STR(peer(bad[i]), "-");
    memset(text, '1', sizeof text);
    CHECK(!ct_peer_parse(&p, text, sizeof text));
}

int main(void) {
    test_good();
    test_bad();
    test_why();
    test_unix_length();
    test_ip();
    test_port();
    test_peer();
    return check_report();
}
