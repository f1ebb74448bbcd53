/* Byte streams: outgoing and accepted connections, pipes. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_CHANNEL_H
#define CT_ABI_CHANNEL_H
#include "abi/base.h"

/* -- Channels: byte streams ---------------------------------------------------- */

/* Begins to connect to "HOST:PORT" (an address, not a name), "unix:/PATH" or
 * "unix:@NAME", from such an address unless that is ""; 0: see ct_abi_why() and
 * ct_abi_errno(). CT_EVENT_CHANNEL tells when to look again. */
uint32_t ct_abi_connect(ct_vm *vm, const char *address, const char *from);

/* A channel of an open socket or pipe, which it takes, also when it fails. */
uint32_t ct_abi_adopt(ct_vm *vm, int descriptor);

/* OK when it is connected, AGAIN, ERROR. */
int ct_abi_channel_state(ct_vm *vm, uint32_t channel);

/* Limits what is read ahead, and at once (at most 65536). */
int ct_abi_channel_limit(ct_vm *vm, uint32_t channel, double ahead,
                         uint32_t piece);

/* Reads: OK, AGAIN: repeat with first = 0 when the event has come; EOF; ERROR;
 * LIMIT: with out->n 1 the answer cannot have at most `max` bytes (0: no limit),
 * with 0 it does not fit the buffer. Nothing is lost when one is not repeated. */
int ct_abi_channel_until(ct_vm *vm, uint32_t channel, int first,
                         const char *mark, uint32_t size, double max,
                         ct_str *out);
int ct_abi_channel_match(ct_vm *vm, uint32_t channel, int first, uint32_t regex,
                         double max, ct_str *out);
int ct_abi_channel_bytes(ct_vm *vm, uint32_t channel, int partial, double n,
                         ct_str *out);
int ct_abi_channel_all(ct_vm *vm, uint32_t channel, ct_str *out);

/* As ct_abi_channel_bytes() with `partial`, to memory: a count, or -status. */
int ct_abi_channel_into(ct_vm *vm, uint32_t channel, char *out, uint32_t max);

/* Puts bytes back in front; what is in the buffer; whether it has ended, if the
 * buffer is empty (OK: not, and now it is not empty). */
int ct_abi_channel_unread(ct_vm *vm, uint32_t channel, const char *p,
                          uint32_t size);
int ct_abi_channel_rest(ct_vm *vm, uint32_t channel, ct_str *out);
int ct_abi_channel_poll(ct_vm *vm, uint32_t channel);

/* Sends: how many bytes were taken, 0 when the event tells, -1: an error. */
int ct_abi_channel_write(ct_vm *vm, uint32_t channel, const char *p,
                         uint32_t size);

/* Sends or keeps: OK, LIMIT when more than 1 MiB would wait, CLOSED. */
int ct_abi_channel_send(ct_vm *vm, uint32_t channel, const char *p,
                        uint32_t size);

/* At most `max` bytes (65536) past the buffer: OK, AGAIN, EOF, ERROR. */
int ct_abi_channel_recv(ct_vm *vm, uint32_t channel, uint32_t max, ct_str *out);

/* Bytes that wait to be sent; and the end of our side behind them. */
uint32_t ct_abi_channel_unsent(ct_vm *vm, uint32_t channel);
int ct_abi_channel_shut(ct_vm *vm, uint32_t channel);
int ct_abi_channel_close(ct_vm *vm, uint32_t channel, int reset);

/* errno of what broke it, or 0; its descriptor, which stays its own, or -1. */
int ct_abi_channel_errno(ct_vm *vm, uint32_t channel);
int ct_abi_channel_descriptor(ct_vm *vm, uint32_t channel);
int ct_abi_channel_nodelay(ct_vm *vm, uint32_t channel, int on);

/* Where it is bound (peer = 0) or connected: "127.0.0.1:80", "unix:". */
int ct_abi_channel_address(ct_vm *vm, uint32_t channel, int peer, ct_str *out);

/* -- Errors and descriptors ---------------------------------------------------- */

/* errno of what ct_abi_why() says, or 0; a number's name ("ECONNREFUSED") and
 * text. */
int ct_abi_errno(ct_vm *vm);
const char *ct_abi_errno_name(int error);
const char *ct_abi_errno_text(int error);

/* A pipe (what out[1] takes out[0] gives), or two connected sockets. */
int ct_abi_pipe(ct_vm *vm, int32_t *out);
int ct_abi_pair(ct_vm *vm, int32_t *out);
/* A second descriptor of the same thing, the caller's; -1 when that fails. */
int ct_abi_descriptor_copy(ct_vm *vm, int descriptor);
int ct_abi_descriptor_close(int descriptor);

#endif
