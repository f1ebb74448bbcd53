/* libevent tells of errors as READ and WRITE, whichever was asked for; poll() tells
 * them apart. EV_CLOSED keeps a descriptor watched that nothing is asked of; it is
 * edge-triggered, for the end of the peer's side alone is no error, and stays. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/watch.h"

#include "abi.h"
#include "base/mem.h"
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <sys/stat.h>

struct ct_watch {
    struct event event;
    ct_loop *loop;
    ct_watch_fn *fn;
    void *arg;
    int fd;
    uint32_t events;
};

static short wanted(uint32_t events) {
    int read = events & CT_READY_READ ? EV_READ : 0,
        write = events & CT_READY_WRITE ? EV_WRITE : 0;

    return (short)(EV_PERSIST |
                   (read || write ? read | write : EV_CLOSED | EV_ET));
}

static uint32_t ready(const ct_watch *w) {
    struct pollfd p = { .fd = w->fd, .events = POLLIN | POLLOUT };
    uint32_t bits = 0;

    if (poll(&p, 1, 0) < 0) return 0;
    if (p.revents & POLLIN) bits |= CT_READY_READ;
    if (p.revents & POLLOUT) bits |= CT_READY_WRITE;
    bits &= w->events;
    if (p.revents & (POLLERR | POLLHUP | POLLNVAL)) bits |= CT_READY_ERROR;
    return bits;
}

static void on_ready(evutil_socket_t fd, short what, void *arg) {
    ct_watch *w = arg;
    uint32_t bits;

    (void)fd, (void)what;
    ct_loop_now(w->loop);
    bits = ready(w);
    if (bits) w->fn(bits, w->arg); /* may free w */
}

static bool begin(ct_watch *w, uint32_t events) {
    w->events = events;
    event_assign(&w->event, w->loop->base, w->fd, wanted(events), on_ready, w);
    return event_add(&w->event, NULL) == 0;
}

/* libevent tells epoll only later what it was given. */
static bool can_be_watched(int fd) {
    struct stat st;

    if (fstat(fd, &st) == -1) return false;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return true;
    errno = EPERM;
    return false;
}

ct_watch *ct_watch_new(ct_loop *loop, int fd, uint32_t events, ct_watch_fn *fn,
                       void *arg) {
    ct_watch *w;

    if (!can_be_watched(fd)) return NULL;
    w = ct_new(ct_watch);
    *w = (ct_watch){ .loop = loop, .fn = fn, .arg = arg, .fd = fd };
    if (begin(w, events)) return w;
    ct_free(w);
    return NULL;
}

bool ct_watch_update(ct_watch *w, uint32_t events) {
    event_del(&w->event);
    return begin(w, events);
}

void ct_watch_free(ct_watch *w) {
    if (!w) return;
    event_del(&w->event);
    ct_free(w);
}
