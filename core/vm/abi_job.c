/* The part of abi.h that is jobs, and files on threads. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/cpus.h"
#include "base/mem.h"
#include "io/disk.h"
#include "vm/job.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(ct_job_result) == 56, "ct_job_result likewise");
_Static_assert(sizeof(ct_disk_args) == 48, "ct_disk_args likewise");

enum { DISK_THREADS = 4, DISK_QUEUE = 4096 };

static ct_vm_job *job_of(ct_vm *vm, uint32_t handle) {
    return ct_slots_get(&vm->jobs, handle);
}

static void on_done(ct_job *job) {
    ct_vm_job *j = ct_list_of(job, ct_vm_job, job);

    j->ended = true;
    if (!job->dropped) {
        ct_events_add(j->vm->events, CT_EVENT_JOB, j->handle);
        return;
    }
    ct_slots_remove(&j->vm->jobs, j->handle);
    j->free(j);
}

uint32_t ct_vm_job_start(ct_vm *vm, ct_pool *pool, ct_vm_job *j) {
    j->vm = vm;
    j->job.done = on_done;
    j->handle = ct_slots_add(&vm->jobs, j);
    if (j->handle && ct_pool_add(pool, &j->job)) return j->handle;
    snprintf(vm->why, sizeof vm->why, "the queue of the threads is full");
    ct_slots_remove(&vm->jobs, j->handle);
    j->free(j);
    return 0;
}

int ct_abi_job_result(ct_vm *vm, uint32_t job, ct_job_result *out) {
    const ct_vm_job *j = job_of(vm, job);

    if (!j) return CT_CLOSED;
    if (!j->ended) return CT_AGAIN;
    *out = j->result;
    return CT_OK;
}

void ct_abi_job_free(ct_vm *vm, uint32_t job) {
    ct_vm_job *j = job_of(vm, job);

    if (!j) return;
    ct_slots_remove(&vm->jobs, job);
    if (j->ended || ct_pool_drop(&j->job)) j->free(j);
    ct_vm_end_executors(vm);
}

bool ct_vm_free_jobs(ct_vm *vm) {
    if (!ct_vm_free_executors(vm) || !ct_pool_free(vm->disk, 1)) return false;
    for (uint32_t i = 1; i < vm->jobs.used; i++) {
        ct_vm_job *j = vm->jobs.slots[i].object;
        if (j) j->free(j);
    }
    ct_slots_fini(&vm->jobs);
    ct_waker_free(vm->waker);
    return true;
}

uint32_t ct_abi_cpu_count(void) {
    return ct_cpus();
}

/* -- Files ------------------------------------------------------------------- */

typedef struct disk_job {
    ct_vm_job base;
    ct_disk_args args;
    char *path, *data, *out; /* owned */
} disk_job;

static void run_disk(ct_job *job) {
    disk_job *d = ct_list_of(job, disk_job, base.job);

    d->out = ct_disk_run(d->path, &d->args, &d->base.result);
}

static void free_disk(ct_vm_job *j) {
    disk_job *d = ct_list_of(j, disk_job, base);

    ct_free(d->path);
    ct_free(d->data);
    ct_free(d->out);
    ct_free(d);
}

uint32_t ct_abi_disk(ct_vm *vm, const char *path, const ct_disk_args *args) {
    disk_job *d = ct_new(disk_job);

    if (!vm->disk) vm->disk = ct_pool_new(vm->waker, DISK_THREADS, DISK_QUEUE);
    d->path = ct_memdup(path, strlen(path));
    d->data = ct_memdup(args->data.p, args->data.n);
    d->args = *args;
    d->args.data.p = d->data;
    d->base.job.run = run_disk;
    d->base.free = free_disk;
    return ct_vm_job_start(vm, vm->disk, &d->base);
}
