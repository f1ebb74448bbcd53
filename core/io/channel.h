/* A stream for those who pull. Reading happens when somebody asks, into a buffer
 * with a limit, and the search in it goes on where it stopped. What is sent goes
 * to the socket; `out` keeps what ct_channel_send() was given beyond that. Which
 * form the bytes have below (plain, a pipe, TLS) is known to `stream.ops` alone.
 * Lifetime: its owner's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_CHANNEL_H
#define CT_CHANNEL_H

#include "abi.h"
#include "base/buf.h"
#include "base/regex.h"
#include "io/address.h"
#include "io/stream.h"
#include "io/tls_context.h"

enum { CT_CHANNEL_MAX = 1 << 20 }; /* bytes that `out` may hold */

typedef struct ct_channel ct_channel;

/* What was asked for may go on: there is something to read, room to write, the
 * connection stands; or the end has come. */
typedef void ct_channel_fn(void *arg);

typedef enum ct_want_how {
    CT_WANT_UNTIL, /* up to and with the delimiter */
    CT_WANT_REGEX, /* up to the end of the first match */
    CT_WANT_BYTES, /* `n` of them */
    CT_WANT_SOME,  /* at least one, at most `n` */
    CT_WANT_ALL    /* all up to the end */
} ct_want_how;

typedef struct ct_want {
    ct_want_how how;
    bool first;      /* not a repetition: the search starts anew */
    ct_str mark;     /* UNTIL: the delimiter, not empty */
    ct_regex *regex; /* REGEX: made by ct_regex_new_search() */
    size_t n; /* BYTES and SOME; UNTIL and REGEX: the most, 0: no limit */
} ct_want;

struct ct_channel {
    ct_stream stream;
    ct_buf in;       /* read, and not taken: `given` and what follows */
    ct_buf out;      /* what ct_channel_send() keeps */
    size_t given;    /* bytes of `in` that the last read gave out */
    size_t searched; /* where a repeated search goes on */
    size_t max_in;   /* what `in` may hold */
    size_t chunk;    /* what is read at once */
    ct_channel_fn *fn;
    void *arg;
    int ended; /* CT_EOF or CT_ERROR of the input; 0: goes on */
    int error; /* errno of what broke it, or 0 */
    int run;   /* pieces read or written since the loop's last turn */
    bool connecting, asked;
    bool shut; /* end our side when `out` is sent */
};

/* Begins to connect, from the address `from` unless that is NULL. NULL when that
 * fails at once: errno says why. Borrows `loop`. Caller frees with
 * ct_channel_free(). */
ct_channel *ct_channel_connect(ct_loop *loop, const ct_address *to,
                               const ct_address *from, ct_channel_fn *fn,
                               void *arg);

/* Makes a channel of a socket or pipe that is open. Takes `fd`, also when it
 * fails: NULL then, and errno says why (EPERM: a file). */
ct_channel *ct_channel_open(ct_loop *loop, int fd, ct_channel_fn *fn,
                            void *arg);

/* Takes a connected, non-blocking socket. NULL when epoll refuses. */
ct_channel *ct_channel_new(ct_loop *loop, int fd, ct_channel_fn *fn, void *arg);

/* Takes over a live stream from its owner, with `in`, which was received and
 * not used, and `out`, which is still to be sent; the owner is left with an ended
 * stream and empty buffers. NULL when epoll refuses: the connection is closed. */
ct_channel *ct_channel_adopt(ct_stream *stream, ct_buf *in, ct_buf *out,
                             ct_channel_fn *fn, void *arg);

/* OK when connected, AGAIN, ERROR: see `error`. */
int ct_channel_state(const ct_channel *c);

/* Makes it the TLS connection of a server or a client, whom `host` names: see
 * ct_tls_start(). False with the reason in `why`, and nothing has changed; also
 * while it connects, and when bytes wait to be read or sent in plain text. */
bool ct_channel_start_tls(ct_channel *c, ct_tls_context *context,
                          const char *host, char *why, size_t size)
    __attribute__((warn_unused_result));

/* Shakes hands as far as possible: OK, AGAIN (`fn` tells), ERROR: see `error`,
 * which is EPROTO when ct_tls_why() knows more. Reading and writing do it, too. */
int ct_channel_handshake(ct_channel *c);

/* Limits what is read ahead (1 byte to 2 GiB) and at once (at most 64 KiB). */
void ct_channel_limit(ct_channel *c, double max_in, size_t chunk);

/* Gives what is wanted: OK with a view that is valid until the next call with
 * this channel or loop; AGAIN: `fn` tells when to repeat; EOF, ERROR: the input
 * has ended before it (a TLS session that was cut off is an ERROR); LIMIT: it cannot come within its limit (out->n is 1), or
 * the buffer is full (0). In all but the first case no byte is lost. */
int ct_channel_read(ct_channel *c, const ct_want *want, ct_str *out);

/* Puts bytes back in front of what is still to be read. */
void ct_channel_unread(ct_channel *c, const char *p, size_t n);

/* What is in the buffer, as it lies there. */
ct_str ct_channel_rest(const ct_channel *c);

/* Looks whether the input has ended, if nothing is in the buffer; keeps what it
 * reads: OK (there are bytes), AGAIN, EOF, ERROR. */
int ct_channel_poll(ct_channel *c);

/* Sends: how many bytes were taken (0: `fn` tells), or -1: see `error`. */
ssize_t ct_channel_write(ct_channel *c, const char *p, size_t n);

/* Sends, or keeps; false when the connection is broken, or more than
 * CT_CHANNEL_MAX would wait. */
bool ct_channel_send(ct_channel *c, const char *p, size_t n)
    __attribute__((warn_unused_result));

/* Notes why the stream answered ERROR, or (TLS) an EOF that is none. */
void ct_channel_fail(ct_channel *c);

/* Reads at most `n` bytes: as ct_stream_recv(), the buffer's first. */
ssize_t ct_channel_recv(ct_channel *c, char *p, size_t n);

/* Bytes that wait to be sent. */
size_t ct_channel_unsent(const ct_channel *c);

/* Ends our side, behind what waits to be sent. */
void ct_channel_shut(ct_channel *c);

/* Gives its stream to another owner, with what was received and not taken (in) and
 * what is to be sent (out), as ct_stream_move() does. Only to be freed then. False:
 * it is broken, or epoll refuses. */
bool ct_channel_leave(ct_channel *c, ct_stream *to, ct_buf *in, ct_buf *out,
                      ct_stream_fn *fn, void *arg)
    __attribute__((warn_unused_result));

/* Closes; `reset`: with a reset. NULL is fine. */
void ct_channel_free(ct_channel *c, bool reset);

#endif
