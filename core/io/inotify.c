/* A file that is being written is told when it is closed, so that nobody reads
 * half of it: its creation alone says nothing. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/inotify.h"

#include "base/mem.h"
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
    CHANGES = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE,
    WATCHED = CHANGES | IN_CREATE | IN_ONLYDIR | IN_EXCL_UNLINK,
    SPACE = 4096 /* more than one event with the longest name */
};

struct ct_inotify {
    struct event event;
    ct_loop *loop;
    ct_inotify_fn *fn;
    void *arg;
    int fd;
    uint32_t have, taken; /* bytes of `space` */
    _Alignas(struct inotify_event) char space[SPACE];
};

_Static_assert(SPACE > sizeof(struct inotify_event) + NAME_MAX + 1, "one fits");

static void on_ready(evutil_socket_t fd, short what, void *arg) {
    ct_inotify *i = arg;

    (void)fd, (void)what;
    ct_loop_now(i->loop);
    i->fn(i->arg);
}

ct_inotify *ct_inotify_new(ct_loop *loop, ct_inotify_fn *fn, void *arg) {
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    ct_inotify *i;

    if (fd == -1) return NULL;
    i = ct_new(ct_inotify);
    i->loop = loop;
    i->fn = fn;
    i->arg = arg;
    i->fd = fd;
    event_assign(&i->event, loop->base, fd, EV_READ | EV_PERSIST, on_ready, i);
    event_add(&i->event, NULL);
    return i;
}

int ct_inotify_add(ct_inotify *i, const char *path) {
    return inotify_add_watch(i->fd, path, WATCHED);
}

/* False when the kernel has none. */
static bool fill(ct_inotify *i) {
    ssize_t n = read(i->fd, i->space, sizeof i->space);

    i->taken = 0;
    i->have = n > 0 ? (uint32_t)n : 0;
    return n > 0;
}

/* Whether it is worth to be told; then *out has it. */
static bool is_change(const struct inotify_event *e, ct_inotify_change *out) {
    bool is_folder = e->mask & IN_ISDIR;
    uint32_t wanted = CHANGES | IN_Q_OVERFLOW | IN_IGNORED;

    if (is_folder) wanted |= IN_CREATE;
    if (!(e->mask & wanted)) return false;
    *out = (ct_inotify_change){ .folder = e->wd,
                                .name = e->len ? e->name : "",
                                .is_folder = is_folder };
    return true;
}

bool ct_inotify_next(ct_inotify *i, ct_inotify_change *out) {
    while (i->taken < i->have || fill(i)) {
        const struct inotify_event *e =
            (const struct inotify_event *)(const void *)(i->space + i->taken);

        i->taken += (uint32_t)sizeof *e + e->len;
        if (is_change(e, out)) return true;
    }
    return false;
}

void ct_inotify_free(ct_inotify *i) {
    if (!i) return;
    event_del(&i->event);
    close(i->fd);
    ct_free(i);
}
