/* SHA-1 against its published test vectors; random bytes differ. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include "base/mem.h"
#include "check.h"

static const char *sha1(const char *p, size_t n) {
    static char out[41];

    ct_digest_sha1_hex(p, n, out);
    out[40] = 0;
    return out;
}

static void test_sha1(void) {
    char *million = ct_alloc(1000000);

    CHECK_STR(sha1("", 0), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    CHECK_STR(sha1("abc", 3), "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK_STR(sha1(NULL, 0), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    memset(million, 'a', 1000000);
    CHECK_STR(sha1(million, 1000000),
              "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    ct_free(million);
}

static void test_random(void) {
    enum { N = 100000 };
    unsigned char a[32] = { 0 }, b[32] = { 0 }, *many = ct_alloc0(N);
    int zeros = 0;

    ct_digest_random(a, sizeof a);
    ct_digest_random(b, sizeof b);
    CHECK(memcmp(a, b, sizeof a) != 0);
    ct_digest_random(many, N); /* more than one getrandom() may give */
    for (int i = 0; i < N; i++) zeros += many[i] == 0;
    CHECK(zeros > 200 && zeros < 600);
    ct_digest_random(NULL, 0);
    ct_free(many);
}

int main(void) {
    test_sha1();
    test_random();
    return check_report();
}
