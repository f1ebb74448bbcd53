/* Preloaded: holds one moment open. Who is about to send(), write() or listen() to what
 * has the text HOLD_BEFORE in it, or has just done so with HOLD_BEHIND, and can rename
 * the file "hold" of the folder HOLD to "held", waits until that is gone. What is said
 * of listen() is "listen" and the name of its unix socket. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_NEXT, memmem() */
#endif
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void hold(const char *when, const void *data, size_t n) {
    const char *text = getenv(when), *folder = getenv("HOLD");
    char from[256], to[256];
    int error = errno;

    if (!text || !folder || !memmem(data, n, text, strlen(text))) return;
    snprintf(from, sizeof from, "%s/hold", folder);
    snprintf(to, sizeof to, "%s/held", folder);
    if (rename(from, to) == 0)
        while (access(to, F_OK) == 0) usleep(1000);
    errno = error;
}

ssize_t send(int fd, const void *data, size_t n, int flags) {
    ssize_t (*real)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");
    ssize_t sent;

    hold("HOLD_BEFORE", data, n);
    sent = real(fd, data, n, flags);
    hold("HOLD_BEHIND", data, n);
    return sent;
}

ssize_t write(int fd, const void *data, size_t n) {
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    ssize_t written;

    hold("HOLD_BEFORE", data, n);
    written = real(fd, data, n);
    hold("HOLD_BEHIND", data, n);
    return written;
}

int listen(int fd, int backlog) {
    int (*real)(int, int) = dlsym(RTLD_NEXT, "listen");
    struct sockaddr_un at = { .sun_family = AF_UNSPEC };
    socklen_t size = sizeof at - 1;
    char text[sizeof at.sun_path + 8];
    int n;

    (void)getsockname(fd, (struct sockaddr *)&at, &size);
    n = snprintf(text, sizeof text, "listen %s",
                 at.sun_family == AF_UNIX ? at.sun_path : "");
    hold("HOLD_BEFORE", text, (size_t)n);
    return real(fd, backlog);
}
