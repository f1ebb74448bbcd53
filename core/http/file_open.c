/* openat2(2) keeps the kernel itself from leaving the folder. Where it is
 * missing (before Linux 5.6, or forbidden in a container) the real path is
 * compared, which has a race that only the folder's owner can win. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "http/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* O_NONBLOCK: a pipe without a writer must not hold up everything. */
enum { FLAGS = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY };

static int open_beneath(const char *root, const char *path) {
    struct open_how how = { .flags = FLAGS,
                            .resolve =
                                RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
    int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, error;
    int tries = 3; /* a rename on the way is AGAIN */

    if (folder < 0) return -1;
    do fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
    while (fd < 0 && errno == EAGAIN && --tries);
    error = errno;
    close(folder);
    errno = error;
    return fd;
}

static int open_compared(const char *root, const char *path) {
    char *top = realpath(root, NULL), *real = NULL, *full;
    size_t n = strlen(root) + strlen(path) + 2, top_size;
    int fd = -1, error;

    if (!top) return -1;
    full = ct_alloc(n);
    memcpy(full, root, strlen(root));
    full[strlen(root)] = '/';
    memcpy(full + strlen(root) + 1, path, strlen(path) + 1);
    real = realpath(full, NULL);
    top_size = strcmp(top, "/") == 0 ? 0 : strlen(top);
    if (real && (strncmp(real, top, top_size) != 0 ||
                 (real[top_size] != '/' && real[top_size]))) {
        errno = EXDEV;
    } else if (real) {
        fd = open(real, FLAGS | O_NOFOLLOW);
    }
    error = errno;
    ct_free(full);
    free(top);
    free(real);
    errno = error;
    return fd;
}

static int reason(int error) {
    switch (error) {
    case EXDEV:
    case ELOOP:
    case EACCES:
    case EPERM:
    case ENXIO: return CT_FILE_DENIED; /* ENXIO: a socket */
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG: return CT_FILE_NONE;
    default: return CT_ERROR;
    }
}

/* Judges what open() gave. */
static int checked(int fd, struct stat *st, int *why) {
    if (fd < 0) {
        *why = reason(errno);
        return -1;
    }
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode)) return fd;
    *why = S_ISDIR(st->st_mode) ? CT_FILE_FOLDER : CT_FILE_DENIED;
    close(fd);
    return -1;
}

int ct_file_open_compared(const char *root, const char *path, struct stat *st,
                          int *why) {
    return checked(open_compared(root, path), st, why);
}

int ct_file_open(const char *root, const char *path, struct stat *st,
                 int *why) {
    static bool missing; /* process-wide: whether the kernel has no openat2 */
    int fd;

    if (missing) return ct_file_open_compared(root, path, st, why);
    fd = open_beneath(root, *path ? path : ".");
    missing = fd < 0 && (errno == ENOSYS || errno == EPERM);
    if (missing) return ct_file_open_compared(root, path, st, why);
    return checked(fd, st, why);
}
