/* mimalloc, or plain malloc in the ASan build so that the sanitizer sees every
 * block. Aborting on OOM keeps the callers free of branches that no test ever
 * takes: a server that cannot get a few bytes is better restarted. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef CT_ASAN
#include <mimalloc.h>
#define malloc  mi_malloc
#define calloc  mi_calloc
#define realloc mi_realloc
#define free    mi_free
#endif

static void *checked(void *p, size_t size) {
    if (__builtin_expect(!p && size, 0)) {
        fprintf(stderr, "ctornado: out of memory (%zu bytes asked for)\n",
                size);
        abort();
    }
    return p;
}

void *ct_alloc(size_t size) {
    return checked(malloc(size), size);
}

void *ct_alloc0(size_t size) {
    return checked(calloc(1, size), size);
}

void *ct_realloc(void *p, size_t size) {
    return checked(realloc(p, size), size);
}

void *ct_mem_try(void *p, size_t size) {
    return p ? realloc(p, size) : malloc(size);
}

void ct_mem_trim(void) {
#ifndef CT_ASAN
    mi_collect(false);
#endif
}

char *ct_memdup(const char *p, size_t n) {
    char *copy = ct_alloc(n + 1);

    if (n) memcpy(copy, p, n);
    copy[n] = 0;
    return copy;
}

void ct_free(void *p) {
    free(p);
}
