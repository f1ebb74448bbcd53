/* What runs on threads: Lua functions, and files read and written. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_JOB_H
#define CT_ABI_JOB_H
#include "abi/base.h"

/* -- Jobs -------------------------------------------------------------------
 * CT_EVENT_JOB comes with a job's handle when it has ended, unless it was given
 * back before. Calls that start one answer 0 when the queue is full. */

typedef struct ct_job_result {
    ct_str text;     /* bytes read, or the reason when error is not 0 */
    double size;     /* bytes of the file */
    double modified; /* seconds since 1970 */
    double inode;
    uint32_t mode; /* permission bits */
    uint32_t kind; /* 1 folder, 2 regular file, 3 anything else, 4 symlink */
    int32_t error; /* errno; 0: it went well */
} ct_job_result;

/* OK with *out filled, valid until the job is given back; AGAIN, CLOSED. */
int ct_abi_job_result(ct_vm *vm, uint32_t job, ct_job_result *out);

/* Gives it back: it never begins, or its result is thrown away. */
void ct_abi_job_free(ct_vm *vm, uint32_t job);

/* -- Lua functions on threads -------------------------------------------------
 * An executor has threads with Lua states of their own. */

/* At most `threads` threads, `queue` calls that wait, seconds for one call (0: no
 * limit; otherwise it is not compiled), and bytes for each Lua state (0: no limit).
 * 0: see ct_abi_why(). */
uint32_t ct_abi_executor(ct_vm *vm, uint32_t threads, uint32_t queue,
                         double timeout, double memory);

/* Begins a call: tornado.concurrent.thread in one of the states gets the bytes,
 * and returns those of the result. */
uint32_t ct_abi_executor_call(ct_vm *vm, uint32_t executor, const char *p,
                              uint32_t size);

/* Calls that wait or run. */
uint32_t ct_abi_executor_load(ct_vm *vm, uint32_t executor);

/* Drops the Lua states, each when its call is over: OK, CLOSED. */
int ct_abi_executor_reset(ct_vm *vm, uint32_t executor);

/* Frees it when its last call is over; takes no more. */
void ct_abi_executor_close(ct_vm *vm, uint32_t executor);

/* CPUs that this process may keep busy (base/cpus.h); at least 1. */
uint32_t ct_abi_cpu_count(void);

/* -- Files on threads: `path` ends in a zero byte ------------------------------ */

typedef enum ct_disk_op {
    CT_DISK_READ,   /* at most `limit` bytes from `from` on */
    CT_DISK_WRITE,  /* `data` */
    CT_DISK_STAT,   /* of what a link points to, or with LINK of itself */
    CT_DISK_LIST,   /* names, each with a zero byte; at most `limit` bytes */
    CT_DISK_REMOVE, /* a file, or an empty folder */
    CT_DISK_MKDIR,
    CT_DISK_RENAME /* to the path in `data` */
} ct_disk_op;

enum {
    CT_DISK_APPEND = 1,
    CT_DISK_ATOMIC = 2,    /* a new file takes the old one's place */
    CT_DISK_EXCLUSIVE = 4, /* there must be none yet */
    CT_DISK_SYNC = 8,      /* to the disk before the job ends */
    CT_DISK_PARENTS = 16,  /* folders above it are made, and it may be there */
    CT_DISK_LINK = 32,
    CT_DISK_WHOLE = 64 /* EFBIG when the file has more than `limit` bytes */
};

typedef struct ct_disk_args {
    uint32_t op, flags, mode;
    ct_str data;
    double from, limit;
} ct_disk_args;

uint32_t ct_abi_disk(ct_vm *vm, const char *path, const ct_disk_args *args);

#endif
