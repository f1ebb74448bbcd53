/* A stream for those who pull: it keeps what was sent and not taken, and tells
 * once that there is something to read or room to write. Lifetime: its owner's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_CHANNEL_H
#define CT_CHANNEL_H

#include "base/buf.h"
#include "io/address.h"
#include "io/stream.h"

enum { CT_CHANNEL_MAX = 1 << 20 }; /* bytes that may wait to be sent */

typedef struct ct_channel ct_channel;

/* There is something to read, or all is sent, or the end has come. */
typedef void ct_channel_fn(void *arg);

/* Begins to connect. NULL when that fails at once: errno says why. Borrows
 * `loop`. Caller frees with ct_channel_free(). */
ct_channel *ct_channel_connect(ct_loop *loop, const ct_address *to,
                               ct_channel_fn *fn, void *arg);

/* Takes a connected, non-blocking descriptor. NULL when epoll refuses. */
ct_channel *ct_channel_new(ct_loop *loop, int fd, ct_channel_fn *fn, void *arg);

/* Takes over a live stream from its owner, with `in`, which was received and
 * not used, and `out`, which is still to be sent; the owner is left with an ended
 * stream and empty buffers. NULL when epoll refuses: the connection is closed. */
ct_channel *ct_channel_adopt(ct_stream *stream, ct_buf *in, ct_buf *out,
                             ct_channel_fn *fn, void *arg);

/* Sends, or keeps; false when the connection is broken, or more than
 * CT_CHANNEL_MAX would wait. */
bool ct_channel_send(ct_channel *c, const char *p, size_t n)
    __attribute__((warn_unused_result));

/* Reads at most `n` bytes: as ct_stream_recv(), what came before it was taken
 * over first. */
ssize_t ct_channel_recv(ct_channel *c, char *p, size_t n);

/* Bytes that wait to be sent. */
size_t ct_channel_unsent(const ct_channel *c);

/* Ends our side, behind what waits to be sent. */
void ct_channel_shut(ct_channel *c);

/* Closes; `reset`: with a reset. NULL is fine. */
void ct_channel_free(ct_channel *c, bool reset);

#endif
