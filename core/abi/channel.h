/* Connections as bytes: outgoing ones, and those that left HTTP. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_CHANNEL_H
#define CT_ABI_CHANNEL_H
#include "abi/base.h"

/* -- Channels ----------------------------------------------------------------
 * From ct_abi_connect(), ct_abi_request_detach() or ct_abi_listen_pair(). */

/* Begins to connect to "HOST:PORT" (an address, not a name) or "unix:/PATH"; 0:
 * see ct_abi_why(). CT_EVENT_CHANNEL tells when to look again. */
uint32_t ct_abi_connect(ct_vm *vm, const char *address);

/* Sends or keeps: OK, LIMIT when more than 1 MiB would wait, CLOSED. */
int ct_abi_channel_send(ct_vm *vm, uint32_t channel, const char *p,
                        uint32_t size);

/* At most `max` bytes (65536): OK, AGAIN, EOF, ERROR (reset or refused). */
int ct_abi_channel_recv(ct_vm *vm, uint32_t channel, uint32_t max, ct_str *out);

/* Bytes that wait to be sent; and the end of our side behind them. */
uint32_t ct_abi_channel_unsent(ct_vm *vm, uint32_t channel);
int ct_abi_channel_shut(ct_vm *vm, uint32_t channel);
int ct_abi_channel_close(ct_vm *vm, uint32_t channel, int reset);

#endif
