/* Memory that cannot fail: out of memory ends the process with a message, so
 * that no caller has an untested branch. Everything comes from mimalloc, which
 * libevent is given as well (io/loop.c). */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_MEM_H
#define CT_MEM_H

#include <stddef.h>

/* Zeroed memory for one object. Caller frees with ct_free(). */
#define ct_new(type) ((type *)ct_alloc0(sizeof(type)))

/* Bytes with no particular content. Caller frees with ct_free(). */
void *ct_alloc(size_t size);

/* As ct_alloc(), all bytes zero. */
void *ct_alloc0(size_t size);

/* Resizes what ct_alloc() gave; `p` may be NULL. */
void *ct_realloc(void *p, size_t size);

/* As ct_realloc(), for a caller that can go on without: NULL when there is no
 * memory, and `p` is as it was. */
void *ct_mem_try(void *p, size_t size);

/* Gives memory that this thread has freed back to the system, which mimalloc does
 * only as it allocates: behind a peak, an idle process would keep all of it. Takes
 * microseconds when there is none, 0.1 ms for each MiB. */
void ct_mem_trim(void);

/* A copy of `n` bytes with a zero byte behind. Caller frees with ct_free(). */
char *ct_memdup(const char *p, size_t n);

/* Frees; NULL is fine. */
void ct_free(void *p);

#endif
