/* Preloaded: makes calls fail while the file that FAULT_FILE names is there. Its
 * text says which: "accept N": accept4() with errno N; "memory N": the Nth
 * allocation from then on. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The number behind `word`, or 0. */
static int wanted(const char *word) {
    const char *path = getenv("FAULT_FILE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char text[16] = "";
    int n = 0;

    if (!file) return 0;
    if (fscanf(file, "%15s %d", text, &n) != 2 || strcmp(text, word) != 0)
        n = 0;
    fclose(file);
    return n;
}

int accept4(int fd, struct sockaddr *at, socklen_t *size, int flags) {
    int (*real)(int, struct sockaddr *, socklen_t *, int) =
        dlsym(RTLD_NEXT, "accept4");
    int error = wanted("accept");

    if (!error) return real(fd, at, size, flags);
    errno = error;
    return -1;
}

/* From the first accept on that sees the file, so that a start is not disturbed. */
static int fails(void) {
    static int left = -1, looks;

    if (left < 0 && looks++ % 16 == 0 && (left = wanted("memory")) == 0)
        left = -1;
    return left > 0 && --left == 0 && wanted("memory");
}

void *mi_malloc(size_t n) {
    void *(*real)(size_t) = dlsym(RTLD_NEXT, "mi_malloc");

    return fails() ? NULL : real(n);
}

void *mi_calloc(size_t k, size_t n) {
    void *(*real)(size_t, size_t) = dlsym(RTLD_NEXT, "mi_calloc");

    return fails() ? NULL : real(k, n);
}

void *mi_realloc(void *p, size_t n) {
    void *(*real)(void *, size_t) = dlsym(RTLD_NEXT, "mi_realloc");

    return fails() ? NULL : real(p, n);
}
