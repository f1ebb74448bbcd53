/* The terminal that somebody types at. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_TERMINAL_H
#define CT_ABI_TERMINAL_H
#include "abi/base.h"

/* With 1, each key comes at once, unseen, and Ctrl-C is one of them; with 0, lines
 * come that the terminal lets people edit. ERROR when it is no terminal. */
int ct_abi_terminal_raw(int descriptor, int on);

/* How wide it is; 80 when it does not say, 0 when it is no terminal. */
uint32_t ct_abi_terminal_columns(int descriptor);

/* Reads at once what a descriptor that is ready has: its bytes, 0 at its end, -1
 * when that fails. One that is not ready blocks. */
int ct_abi_read_ready(int descriptor, char *out, uint32_t size);

#endif
