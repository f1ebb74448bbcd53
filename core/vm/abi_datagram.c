/* The part of abi.h that is UDP. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "io/datagram.h"
#include "vm/channel.h"

typedef struct vm_datagram {
    ct_vm *vm;
    ct_datagram *datagram;
    uint32_t handle;
} vm_datagram;

static void on_ready(void *arg) {
    vm_datagram *d = arg;

    ct_events_add(d->vm->events, CT_EVENT_DATAGRAM, d->handle);
}

static void free_datagram(vm_datagram *d) {
    ct_datagram_free(d->datagram);
    ct_free(d);
}

uint32_t ct_abi_datagram(ct_vm *vm, const char *bind, const char *peer,
                         uint32_t buffer, uint32_t flags) {
    ct_address at, to;
    vm_datagram *d;

    if (!ct_vm_address(vm, &at, bind)) return 0;
    if (*peer && !ct_vm_address(vm, &to, peer)) return 0;
    at.share = flags & CT_ACCEPT_SHARE;
    d = ct_new(vm_datagram);
    d->vm = vm;
    d->datagram = ct_datagram_new(vm->loop, &at, *peer ? &to : NULL,
                                  (int)(buffer & INT32_MAX), on_ready, d);
    if (!d->datagram) (void)ct_vm_failed(vm, *peer ? peer : bind);
    if (d->datagram) d->handle = ct_slots_add(&vm->datagrams, d);
    if (d->handle) return d->handle;
    free_datagram(d);
    return 0;
}

int ct_abi_datagram_send(ct_vm *vm, uint32_t datagram, const char *p,
                         uint32_t size, const char *to) {
    vm_datagram *d = ct_slots_get(&vm->datagrams, datagram);
    ct_address peer;
    int status;

    if (!d) return CT_CLOSED;
    if (*to && !ct_vm_address(vm, &peer, to)) return CT_ERROR;
    status = ct_datagram_send(d->datagram, p, size, *to ? &peer : NULL);
    if (status == CT_ERROR) (void)ct_vm_failed(vm, *to ? to : "datagram");
    return status;
}

int ct_abi_datagram_recv(ct_vm *vm, uint32_t datagram, ct_str *out,
                         ct_str *from) {
    vm_datagram *d = ct_slots_get(&vm->datagrams, datagram);
    char *scratch = vm->loop->scratch;
    ct_address peer;
    ssize_t n;

    if (!d) return CT_CLOSED;
    n = ct_datagram_recv(d->datagram, scratch, CT_LOOP_SCRATCH, &peer);
    if (n == -CT_ERROR) (void)ct_vm_failed(vm, "datagram");
    if (n < 0) return (int)-n;
    *out = (ct_str){ scratch, (uint32_t)n };
    *from = ct_vm_address_text(vm, &peer);
    return CT_OK;
}

int ct_abi_datagram_address(ct_vm *vm, uint32_t datagram, ct_str *out) {
    vm_datagram *d = ct_slots_get(&vm->datagrams, datagram);
    ct_address a;

    if (!d) return CT_CLOSED;
    a = ct_datagram_address(d->datagram);
    *out = ct_vm_address_text(vm, &a);
    return CT_OK;
}

int ct_abi_datagram_close(ct_vm *vm, uint32_t datagram) {
    vm_datagram *d = ct_slots_get(&vm->datagrams, datagram);

    if (!d) return CT_CLOSED;
    ct_slots_remove(&vm->datagrams, datagram);
    free_datagram(d);
    return CT_OK;
}

void ct_vm_free_datagrams(ct_vm *vm) {
    for (uint32_t i = 1; i < vm->datagrams.used; i++)
        if (vm->datagrams.slots[i].object)
            free_datagram(vm->datagrams.slots[i].object);
    ct_slots_fini(&vm->datagrams);
}
