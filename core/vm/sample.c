/* LuaJIT's own handler of SIGPROF is what marks the state; its timer, which counts
 * the time of all threads and hits any of them, is not used. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/sample.h"

#include "vm/profile.h"
#include "vm/vm.h"
#include "vm/watchdog.h"
#include <lua.h>
#include <luajit.h>
#include <signal.h>
#include <stddef.h>
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

/* The longest interval there is, and then none. */
void ct_sample_start(ct_vm *vm) {
    const struct itimerval none = { 0 };

    luaJIT_profile_start(vm->lua, "li1000000", on_sample, vm);
    setitimer(ITIMER_PROF, &none, NULL);
}

void ct_sample_stop(ct_vm *vm) {
    if (!vm->watchdog && !vm->profile) luaJIT_profile_stop(vm->lua);
}

static void never(lua_State *L, lua_Debug *at) {
    (void)at;
    lua_sethook(L, NULL, 0, 0);
}

/* Asked a second time, LuaJIT thinks that all is done; a hook that comes and goes
 * makes it look again. */
void ct_sample_ask(lua_State *L, bool again) {
    struct sigaction profiler;

    if (again && !lua_gethook(L)) {
        lua_sethook(L, never, LUA_MASKCOUNT, 1 << 30);
        lua_sethook(L, NULL, 0, 0);
    }
    sigaction(SIGPROF, NULL, &profiler);
    if (profiler.sa_handler != SIG_DFL && profiler.sa_handler != SIG_IGN)
        profiler.sa_handler(SIGPROF);
}
