/* Regular files below a folder, and a cache of them: opened once, looked at
 * again at most once a second. Small ones are kept in memory, of large ones the
 * descriptor. No link leads out of the folder, nothing blocks, no folder, device
 * or pipe is given out. Lifetime: the cache is the server's; a file lives while
 * the cache or a reply has it. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_FILE_H
#define CT_FILE_H

#include "abi.h"
#include "base/list.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

enum {
    CT_FILE_SMALL = 32768,      /* up to here content is kept in memory */
    CT_FILES_MAX = 512,         /* files kept */
    CT_FILE_BUCKETS = 1024,     /* of the hash */
    CT_FILE_CODE_MIN = 1024,    /* smaller files are not worth a coding */
    CT_FILE_CODE_MAX = 1 << 20, /* larger ones would hold up all requests */
    CT_FILES_CODED = 8 << 20,   /* bytes of coded forms kept, by default */
    CT_FILE_ETAG = 130          /* the version in quotes */
};

typedef struct ct_file {
    ct_list recent;       /* in files->recent, the most recently used last */
    struct ct_file *next; /* in its bucket */
    uint32_t refs, hash;
    uint32_t root, path; /* bytes of `name`: root, '/', path */
    char *name;
    int fd;      /* -1: the content is in `bytes` */
    char *bytes; /* or NULL */
    uint64_t size;
    struct stat stat;
    uint64_t checked;            /* monotonic ms */
    const char *type;            /* content type: a constant */
    bool has_br, has_gz;         /* siblings, compressed and not older */
    struct ct_file *coded[2];    /* gzip, brotli: made and kept, or NULL */
    bool uncoded[2];             /* that form would be no smaller */
    char etag[CT_FILE_ETAG + 1]; /* "sha512 hex" */
    char date[32];               /* of the last change */
} ct_file;

typedef struct ct_files {
    ct_file *buckets[CT_FILE_BUCKETS];
    ct_list recent;
    uint32_t count;
    uint32_t open;      /* descriptors */
    size_t coded;       /* bytes of coded forms kept */
    size_t coded_limit; /* and how many may be */
} ct_files;

void ct_files_init(ct_files *files);
void ct_files_fini(ct_files *files);

/* Finds the file `path` below the folder `root`: CT_OK, or a CT_FILE_* that says
 * what is in its place. `path` may be empty (the folder), and must not begin or
 * end with '/', or have parts that are empty or begin with '.': CT_FILE_ODD.
 * `now` is monotonic ms; `fresh`: look at the disk in any case.
 * *out is borrowed; valid until the next call, or with ct_file_take(). */
int ct_files_find(ct_files *files, ct_str root, ct_str path, uint64_t now,
                  bool fresh, ct_file **out)
    __attribute__((warn_unused_result));

/* Keeps a file until ct_file_give(). */
ct_file *ct_file_take(ct_file *f);
void ct_file_give(ct_files *files, ct_file *f);

/* True when a file of that size and type may be coded as it is sent. */
bool ct_file_may_code(const ct_file *f);

/* The file with CT_CODING_GZIP or _BROTLI applied, its content in `bytes`; NULL
 * when that is no smaller, or the file cannot be read. Forms are kept with their
 * file, up to `coded_limit` bytes of all; those of files that nobody asks for
 * go first. Caller gives it back with ct_file_give(). Costs about 30 ms for the
 * largest. */
ct_file *ct_file_code(ct_files *files, ct_file *f, int coding)
    __attribute__((warn_unused_result));

/* Lets go the coded forms that a file keeps. */
void ct_file_forget_coded(ct_files *files, ct_file *f);

/* Reads exactly `n` bytes of a file from `at` on, wherever they are. */
bool ct_file_read(const ct_file *f, char *p, size_t n, uint64_t at)
    __attribute__((warn_unused_result));

/* Opens a regular file below `root` for reading, with its stat: a descriptor
 * that caller closes, or -1 and in *why a CT_FILE_*. */
int ct_file_open(const char *root, const char *path, struct stat *st, int *why);

/* The same without openat2(2). */
int ct_file_open_compared(const char *root, const char *path, struct stat *st,
                          int *why);

#endif
