/* A master and the processes before and after it: how it comes to its place, and how
 * another program takes that. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/mem.h"
#include "data/past.h"
#include "io/listen.h"
#include "server/master_parts.h"
#include "server/notify.h"
#include "server/pass.h"
#include "server/pidfile.h"
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* It is systemd's main process, once it has taken over. */
void ct_master_notify(const ct_master *m, const char *state) {
    if (!m->elder->waiting && !m->upgrade.done) ct_notify(state);
}

bool ct_master_is_ending(const ct_master *m) {
    return m->stopping || m->upgrade.done;
}

/* -- After an elder -------------------------------------------------------- */

/* See ct_elder_kin_fn. */
static void on_kin(uint32_t worker, int fd, void *arg) {
    ct_master *m = arg;
    ct_child *c = worker - 1 < m->count ? &m->children[worker - 1] : NULL;

    if (c && c->pid) c->has_kin = ct_pass_send(c->channel, "elder\n", fd);
    close(fd);
}

/* A worker that waits for what one before has to say is told that there is none, by a
 * socket that is closed. */
static void release(ct_child *c) {
    int ends[2];

    if (!c->pid || c->has_kin ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return;
    (void)ct_pass_send(c->channel, "elder\n", ends[0]);
    close(ends[0]);
    close(ends[1]);
}

/* All workers serve, and an elder has let go. What it had more sockets than there
 * are workers gets nothing new, and is emptied. */
static void on_alone(void *arg) {
    ct_master *m = arg;

    if (m->board->heir) {
        ct_master_spread(m);
        for (uint32_t i = 0; i < m->count; i++) release(&m->children[i]);
    }
    if (m->surplus) m->trim_at = ct_board_now() + CT_MASTER_LEAVE;
    m->board->heir = 0;
    ct_pidfile_write(m->wishes->pid_file, m->loop->log);
    ct_master_control(m);
    ct_master_notify(m, "READY=1"); /* who waits for it may use both */
    if (m->again) ct_master_reload(m, NULL);
}

void ct_master_succeed(ct_master *m) {
    ct_elder_succeed(m->elder, on_alone, on_kin, m);
}

void ct_master_tell_elder(const ct_master *m, const char *why) {
    char *text = ct_memdup(why, strlen(why));

    for (char *p = text; *p; p++)
        if (*p == '\x1f') *p = '\n';
    ct_elder_fail(m->elder, text);
    ct_free(text);
}

void ct_master_forget_elder(ct_master *m) {
    if (!m->board->elder || m->elder->channel != -1) return;
    m->board->elder = 0;
    ct_past_forget(m->shared);
}

/* -- Before an heir -------------------------------------------------------- */

static const char *why_not_now(const ct_master *m) {
    if (m->stopping) return "the server ends";
    if (!m->ready || m->elder->waiting) return "the server has not started yet";
    if (m->reloading) return "a reload is under way: ask again after it";
    if (ct_master_is_settling(m))
        return "the number of workers has just changed: ask again in a second";
    return NULL;
}

/* The sockets go over in the order of the workers: the next one's have the same, and
 * connections are spread by it. */
void ct_master_upgrade(ct_master *m, ct_control_peer *asker) {
    ct_buf sockets = { 0 };

    for (uint32_t i = 0; i < m->target; i++) {
        const char *lines = m->children[i].addresses;

        if (lines) ct_buf_add(&sockets, lines, strlen(lines));
    }
    ct_buf_add(&sockets, "", 1);
    ct_upgrade_begin(&m->upgrade, asker, ct_buf_bytes(&sockets),
                     why_not_now(m));
    ct_buf_fini(&sockets);
}

/* When no worker accepts any more. */
static void await_retired(ct_master *m) {
    if (m->waited_for) return;
    ct_control_leave(m->control, m->upgrade.asker);
    ct_upgrade_hand_over(&m->upgrade);
    if (!m->running) ct_loop_stop(m->loop);
}

void ct_master_retired(ct_master *m, ct_child *c) {
    if (!m->upgrade.done || !m->waited_for || c->retired) return;
    c->retired = true;
    m->waited_for--;
    await_retired(m);
}

static void join(const ct_master *m, const ct_child *c) {
    int fd = ct_upgrade_join(&m->upgrade, c->index);

    if (fd == -1) return;
    (void)ct_pass_send(c->channel, "heir\n", fd);
    close(fd);
}

/* One that leaves accepts nothing already. */
void ct_master_on_upgraded(bool must_stop, void *arg) {
    ct_master *m = arg;

    if (must_stop) {
        ct_master_stop(m, true);
        return;
    }
    ct_listen_leave(m->loop, true);
    m->waited_for = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        ct_child *c = &m->children[i];

        c->retired = !c->pid || i >= m->target;
        if (!c->retired) m->waited_for++;
        if (!c->retired) join(m, c);
        if (!c->retired) ct_child_say(c, "retire\n");
        ct_child_fini(c);
    }
    await_retired(m);
}
