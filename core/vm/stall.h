/* Where C was when a signal came. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_STALL_H
#define CT_STALL_H

#include <stdbool.h>
#include <stddef.h>

/* From a signal's handler with SA_SIGINFO, of its third argument: the place that
 * was interrupted. NULL on machines where that is not known. */
void *ct_stall_place(const void *context);

/* From a signal's handler: whether it may call malloc() and free(), since `place`, where
 * the signal came, is in compiled Lua or LuaJIT itself, which hold no lock. NULL: yes. */
bool ct_stall_may_allocate(const void *place);

/* Whether a place is neither in compiled Lua nor in LuaJIT itself. */
bool ct_stall_is_foreign(const void *place);

/* "read (libc.so.6)": the function at `place`, or "libx.so+0x1234" for addr2line
 * when that has no name. To `out`, of `size` bytes. Not for signal handlers. */
void ct_stall_name(const void *place, char *out, size_t size);

#endif
