/* Connecting is sending to a socket that is not writable yet: the first send
 * waits for the same event as any other. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/channel.h"

#include "base/mem.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct ct_channel {
    ct_stream stream;
    ct_buf in; /* received by the owner before */
    ct_buf out;
    ct_channel_fn *fn;
    void *arg;
    bool shut; /* end our side when `out` is sent */
};

static void pump(ct_channel *c) {
    while (c->out.len) {
        ssize_t n =
            ct_stream_send(&c->stream, ct_buf_bytes(&c->out), c->out.len);

        if (n == CT_STREAM_AGAIN) return;
        if (n < 0) {
            ct_buf_fini(&c->out); /* recv will tell the error */
            return;
        }
        ct_buf_drain(&c->out, (size_t)n);
    }
    if (c->shut) (void)ct_stream_shut(&c->stream);
}

static void on_event(ct_stream *s, int what, void *arg) {
    ct_channel *c = arg;

    (void)s;
    if (what & CT_STREAM_WRITE) pump(c);
    c->fn(c->arg);
}

ct_channel *ct_channel_new(ct_loop *loop, int fd, ct_channel_fn *fn,
                           void *arg) {
    ct_channel *c = ct_new(ct_channel);

    c->fn = fn;
    c->arg = arg;
    if (ct_stream_init(&c->stream, loop, fd, on_event, c)) return c;
    ct_free(c);
    return NULL;
}

ct_channel *ct_channel_adopt(ct_stream *stream, ct_buf *in, ct_buf *out,
                             ct_channel_fn *fn, void *arg) {
    ct_channel *c = ct_new(ct_channel);

    c->fn = fn;
    c->arg = arg;
    c->in = *in;
    c->out = *out;
    *in = *out = (ct_buf){ 0 };
    if (ct_stream_move(&c->stream, stream, on_event, c)) {
        pump(c);
        return c;
    }
    ct_channel_free(c, false);
    return NULL;
}

ct_channel *ct_channel_connect(ct_loop *loop, const ct_address *to,
                               ct_channel_fn *fn, void *arg) {
    const struct sockaddr *sa = (const struct sockaddr *)&to->sa;
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    0),
        one = 1;

    if (fd < 0) return NULL;
    if (sa->sa_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, sa, to->size) != 0 && errno != EINPROGRESS) {
        int why = errno;

        close(fd);
        errno = why;
        return NULL;
    }
    return ct_channel_new(loop, fd, fn, arg);
}

bool ct_channel_send(ct_channel *c, const char *p, size_t n) {
    if (c->out.len + n > CT_CHANNEL_MAX || c->shut) return false;
    if (!n) return true;
    ct_buf_add(&c->out, p, n);
    pump(c);
    return true;
}

ssize_t ct_channel_recv(ct_channel *c, char *p, size_t n) {
    if (!c->in.len) return ct_stream_recv(&c->stream, p, n);
    if (n > c->in.len) n = c->in.len;
    memcpy(p, ct_buf_bytes(&c->in), n);
    ct_buf_drain(&c->in, n);
    return (ssize_t)n;
}

size_t ct_channel_unsent(const ct_channel *c) {
    return c->out.len;
}

void ct_channel_shut(ct_channel *c) {
    if (c->shut) return;
    c->shut = true;
    if (!c->out.len) (void)ct_stream_shut(&c->stream);
}

void ct_channel_free(ct_channel *c, bool reset) {
    if (!c) return;
    ct_stream_fini(&c->stream, reset);
    ct_buf_fini(&c->in);
    ct_buf_fini(&c->out);
    ct_free(c);
}
