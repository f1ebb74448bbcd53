/* What happens in a turn, in order: C collects events, Lua takes them, replies
 * that waited for company leave. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/worker.h"

#include "base/mem.h"
#include "data/status.h"
#include "server/crash.h"
#include "server/figures.h"
#include "server/keys.h"
#include "server/master.h"
#include "server/notify.h"
#include "server/pass.h"
#include "server/pidfile.h"
#include "server/wishes.h"
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TRIM = 5 }; /* ticks */

/* Alone it is systemd's main process, once it has taken over. */
static void notify(const ct_worker *w, const char *state) {
    if (!w->inherit.worker && !w->elder.waiting && !w->upgrade.done)
        ct_notify(state);
}

static void on_tick(void *arg) {
    ct_worker *w = arg;

    ct_figures_show(w->row, &w->generations);
    ct_figures_lag(w->row, &w->ticked);
    if (++w->ticks % TRIM == 0) ct_mem_trim();
    if (!w->inherit.worker && w->elder.channel == -1) w->board->elder = 0;
    ct_past_carry(&w->past);
    ct_history_take(w->history, w->board);
    notify(w, "WATCHDOG=1");
    if (!w->inherit.worker && !w->elder.waiting && !w->upgrade.done)
        ct_keys_renew(w->tickets, &w->loop,
                      w->generations.current->ticket_rotation);
}

/* -- Reloading ------------------------------------------------------------- */

/* Newlines would end the line: the master has them back. */
static void tell_master(const ct_worker *w, bool ok, const char *text) {
    char line[4096];
    int n = snprintf(line, sizeof line - 1, ok ? "ok" : "error %s", text);

    if (n > (int)sizeof line - 2) n = sizeof line - 2;
    for (int i = 0; i < n; i++)
        if (line[i] == '\n') line[i] = '\x1f';
    line[n] = '\n';
    (void)send(w->inherit.channel, line, (size_t)n + 1, MSG_NOSIGNAL);
}

static void reload(ct_worker *w);
static ct_control *move_control(ct_worker *w, const char *path);

/* What the new generation wants and a running process cannot do. */
static void take_note(ct_worker *w, char *out, size_t size) {
    char names[128];

    ct_wishes_compare(w->wishes, w->generations.current->wishes, true, names,
                      sizeof names);
    w->wishes->no_new_privs |= w->generations.current->wishes->no_new_privs;
    if (!*names) return;
    snprintf(out, size, "changed, needs a restart: %s", names);
    ct_log_line(&w->log, CT_LEVEL_WARNING, "reload", "%s", out);
}

/* Alone: the control socket and the file with its number, if they are elsewhere.
 * Returns the control socket of before. */
static ct_control *renew_place(ct_worker *w) {
    const ct_vm *vm = w->generations.current;
    char **path = &w->wishes->pid_file;

    ct_pidfile_move(*path, vm->pid_file, &w->log);
    ct_free(*path);
    *path = ct_memdup(vm->pid_file, strlen(vm->pid_file));
    return move_control(w, vm->control);
}

/* Alone: who has asked is answered when all else is done, on the control socket that
 * he has asked on. */
static void end_reload(ct_worker *w, bool ok, const char *text) {
    ct_control *before = NULL;
    char note[256] = "";

    w->board->reloads += ok;
    w->board->reloads_failed += !ok;
    if (ok) take_note(w, note, sizeof note);
    if (ok) before = renew_place(w);
    notify(w, "READY=1");
    ct_generations_tell(&w->generations, ok, text);
    if (w->asker) ct_control_answer(w->asker, ok, ok ? note : text);
    w->asker = NULL;
    ct_control_free(before);
}

/* The master tries it on the first worker, and learns from it what is wanted. What was
 * asked for meanwhile is in what serves now, or that will ask again itself. */
static void on_reloaded(bool ok, const char *text, void *arg) {
    ct_worker *w = arg;
    bool again = w->again && !ok;

    ct_figures_show(w->row, &w->generations);
    w->again = false;
    if (!w->inherit.worker) {
        end_reload(w, ok, text);
        if (again) reload(w);
        return;
    }
    if (ok && w->inherit.worker == 1)
        ct_wishes_send(w->generations.current->wishes, w->inherit.channel);
    tell_master(w, ok, text);
}

static void reload(ct_worker *w) {
    notify(w, "RELOADING=1");
    w->generations.place.workers = w->board->workers;
    ct_generations_reload(&w->generations, on_reloaded, w);
}

static const char *why_not_now(const ct_worker *w) {
    if (!w->serving || w->elder.waiting)
        return "the server has not started yet";
    if (ct_generations_are_loading(&w->generations))
        return "a reload is under way already: ask again after it";
    return ct_upgrade_is_in_the_way(&w->upgrade);
}

static void reload_for(ct_worker *w, ct_control_peer *peer) {
    const char *why = why_not_now(w);

    if (why) {
        ct_log_line(&w->log, CT_LEVEL_WARNING, "reload", "%s", why);
        if (peer) ct_control_answer(peer, false, why);
        return;
    }
    w->asker = peer;
    reload(w);
}

/* From Lua: with a master it is the master's to say. */
static void on_wanted(void *arg) {
    ct_worker *w = arg;
    bool alone = !w->inherit.worker;

    if (!w->serving || w->elder.waiting ||
        (alone && ct_generations_are_loading(&w->generations)))
        w->again = true;
    else if (!alone)
        (void)send(w->inherit.channel, "reload\n", 7, MSG_NOSIGNAL);
    else
        reload_for(w, NULL);
}

/* What was wanted before there was anything to reload. */
static void resume(ct_worker *w) {
    bool again = w->again;

    w->again = false;
    if (again) on_wanted(w);
}

/* -- What it is told ------------------------------------------------------- */

static void stop(ct_worker *w, int signal) {
    notify(w, "STOPPING=1");
    ct_elder_stop(&w->elder);
    ct_upgrade_cancel(&w->upgrade);
    w->row->state = CT_WORKER_ENDING;
    ct_generations_stop(&w->generations, signal);
}

static void upgrade(ct_worker *w, ct_control_peer *peer) {
    ct_upgrade_begin(&w->upgrade, peer, NULL, why_not_now(w));
}

/* See ct_upgrade_fn. */
static void on_upgraded(bool must_stop, void *arg) {
    ct_worker *w = arg;
    int kin;

    if (must_stop) {
        stop(w, SIGTERM);
        return;
    }
    kin = ct_upgrade_join(&w->upgrade, 1);
    if (kin != -1) ct_worker_hand_over(w, CT_EVENT_FAR_HEIR, kin);
    ct_generations_retire(&w->generations, true);
    ct_control_leave(w->control, w->upgrade.asker);
    ct_upgrade_hand_over(&w->upgrade);
}

static void on_signal(int signal, void *arg) {
    ct_worker *w = arg;

    if (signal == SIGHUP)
        reload_for(w, NULL);
    else if (signal == SIGUSR2 && !w->inherit.worker)
        upgrade(w, NULL);
    else if (signal == SIGUSR1)
        ct_generations_reopen(&w->generations);
    else if (signal != SIGUSR2) /* which is for the master */
        stop(w, signal);
}

static void on_command(ct_control_peer *peer, const char *command, void *arg) {
    ct_worker *w = arg;

    if (strcmp(command, "reload") == 0) {
        reload_for(w, peer);
    } else if (strcmp(command, "upgrade") == 0) {
        upgrade(w, peer);
    } else if (strcmp(command, "status") == 0) {
        char *text;

        ct_figures_show(w->row, &w->generations);
        text = ct_status_text(w->board);
        ct_control_answer(peer, true, text);
        ct_free(text);
    } else if (strcmp(command, "reopen") == 0) {
        ct_generations_reopen(&w->generations);
        ct_control_answer(peer, true, "");
    } else if (strcmp(command, "quit") == 0 || strcmp(command, "stop") == 0) {
        int how = *command == 'q' ? SIGTERM : SIGINT;

        ct_control_answer(peer, true, ""); /* and `command` is over */
        stop(w, how);
    } else if (strcmp(command, "worker 1") == 0) {
        ct_worker_hand_over(w, CT_EVENT_CONTROL, ct_control_release(peer));
    } else {
        ct_control_answer(peer, false, "unknown command");
    }
}

/* Another program has its place: it answers what it has begun. */
static void retire(ct_worker *w) {
    ct_generations_retire(&w->generations, false);
    (void)send(w->inherit.channel, "retired\n", 8, MSG_NOSIGNAL);
}

/* "reload"; "leave": there shall be fewer; "retire"; "trim": it has sockets that are
 * an elder's; how a reload went everywhere: "done", or "failed REASON" (with \x1f for
 * newlines). "worker" comes with the connection of a question, "heir" and "elder" with
 * the way to the worker after this one or before (see on_master). */
static void on_line(ct_worker *w, char *line) {
    if (strcmp(line, "reload") == 0) {
        reload(w);
    } else if (strcmp(line, "leave") == 0) {
        ct_listen_empty(&w->loop); /* nobody else would take them */
        stop(w, SIGTERM);
    } else if (strcmp(line, "worker") == 0) {
        w->passed = CT_EVENT_CONTROL;
    } else if (strcmp(line, "heir") == 0) {
        w->passed = CT_EVENT_FAR_HEIR;
    } else if (strcmp(line, "elder") == 0) {
        w->passed = CT_EVENT_ELDER;
    } else if (strcmp(line, "retire") == 0) {
        retire(w);
    } else if (strcmp(line, "trim") == 0) {
        ct_listen_trim(&w->loop);
    } else if (strcmp(line, "done") == 0) {
        ct_generations_tell(&w->generations, true, "");
    } else if (strncmp(line, "failed ", 7) == 0) {
        for (char *p = line; *p; p++)
            if (*p == '\x1f') *p = '\n';
        ct_generations_tell(&w->generations, false, line + 7);
    }
}

/* A line is shorter than the buffer. */
static void take_lines(ct_worker *w) {
    char *newline;

    while ((newline = memchr(w->line, '\n', w->have))) {
        size_t n = (size_t)(newline - w->line) + 1;

        *newline = 0;
        on_line(w, w->line);
        memmove(w->line, w->line + n, w->have - n);
        w->have -= (unsigned)n;
    }
    if (w->have == sizeof w->line - 1) w->have = 0;
}

/* Without a master there is nobody to serve for. */
static void on_master(evutil_socket_t fd, short what, void *arg) {
    ct_worker *w = arg;
    int passed;
    ssize_t n = ct_pass_receive(fd, w->line + w->have, sizeof w->line - w->have,
                                &passed);

    (void)what;
    ct_loop_now(&w->loop);
    if (n > 0) {
        w->have += (unsigned)n;
        take_lines(w);
        if (passed != -1) ct_worker_hand_over(w, w->passed, passed);
    } else if (n == 0) {
        event_del(&w->master);
        w->orphan = true;
        ct_log_line(&w->log, CT_LEVEL_ERROR, "worker",
                    "the master is gone: worker %u ends", w->inherit.worker);
        stop(w, SIGTERM);
        if (!w->serving) ct_loop_stop(&w->loop); /* a site may never load */
    }
}

/* At another path than before, if that has changed. Returns the one that is given up,
 * to be freed, or NULL. */
static ct_control *move_control(ct_worker *w, const char *path) {
    ct_control *before = w->control;
    char why[256];

    if (before && path && ct_control_is_at(before, path)) return NULL;
    w->control = NULL;
    if (!path || !*path) return before;
    w->control = ct_control_new(&w->loop, path, on_command, w, why, sizeof why);
    if (!w->control)
        ct_log_line(&w->log, CT_LEVEL_WARNING, "control",
                    "%s: only signals control this server", why);
    return before;
}

/* It is alone: an elder has let go. */
static void on_alone(void *arg) {
    ct_worker *w = arg;

    w->board->heir = 0;
    ct_past_carry(&w->past);
    ct_pidfile_write(w->wishes->pid_file, &w->log);
    ct_control_free(move_control(w, w->generations.current->control));
    notify(w, "READY=1"); /* who waits for it may use both */
    resume(w);
}

/* The first generation has loaded its sites. */
static void begin_serving(ct_worker *w) {
    w->serving = w->past.loaded = true;
    ct_wishes_wait(w->generations.current->wishes);
    ct_figures_show(w->row, &w->generations);
    if (!w->elder.waiting) ct_listen_commit(&w->loop, false);
    if (w->inherit.worker)
        (void)send(w->inherit.channel, "serving\n", 8, MSG_NOSIGNAL);
    ct_board_serve(w->row); /* last: who sees it may rely on all of it */
    if (w->inherit.worker) {
        resume(w);
        return;
    }
    w->wishes = w->generations.current->wishes;
    w->generations.current->wishes = NULL;
    ct_elder_succeed(&w->elder, on_alone, ct_worker_on_kin, w);
}

/* -- The process ----------------------------------------------------------- */

static bool after_turn(void *arg) {
    ct_worker *w = arg;
    bool more = ct_generations_turn(&w->generations);

    ct_server_turn(&w->server);
    if (__builtin_expect(ct_mem_is_short() || w->server.scarce, 0))
        ct_shortage_turn(&w->shortage, &w->generations);
    w->row->beat = w->loop.clock.mono_ms;
    ct_count_set(&w->row->now.connections, w->server.conn_count);
    ct_count_set(&w->row->now.requests, w->server.requests.count);
    if (!w->serving && w->generations.current->ready) begin_serving(w);
    if (more || ct_generations_have_events(&w->generations)) return true;
    return !w->loop.again && ct_generations_rest(&w->generations);
}

/* Before it is known what it runs. */
static bool begin(ct_worker *w) {
    if (!ct_worker_place(w)) return false;
    if (!w->inherit.worker) return true;
    w->loop.share_ports = true;
    event_assign(&w->master, w->loop.base, w->inherit.channel,
                 EV_READ | EV_PERSIST, on_master, w);
    return event_add(&w->master, NULL) == 0;
}

static int run(ct_worker *w, int argc, char **argv) {
    static const int list[] = { SIGINT, SIGTERM, SIGQUIT,
                                SIGHUP, SIGUSR1, SIGUSR2 };
    const ct_place place = { .worker = w->inherit.worker,
                             .workers = w->board->workers,
                             .folder = w->inherit.folder,
                             .shared = w->shared,
                             .tickets = w->tickets,
                             .board = w->board,
                             .metrics = w->metrics,
                             .past = &w->past,
                             .history = w->history };

    w->loop.after_turn = after_turn;
    w->loop.after_arg = w;
    w->loop.again = true;
    if (!ct_generations_init(&w->generations, &w->loop, &w->server, &place,
                             argc, argv))
        return 1;
    w->generations.wanted = on_wanted;
    w->generations.wanted_arg = w;
    ct_upgrade_init(&w->upgrade, &w->loop, &w->inherit.shared, argv,
                    on_upgraded, w);
    w->upgrade.counted = w->shared;
    w->signals = ct_signals_new(&w->loop, list, 6, on_signal, w);
    if (w->signals) ct_wishes_wait(NULL);
    ct_signals_let();
    w->tick = ct_timer_new(&w->loop, on_tick, w);
    ct_timer_start(w->tick, CT_FIGURES_TICK, true);
    return ct_loop_run(&w->loop) ? w->generations.current->exit_code : 1;
}

/* It has never served: whoever started it wants to know why. */
static void tell_failure(const ct_worker *w) {
    const ct_vm *vm = w->generations.current;

    if (w->serving || !vm || !vm->report) return;
    if (w->inherit.worker) tell_master(w, false, vm->report);
    ct_elder_fail(&w->elder, vm->report);
}

/* Frees all but loop and log. Returns what the process wants to become. */
static ct_vm_wishes *end(ct_worker *w, int code) {
    ct_vm_wishes *wishes = NULL;

    ct_signals_hold(true); /* a master lets them come again */
    if (w->generations.current && w->generations.current->supervises) {
        wishes = w->generations.current->wishes;
        w->generations.current->wishes = NULL;
    }
    if (w->asker) on_reloaded(false, "the server ends", w);
    ct_upgrade_fini(&w->upgrade);
    tell_failure(w);
    if (w->wishes && !w->upgrade.done) ct_pidfile_remove(w->wishes->pid_file);
    ct_vm_wishes_free(w->wishes);
    ct_control_free(w->control);
    ct_server_fini(&w->server);
    if (!ct_generations_fini(&w->generations)) {
        ct_log_line(&w->log, CT_LEVEL_WARNING, "vm",
                    "a thread is still at work: it is cut off");
        fflush(stdout);
        _exit(code); /* what would be freed now, it may be using */
    }
    ct_timer_free(w->tick);
    ct_signals_free(w->signals);
    if (event_initialized(&w->master)) event_del(&w->master);
    if (w->orphan) (void)rmdir(w->inherit.folder); /* the last one succeeds */
    ct_loop_count_in(&w->loop, NULL, NULL);        /* the others are unmapped */
    w->log.counters = NULL;
    w->log.recent = NULL;
    ct_shared_fini(&w->own);
    return wishes;
}

int ct_worker_run(ct_worker *w, int argc, char **argv) {
    ct_vm_wishes *wishes;
    const char *why;
    int code = 1;

    ct_signals_hold(false);
    ct_log_init(&w->log);
    (void)ct_mem_refill();
    ct_crash_watch(&w->log);
    (void)ct_abi_open_files(0, 0);
    if (!ct_loop_init(&w->loop, &w->log, &why)) {
        ct_log_line(&w->log, CT_LEVEL_ERROR, "loop", "%s", why);
        return 1;
    }
    ct_server_init(&w->server, &w->loop);
    if (begin(w)) code = run(w, argc, argv);
    wishes = end(w, code);
    if (wishes) {
        w->loop.after_turn = NULL;
        code = ct_master_run(&w->loop, wishes, &w->inherit.shared, &w->elder,
                             argv);
        ct_vm_wishes_free(wishes);
    }
    ct_elder_fini(&w->elder);
    ct_listen_commit(&w->loop, false); /* frees what nobody asked for */
    ct_shared_fini(&w->inherit.shared);
    ct_loop_fini(&w->loop);
    ct_log_fini(&w->log);
    return code;
}
