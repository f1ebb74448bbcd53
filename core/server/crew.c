/* How many workers there are, and what else of a master a reload changes. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "io/listen_socket.h"
#include "server/master_parts.h"
#include "server/pidfile.h"
#include "server/wishes.h"

bool ct_master_place(ct_master *m, uint32_t i) {
    ct_child *c = &m->children[i];

    c->loop = m->loop;
    c->index = i + 1;
    c->row = &m->board->rows[i];
    c->fn = ct_master_on_child;
    c->arg = m;
    c->lost = false;
    if (!i) return ct_child_listen(c, m->wishes, NULL);
    return ct_child_join(c, m->wishes, m->children);
}

void ct_master_dismiss(const ct_master *m, ct_child *c) {
    ct_child_fini(c);
    ct_child_say(c, "leave\n");
    c->leave_at = 0;
    c->kill_at = ct_board_now() +
                 (uint64_t)((m->wishes->stop_timeout + CT_MASTER_OWN) * 1000);
}

void ct_master_spread(const ct_master *m) {
    const ct_child *first = m->children;
    uint32_t list[CT_WORKERS], n = 0;

    for (uint32_t i = 0; i < m->target; i++)
        if (!m->children[i].lost) list[n++] = i;
    for (unsigned i = 0; i < first->socket_count; i++)
        if (n && n < m->target)
            ct_listen_spread_to(first->sockets[i], list, n);
        else
            ct_listen_spread(first->sockets[i], m->target);
}

void ct_master_lose(const ct_master *m, ct_child *c, bool lost) {
    if (c->lost == lost) return;
    c->lost = lost;
    ct_master_spread(m);
    if (lost)
        ct_log_line(m->loop->log, CT_LEVEL_WARNING, "master",
                    "worker %u does not start: the others get its clients",
                    c->index);
}

void ct_master_trim(ct_master *m) {
    m->surplus = false;
    m->trim_at = 0;
    for (uint32_t i = 0; i < m->target; i++) {
        ct_child_trim(&m->children[i]);
        ct_child_say(&m->children[i], "trim\n");
    }
}

bool ct_master_is_settling(const ct_master *m) {
    if (m->trim_at) return true;
    for (uint32_t i = 0; i < m->count; i++)
        if (m->children[i].leave_at) return true;
    return false;
}

static bool hire(ct_master *m, uint32_t i) {
    ct_child *c = &m->children[i];

    if (!c->leave_at && !ct_master_place(m, i)) return false;
    c->leave_at = 0;
    m->target = i + 1;
    if (m->count < m->target) m->count = m->target;
    ct_board_set_workers(m->board, m->target);
    if (!c->pid) ct_master_start(m, c);
    return true;
}

/* Fewer workers: the last ones leave, when what was on the way to them has come.
 * More: they begin where the first one is. False: there are as many as before. */
static bool resize(ct_master *m, uint32_t wanted) {
    uint32_t before = m->target;
    bool more = true;

    while (more && m->target < wanted) more = hire(m, m->target);
    while (m->target > wanted)
        m->children[--m->target].leave_at = ct_board_now() + CT_MASTER_LEAVE;
    if (m->target == before) return false;
    ct_board_set_workers(m->board, m->target);
    ct_master_spread(m);
    ct_log_line(m->loop->log, CT_LEVEL_INFO, "master", "%u workers from now on",
                m->target);
    return true;
}

void ct_master_control(ct_master *m) {
    char why[256];

    if (m->control && ct_control_is_at(m->control, m->wishes->control)) return;
    if (m->former) /* its asker still waits */
        ct_control_free(m->control);
    else
        m->former = m->control;
    m->control = NULL;
    if (!*m->wishes->control) return;
    m->control = ct_control_new(m->loop, m->wishes->control,
                                ct_master_on_command, m, why, sizeof why);
    if (!m->control)
        ct_log_line(m->loop->log, CT_LEVEL_WARNING, "control",
                    "%s: only signals control this server", why);
}

/* The workers have what is theirs of it already. */
bool ct_master_adopt(ct_master *m) {
    ct_vm_wishes *next = m->next;

    if (!next) return false;
    m->next = NULL;
    ct_wishes_stay(next, m->wishes);
    if (m->trim_at) ct_master_trim(m);
    ct_pidfile_move(m->wishes->pid_file, next->pid_file, m->loop->log);
    ct_vm_wishes_free(m->own);
    m->wishes = m->own = next;
    ct_master_control(m);
    for (uint32_t i = 0; i < m->target; i++)
        ct_child_keep(&m->children[i], next);
    return resize(m, next->workers);
}
