/* Frames are read by what allocates nothing: luaL_traceback() and LuaJIT's own dump
 * make strings, and the process may have died in the allocator. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/last_words.h"

#include "vm/vm.h"
#include "vm/watchdog.h"
#include <lua.h>

/* The coroutine that L waits for in a call of resume(), which the caller has among its first
 * locals (ioloop.lua), or NULL. */
static lua_State *resumed(lua_State *L) {
    enum { LOCALS = 4 };
    lua_Debug at;

    if (!lua_getstack(L, 0, &at) || !lua_getinfo(L, "S", &at)) return NULL;
    if (*at.what != 'C' || !lua_getstack(L, 1, &at)) return NULL;
    for (int n = 1; n <= LOCALS && lua_getlocal(L, &at, n); n++) {
        lua_State *co = lua_tothread(L, -1);
        lua_Debug any;

        lua_pop(L, 1);
        if (co && co != L && lua_status(co) == 0 && lua_getstack(co, 0, &any))
            return co;
    }
    return NULL;
}

void ct_last_words(ct_log *log) {
    enum { FRAMES = 16, DEEP = 8 };
    ct_vm *vm = ct_watchdog_running();
    lua_State *L = vm ? vm->pump : NULL, *co;
    char request[1200];
    lua_Debug at;

    if (!L) return;
    ct_watchdog_request(vm, request, sizeof request);
    ct_log_line(log, CT_LEVEL_ERROR, "crash", "Lua was called%s", request);
    for (int i = 0; i < DEEP && (co = resumed(L)); i++) L = co;
    for (int i = 0; i < FRAMES && lua_getstack(L, i, &at); i++) {
        lua_getinfo(L, "nSl", &at);
        if (*at.what == 'C')
            ct_log_line(log, CT_LEVEL_ERROR, "crash", "  [C]: in %s",
                        at.name ? at.name : "?");
        else
            ct_log_line(log, CT_LEVEL_ERROR, "crash", "  %s:%d: in %s",
                        at.short_src, at.currentline, at.name ? at.name : "?");
    }
}
