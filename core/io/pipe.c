/* read() and write(). SIGPIPE is ignored (io/loop.c). A pipe has one direction,
 * which ends with its descriptor: there is no side to shut. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/pipe.h"

#include <errno.h>
#include <unistd.h>

static ssize_t pipe_recv(ct_stream *s, char *p, size_t n) {
    ssize_t got;

    do got = read(s->fd, p, n);
    while (got == -1 && errno == EINTR);
    if (got > 0) return got; /* an end behind it makes no edge of its own */
    s->readable = false;
    if (got == 0 || errno == EIO) return CT_STREAM_EOF; /* EIO: a terminal */
    return errno == EAGAIN ? CT_STREAM_AGAIN : CT_STREAM_ERROR;
}

static ssize_t pipe_send(ct_stream *s, const char *p, size_t n) {
    ssize_t sent;

    do sent = write(s->fd, p, n);
    while (sent == -1 && errno == EINTR);
    if (sent == (ssize_t)n) return sent;
    if (sent == -1 && errno != EAGAIN) return CT_STREAM_ERROR;
    ct_stream_await_room(s);
    return sent == -1 ? CT_STREAM_AGAIN : sent;
}

static int pipe_shut(ct_stream *s) {
    (void)s;
    return 0;
}

static void pipe_fini(ct_stream *s) {
    (void)s; /* holds nothing but the descriptor */
}

const ct_stream_ops ct_pipe_ops = {
    .recv = pipe_recv,
    .send = pipe_send,
    .shut = pipe_shut,
    .fini = pipe_fini,
};
