/* UTF-8 (RFC 3629) checked as it comes, in pieces of any size. Pure. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_UTF8_H
#define CT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a check is; all zero at the start of a text. */
typedef struct ct_utf8 {
    uint8_t need;      /* bytes that the sequence still lacks */
    uint8_t low, high; /* between which the next of them must be */
} ct_utf8;

/* Checks the next `n` bytes: false at the first that cannot stand there (no
 * surrogates, no overlong forms, nothing above U+10FFFF). */
bool ct_utf8_run(ct_utf8 *u, const char *p, size_t n)
    __attribute__((warn_unused_result));

/* True when no sequence is cut off. */
static inline bool ct_utf8_is_whole(const ct_utf8 *u) {
    return u->need == 0;
}

#endif
