/* A file that was looked at a second ago is opened again by its name: what the
 * name means may have changed in more ways than its own stat tells. When it is
 * the same file still, content and digest are kept. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/file.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "http/mime.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    CHECK_MS = 1000,    /* how old what is known may be */
    UNUSED_MS = 60000,  /* and how long it is kept for nobody */
    HASH_MAX = 4 << 20, /* a larger file would hold up all requests */
    HASH_PIECE = 1 << 16
};

void ct_files_init(ct_files *files) {
    memset(files, 0, sizeof *files);
    ct_list_init(&files->recent);
    files->coded_limit = CT_FILES_CODED;
}

/* -- References ------------------------------------------------------------ */

ct_file *ct_file_take(ct_file *f) {
    f->refs++;
    return f;
}

void ct_file_give(ct_files *files, ct_file *f) {
    if (--f->refs) return;
    ct_file_forget_coded(files, f);
    if (f->fd >= 0) {
        close(f->fd);
        files->open--;
    }
    ct_free(f->bytes);
    ct_free(f->name);
    ct_free(f);
}

static void forget(ct_files *files, ct_file *f) {
    ct_file **at = &files->buckets[f->hash % CT_FILE_BUCKETS];

    while (*at != f) at = &(*at)->next;
    *at = f->next;
    ct_list_remove(&f->recent);
    files->count--;
    ct_file_give(files, f);
}

void ct_files_fini(ct_files *files) {
    while (!ct_list_is_empty(&files->recent))
        forget(files, ct_list_of(files->recent.next, ct_file, recent));
}

/* Makes room, and lets go what nobody has asked for in a while. */
static void sweep(ct_files *files, uint64_t now) {
    while (!ct_list_is_empty(&files->recent)) {
        ct_file *f = ct_list_of(files->recent.next, ct_file, recent);

        if (files->count < CT_FILES_MAX && f->checked + UNUSED_MS > now) break;
        forget(files, f);
    }
}

/* -- Names ----------------------------------------------------------------- */

static uint32_t hash_of(ct_str root, ct_str path) {
    uint32_t h = 2166136261u;

    for (uint32_t i = 0; i < root.n; i++)
        h = (h ^ (unsigned char)root.p[i]) * 16777619u;
    for (uint32_t i = 0; i < path.n; i++)
        h = (h ^ (unsigned char)path.p[i]) * 16777619u;
    return h;
}

static ct_file *lookup(ct_files *files, ct_str root, ct_str path, uint32_t h) {
    ct_file *f = files->buckets[h % CT_FILE_BUCKETS];

    for (; f; f = f->next)
        if (f->hash == h && f->root == root.n && f->path == path.n &&
            !memcmp(f->name, root.p, root.n) &&
            !memcmp(f->name + root.n + 1, path.p, path.n))
            return f;
    return NULL;
}

/* No part is empty or begins with a dot; no backslash, no zero byte. */
static bool is_plain(ct_str path) {
    char before = '/';

    for (uint32_t i = 0; i < path.n; i++) {
        char c = path.p[i];

        if (!c || c == '\\') return false;
        if (before == '/' && (c == '/' || c == '.')) return false;
        before = c;
    }
    return !path.n || before != '/';
}

/* -- Content --------------------------------------------------------------- */

/* Reads exactly `n` bytes from `at` on. */
static bool read_all(int fd, char *p, size_t n, off_t at) {
    while (n) {
        ssize_t got = pread(fd, p, n, at);

        if (got == -1 && errno == EINTR) continue;
        if (got <= 0) return false;
        p += got;
        at += got;
        n -= (size_t)got;
    }
    return true;
}

bool ct_file_read(const ct_file *f, char *p, size_t n, uint64_t at) {
    if (at > f->size || n > f->size - at) return false;
    if (!f->bytes) return read_all(f->fd, p, n, (off_t)at);
    memcpy(p, f->bytes + at, n);
    return true;
}

static void put_etag(ct_file *f, ct_digest_run *d) {
    char md[CT_DIGEST_SIZE];
    size_t size = ct_digest_final(d, md);

    ct_digest_free(d);
    f->etag[0] = '"';
    ct_digest_hex(md, size, f->etag + 1);
    f->etag[CT_FILE_ETAG - 1] = '"';
}

/* The digest of the content; of very large files that of size and time. */
static bool make_etag(ct_file *f) {
    ct_digest_run *d = ct_digest_new(CT_HASH_SHA512);
    char *piece = NULL;
    bool good = true;

    if (f->bytes || !f->size) {
        ct_digest_update(d, f->bytes, f->size);
    } else if (f->size > HASH_MAX) {
        ct_digest_update(d, &f->size, sizeof f->size);
        ct_digest_update(d, &f->stat.st_mtim, sizeof f->stat.st_mtim);
    } else {
        piece = ct_alloc(HASH_PIECE);
        for (uint64_t at = 0; good && at < f->size; at += HASH_PIECE) {
            size_t n = f->size - at < HASH_PIECE ? f->size - at : HASH_PIECE;

            good = read_all(f->fd, piece, n, (off_t)at);
            if (good) ct_digest_update(d, piece, n);
        }
    }
    put_etag(f, d);
    ct_free(piece);
    return good;
}

/* Takes `fd`. False when the file changed meanwhile. */
static bool load(ct_files *files, ct_file *f, int fd) {
    f->size = (uint64_t)f->stat.st_size;
    f->fd = fd;
    files->open++;
    if (f->size <= CT_FILE_SMALL) {
        f->bytes = ct_alloc(f->size + 1);
        if (!read_all(fd, f->bytes, f->size, 0)) return false;
        close(fd);
        files->open--;
        f->fd = -1;
    }
    f->type = ct_mime_type((ct_str){ f->name, f->root + 1 + f->path });
    ct_clock_format_date(f->stat.st_mtim.tv_sec, f->date);
    return make_etag(f);
}

/* -- Looking again --------------------------------------------------------- */

static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
           a->st_size == b->st_size &&
           !memcmp(&a->st_mtim, &b->st_mtim, sizeof a->st_mtim) &&
           !memcmp(&a->st_ctim, &b->st_ctim, sizeof a->st_ctim);
}

static bool has_sibling(const ct_file *f, const char *root, const char *end) {
    struct stat st;
    char path[4096];
    int fd, why,
        n = snprintf(path, sizeof path, "%s%s", f->name + f->root + 1, end);

    if (n >= (int)sizeof path) return false;
    fd = ct_file_open(root, path, &st, &why);
    if (fd >= 0) close(fd);
    return fd >= 0 && st.st_mtim.tv_sec >= f->stat.st_mtim.tv_sec;
}

static void look_for_siblings(ct_file *f, const char *root) {
    if (!ct_mime_is_compressible(f->type)) return;
    f->has_br = has_sibling(f, root, ".br");
    f->has_gz = has_sibling(f, root, ".gz");
}

static ct_file *new_file(ct_str root, ct_str path, uint32_t hash) {
    ct_file *f = ct_new(ct_file);

    f->fd = -1;
    f->refs = 1;
    f->hash = hash;
    f->root = root.n;
    f->path = path.n;
    f->name = ct_alloc(root.n + path.n + 2);
    memcpy(f->name, root.p, root.n);
    f->name[root.n] = '/';
    memcpy(f->name + root.n + 1, path.p, path.n);
    f->name[root.n + 1 + path.n] = 0;
    ct_list_init(&f->recent);
    return f;
}

/* Opens it anew; `old` is what is known of it, or NULL. */
static int look(ct_files *files, ct_file *old, ct_file *f, uint64_t now) {
    char *root = ct_memdup(f->name, f->root);
    int why = CT_OK, fd;

    fd = ct_file_open(root, f->name + f->root + 1, &f->stat, &why);
    if (fd >= 0 && old && is_same(&old->stat, &f->stat)) {
        close(fd);
        look_for_siblings(old, root);
        old->checked = now;
    } else if (fd >= 0) {
        if (!load(files, f, fd)) why = CT_ERROR;
        if (why == CT_OK) look_for_siblings(f, root);
        f->checked = now;
    }
    ct_free(root);
    return why;
}

static void keep(ct_files *files, ct_file *f, uint64_t now) {
    ct_file **bucket = &files->buckets[f->hash % CT_FILE_BUCKETS];

    sweep(files, now);
    f->next = *bucket;
    *bucket = f;
    ct_list_add(&files->recent, &f->recent);
    files->count++;
}

int ct_files_find(ct_files *files, ct_str root, ct_str path, uint64_t now,
                  bool fresh, ct_file **out) {
    uint32_t hash = hash_of(root, path);
    ct_file *f = lookup(files, root, path, hash), *newer;
    int why;

    if (f) {
        ct_list_remove(&f->recent);
        ct_list_add(&files->recent, &f->recent);
        *out = f;
        if (!fresh && now < f->checked + CHECK_MS) return CT_OK;
    } else if (!is_plain(path) || path.n > 3072 || root.n > 1024) {
        return CT_FILE_ODD;
    }
    newer = new_file(root, path, hash);
    why = look(files, f, newer, now);
    if (f && why == CT_OK && f->checked == now && !newer->checked) {
        ct_file_give(files, newer);
        return CT_OK;
    }
    if (f) forget(files, f);
    if (why != CT_OK) {
        ct_file_give(files, newer);
        return why;
    }
    keep(files, newer, now);
    *out = newer;
    return CT_OK;
}
