/* The memory of a Lua state: counted, limited, and collected while nothing else is
 * to do. Lifetime: the state's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_MEMORY_H
#define CT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ct_vm;
struct lua_State;

/* When collecting goes on: not now; when the loop has been quiet for a moment; before
 * it waits. */
typedef enum ct_rest { CT_REST_NONE, CT_REST_LATER, CT_REST_AGAIN } ct_rest;

typedef struct ct_memory {
    size_t used;  /* bytes that Lua has, garbage too */
    size_t mark;  /* above it the allocator looks closer */
    size_t limit; /* of what is left when garbage is collected; 0: none */
    size_t low;   /* the least seen since all garbage was collected */
    size_t begin; /* where collecting while idle begins */
    struct ct_vm *vm;
    int err_ref;       /* the registry's, of what is raised */
    bool asked;        /* the hook is set */
    bool over;         /* the hook has collected, and it was not enough */
    bool lacking;      /* malloc has failed since */
    bool collect;      /* all garbage, when the turn is over */
    bool collecting;   /* a collection was begun while idle */
    unsigned patience; /* instructions of the framework that are let go on */
    unsigned refused;  /* allocations of this turn */
    size_t refused_size;
    double muted_till;
} ct_memory;

/* Opens a state whose memory is counted in `m`, which must not move; NULL when
 * LuaJIT cannot. */
struct lua_State *ct_memory_open(ct_memory *m, struct ct_vm *vm);

/* For Lua: function(bytes, err), a lua_CFunction with the ct_vm as its upvalue.
 * Sets the limit; 0: none. When more is in use and no garbage, `err` is raised in
 * what runs, at the next instruction that is not the framework's. Allocations that
 * go beyond by a quarter fail ("not enough memory"). Once for a thread's state. */
int ct_memory_limit_lua(struct lua_State *L);

/* From a hook that somebody else has set, for whose time the limit's own cannot
 * come: as that one. */
void ct_memory_check(ct_memory *m, struct lua_State *L);

/* Whether the limit was reached, or that is about to be looked at. */
bool ct_memory_was_full(const ct_memory *m);

/* When Lua's turn is over: gives back what was too much. */
void ct_memory_settle(ct_memory *m);

/* Between turns: collects all garbage. */
void ct_memory_collect(ct_memory *m);

/* When a turn is over; `quiet`: nothing has come in it, and nobody waited. Collects
 * for a moment if it is worth while. Returns when it wants to be asked again. */
ct_rest ct_memory_rest(ct_memory *m, bool quiet);

#endif
