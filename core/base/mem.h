/* Memory that does not fail: when malloc does, a reserve is given back, and what
 * was asked for comes from there. Only without any the process ends, with a
 * message and exit code 1; so no caller has a branch that no test takes.
 * Everything comes from mimalloc, for libraries through malloc.c. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_MEM_H
#define CT_MEM_H

#include <stdbool.h>
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

/* For the same caller when that was NULL, and it is bad for him: what the reserve can
 * give. NULL: it cannot, and `p` is as it was; but what is small (64 KiB) is as from
 * ct_realloc(). */
void *ct_mem_urge(void *p, size_t size);

/* Makes the reserve, or fills it up; the thread of the first call owns it, and alone
 * has the whole of it: to others this says whether there would be memory. False: there
 * is none. */
bool ct_mem_refill(void);

/* Whether malloc has failed since the reserve was full. Any thread. */
bool ct_mem_is_short(void);

/* How often malloc has failed. Any thread. */
unsigned ct_mem_failures(void);

/* Gives memory that this thread has freed back to the system, which mimalloc does
 * only as it allocates: behind a peak, an idle process would keep all of it. Takes
 * microseconds when there is none, 0.1 ms for each MiB. */
void ct_mem_trim(void);

/* A copy of `n` bytes with a zero byte behind. Caller frees with ct_free(). */
char *ct_memdup(const char *p, size_t n);

/* What printf() would print. Caller frees with ct_free(). */
char *ct_mem_print(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Frees; NULL is fine. */
void ct_free(void *p);

#endif
