/* One-shot events, added when a call would block. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/datagram.h"

#include "abi.h"
#include "base/mem.h"
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <unistd.h>

struct ct_datagram {
    struct event readable, writable;
    ct_loop *loop;
    ct_datagram_fn *fn;
    void *arg;
    int fd;
};

static void on_ready(evutil_socket_t fd, short what, void *arg) {
    ct_datagram *d = arg;

    (void)fd, (void)what;
    ct_loop_now(d->loop);
    d->fn(d->arg);
}

static void set_option(int fd, int level, int name, int value) {
    (void)setsockopt(fd, level, name, &value, sizeof value); /* best effort */
}

static bool prepare(int fd, const ct_address *at, const ct_address *peer,
                    int buffer) {
    const struct sockaddr *sa = (const struct sockaddr *)&at->sa;

    if (at->sa.ss_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !at->any);
    if (at->share) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (buffer) set_option(fd, SOL_SOCKET, SO_RCVBUF, buffer);
    if (bind(fd, sa, at->size) == -1) return false;
    return !peer ||
           connect(fd, (const struct sockaddr *)&peer->sa, peer->size) == 0;
}

ct_datagram *ct_datagram_new(ct_loop *loop, const ct_address *bind,
                             const ct_address *peer, int buffer,
                             ct_datagram_fn *fn, void *arg) {
    int type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = socket(bind->sa.ss_family, type, 0);
    ct_datagram *d;

    if (fd == -1) return NULL;
    if (!prepare(fd, bind, peer, buffer)) {
        int why = errno;

        close(fd);
        errno = why;
        return NULL;
    }
    d = ct_new(ct_datagram);
    d->loop = loop;
    d->fn = fn;
    d->arg = arg;
    d->fd = fd;
    event_assign(&d->readable, loop->base, fd, EV_READ, on_ready, d);
    event_assign(&d->writable, loop->base, fd, EV_WRITE, on_ready, d);
    return d;
}

int ct_datagram_send(ct_datagram *d, const char *p, size_t n,
                     const ct_address *to) {
    const struct sockaddr *sa = to ? (const struct sockaddr *)&to->sa : NULL;
    ssize_t sent;

    do sent = sendto(d->fd, p, n, MSG_DONTWAIT, sa, to ? to->size : 0);
    while (sent == -1 && errno == EINTR);
    if (sent >= 0) return CT_OK;
    if (errno != EAGAIN) return CT_ERROR;
    event_add(&d->writable, NULL);
    return CT_AGAIN;
}

ssize_t ct_datagram_recv(ct_datagram *d, char *p, size_t max,
                         ct_address *from) {
    struct sockaddr *sa = (struct sockaddr *)&from->sa;
    ssize_t got;

    *from = (ct_address){ .size = sizeof from->sa };
    do got = recvfrom(d->fd, p, max, MSG_DONTWAIT, sa, &from->size);
    while (got == -1 && errno == EINTR);
    if (got >= 0) return got;
    if (errno != EAGAIN) return -CT_ERROR;
    event_add(&d->readable, NULL);
    return -CT_AGAIN;
}

ct_address ct_datagram_address(const ct_datagram *d) {
    ct_address a = { .size = sizeof a.sa };

    (void)getsockname(d->fd, (struct sockaddr *)&a.sa, &a.size);
    return a;
}

void ct_datagram_free(ct_datagram *d) {
    if (!d) return;
    event_del(&d->readable);
    event_del(&d->writable);
    close(d->fd);
    ct_free(d);
}
