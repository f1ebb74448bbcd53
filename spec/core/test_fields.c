/* A reply's header lines: add, find, remove. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/fields.h"

#include "check.h"

static ct_str s(const char *text) {
    return (ct_str){ text, (uint32_t)strlen(text) };
}

/* The buffer as a string. */
static const char *all(ct_buf *b) {
    static char out[512];

    snprintf(out, sizeof out, "%.*s", (int)b->len,
             b->len ? ct_buf_bytes(b) : "");
    return out;
}

static void test_lines(void) {
    ct_buf b = { 0 };
    ct_str value;

    CHECK(!ct_fields_find(&b, s("A"), 0, &value));
    CHECK(!ct_fields_remove(&b, s("A"), s("")));
    ct_fields_add(&b, s("A"), s("1"));
    ct_fields_add(&b, s("Ab"), s(""));
    ct_fields_add(&b, s("A"), s("2"));
    CHECK_STR(all(&b), "A: 1\r\nAb: \r\nA: 2\r\n");
    CHECK(ct_fields_find(&b, s("A"), 0, &value) && value.n == 1 &&
          *value.p == '1');
    CHECK(ct_fields_find(&b, s("A"), 1, &value) && *value.p == '2');
    CHECK(!ct_fields_find(&b, s("A"), 2, &value));
    CHECK(ct_fields_find(&b, s("Ab"), 0, &value) && value.n == 0);
    CHECK(!ct_fields_find(&b, s("a"), 0, &value));
    CHECK(ct_fields_remove(&b, s("A"), s("")));
    CHECK_STR(all(&b), "Ab: \r\n");
    CHECK(ct_fields_remove(&b, s("Ab"), s("")));
    CHECK_STR(all(&b), "");
    ct_buf_fini(&b);
}

static void test_prefix(void) {
    ct_buf b = { 0 };

    ct_fields_add(&b, s("Set-Cookie"), s("a=1; Path=/"));
    ct_fields_add(&b, s("Set-Cookie"), s("ab=2; Path=/"));
    CHECK(!ct_fields_remove(&b, s("Set-Cookie"), s("b=")));
    CHECK(ct_fields_remove(&b, s("Set-Cookie"), s("a=")));
    CHECK_STR(all(&b), "Set-Cookie: ab=2; Path=/\r\n");
    CHECK(!ct_fields_remove(&b, s("Set-Cookie"),
                            s("ab=2; Path=/ and far more than the line has")));
    ct_buf_fini(&b);
}

int main(void) {
    test_lines();
    test_prefix();
    return check_report();
}
