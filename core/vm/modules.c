/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/modules.h"

#include "base/assert.h"
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <string.h>

static const char COMPILED[] =
    "ct.compiled"; /* in the registry: name -> chunk */

const ct_script *ct_modules_find(const char *name) {
    for (const ct_script *s = ct_scripts; s->name; s++)
        if (strcmp(s->name, name) == 0) return s;
    return NULL;
}

/* As luaL_loadbuffer(). A chunk's name in tracebacks is that of its file:
 * "tornado/web.lua". */
static int compile(lua_State *L, const ct_script *s) {
    const char *chunk = luaL_gsub(L, s->name, ".", "/");
    int status;

    chunk = lua_pushfstring(L, "@%s.lua", chunk);
    status = luaL_loadbuffer(L, s->text, s->size, chunk);
    lua_replace(L, -3);
    lua_pop(L, 1);
    return status;
}

/* Pushes what ct_modules_compile() has made of it, once; false: nothing. */
static bool take_compiled(lua_State *L, const char *name) {
    lua_getfield(L, LUA_REGISTRYINDEX, COMPILED);
    if (!lua_istable(L, -1)) return false;
    lua_getfield(L, -1, name);
    lua_pushnil(L);
    lua_setfield(L, -3, name);
    return lua_isfunction(L, -1);
}

/* A loader for package.loaders: the module's chunk, or why not. */
static int load_script(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    ct_modules *loaded = lua_touserdata(L, lua_upvalueindex(1));
    const ct_script *s = ct_modules_find(name);

    if (!s) {
        lua_pushfstring(L, "\n\tno module '%s' in the binary", name);
        return 1;
    }
    loaded->has[s - ct_scripts] = true;
    if (!take_compiled(L, name) && compile(L, s)) return lua_error(L);
    return 1;
}

void ct_modules_add_loader(lua_State *L, ct_modules *loaded) {
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaders");
    for (int i = (int)lua_objlen(L, -1); i >= 2; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushlightuserdata(L, loaded);
    lua_pushcclosure(L, load_script, 1);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}

static int compile_all(lua_State *L) {
    const ct_modules *modules = lua_touserdata(L, 1);

    lua_newtable(L);
    for (const ct_script *s = ct_scripts; s->name; s++) {
        ct_assert(s - ct_scripts < CT_MODULES_MAX);
        if (!modules->has[s - ct_scripts]) continue;
        if (compile(L, s))
            lua_pop(L, 1);
        else
            lua_setfield(L, -2, s->name);
    }
    lua_setfield(L, LUA_REGISTRYINDEX, COMPILED);
    return 0;
}

void ct_modules_compile(lua_State *L, const ct_modules *modules) {
    if (lua_cpcall(L, compile_all, (void *)(uintptr_t)modules)) lua_pop(L, 1);
}

int ct_modules_text(lua_State *L) {
    const ct_script *s = ct_modules_find(luaL_checkstring(L, 1));

    if (!s) return 0;
    lua_pushlstring(L, s->text, s->size);
    return 1;
}
