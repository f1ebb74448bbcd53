/* A state goes from the list of idle ones to a thread and back, so there are as
 * many as calls ran at a time. With a limit, a state runs without the JIT
 * compiler: compiled code looks at no hook, and could not be stopped. One whose
 * memory was full is not used again. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/executor.h"

#include "base/mem.h"
#include "vm/vm.h"
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <pthread.h>
#include <string.h>

enum { HOOK_EVERY = 10000 }; /* instructions */

struct ct_executor {
    ct_pool *pool;
    ct_executor_options how;
    pthread_mutex_t lock; /* holds the two below */
    ct_list idle;
    unsigned generation;
};

typedef struct state {
    ct_list node;
    ct_executor *executor;
    unsigned generation;
    ct_vm vm;     /* with handles and a clock; no server, no events */
    ct_loop loop; /* its clock alone */
    ct_log log;   /* its level alone */
    double deadline;
    const atomic_bool *dropped;
    int error; /* why the hook ends the call, or 0 */
} state;

static const char registry_key = 0; /* whose address finds the state */

static void free_state(state *s) {
    if (s->vm.lua) lua_close(s->vm.lua);
    ct_vm_free_handles(&s->vm);
    ct_free(s);
}

static void limit_memory(lua_State *L, double bytes) {
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tornado.memory");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "set_limit");
    lua_pushnumber(L, bytes);
    lua_call(L, 1, 0);
    lua_pop(L, 1);
}

/* Puts the function of tornado.concurrent.thread into the registry's [1]. */
static int prepare(lua_State *L) {
    state *s = lua_touserdata(L, 1);

    lua_pushlightuserdata(L, (void *)&registry_key);
    lua_pushlightuserdata(L, s);
    lua_rawset(L, LUA_REGISTRYINDEX);
    if (s->executor->how.timeout > 0)
        luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tornado.concurrent.thread");
    lua_call(L, 1, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "ct_executor");
    lua_pushboolean(L, false);
    lua_setfield(L, LUA_REGISTRYINDEX, "ct_stopped");
    if (s->executor->how.memory > 0) limit_memory(L, s->executor->how.memory);
    return 0;
}

/* A new state; the reason as ct_memdup()ed text in *why when that fails. */
static state *new_state(ct_executor *e, unsigned generation, char **why) {
    state *s = ct_new(state);
    const char *text = "LuaJIT cannot make a state";

    s->executor = e;
    s->generation = generation;
    s->vm.thread = true;
    s->vm.loop = &s->loop;
    s->vm.log = &s->log;
    s->log.level = e->how.level;
    ct_clock_update(&s->loop.clock);
    if (ct_vm_open(&s->vm)) {
        if (lua_cpcall(s->vm.lua, prepare, s) == 0) return s;
        text = lua_tostring(s->vm.lua, -1);
    }
    if (!text) text = "LuaJIT cannot load the framework";
    *why = ct_memdup(text, strlen(text));
    free_state(s);
    return NULL;
}

static state *take_state(ct_executor *e, char **why) {
    state *s = NULL;
    unsigned generation;

    pthread_mutex_lock(&e->lock);
    generation = e->generation;
    if (!ct_list_is_empty(&e->idle)) {
        s = ct_list_of(e->idle.prev, state, node);
        ct_list_remove(&s->node);
    }
    pthread_mutex_unlock(&e->lock);
    return s ? s : new_state(e, generation, why);
}

/* One that was stopped is freed: its modules may be in the middle of anything. */
static void give_back(state *s) {
    ct_executor *e = s->executor;
    bool keep;

    pthread_mutex_lock(&e->lock);
    keep = !s->error && !ct_memory_was_full(&s->vm.memory) &&
           s->generation == e->generation;
    if (keep) ct_list_add(&e->idle, &s->node);
    pthread_mutex_unlock(&e->lock);
    if (!keep) free_state(s);
}

/* Ends the call from within. What catches the error gets it again with its next
 * instruction. */
static void on_count(lua_State *L, lua_Debug *where) {
    state *s;

    (void)where;
    lua_pushlightuserdata(L, (void *)&registry_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    s = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!s->error) {
        if (*s->dropped) s->error = ECANCELED;
        if (ct_clock_precise() > s->deadline) s->error = ETIMEDOUT;
        if (!s->error) {
            ct_memory_check(&s->vm.memory, L);
            return;
        }
        lua_sethook(L, on_count,
                    LUA_MASKCOUNT | LUA_MASKLINE | LUA_MASKCALL | LUA_MASKRET,
                    1);
        luaL_traceback(L, L, NULL, 0);
        lua_setfield(L, LUA_REGISTRYINDEX, "ct_stopped");
    }
    luaL_error(L, "the call was stopped");
}

/* The top of the stack as bytes; the caller frees them. */
static char *take_text(lua_State *L, size_t *n) {
    const char *text = lua_tolstring(L, -1, n);

    if (!text) {
        text = "an error that is no text";
        *n = strlen(text);
    }
    return ct_memdup(text, *n);
}

/* The bytes of a call and of its result, on their way through lua_cpcall(). */
typedef struct call {
    const char *p;
    size_t n;
    char *out; /* NULL: it raised */
    size_t out_n;
} call;

static int run_call(lua_State *L) {
    call *c = lua_touserdata(L, 1);

    lua_getfield(L, LUA_REGISTRYINDEX, "ct_executor");
    lua_pushlstring(L, c->p, c->n);
    lua_call(L, 1, 1);
    c->out = take_text(L, &c->out_n);
    return 0;
}

/* What came of it; for a stopped call, where that was. */
static int judge(state *s, call *c) {
    lua_State *L = s->vm.lua;
    int error = c->out ? 0 : EFAULT;

    if (s->error) {
        error = s->error;
        lua_getfield(L, LUA_REGISTRYINDEX, "ct_stopped");
        ct_free(c->out);
        c->out = NULL;
    }
    if (!c->out) c->out = take_text(L, &c->out_n);
    lua_settop(L, 0);
    if (error == EFAULT && ct_memory_was_full(&s->vm.memory)) return ENOMEM;
    return error;
}

size_t ct_executor_call(ct_executor *e, const atomic_bool *dropped,
                        const char *p, size_t n, char **out, int *error) {
    state *s = take_state(e, out);
    call c = { .p = p, .n = n };
    lua_State *L;

    *error = EFAULT;
    if (!s) return strlen(*out);
    L = s->vm.lua;
    s->error = 0;
    s->dropped = dropped;
    s->deadline = ct_clock_precise() + e->how.timeout;
    ct_clock_update(&s->loop.clock);
    if (e->how.timeout > 0) lua_sethook(L, on_count, LUA_MASKCOUNT, HOOK_EVERY);
    (void)lua_cpcall(L, run_call, &c); /* whether it raised, c.out tells */
    lua_sethook(L, NULL, 0, 0);
    *error = judge(s, &c);
    *out = c.out;
    give_back(s);
    return c.out_n;
}

ct_executor *ct_executor_new(ct_waker *waker, const ct_executor_options *how) {
    ct_executor *e = ct_new(ct_executor);

    e->how = *how;
    e->pool = ct_pool_new(waker, how->threads, how->queue);
    pthread_mutex_init(&e->lock, NULL);
    ct_list_init(&e->idle);
    return e;
}

ct_pool *ct_executor_pool(ct_executor *e) {
    return e->pool;
}

/* Closing a state takes a while, so that is done without the lock. */
void ct_executor_reset(ct_executor *e) {
    state *s;

    pthread_mutex_lock(&e->lock);
    e->generation++;
    while (!ct_list_is_empty(&e->idle)) {
        s = ct_list_of(e->idle.next, state, node);
        ct_list_remove(&s->node);
        pthread_mutex_unlock(&e->lock);
        free_state(s);
        pthread_mutex_lock(&e->lock);
    }
    pthread_mutex_unlock(&e->lock);
}

bool ct_executor_free(ct_executor *e, double seconds) {
    if (!e) return true;
    if (!ct_pool_free(e->pool, seconds)) return false;
    ct_executor_reset(e);
    pthread_mutex_destroy(&e->lock);
    ct_free(e);
    return true;
}
