/* libcrypto, with the algorithm fetched once: the implicit fetch of each call
 * takes longer than the SHA-1 of a small page. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include "base/assert.h"

#include <errno.h>
#include <openssl/evp.h>
#include <sys/random.h>

enum { SHA1_SIZE = 20 };

/* Fetched on first use and kept. */
static const EVP_MD *sha1(void) {
    static EVP_MD *md; /* process-wide: fetching takes longer than hashing */

    if (!md) md = EVP_MD_fetch(NULL, "SHA1", NULL);
    ct_assert(md);
    return md;
}

void ct_digest_sha1_hex(const char *p, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";
    unsigned char md[SHA1_SIZE];
    int done = EVP_Digest(p, n, md, NULL, sha1(), NULL);

    ct_assert(done);
    for (int i = 0; i < SHA1_SIZE; i++) {
        *out++ = digits[md[i] >> 4];
        *out++ = digits[md[i] & 15];
    }
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
