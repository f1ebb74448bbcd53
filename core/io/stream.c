/* The plain form: recv() and send() on the socket. EPOLLOUT is asked for when a
 * send first falls short and stays: being edge-triggered it costs nothing while
 * there is room, so that a long download needs one epoll_ctl(), and short
 * replies none. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/stream.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_event(evutil_socket_t fd, short what, void *arg);

/* A hang-up without the peer's end (a pipe's) is READ and WRITE to libevent. */
static int watch(ct_stream *s, short more) {
    short what = (short)(EV_READ | EV_CLOSED | EV_ET | EV_PERSIST | more);

    event_assign(&s->event, s->loop->base, s->fd, what, on_event, s);
    return event_add(&s->event, NULL);
}

/* An edge that waits for its callback is lost by event_del(), and comes again,
 * because epoll looks anew at what is modified. */
void ct_stream_await_room(ct_stream *s) {
    s->want_write = true;
    if (event_get_events(&s->event) & EV_WRITE) return;
    event_del(&s->event);
    (void)watch(s, EV_WRITE); /* known to libevent: needs no memory */
    if (s->poked) ct_stream_poke(s, s->poked); /* no edge of the kernel's */
}

void ct_stream_poke(ct_stream *s, int what) {
    int events = 0;

    s->poked |= what;
    if (what & CT_STREAM_READ) events |= EV_READ;
    if (what & CT_STREAM_WRITE) {
        s->want_write = true;
        events |= EV_WRITE;
    }
    event_active(&s->event, events, 1);
}

/* Each side of a TLS stream may wait for the socket's other side. */
static int crossed(ct_stream *s, int bits, bool room) {
    if ((bits & CT_STREAM_READ) && s->write_on_read) {
        s->write_on_read = false;
        bits |= CT_STREAM_WRITE;
    }
    if (room && s->read_on_write) {
        s->read_on_write = false;
        s->readable = true;
        bits |= CT_STREAM_READ;
    }
    return bits;
}

/* The peer's end shows in every later edge: it is told once, but one that was poked
 * reads on. CLOSED without READ is an error, a reset (io/loop.c): that is news behind
 * an end, too. */
static short without_known_end(const ct_stream *s, short what) {
    if (!(what & EV_READ) || !(what & EV_CLOSED) || !s->shut) return what;
    if (!(s->poked & CT_STREAM_READ)) what &= ~EV_READ;
    return (short)(what & ~EV_CLOSED);
}

static void on_event(evutil_socket_t fd, short what, void *arg) {
    ct_stream *s = arg;
    int bits = 0;

    (void)fd;
    ct_loop_now(s->loop);
    what = without_known_end(s, what);
    s->poked = 0;
    if (what & (EV_READ | EV_CLOSED)) {
        s->readable = true;
        bits |= CT_STREAM_READ;
    }
    if (what & EV_CLOSED) {
        s->shut = true;
        bits |= CT_STREAM_SHUT;
    }
    if ((what & EV_WRITE) && s->want_write) {
        s->want_write = false;
        bits |= CT_STREAM_WRITE;
    }
    if (s->tls) bits = crossed(s, bits, what & EV_WRITE);
    if (bits) s->fn(s, bits, s->arg); /* may free s */
}

static ssize_t plain_recv(ct_stream *s, char *p, size_t n) {
    ssize_t got;

    do got = recv(s->fd, p, n, MSG_DONTWAIT);
    while (got == -1 && errno == EINTR);
    if (got > 0) {
        if ((size_t)got < n && !s->shut) s->readable = false;
        return got;
    }
    s->readable = false;
    if (got == 0) return CT_STREAM_EOF;
    return errno == EAGAIN ? CT_STREAM_AGAIN : CT_STREAM_ERROR;
}

static ssize_t plain_send(ct_stream *s, const char *p, size_t n) {
    ssize_t sent;

    do
        sent = send(s->fd, p, n,
                    MSG_DONTWAIT | MSG_NOSIGNAL | (s->more ? MSG_MORE : 0));
    while (sent == -1 && errno == EINTR);
    if (sent == (ssize_t)n) return sent;
    if (sent == -1 && errno != EAGAIN) return CT_STREAM_ERROR;
    ct_stream_await_room(s);
    return sent == -1 ? CT_STREAM_AGAIN : sent;
}

static ssize_t plain_sendfile(ct_stream *s, int fd, uint64_t at, size_t n) {
    off_t offset = (off_t)at;
    ssize_t sent;

    do sent = sendfile(s->fd, fd, &offset, n);
    while (sent == -1 && errno == EINTR);
    if (sent == (ssize_t)n) return sent;
    if (sent == 0) return CT_STREAM_EOF;
    if (sent == -1 && errno != EAGAIN) return CT_STREAM_ERROR;
    ct_stream_await_room(s);
    return sent == -1 ? CT_STREAM_AGAIN : sent;
}

static int plain_shut(ct_stream *s) {
    return shutdown(s->fd, SHUT_WR) == 0 ? 0 : CT_STREAM_ERROR;
}

static void plain_fini(ct_stream *s) {
    (void)s; /* holds nothing but the descriptor */
}

const ct_stream_ops ct_stream_plain = {
    .recv = plain_recv,
    .send = plain_send,
    .shut = plain_shut,
    .fini = plain_fini,
    .sendfile = plain_sendfile,
};

/* A form that cannot do it by itself sends what is read here. */
ssize_t ct_stream_sendfile(ct_stream *s, int fd, uint64_t at, size_t n) {
    ssize_t got;

    if (s->ops->sendfile) return s->ops->sendfile(s, fd, at, n);
    if (n > CT_LOOP_SCRATCH) n = CT_LOOP_SCRATCH;
    do got = pread(fd, s->loop->scratch, n, (off_t)at);
    while (got == -1 && errno == EINTR);
    if (got <= 0) return got ? CT_STREAM_ERROR : CT_STREAM_EOF;
    return s->ops->send(s, s->loop->scratch, (size_t)got);
}

bool ct_stream_init(ct_stream *s, ct_loop *loop, int fd, ct_stream_fn *fn,
                    void *arg) {
    *s = (ct_stream){
        .ops = &ct_stream_plain, .loop = loop, .fn = fn, .arg = arg, .fd = fd
    };
    if (watch(s, 0) == 0) return true;
    close(fd);
    s->fd = -1;
    return false;
}

bool ct_stream_move(ct_stream *to, ct_stream *from, ct_stream_fn *fn,
                    void *arg) {
    short more = event_get_events(&from->event) & EV_WRITE;

    event_del(&from->event);
    *to = *from;
    from->fd = -1;
    to->fn = fn;
    to->arg = arg;
    to->readable = true; /* an edge may have gone with the old event */
    if (watch(to, more) == 0) {
        if (to->poked)
            ct_stream_poke(to, to->poked); /* no edge of the kernel's */
        return true;
    }
    to->ops->fini(to);
    close(to->fd);
    to->fd = -1;
    return false;
}

void ct_stream_fini(ct_stream *s, bool reset) {
    const struct linger now = { .l_onoff = 1, .l_linger = 0 };

    if (s->fd == -1) return;
    event_del(&s->event);
    s->reset = reset;
    s->ops->fini(s);
    if (reset) setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    if (s->shown) ct_loop_forget(s->loop, s->fd);
    close(s->fd);
    s->fd = -1;
}
