/* pcre2_match() takes the JIT code by itself. Patterns come from the site, but
 * subjects from anybody: the limits bound what a bad pattern costs. `$` means
 * the end only (not before a last newline), as a route needs it. */
/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/regex.h"

#include "abi.h"
#include "base/assert.h"
#include "base/mem.h"

#include <pcre2.h>
#include <stdio.h>

enum {
    MATCH_LIMIT = 200000, /* steps; some milliseconds */
    HEAP_LIMIT = 4096,    /* KiB, without JIT */
    OPTIONS = PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF
};

struct ct_regex {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
    uint32_t groups;
};

static ct_regex *compile(ct_str pattern, uint32_t options, uint32_t jit,
                         char *why, size_t size) {
    int error;
    PCRE2_SIZE at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n,
                                     OPTIONS | options, &error, &at, NULL);

    if (!code) {
        PCRE2_UCHAR text[120];
        pcre2_get_error_message(error, text, sizeof text);
        snprintf(why, size, "%s at offset %zu", (char *)text, at);
        return NULL;
    }
    /* Without JIT (no executable memory) it is slower, and still right. */
    (void)pcre2_jit_compile(code, jit);
    ct_regex *r = ct_new(ct_regex);
    r->code = code;
    r->data = pcre2_match_data_create_from_pattern(code, NULL);
    r->limits = pcre2_match_context_create(NULL);
    ct_assert(r->data && r->limits);
    pcre2_set_match_limit(r->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(r->limits, HEAP_LIMIT);
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &r->groups);
    return r;
}

ct_regex *ct_regex_new(const char *pattern, size_t n, char *why, size_t size) {
    return compile((ct_str){ pattern, (uint32_t)n }, PCRE2_ANCHORED,
                   PCRE2_JIT_COMPLETE, why, size);
}

ct_regex *ct_regex_new_search(const char *pattern, size_t n, char *why,
                              size_t size) {
    return compile((ct_str){ pattern, (uint32_t)n }, 0,
                   PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_SOFT, why, size);
}

int ct_regex_groups(const ct_regex *r) {
    return (int)r->groups;
}

/* An entry of PCRE2's name table: the group as two bytes, then the name. */
const char *ct_regex_name(const ct_regex *r, int i) {
    uint32_t count, size;
    PCRE2_SPTR entry;

    pcre2_pattern_info(r->code, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info(r->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(r->code, PCRE2_INFO_NAMETABLE, &entry);
    for (; count; count--, entry += size)
        if ((entry[0] << 8 | entry[1]) == i) return (const char *)entry + 2;
    return NULL;
}

/* The JIT's stack is small; the interpreter has HEAP_LIMIT. */
static int run(ct_regex *r, const char *p, size_t n) {
    PCRE2_SPTR subject = (PCRE2_SPTR)p;
    int rc = pcre2_match(r->code, subject, n, 0, 0, r->data, r->limits);

    if (rc != PCRE2_ERROR_JIT_STACKLIMIT) return rc;
    return pcre2_match(r->code, subject, n, 0, PCRE2_NO_JIT, r->data,
                       r->limits);
}

int ct_regex_match(ct_regex *r, const char *p, size_t n, int32_t *offsets,
                   int max) {
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(r->data);
    int pairs = (int)r->groups + 1;
    int rc;

    if (n > INT32_MAX) return -1;
    rc = run(r, p, n);
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    if (rc < 0) return -1;
    if (pairs > max) pairs = max;
    for (int i = 0; i < 2 * pairs; i++)
        offsets[i] = found[i] == PCRE2_UNSET ? -1 : (int32_t)found[i];
    return pairs;
}

/* A partial match is where one may begin that needs more bytes; without any, none
 * begins before the end. Lookbehinds see the whole subject. */
int ct_regex_search(ct_regex *r, const char *p, size_t n, size_t *from,
                    size_t *end) {
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(r->data);
    PCRE2_SPTR subject = (PCRE2_SPTR)p;
    uint32_t options = PCRE2_PARTIAL_SOFT;
    int rc =
        pcre2_match(r->code, subject, n, *from, options, r->data, r->limits);

    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(r->code, subject, n, *from, options | PCRE2_NO_JIT,
                         r->data, r->limits);
    if (rc >= 0) {
        *end = found[1];
        return 1;
    }
    if (rc == PCRE2_ERROR_PARTIAL) {
        *from = found[0];
        return 0;
    }
    *from = n;
    return rc == PCRE2_ERROR_NOMATCH ? 0 : -1;
}

void ct_regex_free(ct_regex *r) {
    if (!r) return;
    pcre2_match_context_free(r->limits);
    pcre2_match_data_free(r->data);
    pcre2_code_free(r->code);
    ct_free(r);
}
