/* A sequence is judged by its first byte, which says how many follow and what
 * the second may be; ASCII is skipped by words. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <string.h>

static uint64_t word_at(const unsigned char *p) {
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

static bool is_ascii(uint64_t word) {
    return !(word & 0x8080808080808080u);
}

/* Length of the ASCII bytes at the start: all, or some in whole words. */
static size_t ascii_words(const unsigned char *p, size_t n) {
    size_t i = 0;

    while (i + 32 <= n && is_ascii(word_at(p + i) | word_at(p + i + 8) |
                                   word_at(p + i + 16) | word_at(p + i + 24)))
        i += 32;
    while (i + 8 <= n && is_ascii(word_at(p + i))) i += 8;
    if (n >= 8 && i + 8 > n && is_ascii(word_at(p + n - 8))) return n;
    return i;
}

/* The first byte of a sequence (RFC 3629 §4): false when it is none. */
static bool begin(ct_utf8 *u, unsigned char c) {
    u->low = 0x80;
    u->high = 0xbf;
    if (c >= 0xc2 && c <= 0xdf)
        u->need = 1;
    else if ((c & 0xf0) == 0xe0)
        u->need = 2;
    else if (c >= 0xf0 && c <= 0xf4)
        u->need = 3;
    else
        return c < 0x80;
    if (c == 0xe0) u->low = 0xa0;  /* overlong */
    if (c == 0xed) u->high = 0x9f; /* surrogates */
    if (c == 0xf0) u->low = 0x90;  /* overlong */
    if (c == 0xf4) u->high = 0x8f; /* above U+10FFFF */
    return true;
}

bool ct_utf8_run(ct_utf8 *u, const char *p, size_t n) {
    const unsigned char *s = (const unsigned char *)p;

    for (size_t i = 0; i < n; i++) {
        if (u->need) {
            if (s[i] < u->low || s[i] > u->high) return false;
            u->low = 0x80;
            u->high = 0xbf;
            u->need--;
            continue;
        }
        if (s[i] < 0x80) {
            i += ascii_words(s + i, n - i);
            if (i == n) break;
        }
        if (!begin(u, s[i])) return false;
    }
    return true;
}
