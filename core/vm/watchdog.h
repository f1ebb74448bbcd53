/* The watchdog: a thread that sees when Lua of a generation holds the loop. What does so longer
 * than `stall` is logged with its stack; what does so longer than `limit` has an
 * error raised inside of it, in compiled code, too. Lifetime: generation. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WATCHDOG_H
#define CT_WATCHDOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ct_vm;
struct lua_State;

typedef struct ct_watchdog ct_watchdog;

/* For Lua: function(stall, limit, err, places), a lua_CFunction with the ct_vm as
 * its upvalue. Starts to watch, or anew with other times (seconds; 0: not that
 * one); with both 0 it stops. `err` is what it raises, `places` the lines of
 * templates (vm/stack.h). Raises when there is no thread. */
int ct_watchdog_lua(struct lua_State *L);

/* Ends the thread. NULL is fine. To be called before the state is closed. */
void ct_watchdog_free(ct_watchdog *w);

/* For vm/sample.c: Lua is between two instructions, and what it did before. */
void ct_watchdog_sample(ct_watchdog *w, struct lua_State *L, int state);

/* The one that is watched and whose Lua runs; NULL: none. */
struct ct_vm *ct_watchdog_running(void);

/* " by GET /path (127.0.0.1)": whose event was taken last; empty: no request's. */
void ct_watchdog_request(struct ct_vm *vm, char *out, size_t size);

/* Wakes its thread, which sleeps while nothing happens. */
void ct_watchdog_wake(ct_watchdog *w);

/* Whether its thread sleeps: the first field of all, so that looking costs a load
 * (see ct_vm_turn). */
static inline bool ct_watchdog_sleeps(const ct_watchdog *w) {
    return atomic_load_explicit((const _Atomic(bool) *)(const void *)w,
                                memory_order_relaxed);
}

#endif
