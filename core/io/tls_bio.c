/* OpenSSL's own socket BIO would do but for three things: it cannot hold packets
 * together (MSG_MORE), it cannot tell that a read left the socket empty, which
 * saves each request a system call, and it cannot show what a plain client said. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls_bio.h"

#include <errno.h>
#include <sys/socket.h>

static int on_read(BIO *b, char *p, int n) {
    ct_tls_wire *w = BIO_get_data(b);
    ssize_t got = -1;

    BIO_clear_retry_flags(b);
    errno = EAGAIN;
    if (n <= 0) return 0;
    if (!w->dry) {
        do got = recv(w->stream->fd, p, (size_t)n, MSG_DONTWAIT);
        while (got == -1 && errno == EINTR);
    }
    if (got == -1 && errno == EAGAIN) {
        w->dry = true;
        BIO_set_retry_read(b);
        return -1;
    }
    if (got == -1) w->error = errno;
    if (got == 0) w->ended = true;
    if (got <= 0) return (int)got;
    if (got < n && !w->stream->shut) w->dry = true;
    if (!w->began) w->plain = (*p | 32) >= 'a' && (*p | 32) <= 'z';
    w->took = w->began = true;
    return w->plain ? -1 : (int)got; /* OpenSSL could make nothing of it */
}

static int on_write(BIO *b, const char *p, int n) {
    ct_tls_wire *w = BIO_get_data(b);
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (w->stream->more ? MSG_MORE : 0);
    ssize_t sent;

    BIO_clear_retry_flags(b);
    if (n <= 0) return 0;
    do sent = send(w->stream->fd, p, (size_t)n, flags);
    while (sent == -1 && errno == EINTR);
    if (sent >= 0) return (int)sent;
    if (errno == EAGAIN)
        BIO_set_retry_write(b);
    else
        w->error = errno;
    return -1;
}

static long on_control(BIO *b, int what, long n, void *p) {
    (void)b, (void)n, (void)p;
    return what == BIO_CTRL_FLUSH;
}

BIO_METHOD *ct_tls_bio_new(void) {
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "ct_stream");

    if (!m) return NULL;
    BIO_meth_set_read(m, on_read);
    BIO_meth_set_write(m, on_write);
    BIO_meth_set_ctrl(m, on_control);
    return m;
}
