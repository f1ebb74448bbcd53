/* The part of abi.h that is Lua functions on threads. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "vm/executor.h"
#include "vm/job.h"
#include <stdio.h>

/* Its handle ends with close; it itself with its last call. */
typedef struct vm_executor {
    ct_list node;          /* in vm->closing, when its handle has ended */
    ct_executor *executor; /* NULL: freed, with the generation */
    uint32_t calls;
} vm_executor;

typedef struct call_job {
    ct_vm_job base;
    vm_executor *executor;
    char *in, *out; /* owned */
    size_t size;    /* of in */
} call_job;

static vm_executor *executor_of(ct_vm *vm, uint32_t handle) {
    return ct_slots_get(&vm->executors, handle);
}

/* It has no calls, so no thread has to be waited for. */
static void end_executor(vm_executor *x) {
    ct_list_remove(&x->node);
    (void)!ct_executor_free(x->executor, 10);
    ct_free(x);
}

static void run_call(ct_job *job) {
    call_job *c = ct_list_of(job, call_job, base.job);
    ct_job_result *r = &c->base.result;
    size_t n = ct_executor_call(c->executor->executor, &job->dropped, c->in,
                                c->size, &c->out, &r->error);

    r->text = (ct_str){ c->out, (uint32_t)n };
}

static void free_call(ct_vm_job *j) {
    call_job *c = ct_list_of(j, call_job, base);
    vm_executor *x = c->executor;

    if (--x->calls == 0 && !x->executor) ct_free(x);
    ct_free(c->in);
    ct_free(c->out);
    ct_free(c);
}

uint32_t ct_abi_executor(ct_vm *vm, uint32_t threads, uint32_t queue,
                         double timeout, double memory) {
    ct_executor_options how = { threads, queue, timeout, memory,
                                vm->log->level };
    vm_executor *x;
    uint32_t handle;

    if (!threads || threads > CT_POOL_THREADS) {
        snprintf(vm->why, sizeof vm->why, "threads must be 1 to %d",
                 CT_POOL_THREADS);
        return 0;
    }
    x = ct_new(vm_executor);
    ct_list_init(&x->node);
    x->executor = ct_executor_new(vm->waker, &how);
    handle = ct_slots_add(&vm->executors, x);
    if (handle) return handle;
    snprintf(vm->why, sizeof vm->why, "too many executors");
    end_executor(x);
    return 0;
}

uint32_t ct_abi_executor_call(ct_vm *vm, uint32_t executor, const char *p,
                              uint32_t size) {
    vm_executor *x = executor_of(vm, executor);
    call_job *c;

    if (!x) {
        snprintf(vm->why, sizeof vm->why, "the executor was shut down");
        return 0;
    }
    c = ct_new(call_job);
    c->executor = x;
    c->in = ct_memdup(p, size);
    c->size = size;
    c->base.job.run = run_call;
    c->base.free = free_call;
    x->calls++;
    return ct_vm_job_start(vm, ct_executor_pool(x->executor), &c->base);
}

uint32_t ct_abi_executor_load(ct_vm *vm, uint32_t executor) {
    const vm_executor *x = executor_of(vm, executor);

    return x ? ct_pool_load(ct_executor_pool(x->executor)) : 0;
}

int ct_abi_executor_reset(ct_vm *vm, uint32_t executor) {
    vm_executor *x = executor_of(vm, executor);

    if (!x) return CT_CLOSED;
    ct_executor_reset(x->executor);
    return CT_OK;
}

/* Looks for those that were closed and have no calls any more. Not where a call
 * is freed: that may be inside of ct_pool_free(). */
void ct_vm_end_executors(ct_vm *vm) {
    ct_list *n = vm->closing.next;

    while (n != &vm->closing) {
        vm_executor *x = ct_list_of(n, vm_executor, node);
        n = n->next;
        if (!x->calls) end_executor(x);
    }
}

void ct_abi_executor_close(ct_vm *vm, uint32_t executor) {
    vm_executor *x = executor_of(vm, executor);

    if (x) {
        ct_slots_remove(&vm->executors, executor);
        ct_list_add(&vm->closing, &x->node);
    }
    ct_vm_end_executors(vm);
}

bool ct_vm_free_executors(ct_vm *vm) {
    bool ended = true;

    for (uint32_t i = 1; i < vm->executors.used; i++) {
        vm_executor *x = vm->executors.slots[i].object;
        if (x) ct_list_add(&vm->closing, &x->node);
    }
    for (ct_list *n = vm->closing.next; n != &vm->closing; n = n->next) {
        vm_executor *x = ct_list_of(n, vm_executor, node);
        ended &= ct_executor_free(x->executor, ended ? 1 : 0);
    }
    if (!ended) return false;
    while (!ct_list_is_empty(&vm->closing)) {
        vm_executor *x = ct_list_of(vm->closing.next, vm_executor, node);
        ct_list_remove(&x->node);
        x->executor = NULL;
        if (!x->calls) ct_free(x);
    }
    ct_slots_fini(&vm->executors);
    return true;
}
