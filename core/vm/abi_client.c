/* The part of abi.h that is requests to other servers. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "http/client.h"
#include "http/fetch.h"
#include "vm/vm.h"
#include <stdio.h>

_Static_assert(sizeof(ct_fetch_request) == 104, "as the FFI lays it out");
_Static_assert(sizeof(ct_fetch_info) == 112, "as the FFI lays it out");

static ct_fetch *fetch_of(ct_vm *vm, uint32_t handle) {
    return ct_slots_get(&vm->fetches, handle);
}

static void on_news(uint32_t fetch, void *arg) {
    ct_vm *vm = arg;

    ct_events_add(vm->events, CT_EVENT_FETCH, fetch);
}

uint32_t ct_abi_client(ct_vm *vm, uint32_t pool, uint32_t most,
                       uint32_t host_most) {
    ct_client *c = ct_client_new(vm->loop, on_news, vm);
    uint32_t handle = c ? ct_slots_add(&vm->clients, c) : 0;

    if (handle) {
        ct_client_limit(c, pool, most, host_most);
        return handle;
    }
    snprintf(vm->why, sizeof vm->why,
             c ? "too many clients" : "libcurl cannot start");
    ct_client_free(c);
    return 0;
}

int ct_abi_client_close(ct_vm *vm, uint32_t client) {
    ct_client *c = ct_slots_get(&vm->clients, client);

    if (!c) return CT_CLOSED;
    ct_slots_remove(&vm->clients, client);
    ct_client_free(c);
    return CT_OK;
}

uint32_t ct_abi_fetch(ct_vm *vm, uint32_t client) {
    ct_client *c = ct_slots_get(&vm->clients, client);
    ct_fetch *f = c ? ct_fetch_take(c, 0) : NULL;

    if (!f) return 0;
    f->tag = ct_slots_add(&vm->fetches, f);
    if (!f->tag) ct_fetch_give(f);
    return f->tag;
}

int ct_abi_fetch_text(ct_vm *vm, uint32_t fetch, uint32_t what,
                      const char *text) {
    ct_fetch *f = fetch_of(vm, fetch);

    if (!f) return CT_CLOSED;
    if (ct_fetch_text_set(f, (ct_fetch_text)what, text)) return CT_OK;
    snprintf(vm->why, sizeof vm->why, "libcurl refuses %s", text);
    return CT_ERROR;
}

int ct_abi_fetch_start(ct_vm *vm, uint32_t fetch, const ct_fetch_request *r) {
    ct_fetch *f = fetch_of(vm, fetch);

    if (!f || !f->client) return CT_CLOSED;
    if (ct_fetch_start(f, r)) return CT_OK;
    snprintf(vm->why, sizeof vm->why, "libcurl refuses the request");
    return CT_ERROR;
}

int ct_abi_fetch_info(ct_vm *vm, uint32_t fetch, ct_fetch_info *out) {
    ct_fetch *f = fetch_of(vm, fetch);

    if (!f) return CT_CLOSED;
    ct_fetch_describe(f, out);
    return CT_OK;
}

int ct_abi_fetch_read(ct_vm *vm, uint32_t fetch, ct_str *out) {
    ct_fetch *f = fetch_of(vm, fetch);

    return f ? ct_fetch_read(f, out) : CT_CLOSED;
}

int ct_abi_fetch_write(ct_vm *vm, uint32_t fetch, const char *p,
                       uint32_t size) {
    ct_fetch *f = fetch_of(vm, fetch);

    return f ? ct_fetch_write(f, p, size) : CT_CLOSED;
}

uint32_t ct_abi_fetch_unsent(ct_vm *vm, uint32_t fetch) {
    const ct_fetch *f = fetch_of(vm, fetch);

    return f ? (uint32_t)f->upload.len : 0;
}

int ct_abi_fetch_write_end(ct_vm *vm, uint32_t fetch) {
    ct_fetch *f = fetch_of(vm, fetch);

    return f ? ct_fetch_write_end(f) : CT_CLOSED;
}

int ct_abi_fetch_release(ct_vm *vm, uint32_t fetch) {
    ct_fetch *f = fetch_of(vm, fetch);

    if (!f) return CT_CLOSED;
    ct_slots_remove(&vm->fetches, fetch);
    ct_fetch_give(f);
    return CT_OK;
}

uint32_t ct_vm_client_descriptors(const ct_vm *vm) {
    uint32_t n = 0;

    for (uint32_t i = 1; i < vm->clients.used; i++) {
        const ct_client *c = vm->clients.slots[i].object;

        if (c) n += c->sockets.open + CT_CLIENT_DESCRIPTORS;
    }
    return n;
}

void ct_vm_free_clients(ct_vm *vm) {
    for (uint32_t i = 1; i < vm->fetches.used; i++)
        if (vm->fetches.slots[i].object)
            ct_fetch_give(vm->fetches.slots[i].object);
    for (uint32_t i = 1; i < vm->clients.used; i++)
        ct_client_free(vm->clients.slots[i].object);
    ct_slots_fini(&vm->fetches);
    ct_slots_fini(&vm->clients);
}
