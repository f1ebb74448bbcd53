/* The next generation runs its scripts on the loop, in turns of its own, while
 * the one before it serves. Nothing of the server changes until it says that it
 * is ready; then its listeners take over in one step, between two turns. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/generations.h"

#include "base/mem.h"
#include "http/listener.h"
#include "io/listen.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static const double SWEEP = 1; /* seconds */

/* -- Old ones -------------------------------------------------------------- */

/* Frees one that has said that it is through, unless a thread works for it. */
static bool free_old(ct_generations *g, ct_vm *vm) {
    uint32_t number = vm->generation;

    if (ct_vm_is_busy(vm)) {
        ct_timer_start(g->sweep, SWEEP, false);
        return false;
    }
    ct_list_remove(&vm->node);
    g->old_count--;
    ct_listener_disown(g->server, vm->events);
    (void)!ct_vm_free(vm); /* no thread works for it */
    ct_log_line(g->loop->log, CT_LEVEL_INFO, "reload",
                "generation %u has ended", number);
    return true;
}

static bool turn_old(ct_generations *g) {
    ct_list *n, *next;
    bool more = false;

    for (n = g->old.next; n != &g->old; n = next) {
        ct_vm *vm = ct_list_of(n, ct_vm, node);

        next = n->next;
        more |= ct_vm_turn(vm);
        if (vm->exiting) (void)free_old(g, vm);
    }
    return more;
}

static void on_sweep(void *arg) {
    (void)arg; /* the turn that follows looks at them */
}

/* -- The next one ---------------------------------------------------------- */

static void report(ct_generations *g, bool ok, const char *text) {
    ct_reload_fn *done = g->done;

    g->done = NULL;
    ct_timer_stop(g->limit);
    if (!ok)
        ct_log_text(g->loop->log, CT_LEVEL_ERROR, "reload", text, strlen(text),
                    true);
    if (done) done(ok, text, g->done_arg);
}

/* It failed: what it opened is closed, and all is as it was. */
static void give_up(ct_generations *g, const char *text) {
    ct_vm *vm = g->loading;

    g->loading = NULL;
    g->asked = g->current->handed_over = false;
    ct_buf_fini(&g->current->estate);
    g->server->options = g->options;
    ct_listener_disown(g->server, vm->events);
    vm->exiting = true;
    ct_list_add(&g->old, &vm->node);
    g->old_count++;
    report(g, false, text);
}

static void on_limit(void *arg) {
    if (((ct_generations *)arg)->loading)
        give_up(arg, "loading took more than a minute: a script waits");
}

/* A way from the one to the other, for what Lua hands over. */
static void join(ct_generations *g, ct_vm *before) {
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   ends) != 0) {
        ct_log_line(g->loop->log, CT_LEVEL_WARNING, "reload",
                    "generations cannot be joined: %s", strerror(errno));
        return;
    }
    ct_events_add(before->events, CT_EVENT_HEIR, (uint32_t)ends[0]);
    ct_events_add(g->current->events, CT_EVENT_ELDER, (uint32_t)ends[1]);
}

/* Between this and the end of take_over() no other event comes to Lua, and the
 * estate is the first that the new one hears of. */
static bool has_handed_over(ct_generations *g) {
    if (!g->asked) {
        ct_events_add(g->current->events, CT_EVENT_HAND_OVER, 0);
        g->loop->again = true;
    }
    g->asked = true;
    return g->current->handed_over;
}

static void bequeath(ct_vm *before, ct_vm *heir) {
    if (!before->estate.len) return;
    heir->estate = before->estate;
    before->estate = (ct_buf){ 0 };
    ct_events_add(heir->events, CT_EVENT_ESTATE, 0);
}

static void take_over(ct_generations *g) {
    ct_vm *before = g->current;

    g->current = g->loading;
    g->loading = NULL;
    g->asked = false;
    bequeath(before, g->current);
    ct_listen_commit(g->loop, true);
    ct_listener_succeed(g->server, before->events, g->current->events);
    join(g, before);
    ct_events_add(before->events, CT_EVENT_RETIRE, g->current->generation);
    ct_list_add(&g->old, &before->node);
    g->old_count++;
    ct_log_line(g->loop->log, CT_LEVEL_INFO, "reload", "generation %u serves",
                g->current->generation);
    report(g, true, "");
}

static bool turn_loading(ct_generations *g) {
    ct_vm *vm = g->loading;
    bool more;

    if (!vm) return false;
    g->loop->staging = true;
    more = ct_vm_turn(vm);
    g->loop->staging = false;
    if (vm->exiting)
        give_up(g, vm->report ? vm->report : "it ended while it was loaded");
    else if (vm->ready && has_handed_over(g))
        take_over(g);
    return more;
}

static ct_vm *new_vm(ct_generations *g, const char **why) {
    ct_vm *vm = ct_vm_new(g->loop, g->server, why);

    if (!vm) return NULL;
    vm->generation = ++g->count;
    vm->place = g->place;
    vm->serving = &g->current;
    return vm;
}

/* Runs the framework's first lines in a vm that is open (`opened`); frees it when
 * it cannot. */
static ct_vm *start(ct_generations *g, ct_vm *vm, bool opened,
                    const char **why) {
    *why = opened ? "the framework cannot be loaded: the log says why"
                  : "LuaJIT cannot make a state";
    if (opened && ct_vm_start(vm, g->argc, g->argv)) return vm;
    (void)!ct_vm_free(vm); /* it has had no time to begin a thread */
    return NULL;
}

/* On a thread: compiling the framework takes most of the time that loading does. */
static void prepare(ct_job *job) {
    ct_generations *g = ct_list_of(job, ct_generations, job);

    g->opened = ct_vm_prepare(g->preparing, &g->modules);
}

static void prepared(ct_job *job) {
    ct_generations *g = ct_list_of(job, ct_generations, job);
    ct_vm *vm = g->preparing;
    const char *why;

    g->preparing = NULL;
    if (g->abandoned) {
        (void)!ct_vm_free(vm);
        return;
    }
    g->loading = start(g, vm, g->opened, &why);
    if (!g->loading) report(g, false, why);
    g->loop->again = true;
}

bool ct_generations_are_loading(const ct_generations *g) {
    return g->loading || g->preparing;
}

void ct_generations_reload(ct_generations *g, ct_reload_fn *done, void *arg) {
    bool busy = ct_generations_are_loading(g);
    const char *why;

    if (busy || !g->current->ready) {
        why = busy ? "a reload is under way already: ask again after it"
                   : "the server has not started yet";
        ct_log_line(g->loop->log, CT_LEVEL_WARNING, "reload", "%s", why);
        done(false, why, arg);
        return;
    }
    g->done = done;
    g->done_arg = arg;
    g->options = g->server->options;
    g->preparing = new_vm(g, &why);
    if (!g->preparing) {
        report(g, false, why);
        return;
    }
    ct_timer_start(g->limit, CT_RELOAD_TIMEOUT, false);
    g->modules = g->current->modules;
    g->job = (ct_job){ .run = prepare, .done = prepared };
    if (ct_pool_add(g->pool, &g->job)) return;
    prepare(&g->job); /* no thread can be made */
    prepared(&g->job);
}

void ct_generations_tell(ct_generations *g, bool ok, const char *text) {
    ct_vm *vm = g->current;

    ct_free(vm->reload_report);
    vm->reload_report = ct_memdup(text, strlen(text));
    ct_events_add(vm->events, CT_EVENT_RELOADED, ok);
}

/* -- Life ------------------------------------------------------------------ */

bool ct_generations_init(ct_generations *g, ct_loop *loop, ct_server *server,
                         const ct_place *place, int argc, char **argv) {
    const char *why;

    *g = (ct_generations){ .loop = loop,
                           .server = server,
                           .place = *place,
                           .argc = argc,
                           .argv = argv };
    ct_list_init(&g->old);
    g->limit = ct_timer_new(loop, on_limit, g);
    g->sweep = ct_timer_new(loop, on_sweep, g);
    g->waker = ct_waker_new(loop);
    why = "no file descriptors are left (ulimit -n)";
    if (g->waker) g->pool = ct_pool_new(g->waker, 1, 1);
    if (g->waker) g->current = new_vm(g, &why);
    if (g->current)
        g->current = start(g, g->current, ct_vm_open(g->current), &why);
    if (!g->current) ct_log_line(loop->log, CT_LEVEL_ERROR, "vm", "%s", why);
    return g->current != NULL;
}

void ct_generations_reopen(ct_generations *g) {
    g->reopen = !g->current->ready;
    if (!g->reopen) ct_events_add(g->current->events, CT_EVENT_REOPEN, 0);
}

bool ct_generations_turn(ct_generations *g) {
    bool more = ct_vm_turn(g->current);

    if (g->reopen && g->current->ready) ct_generations_reopen(g);
    if (g->current->wants_reload) {
        g->current->wants_reload = false;
        g->wanted(g->wanted_arg);
    }
    if (g->loading) more |= turn_loading(g);
    if (g->old_count) more |= turn_old(g);
    if (g->current->exiting && (!g->old_count || g->current->exit_code))
        ct_loop_stop(g->loop);
    return more;
}

bool ct_generations_rest(ct_generations *g) {
    bool quiet = g->loop->quiet;
    ct_rest most = ct_memory_rest(&g->current->memory, quiet);

    for (ct_list *n = g->old.next; n != &g->old; n = n->next) {
        ct_vm *vm = ct_list_of(n, ct_vm, node);
        ct_rest rest = ct_memory_rest(&vm->memory, quiet);

        if (rest > most) most = rest;
    }
    if (most == CT_REST_LATER) ct_loop_soon(g->loop);
    return most == CT_REST_AGAIN;
}

void ct_generations_collect(ct_generations *g) {
    ct_memory_collect(&g->current->memory);
    if (g->loading) ct_memory_collect(&g->loading->memory);
    for (ct_list *n = g->old.next; n != &g->old; n = n->next)
        ct_memory_collect(&ct_list_of(n, ct_vm, node)->memory);
}

bool ct_generations_have_events(const ct_generations *g) {
    if (g->current->events->count) return true;
    if (g->loading && g->loading->events->count) return true;
    for (const ct_list *n = g->old.next; n != &g->old; n = n->next)
        if (ct_list_of(n, const ct_vm, node)->events->count) return true;
    return false;
}

uint32_t ct_generations_websockets(const ct_generations *g) {
    uint32_t count = g->current->websockets.slots.count;

    for (const ct_list *n = g->old.next; n != &g->old; n = n->next)
        count += ct_list_of(n, const ct_vm, node)->websockets.slots.count;
    return count;
}

/* No other generation will serve. */
static void abandon(ct_generations *g, const char *why) {
    if (g->loading) give_up(g, why);
    if (g->preparing && !g->abandoned) report(g, false, why);
    g->abandoned = true;
}

void ct_generations_stop(ct_generations *g, int signal) {
    ct_events_add(g->current->events, CT_EVENT_STOP, (uint32_t)signal);
    for (ct_list *n = g->old.next; n != &g->old; n = n->next)
        ct_events_add(ct_list_of(n, ct_vm, node)->events, CT_EVENT_STOP,
                      (uint32_t)signal);
    abandon(g, "the server ends");
}

void ct_generations_retire(ct_generations *g, bool all) {
    abandon(g, "another process takes over");
    ct_listen_leave(g->loop, all);
    if (g->current->ready)
        ct_events_add(g->current->events, CT_EVENT_RETIRE, 0);
    else
        ct_loop_stop(g->loop);
}

bool ct_generations_fini(ct_generations *g) {
    bool all;

    if (!g->loop) return true; /* nothing was begun */
    g->abandoned = true;
    all = ct_pool_free(g->pool, 1);
    if (all) ct_waker_free(g->waker);
    if (g->loading) all &= ct_vm_free(g->loading);
    while (!ct_list_is_empty(&g->old)) {
        ct_vm *vm = ct_list_of(g->old.next, ct_vm, node);

        ct_list_remove(&vm->node);
        all &= ct_vm_free(vm);
    }
    all &= ct_vm_free(g->current);
    g->current = NULL;
    ct_timer_free(g->limit);
    ct_timer_free(g->sweep);
    return all;
}
