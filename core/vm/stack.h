/* The stack of what runs now, as text. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_STACK_H
#define CT_STACK_H

#include <stddef.h>

struct ct_vm;
struct lua_State;

/* Writes the stack of L, between two instructions of it, and behind that those of the
 * coroutines that wait for it to `out`, of `size` bytes: a line for each function,
 * innermost first, "FILE:LINE (FILE:NAME)". Lines of compiled templates are given
 * by the table `places` (a reference in the registry; see lua/tornado/trace.lua) as
 * those of their files. Returns how many bytes were written. */
size_t ct_stack_text(struct ct_vm *vm, struct lua_State *L, int places,
                     char *out, size_t size);

#endif
