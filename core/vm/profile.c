/* A timer of the loop's thread ticks by the wall clock, so that what blocks is
 * seen as well as what computes. Its handler looks whether Lua runs, and has
 * LuaJIT call ct_profile_sample() at the next instruction (sample.c).
 *
 * Stacks are a tree that only grows: a node is a frame on top of a node. Frames
 * and nodes have an end; what comes behind it is counted at the node below. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/profile.h"

#include "base/clock.h"
#include "base/mem.h"
#include "vm/sample.h"
#include "vm/stall.h"
#include "vm/vm.h"
#include <errno.h>
#include <lua.h>
#include <luajit.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
    FRAMES = 8192,
    NODES = 65536,
    BUCKETS = 16384, /* a power of two */
    DEPTH = 128,     /* of a stack; the callers further out are left out */
    STALE = 16       /* ticks without a sample until LuaJIT is asked again */
};

typedef struct frame {
    char *source, *name;
    uint32_t line, next;
} frame;

typedef struct node {
    uint32_t parent, frame, count, next;
} node;

struct ct_profile {
    ct_vm *vm;
    timer_t timer;
    bool ticking;
    uint32_t ticks_left;
    _Atomic(uint32_t) waiting; /* ticks since the last sample */
    uint32_t asked;            /* signals since then */
    _Atomic(void *) place;     /* that the first of these interrupted */
    double began, cpu_began;
    ct_profile_totals totals;
    uint32_t frame_count, node_count;
    frame *frames;
    node *nodes;
    uint32_t frame_of[BUCKETS], node_of[BUCKETS]; /* 0: none */
};

/* Who is sampled. */
static _Atomic(ct_profile *)
    on_duty; /* process-wide: handlers have no argument */

static double thread_cpu(void) {
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* -- The timer --------------------------------------------------------------- */

static void on_tick(int signal, siginfo_t *info, void *context) {
    const struct itimerspec never = { 0 };
    ct_profile *p = on_duty;
    uint32_t ticks = 1 + (uint32_t)info->si_overrun;
    int error = errno;

    (void)signal;
    if (!p) return;
    if (p->ticks_left < ticks) { /* whoever should have ended it has not */
        timer_settime(p->timer, 0, &never, NULL);
        return;
    }
    p->ticks_left -= ticks;
    if (!__atomic_load_n(&p->vm->pulse.busy, __ATOMIC_RELAXED)) {
        p->totals.idle += ticks;
        return;
    }
    if (!p->waiting) p->place = ct_stall_place(context);
    p->waiting += ticks;
    p->asked++;
    ct_sample_ask(p->vm, p->asked % STALE == 0, ct_stall_place(context));
    errno = error;
}

static bool start_timer(ct_profile *p, uint32_t hz) {
    struct sigaction action = { .sa_sigaction = on_tick,
                                .sa_flags = SA_RESTART | SA_SIGINFO };
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
                              .sigev_signo = ct_sample_profile_signal() };
    struct itimerspec every = { 0 };

    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGPROF);
    sigaddset(&action.sa_mask, ct_sample_watchdog_signal());
    if (sigaction(ct_sample_profile_signal(), &action, NULL) != 0) return false;
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, &p->timer) != 0) return false;
    every.it_interval.tv_sec = hz == 1;
    every.it_interval.tv_nsec = hz == 1 ? 0 : 1000000000 / (long)hz;
    every.it_value = every.it_interval;
    p->ticking = true;
    return timer_settime(p->timer, 0, &every, NULL) == 0;
}

/* A tick that is under way finds nobody on duty. */
static void halt(ct_profile *p) {
    if (!p->ticking) return;
    on_duty = NULL;
    timer_delete(p->timer);
    signal(ct_sample_profile_signal(), SIG_IGN);
    p->ticking = false;
    p->totals.seconds = ct_clock_precise() - p->began;
    p->totals.cpu = thread_cpu() - p->cpu_began;
}

/* -- Frames and nodes -------------------------------------------------------- */

static uint32_t mix(uint32_t h, uint32_t n) {
    h = (h ^ n) * 0x9e3779b1u;
    return h ^ h >> 15;
}

static uint32_t hash_text(uint32_t h, const char *s) {
    while (*s) h = (h ^ (unsigned char)*s++) * 16777619u;
    return h;
}

/* Functions of Lua are the same by their place, those of C by their name. */
static uint32_t find_frame(ct_profile *p, const char *source, const char *name,
                           uint32_t line) {
    bool in_c = *source == '=';
    uint32_t h = mix(hash_text(line, source), in_c ? hash_text(1, name) : 0);
    uint32_t *bucket = &p->frame_of[h % BUCKETS];
    frame *f;

    for (uint32_t i = *bucket; i; i = f->next) {
        f = &p->frames[i];
        if (f->line == line && strcmp(f->source, source) == 0 &&
            (!in_c || strcmp(f->name, name) == 0))
            return i;
    }
    if (p->frame_count == FRAMES) return 0;
    f = &p->frames[p->frame_count];
    f->source = ct_memdup(source, strlen(source));
    f->name = ct_memdup(name, strlen(name));
    f->line = line;
    f->next = *bucket;
    return *bucket = p->frame_count++;
}

static uint32_t find_node(ct_profile *p, uint32_t parent, uint32_t of) {
    uint32_t *bucket = &p->node_of[mix(mix(1, parent), of) % BUCKETS];
    node *n;

    for (uint32_t i = *bucket; i; i = n->next) {
        n = &p->nodes[i];
        if (n->parent == parent && n->frame == of) return i;
    }
    if (p->node_count == NODES) return 0;
    n = &p->nodes[p->node_count];
    n->parent = parent;
    n->frame = of;
    n->next = *bucket;
    return *bucket = p->node_count++;
}

/* -- Stacks ------------------------------------------------------------------- */

static bool is_from(const lua_Debug *at, const char *file) {
    return strcmp(at->source, file) == 0;
}

/* What stands below each handler, or between two coroutines, says nothing. */
static bool is_plumbing(const lua_Debug *at, bool first, bool leaf) {
    const char *name = at->name ? at->name : "";

    if (is_from(at, "@tornado/ioloop/nested.lua")) return true;
    if (*at->what == 'C')
        return !leaf &&
               (strcmp(name, "xpcall") == 0 || strcmp(name, "pcall") == 0);
    return first && !leaf && is_from(at, "@tornado/ioloop.lua");
}

static uint32_t frame_of(ct_profile *p, const lua_Debug *at) {
    const char *source = at->source, *name = at->name ? at->name : "";

    if (*at->what == 'C') return find_frame(p, "=[C]", *name ? name : "?", 0);
    if (*source != '@') source = at->short_src; /* may be the whole chunk */
    return find_frame(p, source, *at->what == 'm' ? "main chunk" : name,
                      at->linedefined > 0 ? (uint32_t)at->linedefined : 0);
}

static uint32_t add_frame(ct_profile *p, uint32_t parent, uint32_t of) {
    uint32_t child = of ? find_node(p, parent, of) : 0;

    return child ? child : parent;
}

/* Adds the functions of one coroutine from the outermost in; the innermost one of
 * a coroutine that is not the last is the resume() itself. */
static uint32_t add_coroutine(ct_profile *p, lua_State *L, uint32_t top,
                              bool last) {
    int least = last ? 0 : 1, level = least;
    lua_Debug at;

    while (level < DEPTH && lua_getstack(L, level, &at)) level++;
    while (level-- > least) {
        uint32_t next;

        if (!lua_getstack(L, level, &at)) continue;
        lua_getinfo(L, "nS", &at);
        if (is_plumbing(&at, !top, level == 0)) continue;
        next = add_frame(p, top, frame_of(p, &at));
        if (next == top) break;
        top = next;
    }
    if (level >= least) p->totals.cut++;
    return top;
}

/* What C did while Lua waited for it, as the innermost frame. */
static uint32_t add_state(ct_profile *p, uint32_t top, int state) {
    char name[160] = "LuaJIT";

    if (state == 'G') return add_frame(p, top, find_frame(p, "=[GC]", "", 0));
    if (state == 'J') return add_frame(p, top, find_frame(p, "=[JIT]", "", 0));
    if (ct_stall_is_foreign(p->place)) {
        ct_stall_name(p->place, name, sizeof name);
        name[strcspn(name, "+")] = 0; /* each place would be one */
    } else if (state != 'C') {
        return top;
    }
    return add_frame(p, top, find_frame(p, "=[C]", name, 0));
}

static void count_state(ct_profile_totals *t, int state, uint32_t samples) {
    uint32_t *const which = state == 'N'   ? &t->compiled
                            : state == 'I' ? &t->interpreted
                            : state == 'G' ? &t->collecting
                            : state == 'J' ? &t->compiling
                                           : &t->c;

    *which += samples;
    t->samples += samples;
}

void ct_profile_sample(ct_profile *p, lua_State *L, int samples, int state) {
    lua_State *chain[CT_SAMPLE_CHAIN];
    uint32_t top = 0, count = p->waiting;
    unsigned n;

    (void)samples; /* the watchdog's are among them */
    if (!count || !p->ticking) return;
    n = ct_sample_chain(p->vm, L, chain);
    for (unsigned i = 0; i < n; i++)
        top = add_coroutine(p, chain[i], top, i + 1 == n);
    top = add_state(p, top, state);
    p->nodes[top].count += count;
    count_state(&p->totals, state, count);
    p->waiting = p->asked = 0;
}

/* -- Life --------------------------------------------------------------------- */

static ct_profile *new_profile(ct_vm *vm) {
    ct_profile *p = ct_new(ct_profile);

    p->vm = vm;
    p->frames = ct_alloc0(FRAMES * sizeof *p->frames);
    p->nodes = ct_alloc0(NODES * sizeof *p->nodes);
    p->frame_count = p->node_count = 1; /* 0 is none, and the empty stack */
    p->frames[0].source = ct_memdup("", 0);
    p->frames[0].name = ct_memdup("", 0);
    return p;
}

int ct_abi_profile_start(ct_vm *vm, uint32_t hz, double seconds) {
    ct_profile *p;

    if (vm->profile || on_duty) return CT_LIMIT;
    p = new_profile(vm);
    p->ticks_left = (uint32_t)(seconds * hz) + 1;
    p->began = ct_clock_precise();
    p->cpu_began = thread_cpu();
    vm->profile = p;
    if (!vm->watchdog) ct_sample_start(vm);
    on_duty = p;
    if (start_timer(p, hz)) return CT_OK;
    snprintf(vm->why, sizeof vm->why, "no timer: %s", strerror(errno));
    ct_profile_free(vm);
    return CT_ERROR;
}

int ct_abi_profile_stop(ct_vm *vm, ct_profile_totals *out) {
    ct_profile *p = vm->profile;

    if (!p) return CT_CLOSED;
    halt(p);
    p->totals.frames = p->frame_count;
    p->totals.nodes = p->node_count;
    *out = p->totals;
    return CT_OK;
}

static ct_str view(const char *s) {
    return (ct_str){ s, (uint32_t)strlen(s) };
}

int ct_abi_profile_frame(ct_vm *vm, uint32_t index, ct_profile_frame *out) {
    const ct_profile *p = vm->profile;

    if (!p || index >= p->frame_count) return CT_CLOSED;
    out->source = view(p->frames[index].source);
    out->name = view(p->frames[index].name);
    out->line = p->frames[index].line;
    return CT_OK;
}

int ct_abi_profile_node(ct_vm *vm, uint32_t index, ct_profile_node *out) {
    const ct_profile *p = vm->profile;

    if (!p || index >= p->node_count) return CT_CLOSED;
    out->parent = p->nodes[index].parent;
    out->frame = p->nodes[index].frame;
    out->count = p->nodes[index].count;
    return CT_OK;
}

void ct_abi_profile_free(ct_vm *vm) {
    ct_profile_free(vm);
}

void ct_profile_yield(const ct_vm *vm) {
    ct_profile *p = on_duty;

    if (!p || p->vm == vm) return;
    halt(p);
}

void ct_profile_free(ct_vm *vm) {
    ct_profile *p = vm->profile;

    if (!p) return;
    halt(p);
    vm->profile = NULL;
    ct_sample_stop(vm);
    for (uint32_t i = 0; i < p->frame_count; i++) {
        ct_free(p->frames[i].source);
        ct_free(p->frames[i].name);
    }
    ct_free(p->frames);
    ct_free(p->nodes);
    ct_free(p);
}
