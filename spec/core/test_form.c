/* Forms as WHATWG URL §5 reads them; random ones are compared with pieces that
 * are cut and decoded one by one. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/form.h"

#include "base/str.h"
#include "check.h"
#include <stdlib.h>
#include <string.h>

static bool is(ct_str s, const char *text) {
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static void test_pairs(void) {
    const char form[] = "&&name=Ada+L%6Fvelace&flag&=x&a==b%&c%3d=%2&e=";
    char scratch[sizeof form];
    ct_pair out[8];
    bool ascii = false;

    CHECK(ct_form_split(form, sizeof form - 1, scratch, out, 8, &ascii) == 6);
    CHECK(ascii);
    CHECK(is(out[0].name, "name") && is(out[0].value, "Ada Lovelace"));
    CHECK(is(out[1].name, "flag") && is(out[1].value, ""));
    CHECK(is(out[2].name, "") && is(out[2].value, "x"));
    CHECK(is(out[3].name, "a") && is(out[3].value, "=b%"));
    CHECK(is(out[4].name, "c=") && is(out[4].value, "%2"));
    CHECK(is(out[5].name, "e") && is(out[5].value, ""));
}

static void test_limits(void) {
    const char form[] = "a=1&b=2&c=3&";
    char scratch[sizeof form];
    ct_pair out[3];
    bool ascii = false;
    size_t n = sizeof form - 1;

    CHECK(ct_form_split(form, n, scratch, out, 2, &ascii) == -1);
    CHECK(ct_form_split(form, n, scratch, out, 3, &ascii) == 3);
    CHECK(ct_form_split(form, 0, scratch, out, 0, &ascii) == 0 && ascii);
    CHECK(ct_form_split("&", 1, scratch, out, 0, &ascii) == 0);
    CHECK(ct_form_split("a", 1, scratch, out, 0, &ascii) == -1);
}

static void test_ascii(void) {
    const char *const wide[] = { "a=\xc3\xa9", "a=%C3%A9", "%ff=a", "a&b=%80" };
    char scratch[16];
    ct_pair out[2];

    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        bool ascii = true;

        CHECK(ct_form_split(wide[i], strlen(wide[i]), scratch, out, 2, &ascii) >
              0);
        CHECK(!ascii);
    }
}

static void test_last(void) {
    const char form[] = "q=1&Q=2&%71=last+one&r&q2=3";
    char out[sizeof form];
    size_t n = sizeof form - 1;

    CHECK(ct_form_last(form, n, (ct_str){ "q", 1 }, 9, out) == 8);
    CHECK(memcmp(out, "last one", 8) == 0);
    CHECK(ct_form_last(form, n, (ct_str){ "r", 1 }, 9, out) == 0);
    CHECK(ct_form_last(form, n, (ct_str){ "s", 1 }, 9, out) == -1);
    CHECK(ct_form_last(form, n, (ct_str){ "q", 1 }, 4, out) == -2);
}

/* The piece of `s` from *at on, without its '&'; false at the end. */
static bool cut(ct_str s, uint32_t *at, ct_str *out) {
    uint32_t end = *at;

    if (*at >= s.n) return false;
    while (end < s.n && s.p[end] != '&') end++;
    *out = (ct_str){ s.p + *at, end - *at };
    *at = end + 1;
    return true;
}

static bool is_decoded(ct_str s, ct_str raw) {
    char out[64];
    size_t n = ct_str_url_decode(raw.p, raw.n, true, out);

    return n == s.n && memcmp(out, s.p, n) == 0;
}

static void compare(ct_str form) {
    char scratch[64];
    ct_pair out[64];
    bool ascii = false;
    int count = ct_form_split(form.p, form.n, scratch, out, 64, &ascii), i = 0;
    uint32_t at = 0;

    for (ct_str piece; cut(form, &at, &piece);) {
        uint32_t name = 0;

        if (!piece.n) continue;
        while (name < piece.n && piece.p[name] != '=') name++;
        if (i < count) {
            uint32_t from = name < piece.n ? name + 1 : name;

            CHECK(is_decoded(out[i].name, (ct_str){ piece.p, name }));
            CHECK(is_decoded(out[i].value,
                             (ct_str){ piece.p + from, piece.n - from }));
        }
        i++;
    }
    CHECK(i == count);
}

static void test_random(void) {
    static const char bytes[] = "&=%+a4F\xc3";

    srand(1);
    for (int i = 0; i < 2000; i++) {
        char form[48];
        uint32_t n = (uint32_t)rand() % sizeof form;

        for (uint32_t j = 0; j < n; j++)
            form[j] = bytes[(size_t)rand() % (sizeof bytes - 1)];
        compare((ct_str){ form, n });
    }
}

int main(void) {
    test_pairs();
    test_limits();
    test_ascii();
    test_last();
    test_random();
    return check_report();
}
