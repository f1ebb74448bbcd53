/* Both sides talk in packets: the new program says "serving", or "error" with a
 * reason before it ends, and later "stop"; this one gives it "kin NUMBER FRAMES" with a
 * socket for each worker, answers "go" when it has let go of what only one can have,
 * and the new one "taken" when it has that. fork() has only exec() behind it, and no
 * allocation: threads of this process may have held locks. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/upgrade.h"

#include "base/buf.h"
#include "base/mem.h"
#include "data/past.h"
#include "io/listen.h"
#include "io/signals.h"
#include "server/elder.h"
#include "server/inherit.h"
#include "server/notify.h"
#include "server/pass.h"
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WORD = 4096,
    TAKE = 5 /* seconds until who has asked is told, without "taken" */
};

static void answer(ct_upgrade *u, bool ok, const char *text) {
    if (u->asker) ct_control_answer(u->asker, ok, text);
    u->asker = NULL;
}

/* -- Its ends -------------------------------------------------------------- */

static void close_channel(ct_upgrade *u) {
    if (u->channel == -1) return;
    event_del(&u->on_word);
    close(u->channel);
    u->channel = -1;
}

/* The new program will end, for the first reason given; on_end() tells it, so that
 * whoever is told may try again at once. */
static void doom(ct_upgrade *u, const char *why) {
    if (!u->why) u->why = ct_memdup(why, strlen(why));
}

static void fail(ct_upgrade *u, const char *why) {
    if (!u->loading) return;
    u->loading = false;
    ct_timer_stop(u->limit);
    close_channel(u);
    ct_notify("READY=1");
    ct_log_text(u->loop->log, CT_LEVEL_ERROR, "upgrade", why, strlen(why),
                true);
    ct_log_line(u->loop->log, CT_LEVEL_ERROR, "upgrade", "nothing has changed");
    answer(u, false, why);
    ct_free(u->why);
    u->why = NULL;
}

static void succeed(ct_upgrade *u) {
    char text[64];

    u->loading = false;
    u->done = true;
    ct_timer_stop(u->limit);
    snprintf(text, sizeof text, "MAINPID=%d\nREADY=1", (int)u->pid);
    ct_notify(text);
    ct_log_line(u->loop->log, CT_LEVEL_INFO, "upgrade",
                "process %d serves, and this one ends", (int)u->pid);
    u->fn(false, u->arg);
}

int ct_upgrade_join(const ct_upgrade *u, uint32_t worker) {
    char word[32];
    int ends[2];

    if (u->channel == -1 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   ends) != 0)
        return -1;
    snprintf(word, sizeof word, CT_ELDER_KIN, (unsigned)worker, CT_KIN_FRAMES);
    if (!ct_pass_send(u->channel, word, ends[1])) {
        close(ends[0]);
        ends[0] = -1;
    }
    close(ends[1]);
    return ends[0];
}

void ct_upgrade_hand_over(ct_upgrade *u) {
    if (u->channel != -1) (void)send(u->channel, "go", 2, MSG_NOSIGNAL);
    ct_timer_start(u->limit, TAKE, false);
}

/* This process is through before the new one has said that it has taken over. */
static void await_taken(ct_upgrade *u) {
    struct pollfd wait = { .fd = u->channel, .events = POLLIN };
    char word[WORD];
    ssize_t n = u->channel != -1;

    while (u->asker && n > 0 && poll(&wait, 1, TAKE * 1000) > 0) {
        n = recv(u->channel, word, sizeof word - 1, MSG_DONTWAIT);
        word[n > 0 ? n : 0] = 0;
        if (strcmp(word, "taken") == 0) answer(u, true, "");
    }
    answer(u, n > 0, n > 0 ? "" : "the new program has ended");
}

static void on_word(evutil_socket_t fd, short what, void *arg) {
    ct_upgrade *u = arg;
    char word[WORD];
    ssize_t n = recv(fd, word, sizeof word - 1, MSG_DONTWAIT);

    (void)what;
    ct_loop_now(u->loop);
    if (n <= 0) {
        if (n == 0) close_channel(u); /* on_end() knows more */
        return;
    }
    word[n] = 0;
    if (u->loading && strcmp(word, "serving") == 0)
        succeed(u);
    else if (u->loading && strncmp(word, "error ", 6) == 0)
        doom(u, word + 6);
    else if (u->done && strcmp(word, "taken") == 0)
        answer(u, true, "");
    else if (u->done && strcmp(word, "stop") == 0)
        u->fn(true, u->arg);
}

/* What it has said last comes first. */
static void on_end(evutil_socket_t fd, short what, void *arg) {
    ct_upgrade *u = arg;
    int status = 0;
    char text[96];

    (void)fd;
    ct_loop_now(u->loop);
    if (waitpid(u->pid, &status, WNOHANG) != u->pid) return;
    if (u->channel != -1) on_word(u->channel, what, u);
    event_del(&u->on_end);
    close(u->pidfd);
    u->pid = 0;
    if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "the new program died of signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, sizeof text,
                 "the new program ended with exit code %d: its log says why",
                 WEXITSTATUS(status));
    fail(u, u->why ? u->why : text);
    answer(u, false, text); /* it had only begun to take over */
}

static void on_limit(void *arg) {
    ct_upgrade *u = arg;
    char why[96];

    if (u->done) answer(u, true, "");
    if (!u->loading) return;
    snprintf(why, sizeof why, "the new program did not serve within %d seconds",
             CT_UPGRADE_TIMEOUT);
    doom(u, why);
    (void)kill(u->pid, SIGKILL);
}

/* -- Its beginning --------------------------------------------------------- */

enum { GIVEN = 3 };

/* This process's environment and what the new one needs. */
static char **environment(char *given[GIVEN]) {
    size_t n = 0;
    char **all;

    while (environ[n]) n++;
    all = ct_alloc((n + GIVEN + 1) * sizeof *all);
    memcpy(all, environ, n * sizeof *all);
    memcpy(all + n, given, GIVEN * sizeof *all);
    all[n + GIVEN] = NULL;
    return all;
}

/* In the child. The name is looked up anew: its file is another one by now. */
_Noreturn static void become(const ct_upgrade *u, int end,
                             const ct_shared *memory, const char *sockets,
                             char **env) {
    char why[WORD];
    int n;

    if (fcntl(end, F_SETFD, 0) == 0 && ct_shared_keep(memory) &&
        ct_inherit_keep(sockets))
        execvpe(u->argv[0], u->argv, env);
    n = snprintf(why, sizeof why, "error %s: cannot be started: %s", u->argv[0],
                 strerrordesc_np(errno));
    (void)send(end, why, n < WORD ? (size_t)n : WORD - 1, MSG_NOSIGNAL);
    _exit(71);
}

static bool start(ct_upgrade *u, const char *sockets) {
    ct_shared memory = { 0 };
    int ends[2];
    char *given[GIVEN], **env;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1)
        return false;
    ct_inherit_heir(given, ends[1], sockets);
    ct_shared_lend(u->shared, "tickets", &memory, "tickets");
    ct_past_lend(u->counted, &memory);
    given[2] = ct_shared_text(&memory);
    env = environment(given);
    u->pid = ct_signals_fork();
    if (u->pid == 0) become(u, ends[1], &memory, sockets, env);
    ct_free(env);
    for (int i = 0; i < GIVEN; i++) ct_free(given[i]);
    close(ends[1]);
    u->pidfd = u->pid > 0 ? (int)syscall(SYS_pidfd_open, u->pid, 0) : -1;
    if (u->pidfd != -1) {
        u->channel = ends[0];
        return true;
    }
    if (u->pid > 0) kill(u->pid, SIGKILL);
    u->pid = 0;
    close(ends[0]);
    return false;
}

static void watch(ct_upgrade *u) {
    (void)fcntl(u->pidfd, F_SETFD, FD_CLOEXEC);
    event_assign(&u->on_end, u->loop->base, u->pidfd, EV_READ | EV_PERSIST,
                 on_end, u);
    event_assign(&u->on_word, u->loop->base, u->channel, EV_READ | EV_PERSIST,
                 on_word, u);
    event_add(&u->on_end, NULL);
    event_add(&u->on_word, NULL);
    ct_timer_start(u->limit, CT_UPGRADE_TIMEOUT, false);
}

const char *ct_upgrade_is_in_the_way(const ct_upgrade *u) {
    if (u->loading) return "an upgrade is under way: ask again after it";
    return u->done ? "another process has taken over" : NULL;
}

void ct_upgrade_begin(ct_upgrade *u, ct_control_peer *asker, const char *more,
                      const char *not_now) {
    ct_buf sockets = { 0 };

    if (!not_now) not_now = ct_upgrade_is_in_the_way(u);
    if (!not_now && u->pid) not_now = "the last upgrade's program still ends";
    if (not_now) {
        ct_log_line(u->loop->log, CT_LEVEL_WARNING, "upgrade", "%s", not_now);
        if (asker) ct_control_answer(asker, false, not_now);
        return;
    }
    u->asker = asker;
    u->loading = true;
    ct_notify("RELOADING=1");
    ct_log_line(u->loop->log, CT_LEVEL_INFO, "upgrade",
                "starting %s to take over", u->argv[0]);
    if (more) ct_buf_add(&sockets, more, strlen(more));
    ct_listen_list(u->loop, &sockets);
    ct_buf_add(&sockets, "", 1);
    if (start(u, ct_buf_bytes(&sockets)))
        watch(u);
    else
        fail(u, strerror(errno));
    ct_buf_fini(&sockets);
}

void ct_upgrade_init(ct_upgrade *u, ct_loop *loop, const ct_shared *shared,
                     char **argv, ct_upgrade_fn *fn, void *arg) {
    *u = (ct_upgrade){ .loop = loop,
                       .shared = shared,
                       .counted = shared,
                       .argv = argv,
                       .fn = fn,
                       .arg = arg,
                       .pidfd = -1,
                       .channel = -1 };
    u->limit = ct_timer_new(loop, on_limit, u);
}

void ct_upgrade_cancel(ct_upgrade *u) {
    if (u->loading && u->pid) (void)kill(u->pid, SIGKILL);
    fail(u, "the server ends");
}

void ct_upgrade_fini(ct_upgrade *u) {
    if (!u->loop) return;
    ct_upgrade_cancel(u);
    await_taken(u);
    close_channel(u);
    if (u->pid) {
        event_del(&u->on_end);
        close(u->pidfd);
    }
    ct_timer_free(u->limit);
}
