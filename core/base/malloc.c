/* What libraries have when they call malloc(): mimalloc, as mem.h, with its reserve.
 * Defined in the program, these functions come before those of all libraries; so
 * libc, libcurl, c-ares, zlib and libgcc need no hooks of their own, and the last of
 * these, which LuaJIT tells of compiled code, looks at no result. Whatever free() of
 * another allocator is preloaded, no block gets there. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ASAN
#include "base/mem.h"

#include <errno.h>
#include <malloc.h>
#include <mimalloc.h>
#include <stdlib.h>
#include <string.h>

void *malloc(size_t size) {
    void *p = mi_malloc(size);

    return __builtin_expect(p != NULL, 1) ? p : ct_mem_urge(NULL, size);
}

void *calloc(size_t count, size_t size) {
    void *p = mi_calloc(count, size);
    size_t all;

    if (__builtin_expect(p != NULL, 1)) return p;
    if (__builtin_mul_overflow(count, size, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    p = ct_mem_urge(NULL, all);
    return p ? memset(p, 0, all) : NULL;
}

void *realloc(void *p, size_t size) {
    void *got = mi_realloc(p, size);

    return __builtin_expect(got || !size, 1) ? got : ct_mem_urge(p, size);
}

void free(void *p) {
    mi_free(p);
}

void *memalign(size_t alignment, size_t size) {
    return mi_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return mi_aligned_alloc(alignment, size);
}

int posix_memalign(void **p, size_t alignment, size_t size) {
    return mi_posix_memalign(p, alignment, size);
}

size_t malloc_usable_size(void *p) {
    return mi_malloc_usable_size(p);
}
#endif
