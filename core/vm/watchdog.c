/* The thread of a generation looks a few times in `stall` at the pulse (abi/server.h), which goes
 * on with each event that Lua takes. When it stands still too long, a signal goes
 * to the loop's thread, and its handler makes Lua look up:
 *
 * - It calls LuaJIT's own handler of SIGPROF, which makes the interpreter, or the
 *   check that traces have on each line once the profiler was started with "l",
 *   call ct_watchdog_sample() where it is safe: that logs the stack (sample.c).
 *   Between stalls nothing happens at all.
 * - To stop Lua, it sets a hook before. That is what lua_sethook() allows signal
 *   handlers to do, but one that comes while LuaJIT itself changes its dispatch
 *   table leaves that in disorder. So SIGPROF waits meanwhile, the hook is set off
 *   and on again, and all of it again every few milliseconds: the next time puts
 *   the table in order.
 *
 * The hook raises at each instruction, so that no pcall keeps the error, until
 * the next beat; but not inside of the framework, whose tables would be left half
 * changed, and which is to catch it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/watchdog.h"

#include "base/clock.h"
#include "base/mem.h"
#include "http/access.h"
#include "http/request.h"
#include "vm/profile.h"
#include "vm/sample.h"
#include "vm/stack.h"
#include "vm/stall.h"
#include "vm/vm.h"
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    IDLE_MS = 1000,     /* without a pulse, until the thread sleeps */
    STUCK_MS = 1000,    /* without a place where Lua can be asked: it is in C */
    QUIET_MS = 1000,    /* between two reports, in the long run */
    BURST = 5,          /* reports at once */
    STACK = 128 << 10,  /* of the thread */
    PATIENCE = 1000000, /* instructions of the framework that are let go on */
    HOOKS = LUA_MASKCOUNT | LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE,
    TEXT = 4096
};

typedef enum wish { NOTHING, REPORT, STOP } wish;

struct ct_watchdog {
    _Atomic(bool) asleep; /* first: see ct_watchdog_sleeps() */
    _Atomic(bool) ending;
    _Atomic(int) wish; /* of the thread */
    _Atomic(bool) said;
    _Atomic(uint32_t) doomed; /* the beat that STOP is for */
    ct_watchdog *next;        /* of another generation */
    ct_vm *vm;
    uint32_t stall, limit, tick; /* ms; 0: not that one */
    int err_ref;                 /* the registry's, of what is raised */
    int places_ref;              /* likewise, for ct_stack_text() */
    pid_t process, loop_thread;
    pthread_t thread;
    sem_t bell;
    /* The thread's own. */
    uint32_t beat, held, idle;
    bool stuck; /* was logged */
    /* The loop's thread's. */
    bool armed;
    uint32_t patience;
    lua_Hook old_hook;
    int old_mask, old_count;
    _Atomic(void *) place; /* that the first signal of a stall interrupted */
    _Atomic(bool) asked;   /* that signal has come */
    double quiet_till;
    unsigned unsaid;
};

/* All of them. */
static _Atomic(ct_watchdog *)
    on_duty; /* process-wide: handlers have no argument */

static uint32_t load(const uint32_t *p) {
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* Whose Lua the loop's thread runs, if it is watched. */
static ct_watchdog *running(void) {
    ct_watchdog *w = on_duty;

    while (w && !load(&w->vm->pulse.busy)) w = w->next;
    return w;
}

ct_vm *ct_watchdog_running(void) {
    const ct_watchdog *w = running();

    return w ? w->vm : NULL;
}

/* -- Stopping --------------------------------------------------------------- */

static bool is_over(const ct_watchdog *w) {
    const ct_pulse *p = &w->vm->pulse;

    return !load(&p->busy) || load(&p->beat) != w->doomed;
}

static void disarm(ct_watchdog *w, lua_State *L) {
    sigset_t set, before;

    sigemptyset(&set);
    sigaddset(&set, ct_sample_watchdog_signal());
    sigaddset(&set, ct_sample_profile_signal());
    pthread_sigmask(SIG_BLOCK, &set, &before);
    lua_sethook(L, NULL, 0, 0);
    if (w->old_hook) lua_sethook(L, w->old_hook, w->old_mask, w->old_count);
    w->armed = false;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static bool is_framework(lua_State *L, lua_Debug *at) {
    lua_getinfo(L, "S", at);
    return *at->what == 'C' || strncmp(at->source, "@tornado/", 9) == 0;
}

static void on_hook(lua_State *L, lua_Debug *at) {
    ct_watchdog *w;
    ct_memory *m;

    (void)lua_getallocf(L, (void **)&m);
    w = m->vm->watchdog;
    if (!w) {
        lua_sethook(L, NULL, 0, 0);
        return;
    }
    if (is_over(w)) {
        disarm(w, L);
        return;
    }
    if (w->patience && is_framework(L, at)) {
        w->patience--;
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->err_ref);
    lua_error(L);
}

static void arm(ct_watchdog *w) {
    lua_State *L = w->vm->lua;

    if (!w->armed) {
        w->old_hook = lua_gethook(L);
        w->old_mask = lua_gethookmask(L);
        w->old_count = lua_gethookcount(L);
        w->patience = PATIENCE;
        w->armed = true;
        ct_count_add(&w->vm->loop->counters->stopped, 1);
    }
    lua_sethook(L, NULL, 0, 0);
    lua_sethook(L, on_hook, HOOKS, 1);
}

/* -- The signal -------------------------------------------------------------- */

static void on_signal(int signal, siginfo_t *info, void *context) {
    ct_watchdog *w = running();
    void *place = ct_stall_place(context);
    int error = errno;

    (void)signal, (void)info;
    if (!w || w->wish == NOTHING) return;
    if (w->wish == STOP && !is_over(w)) arm(w);
    if (!w->asked) w->place = place;
    ct_sample_ask(w->vm, w->asked && !w->armed, place);
    w->asked = true;
    errno = error;
}

/* -- Reports ----------------------------------------------------------------- */

void ct_watchdog_request(ct_vm *vm, char *out, size_t size) {
    const ct_request *r =
        ct_slots_get(&vm->server->requests, load(&vm->pulse.handle));
    char ip[CT_ADDRESS_TEXT];
    ct_str method;

    *out = 0;
    if (!r) return;
    method = ct_access_method(r);
    ct_peer_ip(&r->peer, ip);
    snprintf(out, size, " by %.*s %.*s (%s)", (int)method.n, method.p,
             r->uri.n > 1024 ? 1024 : (int)r->uri.n, r->uri.p, ip);
}

/* A few at once, then one a second; the others are counted. */
static bool may_speak(ct_watchdog *w) {
    double now = ct_clock_precise() * 1e3;

    if (now < w->quiet_till - (BURST - 1) * QUIET_MS) {
        w->unsaid++;
        return false;
    }
    w->quiet_till = (now > w->quiet_till ? now : w->quiet_till) + QUIET_MS;
    return true;
}

static void report(ct_watchdog *w, lua_State *L, int state) {
    char text[TEXT], request[1200], name[256], more[48];
    int n;

    *name = *more = 0;
    ct_watchdog_request(w->vm, request, sizeof request);
    if (state == 'C' || ct_stall_is_foreign(w->place))
        ct_stall_name(w->place, name, sizeof name);
    if (w->unsaid)
        snprintf(more, sizeof more, " (and %u others before)", w->unsaid);
    w->unsaid = 0;
    n = snprintf(text, sizeof text,
                 "stall: the loop is held for more than %u ms%s%s%s%s\n",
                 w->stall, request, *name ? ", in C: " : "", name, more);
    if (n < 0 || (size_t)n >= sizeof text) return;
    n += (int)ct_stack_text(w->vm, L, w->places_ref, text + n,
                            sizeof text - (size_t)n);
    ct_log_text(w->vm->log, CT_LEVEL_WARNING, "watchdog", text, (size_t)n,
                true);
}

/* LuaJIT calls it between two instructions: behind a call that took long, of which
 * the next instruction may be on the next line. */
void ct_watchdog_sample(ct_watchdog *w, lua_State *L, int state) {
    if (w->wish == NOTHING || w->said) return;
    w->said = true;
    ct_count_add(&w->vm->loop->counters->stalls, 1);
    if (w->stall && may_speak(w)) report(w, L, state);
}

/* From the thread: the loop's thread is in C and stays there. */
static void report_stuck(ct_watchdog *w) {
    ct_log log = *w->vm->log; /* its state is the loop's */
    char name[256];

    log.counters = NULL;
    log.recent = NULL;
    ct_stall_name(w->place, name, sizeof name);
    ct_log_line(&log, CT_LEVEL_ERROR, "watchdog",
                "stall: the loop is held for %u ms, in C: %s", w->held, name);
}

/* -- The thread -------------------------------------------------------------- */

static void alarm_loop(ct_watchdog *w, wish what) {
    w->doomed = w->beat;
    w->wish = (int)what;
    syscall(SYS_tgkill, w->process, w->loop_thread,
            ct_sample_watchdog_signal());
}

static void begin(ct_watchdog *w, uint32_t beat) {
    w->wish = NOTHING;
    w->beat = beat;
    w->held = 0;
    w->said = w->asked = w->stuck = false;
}

static void look(ct_watchdog *w, uint32_t passed) {
    const ct_pulse *p = &w->vm->pulse;
    uint32_t beat = load(&p->beat);

    if (!load(&p->busy) || beat != w->beat) {
        w->idle = beat == w->beat ? w->idle + passed : 0;
        begin(w, beat);
        return;
    }
    w->idle = 0;
    w->held += passed;
    if (w->limit && w->held >= w->limit)
        alarm_loop(w, STOP);
    else if (w->stall && w->held >= w->stall && !w->said)
        alarm_loop(w, REPORT);
    if (w->stuck || w->said || !w->asked) return;
    if (w->held < w->stall + STUCK_MS) return;
    w->stuck = true;
    report_stuck(w);
}

static uint32_t now_ms(void) {
    return (uint32_t)(uint64_t)(ct_clock_precise() * 1e3);
}

static void wait_ms(ct_watchdog *w, uint32_t ms) {
    struct timespec till;

    clock_gettime(CLOCK_MONOTONIC, &till);
    till.tv_nsec += (long)ms * 1000000;
    till.tv_sec += till.tv_nsec / 1000000000;
    till.tv_nsec %= 1000000000;
    (void)sem_clockwait(&w->bell, CLOCK_MONOTONIC, &till);
}

/* Says first that it will sleep, and looks again a tick later: whoever began
 * work meanwhile without having seen it is seen. */
static void sleep_long(ct_watchdog *w) {
    const ct_pulse *p = &w->vm->pulse;

    w->asleep = true;
    wait_ms(w, w->tick);
    if (!load(&p->busy) && load(&p->beat) == w->beat && !w->ending)
        while (sem_wait(&w->bell) == -1 && errno == EINTR) continue;
    w->asleep = false;
    w->idle = 0;
}

static void *watch(void *arg) {
    ct_watchdog *w = arg;
    uint32_t last = now_ms();

    while (!w->ending) {
        uint32_t now, passed;

        if (w->idle >= IDLE_MS)
            sleep_long(w);
        else
            wait_ms(w, w->tick);
        now = now_ms();
        passed = now - last;
        last = now;
        /* A process that was stopped itself held nothing. */
        look(w, passed > 2 * w->tick ? 2 * w->tick : passed);
    }
    return NULL;
}

static bool start_thread(ct_watchdog *w) {
    pthread_attr_t attr;
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    error = pthread_create(&w->thread, &attr, watch, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return error == 0;
}

/* -- Beginning and end -------------------------------------------------------- */

static void take_signal(void) {
    struct sigaction action = { .sa_sigaction = on_signal,
                                .sa_flags = SA_RESTART | SA_SIGINFO };

    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGPROF);
    sigaddset(&action.sa_mask, ct_sample_profile_signal());
    sigaction(ct_sample_watchdog_signal(), &action, NULL);
}

static uint32_t tick_of(uint32_t stall, uint32_t limit) {
    uint32_t least = !stall || (limit && limit < stall) ? limit : stall;

    least /= 4;
    return least < 5 ? 5 : least > 250 ? 250 : least;
}

static void forget(const ct_watchdog *w) {
    ct_watchdog *at = on_duty;

    if (at == w) {
        on_duty = w->next;
        return;
    }
    while (at->next != w) at = at->next;
    at->next = w->next;
}

/* It watches no more. */
static void leave(ct_watchdog *w) {
    w->ending = true;
    sem_post(&w->bell);
    if (w->thread) pthread_join(w->thread, NULL);
    forget(w);
    if (!on_duty) signal(ct_sample_watchdog_signal(), SIG_IGN);
    if (w->armed) disarm(w, w->vm->lua);
    w->vm->watchdog = NULL;
    ct_sample_stop(w->vm);
    sem_destroy(&w->bell);
}

static bool enter(ct_watchdog *w) {
    ct_vm *vm = w->vm;

    w->process = getpid();
    w->loop_thread = (pid_t)syscall(SYS_gettid);
    w->ending = w->asleep = false;
    w->idle = 0;
    begin(w, load(&vm->pulse.beat));
    sem_init(&w->bell, 0, 0);
    vm->watchdog = w;
    w->next = on_duty;
    on_duty = w;
    take_signal();
    ct_profile_yield(vm);
    ct_sample_start(vm);
    if (start_thread(w)) return true;
    w->thread = 0;
    ct_watchdog_free(w);
    return false;
}

static bool start(ct_vm *vm, uint32_t stall, uint32_t limit, int err,
                  int places) {
    ct_watchdog *w = ct_new(ct_watchdog);

    w->vm = vm;
    w->stall = stall;
    w->limit = limit;
    w->tick = tick_of(stall, limit);
    w->err_ref = err;
    w->places_ref = places;
    return enter(w);
}

void ct_watchdog_wake(ct_watchdog *w) {
    w->asleep = false;
    sem_post(&w->bell);
}

void ct_watchdog_free(ct_watchdog *w) {
    if (!w) return;
    leave(w);
    luaL_unref(w->vm->lua, LUA_REGISTRYINDEX, w->err_ref);
    luaL_unref(w->vm->lua, LUA_REGISTRYINDEX, w->places_ref);
    ct_free(w);
}

static uint32_t ms_of(lua_State *L, int i) {
    double seconds = luaL_checknumber(L, i);

    if (!(seconds > 0)) return 0;
    return seconds < 1e-3  ? 1
           : seconds > 1e6 ? 1000000000
                           : (uint32_t)(seconds * 1e3);
}

int ct_watchdog_lua(lua_State *L) {
    ct_vm *vm = lua_touserdata(L, lua_upvalueindex(1));
    uint32_t stall = ms_of(L, 1), limit = ms_of(L, 2);
    int places;

    ct_watchdog_free(vm->watchdog);
    if (!stall && !limit) return 0;
    lua_settop(L, 4);
    places = luaL_ref(L, LUA_REGISTRYINDEX);
    if (!start(vm, stall, limit, luaL_ref(L, LUA_REGISTRYINDEX), places))
        return luaL_error(L, "no thread for the watchdog");
    return 0;
}
