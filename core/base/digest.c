/* libcrypto, with the algorithms fetched once: the implicit fetch of each call
 * takes longer than the SHA-1 of a small page. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include "base/assert.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

enum { SHA1_SIZE = 20 };

static const char *const names[CT_HASHES] = { "SHA1", "SHA256", "SHA512" };

/* Fetched on first use and kept; by any thread. */
static const EVP_MD *fetch(ct_hash hash) {
    /* process-wide: fetching is slower than hashing */
    static EVP_MD *kept[CT_HASHES];
    EVP_MD *md, *other = NULL;

    ct_assert(hash < CT_HASHES);
    md = __atomic_load_n(&kept[hash], __ATOMIC_ACQUIRE);
    if (md) return md;
    md = EVP_MD_fetch(NULL, names[hash], NULL);
    ct_assert(md);
    if (__atomic_compare_exchange_n(&kept[hash], &other, md, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return md;
    EVP_MD_free(md);
    return other;
}

static EVP_MAC_CTX *new_hmac(ct_hash hash) {
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx;
    char name[8];
    OSSL_PARAM params[2];

    ct_assert(mac);
    ctx = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac); /* the context holds it, too */
    ct_assert(ctx);
    memcpy(name, names[hash], strlen(names[hash]) + 1);
    params[0] =
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0);
    params[1] = OSSL_PARAM_construct_end();
    ct_assert(EVP_MAC_CTX_set_params(ctx, params));
    return ctx;
}

/* Takes the HMAC that was kept, or makes one (`back` NULL); and puts it back.
 * It lacks only its key. A thread that finds none kept makes its own. */
static EVP_MAC_CTX *swap_hmac(ct_hash hash, EVP_MAC_CTX *back) {
    static EVP_MAC_CTX *kept[CT_HASHES]; /* process-wide: as in fetch() */
    EVP_MAC_CTX *ctx;

    ct_assert(hash < CT_HASHES);
    ctx = __atomic_exchange_n(&kept[hash], back, __ATOMIC_ACQ_REL);
    if (!back) return ctx ? ctx : new_hmac(hash);
    EVP_MAC_CTX_free(ctx);
    return NULL;
}

size_t ct_digest(ct_hash hash, const char *p, size_t n, char *out) {
    unsigned int size = 0;
    int done = EVP_Digest(p, n, (unsigned char *)out, &size, fetch(hash), NULL);

    ct_assert(done);
    return size;
}

/* OpenSSL's context under a name of ours, so that no header needs <evp.h>. */
ct_digest_run *ct_digest_new(ct_hash hash) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    ct_assert(ctx && EVP_DigestInit_ex(ctx, fetch(hash), NULL));
    return (ct_digest_run *)ctx;
}

void ct_digest_update(ct_digest_run *d, const void *p, size_t n) {
    ct_assert(EVP_DigestUpdate((EVP_MD_CTX *)d, p, n));
}

size_t ct_digest_final(ct_digest_run *d, char *out) {
    unsigned int size = 0;

    ct_assert(EVP_DigestFinal_ex((EVP_MD_CTX *)d, (unsigned char *)out, &size));
    return size;
}

void ct_digest_free(ct_digest_run *d) {
    EVP_MD_CTX_free((EVP_MD_CTX *)d);
}

void ct_digest_sha1_hex(const char *p, size_t n, char *out) {
    char md[CT_DIGEST_SIZE];

    ct_digest(CT_HASH_SHA1, p, n, md);
    ct_digest_hex(md, SHA1_SIZE, out);
}

size_t ct_digest_hmac(ct_hash hash, const char *key, size_t key_n,
                      const char *p, size_t n, char *out) {
    EVP_MAC_CTX *ctx = swap_hmac(hash, NULL);
    size_t size = 0;

    /* NULL would mean: the key of the last time. */
    if (!key) key = "";
    ct_assert(EVP_MAC_init(ctx, (const unsigned char *)key, key_n, NULL));
    ct_assert(EVP_MAC_update(ctx, (const unsigned char *)p, n));
    ct_assert(EVP_MAC_final(ctx, (unsigned char *)out, &size, CT_DIGEST_SIZE));
    (void)swap_hmac(hash, ctx);
    return size;
}

bool ct_digest_same(const char *a, size_t an, const char *b, size_t bn) {
    return an == bn && (!an || CRYPTO_memcmp(a, b, an) == 0);
}

/* EVP's functions take an int: so in pieces, each a whole number of groups. */
enum { GROUPS = 1 << 20 };

size_t ct_digest_base64(const char *p, size_t n, char *out) {
    char *at = out;

    *at = 0;
    while (n) {
        size_t take = n < 3 * GROUPS ? n : 3 * GROUPS;

        at += EVP_EncodeBlock((unsigned char *)at, (const unsigned char *)p,
                              (int)take);
        p += take;
        n -= take;
    }
    return (size_t)(at - out);
}

static bool is_base64(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '+' || c == '/';
}

bool ct_digest_unbase64(const char *p, size_t n, char *out, size_t *out_n) {
    size_t padding = 0, size = n / 4 * 3;

    if (n % 4) return false;
    if (n && p[n - 1] == '=') padding = p[n - 2] == '=' ? 2 : 1;
    /* EVP_DecodeBlock() would skip spaces, and read any '=' as an 'A'. */
    for (size_t i = 0; i < n - padding; i++)
        if (!is_base64(p[i])) return false;
    while (n) {
        size_t take = n < 4 * GROUPS ? n : 4 * GROUPS;
        int got = EVP_DecodeBlock((unsigned char *)out,
                                  (const unsigned char *)p, (int)take);

        ct_assert(got == (int)(take / 4 * 3));
        out += got;
        p += take;
        n -= take;
    }
    *out_n = size - padding;
    return true;
}

void ct_digest_hex(const char *p, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[(unsigned char)p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
}

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool ct_digest_unhex(const char *p, size_t n, char *out) {
    if (n % 2) return false;
    for (size_t i = 0; i < n; i += 2) {
        int high = digit(p[i]), low = digit(p[i + 1]);

        if (high < 0 || low < 0) return false;
        *out++ = (char)(high << 4 | low);
    }
    return true;
}

void ct_digest_random(void *out, size_t n) {
    char *p = out;

    while (n) {
        ssize_t got = getrandom(p, n, 0);
        ct_assert(got > 0 || (got == -1 && errno == EINTR));
        if (got == -1) continue;
        p += got;
        n -= (size_t)got;
    }
}
