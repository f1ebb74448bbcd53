/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/vm.h"

#include "base/mem.h"
#include "vm/job.h"
#include "vm/profile.h"
#include "vm/sample.h"
#include "vm/scripts.h"
#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>
#include <string.h>

/* Called where the JIT compiler's traces shall end (see core.barrier). */
static int barrier(lua_State *L) {
    (void)L;
    return 0;
}

/* package.loaded["tornado.abi"] = { vm = , text = , ... }: what core.lua begins with. */
static void add_abi(ct_vm *vm) {
    lua_State *L = vm->lua;
    const ct_script *abi = ct_modules_find("abi.h");

    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_createtable(L, 0, 2);
    lua_pushlightuserdata(L, vm);
    lua_setfield(L, -2, "vm");
    lua_pushlstring(L, abi->text, abi->size);
    lua_setfield(L, -2, "text");
    lua_pushcfunction(L, barrier);
    lua_setfield(L, -2, "barrier");
    lua_pushcfunction(L, ct_modules_text);
    lua_setfield(L, -2, "script");
    lua_pushboolean(L, vm->thread);
    lua_setfield(L, -2, "thread");
    lua_pushlightuserdata(L, vm);
    lua_pushcclosure(L, ct_watchdog_lua, 1);
    lua_setfield(L, -2, "watchdog");
    lua_pushlightuserdata(L, vm);
    lua_pushcclosure(L, ct_memory_limit_lua, 1);
    lua_setfield(L, -2, "memory_limit");
    lua_setfield(L, -2, "tornado.abi");
    lua_pop(L, 1);
}

static int open_all(lua_State *L) {
    ct_vm *vm = lua_touserdata(L, 1);

    luaL_openlibs(L);
    ct_modules_add_loader(L, &vm->modules);
    add_abi(vm);
    return 0;
}

bool ct_vm_open(ct_vm *vm) {
    vm->lua = ct_memory_open(&vm->memory, vm);
    if (!vm->lua) return false;
    if (lua_cpcall(vm->lua, open_all, vm) == 0) return true;
    lua_close(vm->lua);
    vm->lua = NULL;
    return false;
}

bool ct_vm_prepare(ct_vm *vm, const ct_modules *modules) {
    if (!ct_vm_open(vm)) return false;
    ct_modules_compile(vm->lua, modules);
    return true;
}

enum { TICKET_ROTATION = 12 * 3600 }; /* seconds, if nobody says */

ct_vm *ct_vm_new(ct_loop *loop, ct_server *server, const char **why) {
    ct_vm *vm = ct_new(ct_vm);

    vm->loop = loop;
    vm->server = server;
    vm->ticket_rotation = TICKET_ROTATION;
    vm->events = ct_new(ct_events);
    ct_list_init(&vm->node);
    vm->log = loop->log;
    vm->next_pump = vm->pump_ref = vm->traceback = LUA_NOREF;
    ct_list_init(&vm->closing);
    ct_ws_hub_init(&vm->websockets, loop, vm->events);
    vm->waker = ct_waker_new(loop);
    *why = "no file descriptors are left (ulimit -n)";
    if (vm->waker) return vm;
    (void)!ct_vm_free(vm);
    return NULL;
}

/* Error handler: the error as text, with a traceback. */
static int traceback(lua_State *L) {
    if (!lua_isstring(L, 1)) {
        if (!luaL_callmeta(L, 1, "__tostring"))
            lua_pushfstring(L, "(an error that is a %s)", luaL_typename(L, 1));
        lua_replace(L, 1);
    }
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

static void log_error(ct_vm *vm) {
    size_t n;
    const char *text = lua_tolstring(vm->lua, -1, &n);

    if (!text) text = "unknown error", n = strlen(text);
    ct_log_text(vm->log, CT_LEVEL_ERROR, "vm", text, n, true);
    lua_settop(vm->lua, 0);
}

/* The command line, on its way through lua_cpcall(). */
typedef struct start {
    ct_vm *vm;
    int argc;
    char **argv;
} start;

/* As lua_pcall(), the traceback in front, but passes errors on. */
static void call(lua_State *L, int arguments, int results) {
    if (lua_pcall(L, arguments, results, 1)) lua_error(L);
}

/* require "tornado.main" gives { start = , next_pump = }. */
static int start_main(lua_State *L) {
    start *s = lua_touserdata(L, 1);
    ct_vm *vm = s->vm;

    lua_settop(L, 0);
    lua_pushcfunction(L, traceback);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tornado.main");
    call(L, 1, 1);
    lua_pushboolean(L, false);
    vm->pump_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, -1, "next_pump");
    vm->next_pump = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, 1);
    vm->traceback = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, -1, "start");
    lua_createtable(L, s->argc, 0);
    for (int i = 0; i < s->argc; i++) {
        lua_pushstring(L, s->argv[i]);
        lua_rawseti(L, -2, i);
    }
    call(L, 1, 0);
    return 0;
}

/* Protected as a whole: memory may be used up at any call. */
bool ct_vm_start(ct_vm *vm, int argc, char **argv) {
    start s = { vm, argc, argv };

    if (lua_cpcall(vm->lua, start_main, &s) == 0) return true;
    log_error(vm);
    return false;
}

/* Gets the coroutine that will take events next; false when Lua fails. What is not
 * protected by lua_pcall() here needs no memory: its references are there. */
static bool take_pump(ct_vm *vm) {
    lua_State *L = vm->lua;

    vm->pump = NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->traceback);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->next_pump);
    if (lua_pcall(L, 0, 1, 1)) {
        log_error(vm);
        return false;
    }
    vm->pump = lua_tothread(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, vm->pump_ref);
    lua_settop(L, 0);
    return vm->pump != NULL;
}

/* Lets the pump take events. True: it has taken all, and yielded a value to say
 * so. False: it waits for something together with a handler, or has died. */
static bool run_pump(ct_vm *vm) {
    lua_State *co = vm->pump;
    int status = lua_resume(co, 0);
    bool idle = status == LUA_YIELD && lua_gettop(co) > 0;

    if (idle) lua_settop(co, 0);
    if (status > LUA_YIELD) {
        lua_xmove(co, vm->lua, 1);
        log_error(vm);
    }
    return idle;
}

static void run(ct_vm *vm) {
    do {
        if (!vm->pump && !take_pump(vm)) return;
        if (run_pump(vm)) return;
        vm->pump = NULL;
    } while (true);
}

bool ct_vm_turn(ct_vm *vm) {
    if (!vm->events->count && !vm->wake) return false;
    vm->wake = false;
    vm->pulse.beat++;
    vm->pulse.busy = 1;
    if (vm->watchdog && ct_watchdog_sleeps(vm->watchdog))
        ct_watchdog_wake(vm->watchdog);
    run(vm);
    if (vm->memory.collect) ct_memory_settle(&vm->memory);
    vm->pulse.busy = 0;
    return vm->wake;
}

bool ct_vm_is_busy(const ct_vm *vm) {
    return vm->jobs.count || !ct_list_is_empty(&vm->closing);
}

bool ct_vm_free(ct_vm *vm) {
    if (!vm) return true;
    ct_watchdog_free(vm->watchdog);
    ct_profile_free(vm);
    if (vm->lua) lua_close(vm->lua);
    vm->lua = NULL;
    ct_vm_free_processes(vm);
    if (!ct_vm_free_jobs(vm)) return false;
    ct_vm_free_handles(vm);
    ct_vm_free_acceptors(vm);
    ct_vm_free_channels(vm);
    ct_vm_free_watches(vm);
    ct_vm_free_datagrams(vm);
    ct_vm_free_inotifies(vm);
    ct_vm_free_resolves(vm);
    ct_vm_free_clients(vm);
    ct_ws_hub_fini(&vm->websockets);
    ct_vm_free_tlses(vm);
    ct_events_fini(vm->events);
    ct_free(vm->events);
    ct_free(vm->report);
    ct_free(vm->reload_report);
    ct_buf_fini(&vm->estate);
    ct_free(vm->text);
    ct_free(vm->control);
    ct_free(vm->pid_file);
    ct_vm_wishes_free(vm->wishes);
    ct_free(vm);
    return true;
}
