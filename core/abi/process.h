/* Child processes. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_PROCESS_H
#define CT_ABI_PROCESS_H
#include "abi/base.h"

enum { /* for one of ct_spawn's fds, instead of a descriptor */
       CT_SPAWN_INHERIT = -1,
       CT_SPAWN_NULL = -2,   /* /dev/null */
       CT_SPAWN_STREAM = -3, /* a pipe, whose other end is ours */
       CT_SPAWN_STDOUT = -4  /* stderr alone: where stdout goes */
};

enum {
    CT_SPAWN_GROUP = 1,    /* a process group of its own */
    CT_SPAWN_DETACHED = 2, /* a session of its own; it outlives this process */
    CT_SPAWN_SEARCH = 4    /* a program without '/' is looked for in PATH */
};

/* Lists are strings, each with a zero byte, one behind the other. */
typedef struct ct_spawn {
    ct_str args;         /* the program is the first */
    ct_str env;          /* "NAME=value"; p NULL: as this process has it */
    const char *program; /* NULL: the first of args */
    const char *cwd;     /* NULL: as this process has it */
    int32_t fds[3];      /* stdin, stdout, stderr */
    uint32_t flags;
} ct_spawn;

typedef struct ct_spawned {
    int32_t pid;
    int32_t fds[3]; /* our ends of the pipes, non-blocking, or -1 */
    int32_t error;  /* errno when it failed */
} ct_spawned;

/* Starts a program: its handle, or 0 with out->error (of exec, too) and the
 * reason in ct_abi_why(). CT_EVENT_PROCESS tells its end. Descriptors that it
 * gives belong to the caller. */
uint32_t ct_abi_spawn(ct_vm *vm, const ct_spawn *spawn, ct_spawned *out);

/* OK with its exit code or minus the signal that killed it, AGAIN, CLOSED. */
int ct_abi_process_status(ct_vm *vm, uint32_t process, int32_t *out);

/* Sends a signal to it, or to its whole group; OK, ERROR, CLOSED; EOF when it has
 * ended. With `last`, what is left of the group is killed when it ends. */
int ct_abi_process_kill(ct_vm *vm, uint32_t process, int signal, int group,
                        int last);

/* Gives the handle back; what still runs is reaped when it ends. */
void ct_abi_process_free(ct_vm *vm, uint32_t process);

/* Closes a descriptor that ct_abi_spawn() gave. */
void ct_abi_close(int fd);

/* The descriptor of a FILE. */
int ct_abi_fileno(void *file);

#endif
