/* Written aside and moved into place, so that who reads it finds a whole one. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Created anew: a link that somebody has put there is not followed. */
static int write_new(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    int error = 0;

    if (fd == -1) return errno;
    if (dprintf(fd, "%d\n", getpid()) < 0) error = errno;
    if (close(fd) == -1) error = errno;
    return error;
}

void ct_pidfile_write(const char *path, ct_log *log) {
    char aside[PATH_MAX];
    int n, error;

    if (!path || !*path) return;
    n = snprintf(aside, sizeof aside, "%s.%d", path, getpid());
    error = n < PATH_MAX ? write_new(aside) : ENAMETOOLONG;
    if (!error && rename(aside, path) == -1) error = errno;
    if (!error) return;
    if (error != EEXIST) (void)unlink(aside);
    errno = error;
    ct_log_line(log, CT_LEVEL_ERROR, "pid_file", "%s: %m", path);
}

void ct_pidfile_remove(const char *path) {
    char text[16] = "";
    ssize_t n;
    int fd;

    if (!path || !*path) return;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd == -1) return;
    n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n > 0 && strtol(text, NULL, 10) == getpid()) (void)unlink(path);
}

void ct_pidfile_move(const char *before, const char *now, ct_log *log) {
    if (strcmp(before, now) == 0) return;
    ct_pidfile_remove(before);
    ct_pidfile_write(now, log);
}
