/* Preloaded: makes calls fail as the file that FAULT_FILE names says, which its
 * processes and the test have mapped. accept4() fails with `accept`, if that is not
 * 0. When `armed`, `skip` allocations succeed, by whatever function and library, and
 * the `fail` that follow do not; `failed` counts those. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_NEXT */
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct order {
    _Atomic long armed, skip, fail, failed, accept;
} order;

static order *orders;

__attribute__((constructor)) static void open_orders(void) {
    const char *path = getenv("FAULT_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map = fd == -1 ? MAP_FAILED
                         : mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE,
                                MAP_SHARED, fd, 0);

    if (fd != -1) close(fd);
    if (map != MAP_FAILED) orders = map;
}

int accept4(int fd, struct sockaddr *at, socklen_t *size, int flags) {
    int (*real)(int, struct sockaddr *, socklen_t *, int) =
        dlsym(RTLD_NEXT, "accept4");
    long error = orders ? orders->accept : 0;

    if (!error) return real(fd, at, size, flags);
    errno = (int)error;
    return -1;
}

static int fails(void) {
    if (!orders || !atomic_load(&orders->armed)) return 0;
    if (atomic_fetch_sub(&orders->skip, 1) > 0) return 0;
    if (atomic_fetch_sub(&orders->fail, 1) <= 0) return 0;
    atomic_fetch_add(&orders->failed, 1);
    errno = ENOMEM;
    return 1;
}

/* Defines NAME as a function that fails, or else calls the one behind it. */
#define ALLOCATOR(name, parameters, ...)                                       \
    void *name parameters {                                                    \
        static void *(*real)parameters;                                        \
                                                                               \
        if (fails()) return NULL;                                              \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);                  \
        return real(__VA_ARGS__);                                              \
    }

ALLOCATOR(mi_malloc, (size_t n), n)
ALLOCATOR(mi_calloc, (size_t k, size_t n), k, n)
ALLOCATOR(mi_realloc, (void *p, size_t n), p, n)
ALLOCATOR(malloc, (size_t n), n)
ALLOCATOR(calloc, (size_t k, size_t n), k, n)
ALLOCATOR(realloc, (void *p, size_t n), p, n)
