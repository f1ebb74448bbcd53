/* A pool's job that Lua holds a handle of. Lifetime: until Lua gives it back and
 * its thread is done with it, whichever is later. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_VM_JOB_H
#define CT_VM_JOB_H

#include "io/pool.h"
#include "vm/vm.h"

/* The first member of what kinds of jobs add to it. */
typedef struct ct_vm_job {
    ct_job job; /* its starter sets `run`, which fills `result` */
    ct_vm *vm;
    uint32_t handle;
    bool ended;
    ct_job_result result;
    void (*free)(struct ct_vm_job *j); /* with all that it has */
} ct_vm_job;

/* Queues a job and returns its handle; 0, with the reason in vm->why, when there
 * is no room. Takes `j`. */
uint32_t ct_vm_job_start(ct_vm *vm, ct_pool *pool, ct_vm_job *j);

/* Ends executors and pools, and frees all jobs. False when a thread did not end
 * in time: then nothing that it may use must be freed. */
bool ct_vm_free_jobs(ct_vm *vm) __attribute__((warn_unused_result));

/* Frees the executors that were closed and have no calls any more. */
void ct_vm_end_executors(ct_vm *vm);

/* Ends all of them, for ct_vm_free_jobs() (abi_executor.c). */
bool ct_vm_free_executors(ct_vm *vm) __attribute__((warn_unused_result));

#endif
