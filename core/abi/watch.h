/* Descriptors that somebody else reads and writes. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_WATCH_H
#define CT_ABI_WATCH_H
#include "abi/base.h"

typedef enum ct_ready {
    CT_READY_READ = 1, /* as epoll's bits, and Tornado's */
    CT_READY_WRITE = 4,
    CT_READY_ERROR = 24
} ct_ready;

/* Watches a descriptor, level-triggered, for a set of ct_ready (ERROR always):
 * CT_EVENT_WATCH comes in each turn in which it is ready. Borrows it. 0: see
 * ct_abi_why(). */
uint32_t ct_abi_watch(ct_vm *vm, int descriptor, uint32_t events);
int ct_abi_watch_update(ct_vm *vm, uint32_t watch, uint32_t events);

/* What it is ready for, after the event: a set of ct_ready. */
uint32_t ct_abi_watch_ready(ct_vm *vm, uint32_t watch);
int ct_abi_watch_close(ct_vm *vm, uint32_t watch);

/* How many there are. */
uint32_t ct_abi_watches(ct_vm *vm);

#endif
