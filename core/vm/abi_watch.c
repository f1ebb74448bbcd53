/* The part of abi.h that watches descriptors. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "io/watch.h"
#include "vm/channel.h"

typedef struct vm_watch {
    ct_vm *vm;
    ct_watch *watch;
    uint32_t handle;
    uint32_t ready; /* told, and not yet asked for */
} vm_watch;

static void on_ready(uint32_t ready, void *arg) {
    vm_watch *w = arg;

    if (!w->ready) ct_events_add(w->vm->events, CT_EVENT_WATCH, w->handle);
    w->ready |= ready;
}

static void free_watch(vm_watch *w) {
    ct_watch_free(w->watch);
    ct_free(w);
}

uint32_t ct_abi_watch(ct_vm *vm, int descriptor, uint32_t events) {
    vm_watch *w = ct_new(vm_watch);

    w->vm = vm;
    w->watch = ct_watch_new(vm->loop, descriptor, events, on_ready, w);
    if (!w->watch) (void)ct_vm_failed(vm, "descriptor");
    if (w->watch) w->handle = ct_slots_add(&vm->watches, w);
    if (w->handle) return w->handle;
    free_watch(w);
    return 0;
}

int ct_abi_watch_update(ct_vm *vm, uint32_t watch, uint32_t events) {
    vm_watch *w = ct_slots_get(&vm->watches, watch);

    if (!w) return CT_CLOSED;
    if (ct_watch_update(w->watch, events)) return CT_OK;
    (void)ct_vm_failed(vm, "descriptor");
    return CT_ERROR;
}

uint32_t ct_abi_watch_ready(ct_vm *vm, uint32_t watch) {
    vm_watch *w = ct_slots_get(&vm->watches, watch);
    uint32_t ready = w ? w->ready : 0;

    if (w) w->ready = 0;
    return ready;
}

int ct_abi_watch_close(ct_vm *vm, uint32_t watch) {
    vm_watch *w = ct_slots_get(&vm->watches, watch);

    if (!w) return CT_CLOSED;
    ct_slots_remove(&vm->watches, watch);
    free_watch(w);
    return CT_OK;
}

uint32_t ct_abi_watches(ct_vm *vm) {
    return vm->watches.count;
}

void ct_vm_free_watches(ct_vm *vm) {
    for (uint32_t i = 1; i < vm->watches.used; i++)
        if (vm->watches.slots[i].object)
            free_watch(vm->watches.slots[i].object);
    ct_slots_fini(&vm->watches);
}
