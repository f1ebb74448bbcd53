/* The profiler: how often each stack of Lua functions is seen while Lua holds the
 * loop. Between two profiles nothing of it is there. Lifetime: generation. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_PROFILE_H
#define CT_PROFILE_H

#include "abi.h"

struct lua_State;

typedef struct ct_profile ct_profile;

/* For vm/sample.c: Lua is between two instructions; `samples` ticks have passed
 * since, of which the first came in `state`, one of LuaJIT's "NICGJ". */
void ct_profile_sample(ct_profile *p, struct lua_State *L, int samples,
                       int state);

/* Ends the sampling of another state than this, which is to have LuaJIT's
 * profiler. What that has found stays. */
void ct_profile_yield(const ct_vm *vm);

/* Ends sampling and frees vm->profile; fine when there is none. */
void ct_profile_free(ct_vm *vm);

#endif
