/* UDP sockets. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_DATAGRAM_H
#define CT_ABI_DATAGRAM_H
#include "abi/base.h"

/* A UDP socket, bound to "IP:PORT" (":0" of the family when it is only to send)
 * and connected to another unless that is "". `buffer`: bytes that the kernel
 * may hold for it, 0 for its default. 0: see ct_abi_why(). */
uint32_t ct_abi_datagram(ct_vm *vm, const char *bind, const char *peer,
                         uint32_t buffer, uint32_t flags);

/* Sends one datagram, to `to` unless that is "": OK, AGAIN: CT_EVENT_DATAGRAM
 * tells, ERROR. */
int ct_abi_datagram_send(ct_vm *vm, uint32_t datagram, const char *p,
                         uint32_t size, const char *to);

/* The next datagram and its sender ("127.0.0.1:53"): OK, AGAIN, ERROR. */
int ct_abi_datagram_recv(ct_vm *vm, uint32_t datagram, ct_str *out,
                         ct_str *from);
int ct_abi_datagram_address(ct_vm *vm, uint32_t datagram, ct_str *out);
int ct_abi_datagram_close(ct_vm *vm, uint32_t datagram);

#endif
