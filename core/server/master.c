/* Reloading asks the first worker alone: when its new generation serves, the
 * others follow; when it fails, nobody has changed. A worker that dies is
 * replaced at once, but ever later when it keeps dying. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/master_parts.h"

#include "base/mem.h"
#include "data/board.h"
#include "data/history.h"
#include "data/metrics.h"
#include "data/status.h"
#include "http/peers.h"
#include "io/signals.h"
#include "io/timer.h"
#include "server/child.h"
#include "server/control.h"
#include "server/folder.h"
#include "server/inherit.h"
#include "server/keys.h"
#include "server/pass.h"
#include "server/pidfile.h"
#include "server/wishes.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    EARLY = 2000,  /* ms: dying sooner counts as dying early */
    LAST_WORDS = 2 /* seconds between asking a hung worker and killing it */
};

static void say(const ct_master *m, ct_log_level level, const char *text,
                uint32_t index, int pid) {
    ct_log_line(m->loop->log, level, "master", "worker %u (pid %d) %s", index,
                pid, text);
}

/* -- Stopping -------------------------------------------------------------- */

static void kill_all(const ct_master *m, int signal) {
    for (uint32_t i = 0; i < m->count; i++)
        ct_child_kill(&m->children[i], signal);
}

void ct_master_stop(ct_master *m, bool gently) {
    double patience =
        gently ? m->wishes->stop_timeout + CT_MASTER_OWN : CT_MASTER_OWN;

    if (m->stopping && gently) return;
    m->stopping = true;
    ct_master_notify(m, "STOPPING=1");
    ct_elder_stop(m->elder);
    ct_upgrade_cancel(&m->upgrade);
    kill_all(m, gently ? SIGTERM : SIGINT);
    m->kill_at = ct_board_now() + (uint64_t)(patience * 1000);
    if (!m->running) ct_loop_stop(m->loop);
}

/* -- Reloading ------------------------------------------------------------- */

/* All workers tell the browsers of developers. */
static void tell_all(const ct_master *m) {
    char line[CT_CHILD_ANSWER + 16];

    snprintf(line, sizeof line, m->failed ? "failed %s\n" : "done\n", m->why);
    for (uint32_t i = 0; i < m->target; i++)
        ct_child_say(&m->children[i], line);
}

/* What of it the running processes cannot do. */
static void take_note(ct_master *m) {
    char names[128] = "";

    if (m->next)
        ct_wishes_compare(m->wishes, m->next, false, names, sizeof names);
    if (!*names) return;
    snprintf(m->why, sizeof m->why, "changed, needs a restart: %s", names);
    ct_log_line(m->loop->log, CT_LEVEL_WARNING, "master", "reload: %s", m->why);
}

/* The new wishes may have given up the control socket that he has asked on. One who
 * asked for another number of workers has them; they will be told of it another time. */
static void answer(ct_master *m) {
    bool half = m->failed && m->resized;
    char text[CT_CHILD_ANSWER + 64];

    snprintf(text, sizeof text, "%s%s",
             half ? "workers do not know how many they are: " : "", m->why);
    if (m->asker) ct_control_answer(m->asker, !m->failed || half, text);
    m->asker = NULL;
    m->resized = false;
    ct_control_free(m->former);
    m->former = NULL;
}

/* Whoever waits for the answer, or the line, finds that all of it has been done. */
static void end_reload(ct_master *m) {
    bool again = m->again && m->failed, resized = false;
    ct_control_peer *asker;

    m->reloading = m->again = false;
    m->board->reloads += !m->failed;
    m->board->reloads_failed += m->failed;
    tell_all(m);
    if (!m->failed) take_note(m);
    for (char *p = m->why; *p; p++)
        if (*p == '\x1f') *p = '\n';
    if (!m->failed && !m->stopping) resized = ct_master_adopt(m);
    ct_master_notify(m, "READY=1");
    ct_log_line(m->loop->log, m->failed ? CT_LEVEL_ERROR : CT_LEVEL_INFO,
                "master",
                m->failed ? "reload: nothing has changed" : "reloaded");
    if (!resized) answer(m);
    m->resized |= resized;
    asker = m->asker;
    m->asker = NULL;
    if (again || resized) ct_master_reload(m, asker);
}

static void ask(ct_master *m, ct_child *c) {
    ct_child_say(c, "reload\n");
    c->asked = true;
    m->waited_for++;
}

static void ask_others(ct_master *m) {
    for (uint32_t i = 1; i < m->target; i++) {
        ct_child *c = &m->children[i];

        if (!c->pid || c->kill_at) continue; /* the next one has the new code */
        c->behind = !c->served;
        if (!c->behind) ask(m, c);
    }
}

static void on_answer(ct_master *m, ct_child *c, bool ok, const char *why) {
    bool first = c->index == 1;

    if (!c->asked) return;
    c->asked = false;
    m->waited_for--;
    if (!ok && !m->failed) {
        m->failed = true;
        snprintf(m->why, sizeof m->why, "%s", why);
    }
    if (first && ok) ask_others(m);
    if (!m->waited_for) end_reload(m);
}

/* Somebody says that things are better now: it waits no longer. */
static void hurry(ct_master *m, ct_child *c) {
    c->early = 0;
    ct_master_start(m, c);
}

void ct_master_reload(ct_master *m, ct_control_peer *asker) {
    const char *why = ct_upgrade_is_in_the_way(&m->upgrade);
    ct_child *first = m->children;

    if (m->reloading) why = "a reload is under way already: ask again after it";
    if (!m->ready || m->elder->waiting) why = "the server has not started yet";
    if (m->stopping) why = "the server ends";
    if (why) {
        ct_log_line(m->loop->log, CT_LEVEL_WARNING, "master", "%s", why);
        if (asker) ct_control_answer(asker, false, why);
        return;
    }
    m->reloading = true;
    m->failed = m->again = false;
    m->asker = asker;
    m->why[0] = 0;
    ct_vm_wishes_free(m->next);
    m->next = NULL;
    m->waited_for = 0;
    ct_master_notify(m, "RELOADING=1");
    if (!first->pid) hurry(m, first);
    ask(m, first);
    if (!first->served)
        on_answer(m, first, false,
                  "worker 1 is down, and starts anew: see the log, and ask "
                  "again when it serves");
}

/* -- Workers --------------------------------------------------------------- */

void ct_master_start(ct_master *m, ct_child *c) {
    c->row->state = CT_WORKER_STARTING;
    if (ct_child_start(c, m->wishes, m->shared, m->argv)) {
        m->running++;
        c->row->pid = c->pid;
        c->row->beat = ct_board_now();
        return;
    }
    ct_log_line(m->loop->log, CT_LEVEL_ERROR, "master",
                "worker %u cannot be started: %m", c->index);
    c->early++;
    c->began = ct_board_now();
}

static void describe_end(const ct_master *m, const ct_child *c, int pid,
                         int status) {
    char text[64];

    ct_child_describe(status, text, sizeof text);
    say(m,
        ct_master_is_ending(m) || c->kill_at ? CT_LEVEL_INFO : CT_LEVEL_ERROR,
        text, c->index, pid);
}

/* None has ever served: what it has written says why, and no other one will. */
static void give_up(ct_master *m, int status) {
    m->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    if (!m->exit_code) m->exit_code = 1;
    ct_master_stop(m, false);
}

static void on_death(ct_master *m, ct_child *c, int status) {
    int pid = c->row->pid;
    bool left;

    m->running--;
    ct_board_clear(c->row);
    c->row->pid = 0;
    c->row->state = CT_WORKER_NONE;
    ct_metrics_clear(m->metrics, c->index - 1);
    ct_peers_clear(m->peers, c->index - 1);
    if (!ct_master_is_ending(m) || WIFSIGNALED(status))
        describe_end(m, c, pid, status);
    on_answer(m, c, false, "a worker died");
    ct_master_retired(m, c);
    if (!m->stopping && !m->ready && !c->served) give_up(m, status);
    if (ct_master_is_ending(m)) {
        if (!m->running) ct_loop_stop(m->loop);
        return;
    }
    left = c->kill_at;
    c->kill_at = c->leave_at = 0;
    if (c->index > m->target) {
        ct_child_fini(c);
        return;
    }
    if (left) { /* it is wanted again */
        ct_master_start(m, c);
        return;
    }
    c->early = ct_board_now() - c->began < EARLY ? c->early + 1 : 0;
    if (m->ready && !c->served) ct_master_lose(m, c, true);
    m->board->replaced++;
    m->board->rows[c->index - 1].restarts++;
    if (ct_child_pause(c) == 0) ct_master_start(m, c);
}

/* -- What is told ------------------------------------------------------------ */

static void on_serving(ct_master *m, ct_child *c) {
    c->served = true;
    ct_board_serve(c->row);
    ct_master_lose(m, c, false);
    if (c->behind) ct_child_say(c, "reload\n");
    c->behind = false;
    if (m->ready && !m->surplus) ct_child_say(c, "trim\n");
    if (m->ready) return;
    for (uint32_t i = 0; i < m->count; i++)
        if (!m->children[i].served) return;
    m->ready = true;
    ct_master_succeed(m);
    ct_log_line(m->loop->log, CT_LEVEL_INFO, "master",
                "%u worker%s; SIGHUP reloads, SIGTERM ends", m->count,
                m->count == 1 ? " serves" : "s serve");
}

/* A worker's Lua asks for a reload. */
static void on_wanted(ct_master *m) {
    if (m->reloading || !m->ready || m->elder->waiting)
        m->again = true;
    else
        ct_master_reload(m, NULL);
}

/* "serving", "retired", "reload", "ok" or "error REASON" (with \x1f for newlines). */
void ct_master_on_child(ct_child *c, const char *line, int status, void *arg) {
    ct_master *m = arg;

    if (!line) {
        on_death(m, c, status);
    } else if (strcmp(line, "serving") == 0) {
        on_serving(m, c);
    } else if (strcmp(line, "retired") == 0) {
        ct_master_retired(m, c);
    } else if (strcmp(line, "reload") == 0) {
        on_wanted(m);
    } else if (strncmp(line, "wishes ", 7) == 0) {
        ct_vm_wishes_free(m->next);
        m->next = ct_wishes_parse(line);
    } else if (strcmp(line, "ok") == 0) {
        on_answer(m, c, true, "");
    } else if (strncmp(line, "error ", 6) == 0) {
        if (!m->ready) ct_master_tell_elder(m, line + 6);
        on_answer(m, c, false, line + 6);
    }
}

/* One that has not turned its loop for too long is told to show where it is
 * (SIGABRT), and then killed. */
static void check_pulse(ct_master *m, ct_child *c, uint64_t now) {
    uint64_t beat = c->row->beat;
    double limit = m->wishes->worker_timeout;

    if (!c->pid || limit <= 0 || now < beat) return;
    if (now - beat > (uint64_t)((limit + LAST_WORDS) * 1000) && c->aborted) {
        ct_child_kill(c, SIGKILL);
    } else if (now - beat > (uint64_t)(limit * 1000) && !c->aborted) {
        say(m, CT_LEVEL_ERROR, "hangs: it is replaced", c->index, c->pid);
        ct_child_kill(c, SIGABRT);
        c->aborted = true;
    }
}

static void on_tick(void *arg) {
    ct_master *m = arg;
    uint64_t now = ct_board_now();

    if (m->stopping && now >= m->kill_at) kill_all(m, SIGKILL);
    for (uint32_t i = 0; i < m->count; i++) {
        ct_child *c = &m->children[i];

        check_pulse(m, c, now);
        if (c->leave_at && now >= c->leave_at) ct_master_dismiss(m, c);
        if (c->kill_at && now >= c->kill_at) ct_child_kill(c, SIGKILL);
        if (!c->pid && i < m->target && !ct_master_is_ending(m) &&
            now - c->began >= ct_child_pause(c))
            ct_master_start(m, c);
    }
    if (ct_mem_is_short()) (void)ct_mem_refill();
    ct_master_notify(m, "WATCHDOG=1");
    ct_master_forget_elder(m);
    if (m->trim_at && now >= m->trim_at) ct_master_trim(m);
    if (!m->elder->waiting && !m->upgrade.done)
        ct_keys_renew(m->tickets, m->loop, m->wishes->ticket_rotation);
}

/* -- The process ----------------------------------------------------------- */

static void on_signal(int signal, void *arg) {
    ct_master *m = arg;

    if (signal == SIGHUP)
        ct_master_reload(m, NULL);
    else if (signal == SIGUSR2)
        ct_master_upgrade(m, NULL);
    else if (signal == SIGUSR1)
        kill_all(m, SIGUSR1);
    else
        ct_master_stop(m, signal != SIGINT);
}

/* "worker N": what follows is a question to that one. */
static void ask_worker(const ct_master *m, ct_control_peer *peer,
                       const char *number) {
    unsigned long n = strtoul(number, NULL, 10);
    const ct_child *c = n >= 1 && n <= m->count ? &m->children[n - 1] : NULL;
    int fd;

    if (!c || !c->pid || !c->served) {
        ct_control_answer(peer, false,
                          c ? "that worker is down" : "no such worker");
        return;
    }
    fd = ct_control_release(peer);
    (void)ct_pass_send(c->channel, "worker\n", fd); /* else it is closed */
    close(fd);
}

void ct_master_on_command(ct_control_peer *peer, const char *command,
                          void *arg) {
    ct_master *m = arg;

    if (strcmp(command, "reload") == 0) {
        ct_master_reload(m, peer);
    } else if (strcmp(command, "upgrade") == 0) {
        ct_master_upgrade(m, peer);
    } else if (strcmp(command, "status") == 0) {
        char *text = ct_status_text(m->board);

        ct_control_answer(peer, true, text);
        ct_free(text);
    } else if (strcmp(command, "reopen") == 0) {
        kill_all(m, SIGUSR1);
        ct_control_answer(peer, true, "");
    } else if (strcmp(command, "quit") == 0 || strcmp(command, "stop") == 0) {
        bool gently = *command == 'q';

        ct_control_answer(peer, true, ""); /* and `command` is over */
        ct_master_stop(m, gently);
    } else if (strncmp(command, "worker ", 7) == 0) {
        ask_worker(m, peer, command + 7);
    } else {
        ct_control_answer(peer, false, "unknown command");
    }
}

static bool open_all(ct_master *m) {
    for (uint32_t i = 0; i < m->count; i++)
        if (!ct_master_place(m, i)) return false;
    m->surplus = ct_child_adopt(m->children, m->count, m->wishes);
    return true;
}

static void share_folder(ct_master *m) {
    if (ct_folder_make(m->folder, m->wishes->user))
        ct_inherit_share(m->folder);
    else
        ct_log_line(m->loop->log, CT_LEVEL_WARNING, "master",
                    "no folder for the workers' sockets, so each has a pubsub "
                    "of its own: %m");
}

static bool begin(ct_master *m) {
    static const int list[] = { SIGINT, SIGTERM, SIGQUIT,
                                SIGHUP, SIGUSR1, SIGUSR2 };

    m->board = ct_shared_get(m->shared, "board", sizeof *m->board);
    m->metrics = ct_metrics_get(m->shared);
    m->peers = ct_shared_get(m->shared, "peers", ct_peers_size(CT_WORKERS));
    if (!m->board || !m->metrics || !m->peers || !ct_history_get(m->shared) ||
        !ct_vm_share_rate(m->shared)) {
        ct_log_line(m->loop->log, CT_LEVEL_ERROR, "master",
                    "shared memory cannot be made: %m");
        return false;
    }
    ct_peers_format(m->peers);
    m->tickets = ct_keys_get(m->shared, m->loop, true);
    m->board->pid = getpid();
    m->board->heir = m->board->elder = m->elder->waiting;
    ct_board_set_workers(m->board, m->count);
    m->board->started = (int64_t)m->loop->clock.wall;
    if (!open_all(m)) return false;
    share_folder(m);
    m->signals = ct_signals_new(m->loop, list, 6, on_signal, m);
    ct_signals_let();
    m->tick = ct_timer_new(m->loop, on_tick, m);
    ct_upgrade_init(&m->upgrade, m->loop, m->shared, m->argv,
                    ct_master_on_upgraded, m);
    if (!m->elder->waiting) ct_master_control(m);
    return true;
}

int ct_master_run(ct_loop *loop, const ct_vm_wishes *wishes, ct_shared *shared,
                  ct_elder *elder, char **argv) {
    ct_master m = { .loop = loop,
                    .wishes = wishes,
                    .elder = elder,
                    .argv = argv,
                    .shared = shared,
                    .count = wishes->workers,
                    .target = wishes->workers };

    prctl(PR_SET_NAME, "ctornado-master");
    m.children = ct_alloc0(CT_WORKERS * sizeof *m.children);
    m.exit_code = begin(&m) ? 0 : 1;
    if (m.exit_code == 0) {
        for (uint32_t i = 0; i < m.count; i++)
            ct_master_start(&m, &m.children[i]);
        ct_timer_start(m.tick, 1, true);
        if (!ct_loop_run(loop)) m.exit_code = 1;
    }
    ct_signals_hold(true);
    ct_upgrade_fini(&m.upgrade);
    ct_control_free(m.control);
    ct_control_free(m.former);
    if (!m.upgrade.done) ct_pidfile_remove(m.wishes->pid_file);
    if (!elder->waiting) ct_child_remove_files(m.children);
    ct_timer_free(m.tick);
    ct_signals_free(m.signals);
    for (uint32_t i = 0; i < m.count; i++) ct_child_fini(&m.children[i]);
    ct_free(m.children);
    ct_vm_wishes_free(m.own);
    ct_vm_wishes_free(m.next);
    ct_folder_remove(m.folder);
    return m.exit_code;
}
