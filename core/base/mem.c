/* mimalloc, or plain malloc in the ASan build so that the sanitizer sees every
 * block. Nobody up the stack has a branch for a malloc that fails: instead a
 * reserve is given back, which carries the callers to the end of the turn, where
 * the worker can do something about it (server/shortage.c).
 *
 * The reserve is of two kinds. Blocks, each a span of pages of its own, so that
 * mimalloc can use a freed one for objects of any size (64 blocks of 64 KiB gave
 * nothing until the eighth was freed: a page of mimalloc's has eight). But it can
 * only in the thread that they are of. Then a region that is no heap's, of the
 * size that mimalloc takes from the kernel at a time: it serves all threads, and
 * a heap so fragmented that the blocks could not be had again. Neither costs
 * more than address space, but for a page a block. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include "base/assert.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef CT_ASAN
#include <mimalloc.h>
#define malloc  mi_malloc
#define calloc  mi_calloc
#define realloc mi_realloc
#define free    mi_free
#endif

enum {
    BLOCKS = 8,
    BLOCK_SIZE = 512 << 10,
    REGION_SIZE = 32 << 20,
    SMALL = 64 << 10, /* of which nobody can do without */
    PAUSE_MS = 10,
    PAUSES = 200 /* that a thread makes at most */
};

typedef struct reserve {
    void *blocks[BLOCKS];
    unsigned count;
    _Atomic(void *) region; /* NULL: given back */
    atomic_bool is_owned, is_short;
    atomic_uint failures;
} reserve;

/* process-wide: malloc() has no argument for it */
static reserve held;
/* process-wide: only in this thread can mimalloc use the blocks at once */
static _Thread_local bool is_owner;

static bool give_block_back(void) {
    if (!is_owner || !held.count) return false;
    free(held.blocks[--held.count]);
    return true;
}

static bool give_region_back(void) {
    void *region = atomic_exchange(&held.region, NULL);

    return region && munmap(region, REGION_SIZE) == 0;
}

/* Threads beside the loop's may wait until it has done something about it. */
static bool pause_thread(unsigned *pauses) {
    static const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

    if (is_owner || *pauses == PAUSES) return false;
    (*pauses)++;
    (void)nanosleep(&pause, NULL);
    return true;
}

/* Only what can be of use: blocks may have lain side by side. */
static bool give_back(size_t size, unsigned *pauses) {
    if (size > REGION_SIZE) return false;
    if (size <= BLOCK_SIZE && give_block_back()) return true;
    if (give_region_back()) return true;
    if (size <= BLOCKS * BLOCK_SIZE && give_block_back()) return true;
    return pause_thread(pauses);
}

/* NULL: there is really none. */
static void *rescue(void *p, size_t size, bool zeroed) {
    unsigned pauses = 0;
    void *got = NULL;

    atomic_fetch_add(&held.failures, 1);
    atomic_store(&held.is_short, true);
    while (!got && give_back(size, &pauses))
        got = zeroed ? calloc(1, size) : realloc(p, size);
    return got;
}

static void end(size_t size) {
    char text[96];
    int n = snprintf(text, sizeof text,
                     "ctornado: out of memory (%zu bytes asked for)\n", size);

    (void)!write(STDERR_FILENO, text, (size_t)n);
    _exit(1);
}

static void *must(void *p, size_t size, bool zeroed) {
    void *got = size ? rescue(p, size, zeroed) : NULL;

    if (!got && size) end(size);
    return got;
}

void *ct_alloc(size_t size) {
    void *p = malloc(size);

    return __builtin_expect(p != NULL, 1) ? p : must(NULL, size, false);
}

void *ct_alloc0(size_t size) {
    void *p = calloc(1, size);

    return __builtin_expect(p != NULL, 1) ? p : must(NULL, size, true);
}

void *ct_realloc(void *p, size_t size) {
    void *got = realloc(p, size);

    return __builtin_expect(got != NULL, 1) ? got : must(p, size, false);
}

void *ct_mem_try(void *p, size_t size) {
    return p ? realloc(p, size) : malloc(size);
}

void *ct_mem_urge(void *p, size_t size) {
    return size > SMALL ? rescue(p, size, false) : ct_realloc(p, size);
}

static bool own(void) {
    if (!is_owner && !atomic_exchange(&held.is_owned, true)) is_owner = true;
    return is_owner;
}

/* Of a thread that is not the owner. */
static bool is_there_any(void) {
    void *block = malloc(BLOCK_SIZE);

    free(block);
    return block != NULL;
}

/* Two are better than one: where the blocks cannot be had, they can in place of
 * the region. */
bool ct_mem_refill(void) {
    void *region;

    if (!own()) return is_there_any();
    while (held.count < BLOCKS) {
        void *block = malloc(BLOCK_SIZE);

        if (block)
            held.blocks[held.count++] = block;
        else if (!give_region_back())
            return false;
    }
    atomic_store(&held.is_short, false);
    if (atomic_load(&held.region)) return true;
    region = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region != MAP_FAILED) atomic_store(&held.region, region);
    return true;
}

bool ct_mem_is_short(void) {
    return atomic_load_explicit(&held.is_short, memory_order_relaxed);
}

unsigned ct_mem_failures(void) {
    return atomic_load(&held.failures);
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

char *ct_mem_print(const char *format, ...) {
    va_list list, copy;
    char *text;
    int n;

    va_start(list, format);
    va_copy(copy, list);
    n = vsnprintf(NULL, 0, format, copy);
    va_end(copy);
    ct_assert(n >= 0);
    text = ct_alloc((size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, format, list);
    va_end(list);
    return text;
}

void ct_free(void *p) {
    free(p);
}
