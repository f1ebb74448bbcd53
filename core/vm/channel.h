/* Channels as Lua has them. Lifetime: until Lua closes them, or the generation. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_VM_CHANNEL_H
#define CT_VM_CHANNEL_H

#include "http/seat.h"
#include "io/channel.h"
#include "vm/vm.h"

typedef struct vm_channel {
    ct_vm *vm;
    ct_channel *channel;
    uint32_t handle;
    uint32_t acceptor; /* that it came from, or 0 */
    ct_seat seat;      /* of a detached connection, or none */
} vm_channel;

/* A channel with a handle for the socket or pipe `fd`, which it takes; 0 when
 * that fails: errno says why. */
uint32_t ct_vm_adopt(ct_vm *vm, int fd, uint32_t acceptor);

/* What a channel was accepted by; 0 for none. */
uint32_t ct_vm_acceptor_of(ct_vm *vm, uint32_t channel);

/* Keeps errno with a text "what: reason" for Lua; returns 0. */
uint32_t ct_vm_failed(ct_vm *vm, const char *what);

/* Parses an address as ct_address_parse() does; the reason goes to Lua. */
bool ct_vm_address(ct_vm *vm, ct_address *out, const char *text);

/* Writes an address for Lua: valid until the next. */
ct_str ct_vm_address_text(ct_vm *vm, const ct_address *a);

#endif
