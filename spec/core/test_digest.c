/* Digests against their published test vectors, encodings there and back; random
 * bytes differ. */
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

static const char *hex(const char *p, size_t n) {
    static char out[2 * CT_DIGEST_SIZE + 1];

    ct_digest_hex(p, n, out);
    out[2 * n] = 0;
    return out;
}

static const char *digest(ct_hash hash, const char *text) {
    char raw[CT_DIGEST_SIZE];

    return hex(raw, ct_digest(hash, text, strlen(text), raw));
}

static const char *hmac(ct_hash hash, const char *key, const char *text) {
    char raw[CT_DIGEST_SIZE];

    return hex(raw, ct_digest_hmac(hash, key, key ? strlen(key) : 0, text,
                                   strlen(text), raw));
}

static void test_sha2(void) {
    CHECK_STR(digest(CT_HASH_SHA1, "abc"),
              "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK_STR(
        digest(CT_HASH_SHA256, ""),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK_STR(
        digest(CT_HASH_SHA256, "abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK_STR(
        digest(CT_HASH_SHA512, "abc"),
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

/* RFC 2202 and RFC 4231, test case 2 of each; and keys that are empty, or longer
 * than a block. */
static void test_hmac(void) {
    static const char ask[] = "what do ya want for nothing?";
    char key[132];

    CHECK_STR(hmac(CT_HASH_SHA1, "Jefe", ask),
              "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    CHECK_STR(
        hmac(CT_HASH_SHA256, "Jefe", ask),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK_STR(
        hmac(CT_HASH_SHA512, "Jefe", ask),
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
    memset(key, 0xaa, 131);
    key[131] = 0;
    CHECK_STR(
        hmac(CT_HASH_SHA256, key,
             "Test Using Larger Than Block-Size Key - Hash Key First"),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    CHECK_STR(
        hmac(CT_HASH_SHA256, "", ""),
        "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    CHECK_STR(
        hmac(CT_HASH_SHA256, NULL, ""),
        "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void test_same(void) {
    CHECK(ct_digest_same("abc", 3, "abc", 3));
    CHECK(!ct_digest_same("abc", 3, "abd", 3));
    CHECK(!ct_digest_same("abc", 3, "abcd", 4));
    CHECK(!ct_digest_same("abc", 3, "", 0));
    CHECK(ct_digest_same("", 0, NULL, 0));
}

static const char *base64(const char *text) {
    static char out[64];
    size_t n = ct_digest_base64(text, strlen(text), out);

    return n == strlen(out) ? out : "wrong length";
}

/* The bytes, or "none". */
static const char *unbase64(const char *text) {
    static char out[64];
    size_t n;

    if (!ct_digest_unbase64(text, strlen(text), out, &n)) return "none";
    out[n] = 0;
    return out;
}

/* RFC 4648 §10, and what looks like base64. */
static void test_base64(void) {
    static const char *const plain[] = { "",     "f",     "fo",    "foo",
                                         "foob", "fooba", "foobar" };
    static const char *const coded[] = {
        "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"
    };
    static const char *const bad[] = { "Z",     "Zg",    "Zg=",   "Zg==Zg==",
                                       "=AAA",  "====",  "A===",  "Zm9v\n",
                                       " Zm9v", "Zm 9v", "Zm9-",  "Zm9_",
                                       "Z=g=",  "Zm9v=", "\nZm9", "\xe9zzz" };

    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        CHECK_STR(base64(plain[i]), coded[i]);
        CHECK_STR(unbase64(coded[i]), plain[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_STR(unbase64(bad[i]), "none");
}

/* More than one piece for EVP. */
static void test_base64_large(void) {
    enum { N = 7 * 1000 * 1000 };
    char *from = ct_alloc(N), *coded = ct_alloc(N / 3 * 4 + 8);
    char *back = ct_alloc(N + 8);
    size_t n, m;

    ct_digest_random(from, N);
    n = ct_digest_base64(from, N, coded);
    CHECK(n == (N + 2) / 3 * 4);
    CHECK(ct_digest_unbase64(coded, n, back, &m));
    CHECK(m == N && memcmp(from, back, N) == 0);
    ct_free(from);
    ct_free(coded);
    ct_free(back);
}

static void test_pieces(void) {
    ct_digest_run *d = ct_digest_new(CT_HASH_SHA256);
    ct_digest_run *other = ct_digest_new(CT_HASH_SHA1);
    char raw[CT_DIGEST_SIZE];

    ct_digest_update(d, "a", 1);
    ct_digest_update(other, "never ended", 11);
    ct_digest_update(d, NULL, 0);
    ct_digest_update(d, "bc", 2);
    CHECK_STR(
        hex(raw, ct_digest_final(d, raw)),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ct_digest_free(d);
    ct_digest_free(other);
    ct_digest_free(NULL);
}

static void test_hex(void) {
    char out[8];

    CHECK_STR(hex("\0\x7f\x80\xff", 4), "007f80ff");
    CHECK(ct_digest_unhex("007F80fF", 8, out));
    CHECK(memcmp(out, "\0\x7f\x80\xff", 4) == 0);
    CHECK(ct_digest_unhex("", 0, out));
    CHECK(!ct_digest_unhex("0", 1, out));
    CHECK(!ct_digest_unhex("0g", 2, out));
    CHECK(!ct_digest_unhex(" 0", 2, out));
    CHECK(!ct_digest_unhex("0x", 2, out));
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
    test_sha2();
    test_pieces();
    test_hmac();
    test_same();
    test_base64();
    test_base64_large();
    test_hex();
    test_random();
    return check_report();
}
