/* LuaJIT's profiler without its timer: it calls back between two instructions of
 * Lua, compiled or not, after it was asked to by a signal's handler. A process has
 * one, which the watchdogs and profilers of all generations share. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_SAMPLE_H
#define CT_SAMPLE_H

#include <stdbool.h>

struct ct_vm;
struct lua_State;

enum { CT_SAMPLE_CHAIN = 8 }; /* coroutines that run inside of one another */

/* Makes this state ready: ct_watchdog_sample() and ct_profile_sample() are called
 * from here on, for those of the two that it has. All traces are compiled anew,
 * with a check on each line. */
void ct_sample_start(struct ct_vm *vm);

/* Gives it up, unless vm->watchdog or vm->profile still needs it. */
void ct_sample_stop(struct ct_vm *vm);

/* From a signal's handler, which both SIGPROF and the signals of those two do not
 * interrupt, while this state runs: has them called soon. `again`: it was asked
 * before, and nothing came. `place`: where the signal came (vm/stall.h), or NULL; in
 * the middle of C, of a state that was not asked last, nothing is done: ask again. */
void ct_sample_ask(struct ct_vm *vm, bool again, const void *place);

/* The coroutines from the loop's own one to L, which runs: outermost first, those
 * of the loop alone left out. Returns how many. */
unsigned ct_sample_chain(const struct ct_vm *vm, struct lua_State *L,
                         struct lua_State *chain[CT_SAMPLE_CHAIN]);

/* The watchdog's and the profiler's signals, of which the handler of each keeps
 * the other one off. */
int ct_sample_watchdog_signal(void);
int ct_sample_profile_signal(void);

#endif
