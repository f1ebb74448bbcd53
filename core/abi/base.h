/* What both sides start from: statuses, views, events. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_BASE_H
#define CT_ABI_BASE_H
#include <stdint.h>

enum { CT_ABI_VERSION = 1 };

typedef enum ct_status {
    CT_OK,
    CT_AGAIN,  /* not yet: an event will tell */
    CT_CLOSED, /* the handle is old: its object is gone */
    CT_EOF,    /* no more, or none */
    CT_LIMIT,  /* a limit was reached */
    CT_ERROR   /* see ct_why() */
} ct_status;

typedef enum ct_method {
    CT_METHOD_OTHER, /* ct_request_info() has its name */
    CT_METHOD_GET,
    CT_METHOD_HEAD,
    CT_METHOD_POST,
    CT_METHOD_PUT,
    CT_METHOD_DELETE,
    CT_METHOD_OPTIONS,
    CT_METHOD_PATCH,
    CT_METHOD_TRACE,
    CT_METHOD_CONNECT
} ct_method;

/* A view of bytes. Borrowed. */
typedef struct ct_str {
    const char *p;
    uint32_t n;
} ct_str;

typedef struct ct_pair {
    ct_str name, value;
} ct_pair;

typedef enum ct_event_type {
    CT_EVENT_NONE,
    /* A head has come: handle, owner, method, ... */
    CT_EVENT_REQUEST,
    /* The body asked for is complete, or has more to read. */
    CT_EVENT_BODY,
    /* A reply's buffer has room again, or is sent. */
    CT_EVENT_DRAIN,
    /* The client has closed its side or vanished. */
    CT_EVENT_GONE,
    /* handler_timeout has passed. */
    CT_EVENT_TIMEOUT,
    /* A timer has fired; its handle is free. */
    CT_EVENT_TIMER,
    /* A channel has something to read or has sent all. */
    CT_EVENT_CHANNEL,  /* a channel's call may be repeated */
    CT_EVENT_ACCEPT,   /* a new channel; owner: its acceptor */
    CT_EVENT_WATCH,    /* a descriptor is ready */
    CT_EVENT_DATAGRAM, /* a UDP socket's call may be repeated */
    CT_EVENT_INOTIFY,  /* folders have changed */
    /* A name's addresses, or why there are none. */
    CT_EVENT_RESOLVED,
    /* A listener that is closed, or was asked to drain, has no connection any
     * more. */
    CT_EVENT_ENDED,
    /* A job of a thread has ended. */
    CT_EVENT_JOB,
    /* A child process has ended. */
    CT_EVENT_PROCESS,
    /* A fetch is done, or has something to do. */
    CT_EVENT_FETCH,
    /* Log files shall be opened anew. */
    CT_EVENT_REOPEN,
    /* A WebSocket has something to take, or room for more. */
    CT_EVENT_WEBSOCKET,
    /* A newer generation serves now; its number. 0: another process does. */
    CT_EVENT_RETIRE,
    /* Between a generation and the one after it lies a pair of stream sockets.
     * The handle is the end's descriptor, which is Lua's from here on. */
    CT_EVENT_HEIR,  /* this generation's end: before CT_EVENT_RETIRE */
    CT_EVENT_ELDER, /* the later one's end */
    /* The same, and the later one is another process's. */
    CT_EVENT_FAR_HEIR,
    /* A question has come over the control socket (server/control.h): the handle
     * is the connection's descriptor, Lua's from here on. */
    CT_EVENT_CONTROL,
    /* The next generation is loaded: ct_abi_hand_over() must follow, and then that
     * one serves. */
    CT_EVENT_HAND_OVER,
    /* What the one before has handed over is there: ct_abi_estate(). */
    CT_EVENT_ESTATE,
    /* A WebSocket of the one before has come; its new handle. */
    CT_EVENT_MOVED,
    /* A reload that this generation asked for, or somebody else, has ended: 1,
     * this one serves since; 0, it failed: ct_abi_reload_report() says why. */
    CT_EVENT_RELOADED,
    /* The process was asked to end: a signal's number. */
    CT_EVENT_STOP
} ct_event_type;

enum {
    CT_REQUEST_BODY = 1,  /* it has a body, not read yet */
    CT_REQUEST_OLD = 2,   /* HTTP/1.0 */
    CT_REQUEST_CLOSE = 4, /* the connection ends with this reply */
    CT_REQUEST_TLS = 8    /* its client speaks TLS, with us or a proxy */
};

typedef struct ct_event {
    uint32_t type;   /* ct_event_type */
    uint32_t handle; /* of the request, timer, ... */
    uint32_t owner;  /* REQUEST: what ct_listen() returned */
    uint32_t method; /* REQUEST: ct_method */
    uint32_t flags;  /* REQUEST: CT_REQUEST_* */
    uint32_t path;   /* REQUEST: bytes of uri before '?' */
    ct_str uri;      /* REQUEST: origin-form, as sent */
} ct_event;

typedef struct ct_request_info {
    ct_str method;    /* as sent */
    ct_str remote_ip; /* "0.0.0.0" for a unix socket */
    double started;   /* wall clock, when the head was complete */
    uint32_t minor;   /* HTTP/1.minor */
    uint32_t owner;   /* the listener that it came to */
} ct_request_info;

typedef struct ct_vm ct_vm;

/* Takes the next event: 1 with *out filled, 0 when there is none. Views that
 * were given before are invalid after it. */
int ct_abi_next(ct_vm *vm, ct_event *out);

/* The reason of the last CT_ERROR: a string, valid until the next call. */
const char *ct_abi_why(ct_vm *vm);

#endif
