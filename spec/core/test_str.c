/* Strings: each function at its limits, and every length around the 16 bytes
 * that SSE2 takes at once, in exact allocations so that ASan sees over-reads. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "base/mem.h"
#include "check.h"

static bool token(const char *s) {
    return ct_str_is_token(s, strlen(s));
}

static bool decimal(const char *s, uint64_t want) {
    uint64_t v = 0;

    return ct_str_decimal(s, strlen(s), &v) && v == want;
}

static bool no_decimal(const char *s) {
    uint64_t v = 7;

    return !ct_str_decimal(s, strlen(s), &v) && v == 7;
}

static const char *decoded(const char *s, bool plus) {
    static char out[256];

    out[ct_str_url_decode(s, strlen(s), plus, out)] = 0;
    return out;
}

static const char *encoded(const char *s, bool plus) {
    static char out[256];

    out[ct_str_url_encode(s, strlen(s), plus, out)] = 0;
    return out;
}

static const char *escaped(const char *s) {
    static char out[256];

    out[ct_str_html_escape(s, strlen(s), out)] = 0;
    return out;
}

static void test_same(void) {
    CHECK(ct_str_same("Keep-Alive", 10, "keep-alive", 10));
    CHECK(ct_str_same("", 0, "", 0));
    CHECK(!ct_str_same("a", 1, "ab", 2));
    CHECK(!ct_str_same("@", 1, "`", 1));
    CHECK(!ct_str_same("[", 1, "{", 1));
    CHECK(!ct_str_same("\xc4", 1, "\xe4", 1));
}

static void test_decimal(void) {
    CHECK(decimal("0", 0));
    CHECK(decimal("00012", 12));
    CHECK(decimal("9223372036854775807", INT64_MAX));
    CHECK(no_decimal("9223372036854775808"));
    CHECK(no_decimal("99999999999999999999999999"));
    CHECK(no_decimal(""));
    CHECK(no_decimal("+5"));
    CHECK(no_decimal("-0"));
    CHECK(no_decimal(" 5"));
    CHECK(no_decimal("5 "));
    CHECK(no_decimal("0x5"));
    CHECK(no_decimal("1_000"));
}

static void test_numbers_out(void) {
    char out[24];

    out[ct_str_from_u64(out, 0)] = 0;
    CHECK_STR(out, "0");
    out[ct_str_from_u64(out, UINT64_MAX)] = 0;
    CHECK_STR(out, "18446744073709551615");
    out[ct_str_from_hex(out, 0)] = 0;
    CHECK_STR(out, "0");
    out[ct_str_from_hex(out, 0x1f40)] = 0;
    CHECK_STR(out, "1f40");
    out[ct_str_from_hex(out, UINT64_MAX)] = 0;
    CHECK_STR(out, "ffffffffffffffff");
}

static void test_token(void) {
    CHECK(token("GET"));
    CHECK(token("!#$%&'*+-.^_`|~09azAZ"));
    CHECK(!token(""));
    for (const char *p = "()<>@,;:\\\"/[]?={} \t\x7f\x80\xff\r\n"; *p; p++)
        CHECK(!ct_str_is_token(p, 1));
    CHECK(!ct_str_is_token("a\0b", 3));
}

static void test_field_value(void) {
    for (int c = 0; c < 256; c++) {
        const char value[] = { 'a', (char)c, 'b' };
        bool want = c == '\t' || (c >= 0x20 && c != 0x7f);
        CHECK(ct_str_is_field_value(value, 3) == want);
    }
    CHECK(ct_str_is_field_value("", 0));
}

static bool utf8(const char *s) {
    return ct_str_is_utf8(s, strlen(s));
}

static void test_utf8(void) {
    CHECK(utf8(""));
    CHECK(utf8("plain ASCII text that is longer than a word"));
    CHECK(ct_str_is_utf8("a\0b", 3));
    CHECK(utf8("eight by\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"));
    CHECK(utf8("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"));
    CHECK(!utf8("\x80"));
    CHECK(!utf8("\xc0\xaf"));         /* overlong */
    CHECK(!utf8("\xc1\xbf"));         /* overlong */
    CHECK(!utf8("\xe0\x9f\xbf"));     /* overlong */
    CHECK(!utf8("\xf0\x8f\xbf\xbf")); /* overlong */
    CHECK(!utf8("\xed\xa0\x80"));     /* surrogate */
    CHECK(!utf8("\xf4\x90\x80\x80")); /* above U+10FFFF */
    CHECK(!utf8("\xf5\x80\x80\x80"));
    CHECK(!utf8("\xc3"));
    CHECK(!utf8("\xe2\x82"));
    CHECK(!utf8("\xf0\x9f\x98"));
    CHECK(!utf8("\xc3(\xa4"));
}

static void test_url_decode(void) {
    char place[] = "a%2Fb+c%2";

    CHECK_STR(decoded("", true), "");
    CHECK_STR(decoded("a+b%20c", true), "a b c");
    CHECK_STR(decoded("a+b%20c", false), "a+b c");
    CHECK_STR(decoded("%41%6a%7E", false), "Aj~");
    CHECK_STR(decoded("%", true), "%");
    CHECK_STR(decoded("%4", true), "%4");
    CHECK_STR(decoded("%zz%4g%g4%%41", true), "%zz%4g%g4%A");
    CHECK_STR(decoded("%2541", true), "%41"); /* once only */
    CHECK_STR(decoded("0123456789abcdef0123456789%2cabcdef", true),
              "0123456789abcdef0123456789,abcdef");
    CHECK(ct_str_url_decode("%00", 3, false, place) == 1 && place[0] == 0);
    memcpy(place, "a%2Fb+c%2", 10);
    CHECK(ct_str_url_decode(place, 9, true, place) == 7);
    CHECK(memcmp(place, "a/b c%2", 7) == 0);
}

static void test_url_encode(void) {
    CHECK_STR(encoded("AZaz09_.-~", true), "AZaz09_.-~");
    CHECK_STR(encoded("a b/c?d", true), "a+b%2Fc%3Fd");
    CHECK_STR(encoded("a b/c?d", false), "a%20b/c%3Fd");
    CHECK_STR(encoded("\xc3\xa4+%", true), "%C3%A4%2B%25");
}

static void test_html_escape(void) {
    CHECK_STR(escaped(""), "");
    CHECK_STR(escaped("&<>\"'"), "&amp;&lt;&gt;&quot;&#x27;");
    CHECK_STR(escaped("<a href=\"x\">it's</a> and more plain text & so on"),
              "&lt;a href=&quot;x&quot;&gt;it&#x27;s&lt;/a&gt; and more plain "
              "text &amp; so on");
}

/* Only the five are escaped, whichever way they are looked for. */
static void test_html_each_byte(void) {
    for (int c = 0; c < 256; c++) {
        char in[40], out[240];
        memset(in, c, sizeof in);
        size_t n = ct_str_html_escape(in, sizeof in, out);
        bool special = c && strchr("&<>\"'", c);
        CHECK((n != sizeof in) == special);
        CHECK(special || memcmp(in, out, n) == 0);
    }
}

/* One special byte at each place of each length, in exact allocations. */
static void test_spans(void) {
    for (size_t n = 1; n < 50; n++) {
        char *in = ct_alloc(n), *out = ct_alloc(6 * n);
        for (size_t at = 0; at < n; at++) {
            memset(in, 'x', n);
            in[at] = '<';
            CHECK(ct_str_html_escape(in, n, out) == n + 3);
            CHECK(memcmp(out + at, "&lt;", 4) == 0);
            in[at] = '+';
            CHECK(ct_str_url_decode(in, n, true, out) == n && out[at] == ' ');
        }
        ct_free(in);
        ct_free(out);
    }
}

int main(void) {
    test_same();
    test_decimal();
    test_numbers_out();
    test_token();
    test_field_value();
    test_utf8();
    test_url_decode();
    test_url_encode();
    test_html_escape();
    test_html_each_byte();
    test_spans();
    return check_report();
}
