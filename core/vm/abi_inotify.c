/* The part of abi.h that watches folders. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "io/inotify.h"
#include "vm/channel.h"
#include "vm/vm.h"
#include <errno.h>
#include <string.h>

_Static_assert(sizeof(ct_folder_change) == 24, "as the FFI lays it out");

typedef struct vm_inotify {
    ct_vm *vm;
    ct_inotify *inotify;
    uint32_t handle;
    bool told; /* and not yet taken */
} vm_inotify;

static void on_change(void *arg) {
    vm_inotify *i = arg;

    if (i->told) return;
    i->told = true;
    ct_events_add(i->vm->events, CT_EVENT_INOTIFY, i->handle);
}

static void free_inotify(vm_inotify *i) {
    ct_inotify_free(i->inotify);
    ct_free(i);
}

uint32_t ct_abi_inotify(ct_vm *vm) {
    vm_inotify *i = ct_new(vm_inotify);

    i->vm = vm;
    i->inotify = ct_inotify_new(vm->loop, on_change, i);
    if (!i->inotify) (void)ct_vm_failed(vm, "inotify");
    if (i->inotify) i->handle = ct_slots_add(&vm->inotifies, i);
    if (i->handle) return i->handle;
    free_inotify(i);
    return 0;
}

int ct_abi_inotify_add(ct_vm *vm, uint32_t inotify, const char *path,
                       uint32_t *folder) {
    vm_inotify *i = ct_slots_get(&vm->inotifies, inotify);
    int number = i ? ct_inotify_add(i->inotify, path) : 0;

    if (!i) return CT_CLOSED;
    if (number > 0) {
        *folder = (uint32_t)number;
        return CT_OK;
    }
    if (errno == ENOSPC) return CT_LIMIT;
    (void)ct_vm_failed(vm, path);
    return CT_ERROR;
}

int ct_abi_inotify_next(ct_vm *vm, uint32_t inotify, ct_folder_change *out) {
    vm_inotify *i = ct_slots_get(&vm->inotifies, inotify);
    ct_inotify_change change;

    if (!i) return CT_CLOSED;
    i->told = false;
    if (!ct_inotify_next(i->inotify, &change)) return CT_AGAIN;
    out->name = (ct_str){ change.name, (uint32_t)strlen(change.name) };
    out->folder = change.folder > 0 ? (uint32_t)change.folder : 0;
    out->is_folder = change.is_folder;
    return CT_OK;
}

int ct_abi_inotify_close(ct_vm *vm, uint32_t inotify) {
    vm_inotify *i = ct_slots_get(&vm->inotifies, inotify);

    if (!i) return CT_CLOSED;
    ct_slots_remove(&vm->inotifies, inotify);
    free_inotify(i);
    return CT_OK;
}

void ct_vm_free_inotifies(ct_vm *vm) {
    for (uint32_t i = 1; i < vm->inotifies.used; i++)
        if (vm->inotifies.slots[i].object)
            free_inotify(vm->inotifies.slots[i].object);
    ct_slots_fini(&vm->inotifies);
}
