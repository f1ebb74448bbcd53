/* The wire's classes of bytes, and scans over them. For http/wire.c alone. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WIRE_BYTES_H
#define CT_WIRE_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Classes of bytes, and short names for the sets that occur. */
enum {
    IN_VALUE = 1,
    IN_TOKEN = 2,
    IN_TARGET = 4,
    IN_HOST = 8,
    IS_DIGIT = 16,
    IS_HEX = 32,

    V = IN_VALUE,
    N = IN_VALUE | IN_TOKEN,
    U = IN_VALUE | IN_TARGET,
    H = IN_VALUE | IN_TARGET | IN_HOST,
    K = IN_VALUE | IN_TARGET | IN_TOKEN,
    M = IN_VALUE | IN_TARGET | IN_TOKEN | IN_HOST,
    X = M | IS_HEX,
    D = X | IS_DIGIT
};

/* IN_HOST is a reg-name's byte but for '%' and, as lists are refused, ','. */
static const uint8_t classes[256] = {
    /* clang-format off */
    0, 0, 0, 0, 0, 0, 0, 0, 0, V, 0, 0, 0, 0, 0, 0, /* HTAB */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    V, M, U, N, M, K, M, M, H, H, M, M, U, M, M, U, /*  !"#$%&'()*+,-./ */
    D, D, D, D, D, D, D, D, D, D, U, H, U, H, U, U, /* 0123456789:;<=>? */
    U, X, X, X, X, X, X, M, M, M, M, M, M, M, M, M, /* @ABCDEFGHIJKLMNO */
    M, M, M, M, M, M, M, M, M, M, M, U, U, U, K, M, /* PQRSTUVWXYZ[\]^_ */
    K, X, X, X, X, X, X, M, M, M, M, M, M, M, M, M, /* `abcdefghijklmno */
    M, M, M, M, M, M, M, M, M, M, M, U, K, U, M, 0, /* pqrstuvwxyz{|}~  */
    [128 ... 255] = U
    /* clang-format on */
};

static inline bool is_in(char c, int class) {
    return (classes[(uint8_t)c] & class) != 0;
}

static inline bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* The first byte of p[at..end) that is not of `class`, or `end`. */
static inline uint32_t skip(const char *p, uint32_t at, uint32_t end,
                            int class) {
    while (at < end && is_in(p[at], class)) at++;
    return at;
}

/* The same for IN_VALUE, 16 bytes at a time. */
static inline uint32_t skip_value(const char *p, uint32_t at, uint32_t end) {
#ifdef __SSE2__
    const __m128i top = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'),
                  del = _mm_set1_epi8(0x7f);

    for (; end - at >= 16; at += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + at));
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(x, top), x);
        __m128i stop =
            _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(x, tab), low),
                         _mm_cmpeq_epi8(x, del));
        unsigned mask = (unsigned)_mm_movemask_epi8(stop);

        if (mask) return at + (uint32_t)__builtin_ctz(mask);
    }
#endif
    return skip(p, at, end, IN_VALUE);
}

#endif
