/* Listeners whose connections are channels. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_ACCEPT_H
#define CT_ABI_ACCEPT_H
#include "abi/base.h"

enum { CT_ACCEPT_SHARE = 1 /* SO_REUSEPORT */ };

/* Binds and listens, but accepts nothing yet; `mode` is that of a unix socket's
 * file. Returns a handle, or 0: see ct_abi_why() and ct_abi_errno(). */
uint32_t ct_abi_accept(ct_vm *vm, const char *address, uint32_t backlog,
                       uint32_t mode, uint32_t flags);

/* CT_OK for an address that may be listened on, whether it is there or not; else
 * CT_ERROR, and ct_abi_why() has what was expected. */
int ct_abi_address_check(ct_vm *vm, const char *address);

/* Begins to accept, or pauses. CT_EVENT_ACCEPT brings each new channel. */
int ct_abi_accept_watch(ct_vm *vm, uint32_t acceptor, int on);

/* The address bound, "127.0.0.1:8888". */
int ct_abi_accept_address(ct_vm *vm, uint32_t acceptor, ct_str *out);
int ct_abi_accept_close(ct_vm *vm, uint32_t acceptor);

#endif
