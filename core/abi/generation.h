/* Loading sites beside those that serve. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_GENERATION_H
#define CT_ABI_GENERATION_H
#include "abi/base.h"

/* Which generation of the sites this state is: 1 for the first. While a later
 * one is loaded it shares the open listeners and accepts nothing. */
uint32_t ct_abi_generation(ct_vm *vm);

/* All is loaded: this generation serves from the next turn on, and the one before
 * it gets CT_EVENT_RETIRE. */
void ct_abi_ready(ct_vm *vm);

/* It cannot be loaded, and why; the one before it, if there is one, serves on. */
void ct_abi_failed(ct_vm *vm, const char *text, uint32_t size);

enum { CT_ESTATE = 67108864 }; /* bytes that may be handed over */

/* Answers CT_EVENT_HAND_OVER with bytes for the next generation: OK, or LIMIT, and
 * there are none. */
int ct_abi_hand_over(ct_vm *vm, const char *p, uint32_t size);

/* What the generation before has handed over; and frees it. */
void ct_abi_estate(ct_vm *vm, ct_str *out);
void ct_abi_drop_estate(ct_vm *vm);

/* Asks for a reload; CT_EVENT_RELOADED tells its end, unless this generation has
 * retired then. */
void ct_abi_reload(ct_vm *vm);

/* Why the last reload failed; empty: it did not. */
void ct_abi_reload_report(ct_vm *vm, ct_str *out);

/* The user that this process runs as. */
uint32_t ct_abi_user_id(void);

/* Which worker of a master this process is, 1 and up; 0: no master started it. */
uint32_t ct_abi_worker(ct_vm *vm);

/* How many workers the master has; 1 without one. */
uint32_t ct_abi_workers(ct_vm *vm);

/* 1 while another process serves, whose place this server is to take. */
int ct_abi_is_heir(ct_vm *vm);

/* The path of a folder that its workers share, and nobody else can enter; empty:
 * there is none. */
void ct_abi_shared_folder(ct_vm *vm, ct_str *out);

typedef struct ct_supervision {
    ct_str addresses;   /* to listen on, a line each */
    ct_str admin;       /* one that all listen on together; empty: none */
    ct_str control;     /* path of the control socket; empty: none */
    ct_str pid_file;    /* likewise */
    ct_str user, group; /* that workers run as; empty: unchanged */
    double stop_timeout, worker_timeout, ticket_rotation;
    uint32_t workers, backlog;
    uint32_t supervise;    /* 1: a master also for one worker */
    uint32_t no_new_privs; /* 1: see ct_abi_confine() */
} ct_supervision;

/* What this generation wants of its process, told before it is ready: a later one
 * gets as much of it as can be changed. */
void ct_abi_wishes(ct_vm *vm, const ct_supervision *s);

/* This process shall become the master of so many workers, instead of serving
 * itself: Lua ends with this turn. */
void ct_abi_supervise(ct_vm *vm, const ct_supervision *s);

/* Has the process's number in that file while it serves; size 0: none. */
void ct_abi_pid_file(ct_vm *vm, const char *path, uint32_t size);

/* Takes commands on that control socket. */
void ct_abi_control(ct_vm *vm, const char *path, uint32_t size);

enum { CT_RESTART_MOST = 1000 }; /* arguments */

/* Becomes the same program with other arguments: `count` of them, argv[0] as well,
 * each with its zero byte. Returns only when that fails: ERROR, see ct_abi_why(). */
int ct_abi_restart(ct_vm *vm, const char *arguments, uint32_t count);

#endif
