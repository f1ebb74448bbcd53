/* PCRE2 with JIT for routes: compiled once, matched without allocation, with
 * match limits so that no pattern stalls the loop. UTF-8 is not interpreted:
 * subjects are bytes. Lifetime: process or generation. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_REGEX_H
#define CT_REGEX_H

#include <stddef.h>
#include <stdint.h>

typedef struct ct_regex ct_regex;

/* Compiles `n` bytes of pattern, anchored at its start. On failure returns NULL
 * and writes the reason with its offset to `why` (a string of at most `size`
 * bytes with its zero). Caller frees with ct_regex_free(). */
ct_regex *ct_regex_new(const char *pattern, size_t n, char *why, size_t size);

/* The same for ct_regex_search(): not anchored. */
ct_regex *ct_regex_new_search(const char *pattern, size_t n, char *why,
                              size_t size);

/* Number of capture groups (without group 0). */
int ct_regex_groups(const ct_regex *r);

/* The name of group `i` (1 on), or NULL when it has none. Borrows. */
const char *ct_regex_name(const ct_regex *r, int i);

/* Matches the whole pattern at the start of `p`. Writes start and end offsets
 * of group 0, 1, ... to `offsets` (-1, -1 for one that did not take part), at
 * most `max` pairs. Returns the number of pairs written (groups + 1, or max),
 * 0 for no match, -1 when a limit was hit. */
int ct_regex_match(ct_regex *r, const char *p, size_t n, int32_t *offsets,
                   int max);

/* Looks for the first match in `n` bytes that may be followed by more. 1 with its
 * end, 0 for none yet, -1 when a limit was hit. The search starts at *from (0 for
 * a new one) and leaves there where one with more bytes goes on: linear, unless
 * the pattern itself makes each beginning possible (".*x"). */
int ct_regex_search(ct_regex *r, const char *p, size_t n, size_t *from,
                    size_t *end);

void ct_regex_free(ct_regex *r);

#endif
