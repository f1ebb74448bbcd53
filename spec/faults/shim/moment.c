/* Preloaded: holds one moment open. Who is about to write(), send() or listen() to what
 * has the text HOLD_BEFORE in it, or has just done so with HOLD_BEHIND, makes the file
 * "held" of the folder HOLD and waits, as long as there is a file "hold", or one "hold"
 * with its pid. What is said of listen() is "listen" and the name of its unix socket. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_NEXT, memmem() */
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool is_wanted(const char *folder) {
    char path[256];

    snprintf(path, sizeof path, "%s/hold", folder);
    if (access(path, F_OK) == 0) return true;
    snprintf(path, sizeof path, "%s/hold%d", folder, (int)getpid());
    return access(path, F_OK) == 0;
}

static void hold(const char *when, const void *data, size_t n) {
    const char *text = getenv(when), *folder = getenv("HOLD");
    char held[256];
    int error = errno, fd;

    if (!text || !folder || !memmem(data, n, text, strlen(text))) return;
    if (is_wanted(folder)) {
        snprintf(held, sizeof held, "%s/held", folder);
        fd = open(held, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd != -1) close(fd);
        while (is_wanted(folder)) usleep(1000);
    }
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

ssize_t sendto(int fd, const void *data, size_t n, int flags,
               const struct sockaddr *to, socklen_t size) {
    ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *,
                    socklen_t) = dlsym(RTLD_NEXT, "sendto");
    ssize_t sent;

    hold("HOLD_BEFORE", data, n);
    sent = real(fd, data, n, flags, to, size);
    hold("HOLD_BEHIND", data, n);
    return sent;
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags) {
    ssize_t (*real)(int, const struct msghdr *, int) =
        dlsym(RTLD_NEXT, "sendmsg");
    const struct iovec none = { 0 },
                       *first = m->msg_iovlen ? m->msg_iov : &none;
    ssize_t sent;

    hold("HOLD_BEFORE", first->iov_base, first->iov_len);
    sent = real(fd, m, flags);
    hold("HOLD_BEHIND", first->iov_base, first->iov_len);
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
