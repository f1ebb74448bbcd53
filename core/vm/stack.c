/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/stack.h"

#include "vm/sample.h"
#include "vm/vm.h"
#include <lua.h>
#include <luajit.h>
#include <string.h>

enum { DEPTH = 16 }; /* functions of each coroutine */

typedef struct out {
    char *at, *end;
} out;

static void put(out *o, const char *p, size_t n) {
    if (n > (size_t)(o->end - o->at)) n = (size_t)(o->end - o->at);
    memcpy(o->at, p, n);
    o->at += n;
}

/* Puts the place of a line of a chunk, if places[id][line], or [0], has it. The main
 * state waits for the others, so its stack is free. */
static bool put_place(out *o, lua_State *base, int places, int id, int line) {
    int top = lua_gettop(base);
    const char *text = NULL;
    size_t n;

    lua_rawgeti(base, LUA_REGISTRYINDEX, places);
    lua_rawgeti(base, -1, id);
    if (lua_istable(base, -1)) {
        lua_rawgeti(base, -1, line);
        lua_rawgeti(base, -2, 0);
        text = lua_tolstring(base, lua_isstring(base, -2) ? -2 : -1, &n);
    }
    if (text) put(o, text, n);
    lua_settop(base, top);
    return text != NULL;
}

/* Reads digits; what LuaJIT gives has no zero byte behind. */
static const char *get_number(const char *p, const char *end, int *number) {
    for (*number = 0; p < end && *p >= '0' && *p <= '9'; p++)
        if (*number < 1 << 24) *number = *number * 10 + (*p - '0');
    return p;
}

/* The same for "tt#ID:LINE" at `p`; returns what is behind it, or NULL: none. */
static const char *put_template(out *o, lua_State *base, int places,
                                const char *p, const char *end) {
    int id, line;

    if (end - p < 3 || memcmp(p, "tt#", 3) != 0) return NULL;
    p = get_number(p + 3, end, &id);
    if (p == end || *p != ':') return NULL;
    p = get_number(p + 1, end, &line);
    return put_place(o, base, places, id, line) ? p : NULL;
}

static void put_coroutine(out *o, ct_vm *vm, lua_State *L, int places) {
    size_t n;
    const char *p = luaJIT_profile_dumpstack(L, "pl (F)\n", DEPTH, &n);
    const char *end = p + n;

    while (p < end) {
        const char *behind = put_template(o, vm->lua, places, p, end);

        if (!behind) {
            put(o, p, 1);
            behind = p + 1;
        }
        p = behind;
    }
}

size_t ct_stack_text(ct_vm *vm, lua_State *L, int places, char *text,
                     size_t size) {
    lua_State *chain[CT_SAMPLE_CHAIN];
    unsigned n = ct_sample_chain(vm, L, chain);
    out o = { text, text + size };

    while (n) put_coroutine(&o, vm, chain[--n], places);
    return (size_t)(o.at - text);
}
