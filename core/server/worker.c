/* What happens in a turn, in order: C collects events, Lua takes them, replies
 * that waited for company leave. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/worker.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static bool after_turn(void *arg) {
    ct_worker *w = arg;
    bool more = ct_vm_turn(w->vm);

    more |= ct_server_turn(&w->server);
    if (w->vm->exiting) ct_loop_stop(&w->loop);
    return more;
}

static void on_signal(int signal, void *arg) {
    ct_worker *w = arg;

    ct_events_add(&w->events, CT_EVENT_STOP, (uint32_t)signal);
}

/* Ten thousand connections need descriptors: take what the system allows. */
static void raise_descriptors(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* best effort */
}

static int run(ct_worker *w, int argc, char **argv) {
    static const int stops[] = { SIGINT, SIGTERM, SIGQUIT };
    const char *why;

    w->vm = ct_vm_new(&w->loop, &w->server, &w->events, &why);
    if (!w->vm) {
        ct_log_line(&w->log, CT_LEVEL_ERROR, "vm", "%s", why);
        return 1;
    }
    w->signals = ct_signals_new(&w->loop, stops, 3, on_signal, w);
    w->loop.after_turn = after_turn;
    w->loop.after_arg = w;
    w->loop.again = true;
    if (!ct_vm_start(w->vm, argc, argv)) return 1;
    if (!ct_loop_run(&w->loop)) return 1;
    return w->vm->exit_code;
}

int ct_worker_run(ct_worker *w, int argc, char **argv) {
    const char *why;
    int code;

    ct_log_init(&w->log);
    raise_descriptors();
    if (!ct_loop_init(&w->loop, &w->log, &why)) {
        ct_log_line(&w->log, CT_LEVEL_ERROR, "loop", "%s", why);
        return 1;
    }
    ct_server_init(&w->server, &w->loop, &w->events);
    code = run(w, argc, argv);
    ct_server_fini(&w->server);
    if (!ct_vm_free(w->vm)) {
        ct_log_line(&w->log, CT_LEVEL_WARNING, "vm",
                    "a thread is still at work: it is cut off");
        fflush(stdout);
        _exit(code); /* what would be freed now, it may be using */
    }
    ct_signals_free(w->signals);
    ct_events_fini(&w->events);
    ct_loop_fini(&w->loop);
    ct_log_fini(&w->log);
    return code;
}
