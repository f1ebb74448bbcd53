/* A connected byte stream on the loop: plain, or TLS (io/tls.h), with the same
 * functions behind `ops`, and nobody else asks which one it is.
 *
 * The event is persistent and edge-triggered, added once: the owner reads until
 * CT_STREAM_AGAIN or remembers that it stopped before (`readable` stays true).
 * Writing goes straight to the socket; the owner keeps the rest and waits for
 * `writable`. Lifetime: connection; it lies in its owner's struct. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_STREAM_H
#define CT_STREAM_H

#include "io/loop.h"
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct ct_stream ct_stream;

enum {
    CT_STREAM_READ = 1,  /* there may be bytes, an end or an error to read */
    CT_STREAM_WRITE = 2, /* there is room again after CT_STREAM_AGAIN */
    CT_STREAM_SHUT = 4   /* the peer closed its side, or both, or reset it */
};

/* What recv and send answer instead of a byte count. */
enum {
    CT_STREAM_AGAIN = -1, /* would block: the event comes */
    CT_STREAM_EOF = -2,   /* recv only: the peer has ended its side */
    CT_STREAM_ERROR = -3  /* reset or broken: close it */
};

typedef struct ct_stream_ops {
    ssize_t (*recv)(ct_stream *s, char *p, size_t n);
    ssize_t (*send)(ct_stream *s, const char *p, size_t n);
    int (*shut)(ct_stream *s); /* end our side: 0, AGAIN or ERROR */
    void (*fini)(ct_stream *s);
    ssize_t (*sendfile)(ct_stream *s, int fd, uint64_t at, size_t n); /* or 0 */
} ct_stream_ops;

/* The form that a stream begins with. */
extern const ct_stream_ops ct_stream_plain;

/* Called with CT_STREAM_* bits. May free the stream's owner. */
typedef void ct_stream_fn(ct_stream *s, int what, void *arg);

struct ct_stream {
    const ct_stream_ops *ops;
    ct_loop *loop;
    ct_stream_fn *fn;
    void *arg;
    struct ct_tls *tls; /* what that form keeps, or NULL */
    int fd;
    bool readable; /* an edge came that recv has not yet answered with AGAIN */
    bool shut;     /* the peer's end was seen: recv will tell EOF or ERROR */
    bool want_write;
    bool write_on_read; /* a send waits for input (TLS) */
    bool read_on_write; /* a recv waits for room (TLS) */
    bool reset;         /* for fini: it ends with a reset */
    bool shown;         /* others know the descriptor: it may have a copy */
    int poked;          /* bits of ct_stream_poke() that were not told yet */
    bool more; /* what is sent is followed by more at once: hold the packet */
    struct event event;
};

/* Starts watching `fd` (non-blocking, connected). Takes `fd`. False when epoll
 * refuses; `fd` is closed then. */
bool ct_stream_init(ct_stream *s, ct_loop *loop, int fd, ct_stream_fn *fn,
                    void *arg) __attribute__((warn_unused_result));

/* Reads at most `n` bytes (> 0): their count, or AGAIN, EOF, ERROR. A count
 * below `n` means that the socket was empty; `readable` is false then unless the
 * peer has shut. */
static inline ssize_t ct_stream_recv(ct_stream *s, char *p, size_t n) {
    return s->ops->recv(s, p, n);
}

/* Sends at most `n` bytes (> 0): the count taken, or AGAIN, ERROR. After a short
 * count or AGAIN the callback comes with CT_STREAM_WRITE, and the next call must
 * begin with the same bytes, as many or more: TLS may have sealed them. */
static inline ssize_t ct_stream_send(ct_stream *s, const char *p, size_t n) {
    return s->ops->send(s, p, n);
}

/* Sends at most `n` bytes (> 0) of the file `fd` from `at` on, as ct_stream_send()
 * does; EOF when the file ends before them. */
ssize_t ct_stream_sendfile(ct_stream *s, int fd, uint64_t at, size_t n);

/* Ends our side (FIN); the other goes on. */
static inline int ct_stream_shut(ct_stream *s) {
    return s->ops->shut(s);
}

/* For the forms of a stream, and for whoever connects: the callback comes with
 * CT_STREAM_WRITE when there is room. */
void ct_stream_await_room(ct_stream *s);

/* Has the callback come in the loop's next turn, with CT_STREAM_READ or WRITE. */
void ct_stream_poke(ct_stream *s, int what);
/* Gives the descriptor to another owner: `from` is over, as after
 * ct_stream_fini(), and events of `to` go to `fn`, which must look for input once
 * by itself. False when epoll refuses; the descriptor is closed then. */
bool ct_stream_move(ct_stream *to, ct_stream *from, ct_stream_fn *fn, void *arg)
    __attribute__((warn_unused_result));

/* Stops watching and closes the descriptor. With `reset` the peer sees RST. */
void ct_stream_fini(ct_stream *s, bool reset);

#endif
