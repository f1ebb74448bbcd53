/* Route patterns: groups and names, anchoring, and limits for bad patterns. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/regex.h"

#include "base/mem.h"
#include "check.h"

static char why[100];

static ct_regex *compiled(const char *pattern) {
    ct_regex *r = ct_regex_new(pattern, strlen(pattern), why, sizeof why);

    if (!CHECK(r != NULL)) printf("%s: %s\n", pattern, why);
    return r;
}

/* Pairs that `pattern` gives for `subject`. */
static int pairs(const char *pattern, const char *subject) {
    ct_regex *r = compiled(pattern);
    int32_t at[20];
    int n = ct_regex_match(r, subject, strlen(subject), at, 10);

    ct_regex_free(r);
    return n;
}

static void test_groups(void) {
    ct_regex *r = compiled("/(?P<kind>[a-z]+)/(\\d+)(?P<rest>/.*)?$");
    int32_t at[8];

    CHECK(ct_regex_groups(r) == 3);
    CHECK_STR(ct_regex_name(r, 1), "kind");
    CHECK(ct_regex_name(r, 2) == NULL);
    CHECK_STR(ct_regex_name(r, 3), "rest");
    CHECK(ct_regex_name(r, 0) == NULL && ct_regex_name(r, 4) == NULL);

    CHECK(ct_regex_match(r, "/user/42", 8, at, 4) == 4);
    CHECK(at[0] == 0 && at[1] == 8);
    CHECK(at[2] == 1 && at[3] == 5);
    CHECK(at[4] == 6 && at[5] == 8);
    CHECK(at[6] == -1 && at[7] == -1);
    CHECK(ct_regex_match(r, "/user/42/x", 10, at, 4) == 4);
    CHECK(at[6] == 8 && at[7] == 10);
    CHECK(ct_regex_match(r, "/user/42", 8, at, 2) == 2); /* at most max */
    CHECK(ct_regex_match(r, "/user/", 6, at, 4) == 0);
    ct_regex_free(r);
}

static void test_anchors(void) {
    CHECK(pairs("a", "abc") == 1); /* at the start, not to the end */
    CHECK(pairs("b", "abc") == 0);
    CHECK(pairs("a|b", "xb") == 0);
    CHECK(pairs("abc$", "abc") == 1);
    CHECK(pairs("abc$", "abc\n") == 0);
    CHECK(pairs("", "") == 1);
    CHECK(pairs("(a)?(b)?", "") == 3);
}

static void test_bytes(void) {
    ct_regex *r = compiled("(.)(\\x00)$");
    int32_t at[6];

    CHECK(ct_regex_match(r, "\xff\0", 2, at, 3) == 3);
    CHECK(ct_regex_match(r, "\xc3\xa4\0", 3, at, 3) == 0); /* two bytes */
    ct_regex_free(r);
    r = ct_regex_new("a\0b", 3, why, sizeof why);
    CHECK(r && ct_regex_match(r, "a\0b", 3, at, 3) == 1);
    ct_regex_free(r);
}

static void test_errors(void) {
    char tiny[8];

    CHECK(ct_regex_new("/(a", 3, why, sizeof why) == NULL);
    CHECK_STR(why, "missing closing parenthesis at offset 3");
    CHECK(ct_regex_new("a**+b", 5, why, sizeof why) == NULL);
    CHECK(ct_regex_new("(*UTF)a", 7, why, sizeof why) == NULL);
    CHECK(ct_regex_new("[", 1, tiny, sizeof tiny) == NULL);
    CHECK(strlen(tiny) == 7);
    ct_regex_free(NULL);
}

/* Catastrophic backtracking ends at the limit; a long path is no problem. */
static void test_limits(void) {
    enum { LONG = 100000 };
    char *path = ct_alloc(LONG + 1);

    CHECK(pairs("(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab") == -1);
    CHECK(pairs("(?:(?:a|a)+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaab") == -1);
    memset(path, 'a', LONG);
    path[LONG] = 0;
    CHECK(pairs("(.*)$", path) == 2);
    CHECK(pairs("/?([a-z]*)/?$", path) == 2);
    path[8000] = 0;
    CHECK(pairs("(?:a|b)*$", path) == 1);
    CHECK(pairs("((?:ab|a)*)$", path) == 2);
    ct_free(path);
}

int main(void) {
    test_groups();
    test_anchors();
    test_bytes();
    test_errors();
    test_limits();
    return check_report();
}
