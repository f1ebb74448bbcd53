/* LuaJIT's own handler of SIGPROF is what marks the state; its timer, which counts
 * the time of all threads and hits any of them, is not used.
 *
 * The handler marks one state: the owner. Taking that from another one throws its
 * traces away, so it is done when a state is asked while it runs. The other one
 * does not run then, so LuaJIT may change it; and it frees memory, so it is done
 * only when the signal has not come in the middle of malloc(), or of another
 * function of C that may hold a lock. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/sample.h"

#include "vm/profile.h"
#include "vm/stall.h"
#include "vm/vm.h"
#include "vm/watchdog.h"
#include <lua.h>
#include <luajit.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

int ct_sample_watchdog_signal(void) {
    return SIGVTALRM; /* nobody else has a use for it */
}

int ct_sample_profile_signal(void) {
    return SIGRTMIN;
}

static void on_sample(void *arg, lua_State *L, int samples, int state) {
    ct_vm *vm = arg;

    if (vm->watchdog) ct_watchdog_sample(vm->watchdog, L, state);
    if (vm->profile) ct_profile_sample(vm->profile, L, samples, state);
}

/* -- The owner ---------------------------------------------------------------- */

static ct_vm *owner; /* process-wide: as LuaJIT's profiler is; or NULL */

/* The longest interval there is, and then none. */
static void take(ct_vm *vm, const char *mode) {
    const struct itimerval none = { 0 };

    luaJIT_profile_start(vm->lua, mode, on_sample, vm);
    setitimer(ITIMER_PROF, &none, NULL);
    owner = vm;
}

/* While another state is the owner: its traces are to have checks as well. */
static void keep_checks(ct_vm *vm) {
    luaJIT_profile_start(vm->lua, "l", on_sample, vm);
}

/* From a signal's handler that may call free(), as LuaJIT and libgcc do here. */
static void borrow(ct_vm *vm) {
    ct_vm *before = owner;

    if (before) luaJIT_profile_stop(before->lua);
    take(vm, "i1000000");
    if (before) keep_checks(before);
}

static void block(sigset_t *before) {
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, ct_sample_watchdog_signal());
    sigaddset(&set, ct_sample_profile_signal());
    pthread_sigmask(SIG_BLOCK, &set, before);
}

void ct_sample_start(ct_vm *vm) {
    ct_vm *before = owner;
    sigset_t signals;

    block(&signals);
    if (before) luaJIT_profile_stop(before->lua);
    take(vm, "li1000000");
    if (before && before != vm) keep_checks(before);
    pthread_sigmask(SIG_SETMASK, &signals, NULL);
}

void ct_sample_stop(ct_vm *vm) {
    sigset_t signals;

    if (vm->watchdog || vm->profile) return;
    block(&signals);
    luaJIT_profile_stop(vm->lua);
    if (owner == vm) owner = NULL;
    pthread_sigmask(SIG_SETMASK, &signals, NULL);
}

/* -- Asking ------------------------------------------------------------------- */

static void never(lua_State *L, lua_Debug *at) {
    (void)at;
    lua_sethook(L, NULL, 0, 0);
}

/* Asked a second time, LuaJIT thinks that all is done; a hook that comes and goes
 * makes it look again. */
void ct_sample_ask(ct_vm *vm, bool again, const void *place) {
    lua_State *L = vm->lua;
    struct sigaction profiler;

    if (owner != vm) {
        if (!ct_stall_may_allocate(place)) return;
        borrow(vm);
    }
    if (again && !lua_gethook(L)) {
        lua_sethook(L, never, LUA_MASKCOUNT, 1 << 30);
        lua_sethook(L, NULL, 0, 0);
    }
    sigaction(SIGPROF, NULL, &profiler);
    if (profiler.sa_handler != SIG_DFL && profiler.sa_handler != SIG_IGN)
        profiler.sa_handler(SIGPROF);
}

/* -- Coroutines --------------------------------------------------------------- */

/* The coroutine that `at` has resumed, if that is what it does. Its caller is the
 * loop itself when all before it is not of interest. */
static lua_State *resumed_by(lua_State *at, bool *by_loop) {
    lua_State *co;
    lua_Debug info;

    if (!lua_getstack(at, 0, &info)) return NULL;
    lua_getinfo(at, "S", &info);
    if (*info.what != 'C' || !lua_getlocal(at, &info, 1)) return NULL;
    co = lua_tothread(at, -1);
    lua_pop(at, 1);
    *by_loop = lua_getstack(at, 1, &info) && lua_getinfo(at, "S", &info) &&
               strcmp(info.source, "@tornado/ioloop.lua") == 0;
    return co;
}

unsigned ct_sample_chain(const ct_vm *vm, lua_State *L,
                         lua_State *chain[CT_SAMPLE_CHAIN]) {
    lua_State *at = vm->pump;
    unsigned n = 0;

    while (at && n < CT_SAMPLE_CHAIN) {
        bool by_loop = false;

        chain[n++] = at;
        if (at == L) return n;
        at = resumed_by(at, &by_loop);
        if (by_loop) n = 0;
    }
    chain[0] = L;
    return 1;
}
