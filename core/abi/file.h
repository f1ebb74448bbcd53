/* Static files, and what the loader asks of the disk. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_FILE_H
#define CT_ABI_FILE_H
#include "abi/base.h"

/* -- Static files -----------------------------------------------------------
 * A file is a path below a folder (`root`), given by both. The calls answer OK,
 * or what is in its place; ODD is a path that is not in its shortest form, or has
 * parts that begin with a dot. */

typedef enum ct_file_status {
    CT_FILE_NONE = 10,
    CT_FILE_FOLDER,
    CT_FILE_DENIED, /* no regular file, not readable, or outside of the root */
    CT_FILE_ODD
} ct_file_status;

enum { /* together with CT_REPLY_NO_SERVER and CT_REPLY_CLOSE */
       CT_FILE_VERSIONED = 16, /* may be kept for ten years */
       CT_FILE_FRESH = 32, /* look at the disk, however lately that was done */
       CT_FILE_COMPRESS = 64, /* code what is worth it (compress_response) */
       CT_FILE_RANGES = 128   /* the client may have the ranges it asks for */
};

/* With a coding: the file's compressed sibling ("name.gz", "name.br"). */
enum { CT_FILE_SIBLING = 16 };

/* The whole answer to GET or HEAD with a file, to its conditions, ranges and
 * accepted codings: the status sent (200, 206, 304, 416), or as above. */
int ct_abi_file_serve(ct_vm *vm, uint32_t request, const char *root,
                      uint32_t root_size, const char *path, uint32_t path_size,
                      uint32_t flags);

typedef struct ct_file_info {
    double size, modified; /* bytes; seconds since 1970 */
    ct_str version;        /* hex digits that change with the content */
    ct_str type;           /* the content type of its name */
} ct_file_info;

int ct_abi_file_info(ct_vm *vm, const char *root, uint32_t root_size,
                     const char *path, uint32_t path_size, uint32_t flags,
                     ct_file_info *out);

/* The form of a file that the client likes best: 0, as it is; CT_CODING_*, to be
 * made; with CT_FILE_SIBLING, a file of its own. Sets Vary where it must be. */
int ct_abi_file_coding(ct_vm *vm, uint32_t request, const char *root,
                       uint32_t root_size, const char *path, uint32_t path_size,
                       uint32_t flags);

/* A reply with a file, or the ranges of it that were asked for, behind the
 * fields set so far. `coding` is what ct_abi_file_coding() gave; `path` is the
 * sibling's if there is one. The status sent, or as above. */
int ct_abi_file_reply(ct_vm *vm, uint32_t request, const char *root,
                      uint32_t root_size, const char *path, uint32_t path_size,
                      const char *type, int coding, uint32_t flags);

/* Copies bytes of a file from `from` on to `out`: how many, -1 on failure. */
int ct_abi_file_read(ct_vm *vm, const char *root, uint32_t root_size,
                     const char *path, uint32_t path_size, double from,
                     char *out, uint32_t size);

/* The first range of a Range field: 1 with *from and *size set, 0 for all of it
 * (several ranges, too), -1 for none that can be satisfied. */
int ct_abi_file_range(const char *p, uint32_t n, double total, double *from,
                      double *size);

/* The content type of a name. */
const char *ct_abi_file_type(const char *name, uint32_t size);

/* Seconds since 1970 of an HTTP date, or -1. */
double ct_abi_http_date_parse(const char *p, uint32_t size);

/* The process's working folder: 1, or 0. */
int ct_abi_working_folder(char *out, uint32_t size);

/* -- Files: for the loader and the checks, not for handlers ------------------*/

/* 1 for a folder, 2 for a regular file, 0 for anything else or nothing. */
int ct_abi_file_kind(const char *path);
/* 1 when both paths lead to the same file or folder. */
int ct_abi_file_same(const char *a, const char *b);
/* The names in a folder, each with a zero byte, as far as they fit into `out`;
 * returns the bytes that all of them need, or -1: see ct_abi_why(). */
int ct_abi_folder(ct_vm *vm, const char *path, char *out, uint32_t max);
/* The folder that the process is in; "" when it has none any more. */
const char *ct_abi_here(ct_vm *vm);
/* Number of open descriptors of this process. */
int ct_abi_descriptors(void);

#endif
