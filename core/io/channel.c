/* Opening, sending, closing; channel_read.c has the reading. Connecting is a
 * socket that is not writable yet: one event tells of both. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/channel.h"

#include "base/mem.h"
#include "io/pipe.h"
#include "io/tls.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_IN = 100 << 20, /* Tornado's max_buffer_size */
    RUN = 16            /* pieces sent before the others have their turn */
};

/* -- Events ---------------------------------------------------------------- */

static void broken(ct_channel *c, int error) {
    c->error = error ? error : EIO;
    c->ended = CT_ERROR;
    ct_buf_fini(&c->out);
}

static void pump(ct_channel *c) {
    while (c->out.len) {
        ssize_t n =
            ct_stream_send(&c->stream, ct_buf_bytes(&c->out), c->out.len);

        if (n == CT_STREAM_AGAIN) return;
        if (n < 0) {
            if (c->connecting) broken(c, errno); /* it is told once */
            ct_buf_fini(&c->out);                /* recv will tell the error */
            return;
        }
        ct_buf_drain(&c->out, (size_t)n);
    }
    if (c->shut) (void)ct_stream_shut(&c->stream);
}

/* SO_ERROR is given once, so it is kept. */
static void connected(ct_channel *c) {
    int error = 0;
    socklen_t size = sizeof error;

    c->connecting = false;
    if (getsockopt(c->stream.fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1)
        error = errno;
    if (error && !c->error) broken(c, error);
}

static void on_event(ct_stream *s, int what, void *arg) {
    ct_channel *c = arg;
    bool tell = what & (CT_STREAM_WRITE | CT_STREAM_SHUT) ||
                (c->asked && (what & CT_STREAM_READ));

    (void)s;
    c->run = 0;
    if (c->connecting && (what & CT_STREAM_WRITE)) connected(c);
    if (what & CT_STREAM_WRITE) pump(c);
    if (!tell) return;
    c->asked = false;
    c->fn(c->arg);
}

/* -- Opening --------------------------------------------------------------- */

static ct_channel *make(ct_channel_fn *fn, void *arg) {
    ct_channel *c = ct_new(ct_channel);

    c->fn = fn;
    c->arg = arg;
    c->max_in = MAX_IN;
    c->chunk = CT_LOOP_SCRATCH;
    return c;
}

ct_channel *ct_channel_adopt(ct_stream *stream, ct_buf *in, ct_buf *out,
                             ct_channel_fn *fn, void *arg) {
    ct_channel *c = make(fn, arg);

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

ct_channel *ct_channel_new(ct_loop *loop, int fd, ct_channel_fn *fn,
                           void *arg) {
    ct_channel *c = make(fn, arg);

    if (ct_stream_init(&c->stream, loop, fd, on_event, c)) return c;
    ct_free(c);
    return NULL;
}

static const struct sockaddr *sockaddr_of(const ct_address *a) {
    return (const struct sockaddr *)&a->sa;
}

/* A port is chosen by connect() together with the target, not by bind() alone,
 * so that as many connections are possible as there are pairs. */
static int begin(int fd, const ct_address *to, const ct_address *from) {
    int one = 1;

    if (to->sa.ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (from) {
        setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, sockaddr_of(from), from->size) == -1) return -1;
    }
    return connect(fd, sockaddr_of(to), to->size);
}

ct_channel *ct_channel_connect(ct_loop *loop, const ct_address *to,
                               const ct_address *from, ct_channel_fn *fn,
                               void *arg) {
    int fd =
        socket(to->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool connecting;
    ct_channel *c;

    if (fd < 0) return NULL;
    connecting = begin(fd, to, from) == -1;
    if (connecting && errno != EINPROGRESS) {
        int why = errno;

        close(fd);
        errno = why;
        return NULL;
    }
    c = ct_channel_new(loop, fd, fn, arg);
    if (!c) return NULL;
    c->connecting = connecting;
    if (connecting) ct_stream_await_room(&c->stream);
    return c;
}

ct_channel *ct_channel_open(ct_loop *loop, int fd, ct_channel_fn *fn,
                            void *arg) {
    int flags = fcntl(fd, F_GETFL);
    ct_channel *c;
    struct stat st;

    if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
        fstat(fd, &st) == -1)
        return NULL; /* EBADF: there is nothing to close */
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
        close(fd);
        errno = EPERM; /* as epoll would say, when it is asked */
        return NULL;
    }
    c = ct_channel_new(loop, fd, fn, arg);
    if (c && !S_ISSOCK(st.st_mode)) c->stream.ops = &ct_pipe_ops;
    return c;
}

int ct_channel_state(const ct_channel *c) {
    if (c->connecting) return CT_AGAIN;
    return c->error ? CT_ERROR : CT_OK;
}

void ct_channel_limit(ct_channel *c, double max_in, size_t chunk) {
    c->max_in = max_in < 1           ? 1
                : max_in > INT32_MAX ? INT32_MAX
                                     : (size_t)max_in;
    c->chunk = chunk < 1                 ? 1
               : chunk > CT_LOOP_SCRATCH ? CT_LOOP_SCRATCH
                                         : chunk;
}

/* -- TLS ------------------------------------------------------------------- */

void ct_channel_fail(ct_channel *c) {
    int error = ct_tls_is_on(&c->stream) ? ct_tls_errno(&c->stream) : errno;

    c->error = error ? error : EIO;
}

bool ct_channel_start_tls(ct_channel *c, ct_tls_context *context,
                          const char *host, char *why, size_t size) {
    size_t unread = c->in.len - c->given;

    if (c->connecting || c->ended || c->error || c->shut) {
        snprintf(why, size, "cannot start TLS: the stream is not connected");
        return false;
    }
    if (c->stream.ops != &ct_stream_plain && !ct_tls_is_on(&c->stream)) {
        snprintf(why, size, "cannot start TLS: the stream is no socket");
        return false;
    }
    if (c->out.len) {
        snprintf(why, size, "cannot start TLS: bytes wait to be sent");
        return false;
    }
    return ct_tls_start(&c->stream, context, host, unread, why, size);
}

int ct_channel_handshake(ct_channel *c) {
    int status;

    if (c->error) return CT_ERROR;
    c->asked = true;
    status = ct_tls_handshake(&c->stream);
    if (status == 0) return CT_OK;
    if (status == CT_STREAM_AGAIN) return CT_AGAIN;
    ct_channel_fail(c);
    return c->ended = CT_ERROR;
}

/* -- Sending --------------------------------------------------------------- */

ssize_t ct_channel_write(ct_channel *c, const char *p, size_t n) {
    ssize_t sent;

    if (c->error || c->shut) {
        if (!c->error) c->error = EPIPE;
        return -1;
    }
    if (c->connecting || c->out.len || !n) return 0;
    if (++c->run > RUN) {
        ct_stream_poke(&c->stream, CT_STREAM_WRITE);
        return 0;
    }
    sent = ct_stream_send(&c->stream, p, n);
    if (sent >= 0) return sent;
    if (sent == CT_STREAM_AGAIN) return 0;
    ct_channel_fail(c);
    return -1;
}

bool ct_channel_send(ct_channel *c, const char *p, size_t n) {
    if (c->out.len + n > CT_CHANNEL_MAX || c->shut) return false;
    if (!n) return true;
    ct_buf_add(&c->out, p, n);
    pump(c);
    return true;
}

size_t ct_channel_unsent(const ct_channel *c) {
    return c->out.len;
}

void ct_channel_shut(ct_channel *c) {
    if (c->shut) return;
    c->shut = true;
    if (!c->out.len && !c->connecting) (void)ct_stream_shut(&c->stream);
}

bool ct_channel_leave(ct_channel *c, ct_stream *to, ct_buf *in, ct_buf *out,
                      ct_stream_fn *fn, void *arg) {
    if (c->ended || c->error || c->connecting) return false;
    ct_buf_drain(&c->in, c->given);
    c->given = 0;
    *in = c->in;
    *out = c->out;
    c->in = c->out = (ct_buf){ 0 };
    return ct_stream_move(to, &c->stream, fn, arg);
}

void ct_channel_free(ct_channel *c, bool reset) {
    if (!c) return;
    ct_stream_fini(&c->stream, reset);
    ct_buf_fini(&c->in);
    ct_buf_fini(&c->out);
    ct_free(c);
}
