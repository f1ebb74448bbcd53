/* LuaJIT's collector knows no limit: what goes too far is found by the allocator,
 * which must not touch Lua. It asks for a hook, as the watchdog does, and at the
 * next instruction that collects all garbage; if this is not enough, it raises an
 * error where the memory is being used up. Where no hook comes (one huge string,
 * compiled code without the watchdog's checks), the allocator refuses.
 *
 * Compiled code on a thread has no such checks, but LuaJIT leaves it in the middle of
 * each cycle of its collector. So there cycles begin early enough to be through below
 * the limit, and garbage alone does not reach it.
 *
 * Collecting while idle: left alone, LuaJIT collects in steps of whoever allocates,
 * beginning when the memory has grown to three times what was in use (ioloop.lua).
 * Here it begins at twice as much, when the loop has had nothing to do, and stops when
 * it is done: then most of the work is nobody's, and there is no more of it. Nothing to
 * do means for a moment: a loaded loop, too, waits now and then for some microseconds,
 * and those who come in them would wait for a slice of collecting. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/memory.h"

#include "base/clock.h"
#include "base/mem.h"
#include "vm/sample.h"
#include "vm/vm.h"
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <string.h>

enum {
    SLICE_KB = 32,      /* of one step, in LuaJIT's measure */
    SLACK = 1 << 20,    /* bytes of garbage that are left alone */
    PATIENCE = 1000000, /* instructions of the framework before the error */
    PAUSE_MIN = 110,    /* of a thread's collector, see lua_gc() */
    PAUSE_MAX = 200,
    STEPMUL = 1000, /* likewise; nobody waits for its single steps */
    QUIET = 60      /* seconds between two lines about a full state */
};

static const double BUDGET = 0.0005; /* seconds of collecting at a time */

/* What is kept free, so that not each allocation means a collection. */
static size_t margin(const ct_memory *m) {
    return m->limit / 16;
}

/* When to look again while too much is in use. */
static size_t mark_of(const ct_memory *m) {
    return m->limit ? m->used + margin(m) : SIZE_MAX;
}

/* -- Collecting ------------------------------------------------------------- */

static int collect_all(lua_State *L) {
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

/* Finalizers may raise: that is told, and all goes on. */
static void protect(ct_memory *m, lua_CFunction fn) {
    lua_State *L = m->vm->lua;

    if (lua_cpcall(L, fn, m) == 0) return;
    ct_log_line(m->vm->log, CT_LEVEL_ERROR, "vm", "error in a finalizer: %s",
                lua_isstring(L, -1) ? lua_tostring(L, -1) : "no text");
    lua_settop(L, 0);
}

static int collect_some(lua_State *L) {
    ct_memory *m = lua_touserdata(L, 1);
    double end = ct_clock_precise() + BUDGET;

    do {
        m->collecting = !lua_gc(L, LUA_GCSTEP, SLICE_KB);
    } while (m->collecting && ct_clock_precise() < end);
    return 0;
}

static void begin_at(ct_memory *m) {
    m->low = m->used;
    m->begin = m->low + (m->low > SLACK ? m->low : SLACK);
}

void ct_memory_collect(ct_memory *m) {
    m->vm->pulse.busy = 1; /* a finalizer may be held, too */
    protect(m, collect_all);
    m->vm->pulse.busy = 0;
    m->collecting = false;
    begin_at(m);
}

ct_rest ct_memory_rest(ct_memory *m, bool quiet) {
    if (m->used < m->low) begin_at(m);
    if (m->used < m->begin && !m->collecting) return CT_REST_NONE;
    if (!quiet) return CT_REST_LATER;
    m->vm->pulse.busy = 1; /* a finalizer may be held, too */
    protect(m, collect_some);
    m->vm->pulse.busy = 0;
    if (m->collecting) return CT_REST_AGAIN;
    begin_at(m);
    return CT_REST_NONE;
}

/* -- The limit -------------------------------------------------------------- */

static bool is_framework(lua_State *L, lua_Debug *at) {
    lua_getinfo(L, "S", at);
    return *at->what == 'C' || strncmp(at->source, "@tornado/", 9) == 0;
}

static void end_hook(ct_memory *m, lua_State *L) {
    lua_sethook(L, NULL, 0, 0);
    m->asked = m->over = false;
}

/* Whether it is too much when all garbage is gone. */
static bool is_over(ct_memory *m, lua_State *L) {
    lua_gc(L, LUA_GCCOLLECT, 0);
    if (m->limit && m->used > m->limit - margin(m)) return true;
    if (m->lacking && !ct_mem_refill()) return true;
    if (m->lacking) m->collect = !m->vm->thread; /* that was enough */
    m->lacking = false;
    m->mark = m->limit ? m->limit : SIZE_MAX;
    return false;
}

static void raise_full(ct_memory *m, lua_State *L) {
    bool lacking = m->lacking;

    m->lacking = false;
    m->mark = mark_of(m); /* for who answers */
    m->collect = true;
    if (lacking)
        lua_pushliteral(L, "not enough memory"); /* LuaJIT has that string */
    else
        lua_rawgeti(L, LUA_REGISTRYINDEX, m->err_ref);
    lua_error(L);
}

static void on_full(lua_State *L, lua_Debug *at) {
    ct_memory *m;

    (void)lua_getallocf(L, (void **)&m);
    if (!m->over) {
        m->over = is_over(m, L);
        m->patience = PATIENCE;
    }
    if (!m->over) {
        end_hook(m, L);
    } else if (!m->patience || !is_framework(L, at)) {
        end_hook(m, L);
        raise_full(m, L);
    } else {
        m->patience--;
    }
}

void ct_memory_check(ct_memory *m, lua_State *L) {
    if ((m->lacking || m->used > m->mark) && is_over(m, L)) raise_full(m, L);
}

bool ct_memory_was_full(const ct_memory *m) {
    return m->asked || m->collect || m->refused;
}

static void ask(ct_memory *m, lua_State *L) {
    sigset_t set, before;

    sigemptyset(&set);
    sigaddset(&set, ct_sample_watchdog_signal());
    sigaddset(&set, ct_sample_profile_signal());
    pthread_sigmask(SIG_BLOCK, &set, &before);
    m->asked = true;
    lua_sethook(L, on_full, LUA_MASKCOUNT, 1);
    if (m->vm->watchdog || m->vm->profile) ct_sample_ask(m->vm, false, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* May be called anywhere in LuaJIT, where only what signal handlers may do is
 * allowed: setting hooks. One that somebody else has set is left alone. */
static bool may_grow(ct_memory *m, size_t used, size_t size) {
    lua_State *L = m->vm->lua;

    if (!L) return true;
    if (used > m->limit + m->limit / 4) {
        m->refused++;
        m->refused_size = size;
        m->collect = true;
        return false;
    }
    if (!m->asked && !lua_gethook(L)) ask(m, L);
    return true;
}

/* malloc has failed, of which LuaJIT should not hear: before September 2023 it cannot
 * raise that error in compiled code (it takes a base that is not there), nor in the
 * middle of making a state. So the reserve helps, and what runs is made to collect
 * all garbage at its next instruction, and to give up if that was not enough. */
static void *allocate_again(ct_memory *m, void *p, size_t old, size_t size) {
    void *got;

    if (size <= old) return p; /* it must not fail */
    got = ct_mem_urge(p, size);
    m->collect = true;
    if (!got) return NULL;
    m->lacking = true;
    if (m->vm->lua && !m->asked && !lua_gethook(m->vm->lua)) ask(m, m->vm->lua);
    return got;
}

static void *allocate(void *arg, void *p, size_t old, size_t size) {
    ct_memory *m = arg;
    size_t used = m->used - old + size;
    void *got;

    if (!size) {
        ct_free(p);
        m->used = used;
        return NULL;
    }
    if (__builtin_expect(used > m->mark && size > old, 0) &&
        !may_grow(m, used, size))
        return NULL;
    got = ct_mem_try(p, size);
    if (__builtin_expect(!got, 0)) got = allocate_again(m, p, old, size);
    if (got) m->used = used;
    return got;
}

lua_State *ct_memory_open(ct_memory *m, ct_vm *vm) {
    lua_State *L;

    *m = (ct_memory){ .mark = SIZE_MAX, .vm = vm, .err_ref = LUA_NOREF };
    L = lua_newstate(allocate, m);
    begin_at(m);
    return L;
}

static void complain(ct_memory *m) {
    double now = ct_clock_precise();

    if (m->refused)
        ct_log_line(m->vm->log, CT_LEVEL_ERROR, "vm",
                    "lua_memory_limit (%zu MiB): %u allocations were refused, "
                    "the last one of %zu bytes",
                    m->limit >> 20, m->refused, m->refused_size);
    m->refused = 0;
    if (!m->limit || m->used <= m->limit - margin(m) || now < m->muted_till)
        return;
    m->muted_till = now + QUIET;
    ct_log_line(m->vm->log, CT_LEVEL_ERROR, "vm",
                "lua_memory_limit (%zu MiB): the sites hold %zu MiB for good, "
                "and whoever needs more fails: what keeps it?",
                m->limit >> 20, m->used >> 20);
}

void ct_memory_settle(ct_memory *m) {
    m->collect = false;
    if (m->asked) return; /* the hook will see to it */
    protect(m, collect_all);
    complain(m);
    m->mark = m->used > m->limit - margin(m) ? mark_of(m) : m->limit;
    begin_at(m);
}

/* The finalizer of an object that nobody has, so with each cycle. It comes before
 * LuaJIT says when the next one begins. */
static int on_cycle(lua_State *L) {
    ct_memory *m;
    size_t pause;

    (void)lua_getallocf(L, (void **)&m);
    pause = m->limit ? m->limit / 4 * 3 / (m->used / 100 + 1) : PAUSE_MAX;
    if (pause < PAUSE_MIN) pause = PAUSE_MIN;
    lua_gc(L, LUA_GCSETPAUSE, pause < PAUSE_MAX ? (int)pause : PAUSE_MAX);
    lua_newuserdata(L, 0);
    lua_getmetatable(L, 1);
    lua_setmetatable(L, -2);
    return 0;
}

static void begin_pace(lua_State *L) {
    lua_newuserdata(L, 0);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, on_cycle);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    lua_gc(L, LUA_GCSETSTEPMUL, STEPMUL);
    lua_gc(L, LUA_GCCOLLECT, 0);
}

int ct_memory_limit_lua(lua_State *L) {
    ct_vm *vm = lua_touserdata(L, lua_upvalueindex(1));
    ct_memory *m = &vm->memory;
    double bytes = luaL_checknumber(L, 1);

    lua_settop(L, 2);
    luaL_unref(L, LUA_REGISTRYINDEX, m->err_ref);
    m->err_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    m->limit = bytes > 0 ? (size_t)bytes : 0;
    m->mark = m->limit ? m->limit : SIZE_MAX;
    if (vm->thread) begin_pace(L);
    return 0;
}
