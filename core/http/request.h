/* One request, from the first byte of its head until Lua releases it: the wire
 * and the head that frame and parse it, its body, and the state of its reply.
 * Requests are recycled with what they allocated. Lifetime: request. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_REQUEST_H
#define CT_REQUEST_H

#include "abi.h"
#include "base/buf.h"
#include "base/list.h"
#include "http/coding.h"
#include "http/head.h"
#include "http/wire.h"
#include "io/address.h"
#include <stdbool.h>
#include <stdint.h>

struct ct_conn;
struct ct_server;

typedef enum ct_body_mode {
    CT_BODY_UNREAD,  /* nobody has asked for it: it stays in the socket */
    CT_BODY_COLLECT, /* all of it, then one event */
    CT_BODY_STREAM,  /* piece by piece, as Lua asks */
    CT_BODY_DISCARD  /* the reply is out: what comes is dropped */
} ct_body_mode;

typedef struct ct_body {
    ct_body_mode mode;
    bool done;         /* the last byte has been decoded */
    bool waited;       /* Lua waits for CT_EVENT_BODY */
    bool over;         /* larger than allowed */
    bool failed;       /* malformed, or the disk is full */
    double max;        /* bytes allowed */
    double size;       /* bytes of content decoded so far */
    uint32_t in_place; /* bytes at the front of conn->in that are the body */
    ct_buf bytes;      /* collected, or decoded and not yet read */
    uint32_t lent;     /* of `bytes`: what the last read gave to Lua */
    int file;          /* -1, or the spool: an unlinked temporary file */
    void *map;         /* the spool mapped, or NULL */
    uint64_t began;    /* ms: when the application first asked */
} ct_body;

typedef struct ct_request {
    struct ct_server *server;
    struct ct_conn *conn;     /* NULL: reply complete, or the client is gone */
    ct_list node;             /* in server->spare */
    struct ct_events *events; /* whom its events go to: the generation's */
    uint32_t handle;          /* 0 until the head is complete */
    uint32_t owner;           /* listener */
    ct_peer peer;
    bool secure; /* it came over TLS */
    ct_wire wire;
    ct_head head;
    ct_buf fields;  /* of the reply: see http/fields.h */
    ct_buf cookies; /* its Set-Cookie lines */
    ct_buf text;    /* verb, target and authority where evhttp has them not */
    ct_str verb, uri;
    ct_body body;
    ct_coding *coding;       /* or NULL */
    double started, precise; /* when it began: wall clock; monotonic */
    bool logged;             /* its line is in the access log */
    bool counted;            /* its reply, in the counters */
    uint16_t handler;        /* where its class counts, in units; 0: nowhere */
    /* The reply. */
    uint16_t status; /* 0: its head is not out */
    bool complete;   /* nothing more will follow */
    bool chunked;
    bool bodiless; /* HEAD, 204, 304: what is written is counted, not sent */
    bool wants_drain, wants_flush;
    double left; /* of the announced length; < 0: unknown */
    double sent; /* bytes of the body that went to the connection */
} ct_request;

/* A request ready for a head. Caller gives it back with ct_request_free(). */
ct_request *ct_request_new(struct ct_server *s);

/* The wire says DONE for the head at `p`: parses it, gives the request its
 * handle and queues CT_EVENT_REQUEST. False when evhttp refuses the head or no
 * handle is left: nothing was queued. */
bool ct_request_begin(ct_request *r, const char *p)
    __attribute__((warn_unused_result));

/* The head at `p` is refused: keeps what is known of its request line. Returns
 * `n`, the bytes that there are: nothing behind it is a request. */
size_t ct_request_refuse(ct_request *r, const char *p, size_t n);

/* Gives the request back; its handle is old from here on. */
void ct_request_free(ct_request *r);

/* Frees the memory of a request that is in no table and no list. */
void ct_request_destroy(ct_request *r);

#endif
