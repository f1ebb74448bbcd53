/* SPDX-License-Identifier: Apache-2.0 */
#include "server/wishes.h"

#include "base/mem.h"
#include "io/signals.h"
#include "server/child.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char FIELD[] =
    "\x1e"; /* between texts; \x1f is a newline in one */

static void exchange(char *text, char from, char to) {
    for (; *text; text++)
        if (*text == from) *text = to;
}

bool ct_wishes_format(const ct_vm_wishes *w, char *out, size_t size) {
    int n = snprintf(out, size,
                     "wishes %u %u %u %.3f %.3f %.3f%s%s%s%s%s%s%s%s%s%s%s%s\n",
                     w->workers, w->backlog, w->no_new_privs, w->stop_timeout,
                     w->worker_timeout, w->ticket_rotation, FIELD, w->addresses,
                     FIELD, w->admin, FIELD, w->control, FIELD, w->pid_file,
                     FIELD, w->user, FIELD, w->group);

    if (n < 0 || (size_t)n >= size) return false;
    out[n - 1] = 0;
    exchange(out, '\n', '\x1f');
    out[n - 1] = '\n';
    return true;
}

void ct_wishes_send(const ct_vm_wishes *w, int channel) {
    char line[CT_CHILD_ANSWER];

    if (ct_wishes_format(w, line, sizeof line))
        (void)send(channel, line, strlen(line), MSG_NOSIGNAL);
}

/* The next text of *rest; NULL: there is none. */
static char *take_text(char **rest) {
    char *text = strsep(rest, FIELD);

    if (!text) return NULL;
    exchange(text, '\x1f', '\n');
    return ct_memdup(text, strlen(text));
}

static bool take_numbers(ct_vm_wishes *w, char *text) {
    char *p = text;

    if (strncmp(p, "wishes ", 7) != 0) return false;
    w->workers = (uint32_t)strtoul(p + 7, &p, 10);
    w->backlog = (uint32_t)strtoul(p, &p, 10);
    w->no_new_privs = strtoul(p, &p, 10);
    w->stop_timeout = strtod(p, &p);
    w->worker_timeout = strtod(p, &p);
    w->ticket_rotation = strtod(p, &p);
    return *p == 0;
}

ct_vm_wishes *ct_wishes_parse(const char *line) {
    char *copy = ct_memdup(line, strlen(line)), *rest = copy;
    ct_vm_wishes *w = ct_new(ct_vm_wishes);
    bool good = take_numbers(w, strsep(&rest, FIELD));

    w->addresses = take_text(&rest);
    w->admin = take_text(&rest);
    w->control = take_text(&rest);
    w->pid_file = take_text(&rest);
    w->user = take_text(&rest);
    w->group = take_text(&rest);
    good = good && w->group && w->workers > 0;
    ct_free(copy);
    if (good) return w;
    ct_vm_wishes_free(w);
    return NULL;
}

static void add_name(char *out, size_t size, const char *name) {
    size_t n = strlen(out);

    snprintf(out + n, size - n, "%s%s", n ? ", " : "", name);
}

void ct_wishes_compare(const ct_vm_wishes *before, const ct_vm_wishes *now,
                       bool alone, char *out, size_t size) {
    *out = 0;
    if (alone && now->workers > 1) add_name(out, size, "workers");
    if (alone && now->supervise) add_name(out, size, "supervise");
    if (strcmp(before->user, now->user) != 0) add_name(out, size, "user");
    if (strcmp(before->group, now->group) != 0) add_name(out, size, "group");
    if (before->no_new_privs && !now->no_new_privs)
        add_name(out, size, "no_new_privs");
    if (!alone && strcmp(before->admin, now->admin) != 0)
        add_name(out, size, "admin");
}

static void stay(char **text, const char *before) {
    ct_free(*text);
    *text = ct_memdup(before, strlen(before));
}

void ct_wishes_stay(ct_vm_wishes *now, const ct_vm_wishes *before) {
    stay(&now->user, before->user);
    stay(&now->group, before->group);
    stay(&now->admin, before->admin);
    now->no_new_privs |= before->no_new_privs;
}

void ct_wishes_wait(const ct_vm_wishes *w) {
    enum { HURRY = 2, MOST = 86400 }; /* seconds */
    double more = w ? w->stop_timeout : 0;

    ct_signals_patience(HURRY, HURRY + (unsigned)(more < MOST ? more : MOST));
}
