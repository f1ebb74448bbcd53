/* The part of abi.h that is channels: outgoing connections, those that left HTTP,
 * and the clients of a listener without a network. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "http/handover.h"
#include "http/listener.h"
#include "io/channel.h"
#include "vm/vm.h"
#include <stdio.h>

typedef struct vm_channel {
    ct_vm *vm;
    ct_channel *channel;
    uint32_t handle;
    bool told; /* an event waits to be taken */
} vm_channel;

static vm_channel *channel_of(ct_vm *vm, uint32_t handle) {
    return ct_slots_get(&vm->channels, handle);
}

static void on_change(void *arg) {
    vm_channel *c = arg;

    if (c->told) return;
    c->told = true;
    ct_events_add(c->vm->events, CT_EVENT_CHANNEL, c->handle);
}

static void free_channel(vm_channel *c, bool reset) {
    ct_channel_free(c->channel, reset);
    ct_free(c);
}

static vm_channel *new_channel(ct_vm *vm) {
    vm_channel *c = ct_new(vm_channel);

    c->vm = vm;
    return c;
}

/* Its handle, or 0 when there is no channel or no slot left. */
static uint32_t add_channel(vm_channel *c) {
    if (c->channel) c->handle = ct_slots_add(&c->vm->channels, c);
    if (c->handle) return c->handle;
    free_channel(c, false);
    return 0;
}

uint32_t ct_abi_connect(ct_vm *vm, const char *address) {
    ct_address to;
    const char *expected;
    vm_channel *c;

    if (!ct_address_parse(&to, address, &expected)) {
        snprintf(vm->why, sizeof vm->why, "%s: %s", address, expected);
        return 0;
    }
    c = new_channel(vm);
    c->channel = ct_channel_connect(vm->loop, &to, on_change, c);
    if (!c->channel) snprintf(vm->why, sizeof vm->why, "%s: %m", address);
    return add_channel(c);
}

uint32_t ct_abi_listen_pair(ct_vm *vm, uint32_t listener, const char *ip,
                            uint32_t size) {
    ct_listener *l = ct_slots_get(&vm->server->listeners, listener);
    vm_channel *c;
    ct_peer peer;
    int fd;

    snprintf(vm->why, sizeof vm->why, "no such listener, or no IP address");
    if (!l || l->closed || !ct_peer_parse(&peer, ip, size)) return 0;
    fd = ct_listener_pair(l, &peer);
    if (fd < 0) snprintf(vm->why, sizeof vm->why, "%m");
    if (fd < 0) return 0;
    c = new_channel(vm);
    c->channel = ct_channel_new(vm->loop, fd, on_change, c);
    return add_channel(c);
}

uint32_t ct_abi_request_detach(ct_vm *vm, uint32_t request) {
    ct_request *r = ct_slots_get(&vm->server->requests, request);
    vm_channel *c;

    if (!r || !r->conn) return 0;
    c = new_channel(vm);
    c->channel = ct_handover(r, on_change, c);
    if (add_channel(c) == 0) return 0;
    on_change(c); /* there may be input already */
    return c->handle;
}

int ct_abi_channel_send(ct_vm *vm, uint32_t channel, const char *p,
                        uint32_t size) {
    vm_channel *c = channel_of(vm, channel);

    if (!c) return CT_CLOSED;
    return ct_channel_send(c->channel, p, size) ? CT_OK : CT_LIMIT;
}

int ct_abi_channel_recv(ct_vm *vm, uint32_t channel, uint32_t max,
                        ct_str *out) {
    vm_channel *c = channel_of(vm, channel);
    char *scratch = vm->loop->scratch;
    ssize_t n;

    *out = (ct_str){ scratch, 0 };
    if (!c) return CT_CLOSED;
    if (max > CT_LOOP_SCRATCH) max = CT_LOOP_SCRATCH;
    n = ct_channel_recv(c->channel, scratch, max);
    c->told = false;
    if (n == CT_STREAM_AGAIN) return CT_AGAIN;
    if (n == CT_STREAM_EOF) return CT_EOF;
    if (n < 0) return CT_ERROR;
    out->n = (uint32_t)n;
    return CT_OK;
}

uint32_t ct_abi_channel_unsent(ct_vm *vm, uint32_t channel) {
    vm_channel *c = channel_of(vm, channel);

    if (!c) return 0;
    c->told = false;
    return (uint32_t)ct_channel_unsent(c->channel);
}

int ct_abi_channel_shut(ct_vm *vm, uint32_t channel) {
    vm_channel *c = channel_of(vm, channel);

    if (!c) return CT_CLOSED;
    ct_channel_shut(c->channel);
    return CT_OK;
}

int ct_abi_channel_close(ct_vm *vm, uint32_t channel, int reset) {
    vm_channel *c = channel_of(vm, channel);

    if (!c) return CT_CLOSED;
    ct_slots_remove(&vm->channels, channel);
    free_channel(c, reset);
    return CT_OK;
}

void ct_vm_free_channels(ct_vm *vm) {
    for (uint32_t i = 1; i < vm->channels.used; i++)
        if (vm->channels.slots[i].object)
            free_channel(vm->channels.slots[i].object, true);
    ct_slots_fini(&vm->channels);
}
