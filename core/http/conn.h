/* A server connection: it owns the stream and its buffers, feeds the wire,
 * keeps the order of pipelined requests (one at a time), and ends so that the
 * client gets the last reply. Lifetime: connection. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_CONN_H
#define CT_CONN_H

#include "base/buf.h"
#include "base/list.h"
#include "base/wheel.h"
#include "http/pace.h"
#include "http/request.h"
#include "http/segment.h"
#include "io/address.h"
#include "io/stream.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct ct_conn {
    struct ct_server *server;
    struct ct_listener *listener;
    const struct ct_server_options *options; /* the listener's */
    ct_list node;                            /* in server->conns */
    ct_list corked;                          /* in server->corked, or alone */
    ct_list ready;                           /* in server->ready, or alone */
    ct_list begun;                           /* in server->begun, or alone */
    ct_deadline deadline;
    ct_stream stream;
    ct_buf in;         /* received and not used: head so far, or what follows */
    ct_buf out;        /* composed and not sent */
    ct_segment *files; /* what follows `out`, or NULL */
    ct_pace pace;      /* of a client that does not take `out` */
    ct_request *request; /* the one being read or answered, or NULL */
    struct ct_events
        *events;       /* the listener's, as `owner`: for the next request */
    uint32_t owner;    /* its handle */
    uint32_t requests; /* answered on this connection */
    uint32_t drained;  /* bytes thrown away while lingering */
    ct_peer peer;
    bool preface; /* a header of the PROXY protocol must come first */
    bool secure;  /* the client speaks TLS, with us or a proxy */
    bool counted; /* in server->peers */
    bool eof;     /* the client has ended its side */
    bool closing; /* close when `out` is sent */
    bool linger;  /* closing: the client may still be sending */
    bool shut;    /* our side is ended: reading until the client ends */
    bool told;    /* Lua knows that the client has left */
    bool gone;    /* closed: only the memory is left */
} ct_conn;

/* A peer has come. Takes `fd`. */
void ct_conn_open(struct ct_listener *l, int fd, const ct_peer *peer);

/* Closes at once; `reset`: so that the client sees an error. A request that is
 * being answered is told with CT_EVENT_GONE. The struct is freed at the end of
 * the turn (ct_conn_free), so that a caller up the stack still finds `gone`. */
void ct_conn_close(ct_conn *c, bool reset);

/* Frees a connection that is closed. */
void ct_conn_free(ct_conn *c);

/* Sends `n` bytes, or keeps what the socket does not take. False: the
 * connection broke and is closed. */
bool ct_conn_send(ct_conn *c, const char *p, size_t n)
    __attribute__((warn_unused_result));

/* Sends what is in `out` and goes on. */
void ct_conn_flush(ct_conn *c);

/* Takes c->request off. Lua, if it has the request, is told with CT_EVENT_GONE
 * when `gone`; a request that Lua does not know is freed. */
void ct_conn_detach(ct_conn *c, bool gone);

/* The last `n` bytes of a reply and then `body`: detaches the request, sends
 * (or keeps, while the next pipelined request is at hand), and goes on with the
 * next request or ends, as `keep` says. */
void ct_conn_reply(ct_conn *c, const char *p, size_t n, ct_str body, bool keep);

/* As ct_conn_reply(), with a chain of segments in place of the body. Takes
 * `files`. Nothing of the next request is read before all is sent. */
void ct_conn_reply_files(ct_conn *c, const char *p, size_t n, ct_segment *files,
                         bool keep);

/* True while there is something to send. */
static inline bool ct_conn_has_output(const ct_conn *c) {
    return c->out.len || c->files;
}

/* Looks for the client's end while a handler works and nothing is read. */
void ct_conn_check(ct_conn *c);

/* Reads and takes input as far as somebody wants it. */
void ct_conn_input(ct_conn *c);

/* Lua asks for the body: takes what is there, reads on. */
void ct_conn_read_body(ct_conn *c);

/* Its deadline has passed. */
void ct_conn_expired(ct_conn *c);

#endif
