/* Preloaded: holds a process behind each write(), sendto() or sendmsg() that has the
 * text HOLD_AFTER in it, so that a test finds what is so at that moment, and what comes
 * later. It goes on when somebody opens the pipe HOLD_AT for writing, and holds no
 * more when that is gone. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_NEXT */
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void hold(const void *p, size_t n) {
    const char *text = getenv("HOLD_AFTER"), *at = getenv("HOLD_AT");
    int error = errno, fd;

    if (!text || !at || !memmem(p, n, text, strlen(text))) return;
    do fd = open(at, O_RDONLY | O_CLOEXEC);
    while (fd == -1 && errno == EINTR);
    if (fd != -1) close(fd);
    errno = error;
}

ssize_t write(int fd, const void *p, size_t n) {
    static ssize_t (*real)(int, const void *, size_t);
    ssize_t done;

    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "write");
    done = real(fd, p, n);
    hold(p, n);
    return done;
}

ssize_t sendto(int fd, const void *p, size_t n, int flags,
               const struct sockaddr *to, socklen_t size) {
    static ssize_t (*real)(int, const void *, size_t, int,
                           const struct sockaddr *, socklen_t);
    ssize_t done;

    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "sendto");
    done = real(fd, p, n, flags, to, size);
    hold(p, n);
    return done;
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags) {
    static ssize_t (*real)(int, const struct msghdr *, int);
    ssize_t done;

    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "sendmsg");
    done = real(fd, m, flags);
    if (m->msg_iovlen) hold(m->msg_iov->iov_base, m->msg_iov->iov_len);
    return done;
}
