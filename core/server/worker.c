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
    bool more = ct_generations_turn(&w->generations);

    ct_server_turn(&w->server);
    return more || ct_generations_have_events(&w->generations);
}

static void nobody(bool ok, const char *text, void *arg) {
    (void)ok, (void)text, (void)arg; /* the log has it */
}

static void on_signal(int signal, void *arg) {
    ct_worker *w = arg;

    if (signal == SIGHUP)
        ct_generations_reload(&w->generations, nobody, NULL);
    else
        ct_generations_stop(&w->generations, signal);
}

/* Ten thousand connections need descriptors: take what the system allows. */
static void raise_descriptors(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* best effort */
}

static int run(ct_worker *w, int argc, char **argv) {
    static const int list[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP };

    w->loop.after_turn = after_turn;
    w->loop.after_arg = w;
    w->loop.again = true;
    if (!ct_generations_init(&w->generations, &w->loop, &w->server, argc, argv))
        return 1;
    w->signals = ct_signals_new(&w->loop, list, 4, on_signal, w);
    if (!ct_loop_run(&w->loop)) return 1;
    return w->generations.current->exit_code;
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
    ct_server_init(&w->server, &w->loop);
    code = run(w, argc, argv);
    ct_server_fini(&w->server);
    if (!ct_generations_fini(&w->generations)) {
        ct_log_line(&w->log, CT_LEVEL_WARNING, "vm",
                    "a thread is still at work: it is cut off");
        fflush(stdout);
        _exit(code); /* what would be freed now, it may be using */
    }
    ct_signals_free(w->signals);
    ct_loop_fini(&w->loop);
    ct_log_fini(&w->log);
    return code;
}
