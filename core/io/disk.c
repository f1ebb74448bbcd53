/* Each operation returns an errno, or 0. A read is bounded by its caller, and
 * takes regular files alone: others (devices, pipes) have no end. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/disk.h"

#include "base/buf.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct work {
    const char *path;
    const ct_disk_args *args;
    ct_job_result *out;
    char *text; /* what out->text will be */
    size_t n;
} work;

static bool has(const work *w, uint32_t flag) {
    return w->args->flags & flag;
}

static uint32_t kind_of(mode_t mode) {
    if (S_ISDIR(mode)) return 1;
    if (S_ISREG(mode)) return 2;
    return S_ISLNK(mode) ? 4 : 3;
}

static void describe(const struct stat *st, ct_job_result *out) {
    out->size = (double)st->st_size;
    out->modified =
        (double)st->st_mtim.tv_sec + (double)st->st_mtim.tv_nsec * 1e-9;
    out->inode = (double)st->st_ino;
    out->mode = st->st_mode & 07777;
    out->kind = kind_of(st->st_mode);
}

static int do_stat(work *w) {
    struct stat st;
    int flags = has(w, CT_DISK_LINK) ? AT_SYMLINK_NOFOLLOW : 0;

    if (fstatat(AT_FDCWD, w->path, &st, flags) != 0) return errno;
    describe(&st, w->out);
    return 0;
}

/* -- Reading ----------------------------------------------------------------- */

static int read_range(work *w, int fd, size_t size) {
    off_t from = (off_t)w->args->from;

    w->text = ct_alloc(size + 1);
    while (w->n < size) {
        ssize_t got =
            pread(fd, w->text + w->n, size - w->n, from + (off_t)w->n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) break; /* it has become shorter */
        w->n += (size_t)got;
    }
    return 0;
}

static int read_open(work *w, int fd) {
    double left, limit = w->args->limit;
    struct stat st;

    if (fstat(fd, &st) != 0) return errno;
    if (S_ISDIR(st.st_mode)) return EISDIR;
    if (!S_ISREG(st.st_mode)) return EINVAL;
    describe(&st, w->out);
    left = (double)st.st_size - w->args->from;
    if (left > limit && has(w, CT_DISK_WHOLE)) return EFBIG;
    if (left <= 0) left = 0;
    return read_range(w, fd, (size_t)(left < limit ? left : limit));
}

/* Not blocking: opening a pipe would wait for somebody who writes. */
static int do_read(work *w) {
    int fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error;

    if (fd < 0) return errno;
    error = read_open(w, fd);
    close(fd);
    return error;
}

static int do_list(work *w) {
    ct_buf names = { 0 };
    const struct dirent *entry;
    DIR *dir = opendir(w->path);
    int error = 0;

    if (!dir) return errno;
    while (!error && (errno = 0, entry = readdir(dir))) {
        size_t n = strlen(entry->d_name) + 1;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        ct_buf_add(&names, entry->d_name, n);
        if ((double)names.len > w->args->limit) error = EFBIG;
    }
    if (!error && errno) error = errno;
    closedir(dir);
    if (names.len) w->text = ct_memdup(ct_buf_bytes(&names), names.len);
    w->n = names.len;
    ct_buf_fini(&names);
    return error;
}

/* -- Writing ----------------------------------------------------------------- */

static int write_all(const work *w, int fd) {
    ct_str left = w->args->data;

    while (left.n) {
        ssize_t put = write(fd, left.p, left.n);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        left.p += put;
        left.n -= (uint32_t)put;
    }
    if (has(w, CT_DISK_SYNC) && fsync(fd) != 0) return errno;
    return 0;
}

static int write_close(const work *w, int fd) {
    int error = write_all(w, fd);

    if (close(fd) != 0 && !error) error = errno;
    return error;
}

/* The folder's entry, which the rename has changed. */
static int sync_folder(const char *path) {
    char *folder = ct_memdup(path, strlen(path)), *slash = strrchr(folder, '/');
    int fd, error = 0;

    if (slash) slash[slash == folder] = 0;
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) error = errno;
    if (fd >= 0) close(fd);
    ct_free(folder);
    return error;
}

/* The mode of the file that is replaced, or else what a new one would get. */
static mode_t mode_for(const work *w) {
    struct stat st;

    if (w->args->mode) return w->args->mode;
    if (stat(w->path, &st) == 0) return st.st_mode & 0777;
    return 0644;
}

static int replace_by(const work *w, int fd, const char *temporary) {
    int error = fchmod(fd, mode_for(w)) == 0 ? 0 : errno;

    if (error) {
        close(fd);
        return error;
    }
    error = write_close(w, fd);
    if (!error && rename(temporary, w->path) != 0) error = errno;
    if (!error && has(w, CT_DISK_SYNC)) error = sync_folder(w->path);
    return error;
}

/* Who reads finds the old file or the new one, never a part. */
static int write_atomic(const work *w) {
    size_t size = strlen(w->path) + 16;
    char *temporary = ct_alloc(size);
    int fd, error;

    snprintf(temporary, size, "%s.XXXXXX", w->path);
    fd = mkostemp(temporary, O_CLOEXEC);
    error = fd < 0 ? errno : replace_by(w, fd, temporary);
    if (fd >= 0 && error) unlink(temporary);
    ct_free(temporary);
    return error;
}

static int do_write(const work *w) {
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK;
    mode_t mode = w->args->mode ? w->args->mode : 0666;
    int fd;

    if (has(w, CT_DISK_ATOMIC)) return write_atomic(w);
    flags |= has(w, CT_DISK_APPEND) ? O_APPEND : O_TRUNC;
    if (has(w, CT_DISK_EXCLUSIVE)) flags |= O_EXCL;
    fd = open(w->path, flags, mode);
    return fd < 0 ? errno : write_close(w, fd);
}

/* -- Folders ----------------------------------------------------------------- */

static int do_remove(const work *w) {
    if (unlink(w->path) == 0) return 0;
    if (errno != EISDIR && errno != EPERM) return errno;
    return rmdir(w->path) == 0 ? 0 : errno;
}

static int make_folder(const char *path, mode_t mode, bool may_be_there) {
    struct stat st;

    if (mkdir(path, mode) == 0) return 0;
    if (errno != EEXIST || !may_be_there) return errno;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : EEXIST;
}

static int do_mkdir(const work *w) {
    mode_t mode = w->args->mode ? w->args->mode : 0777;
    char *path = ct_memdup(w->path, strlen(w->path));
    int error = 0;

    for (char *p = path + 1; has(w, CT_DISK_PARENTS) && *path && *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        error = make_folder(path, 0777, true);
        *p = '/';
        if (error) break;
    }
    ct_free(path);
    if (error) return error;
    return make_folder(w->path, mode, has(w, CT_DISK_PARENTS));
}

static int do_rename(const work *w) {
    return rename(w->path, w->args->data.p) == 0 ? 0 : errno;
}

static int run(work *w) {
    switch ((ct_disk_op)w->args->op) {
    case CT_DISK_READ: return do_read(w);
    case CT_DISK_WRITE: return do_write(w);
    case CT_DISK_STAT: return do_stat(w);
    case CT_DISK_LIST: return do_list(w);
    case CT_DISK_REMOVE: return do_remove(w);
    case CT_DISK_MKDIR: return do_mkdir(w);
    case CT_DISK_RENAME: return do_rename(w);
    }
    return EINVAL;
}

char *ct_disk_run(const char *path, const ct_disk_args *args,
                  ct_job_result *out) {
    work w = { path, args, out, NULL, 0 };
    char reason[128];

    out->error = run(&w);
    if (out->error) {
        const char *text = strerror_r(out->error, reason, sizeof reason);
        ct_free(w.text);
        w.n = strlen(text);
        w.text = ct_memdup(text, w.n);
    }
    out->text = (ct_str){ w.text, (uint32_t)w.n };
    return w.text;
}
