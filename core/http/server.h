/* The HTTP side of one process: limits, connections, requests, listeners, and
 * the deadlines of all of them. Lifetime: process. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_SERVER_H
#define CT_SERVER_H

#include "abi.h"
#include "base/buf.h"
#include "base/counters.h"
#include "base/events.h"
#include "base/list.h"
#include "base/slots.h"
#include "http/file.h"
#include "http/peers.h"
#include "http/wire.h"
#include "io/deadlines.h"
#include "io/loop.h"
#include <stdbool.h>
#include <stdint.h>

struct ct_request;
struct evbuffer;

typedef struct ct_server_options {
    ct_wire_limits wire;
    double max_body_size;     /* bytes */
    size_t body_buffer_size;  /* bytes of a body in memory before disk */
    size_t write_buffer_size; /* a streamed reply's high-water mark */
    uint32_t header_timeout;  /* ms, as all below */
    uint32_t body_timeout;    /* plus what body_min_rate grants */
    uint32_t body_min_rate;   /* bytes a second; 0: no floor */
    uint32_t idle_timeout;
    uint32_t write_timeout;  /* how long a reader's pace is measured */
    uint32_t write_min_rate; /* bytes a second of it; 0: any */
    uint32_t handler_timeout;
    uint32_t max_connections;
    uint32_t max_connections_per_ip; /* 0: no limit */
    uint32_t max_keepalive_requests;
    uint32_t backlog;
    bool proxy_protocol; /* connections begin with its header */
    char temp_dir[256];
} ct_server_options;

typedef struct ct_server {
    ct_server_options options;
    ct_loop *loop;      /* borrowed */
    ct_slots requests;  /* handle -> ct_request */
    ct_slots listeners; /* handle -> ct_listener, closed ones too */
    ct_list conns;      /* all */
    ct_peers peers;     /* how many there are, over all processes */
    ct_list corked;     /* replies that wait for the end of the turn */
    ct_list ready;      /* input to look at when the turn is over */
    ct_list begun;      /* requests that began in this turn */
    ct_list spare;      /* requests to use again */
    ct_files files;     /* static files that are known */
    /* Of the connections. */
    ct_deadlines deadlines;
    struct evbuffer *head_buffer; /* scratch of ct_head_parse() */
    uint32_t listening;           /* listeners that are not closed */
    uint32_t conn_count, request_count, spare_count, handled;
    ct_counters *uncounted; /* for listeners that are not to be counted */
    bool scarce;            /* no memory: new requests get 503 */
    uint64_t complain_at;   /* next time a full table may be logged */
    /* The access log: see http/access.h. */
    ct_log access;       /* fd -1: none */
    ct_buf access_lines; /* of this turn */
    uint32_t access_format;
    uint64_t access_failed; /* ms, when the log was told of it; 0: it works */
    time_t access_at;       /* the second that `access_when` shows */
    char access_when[48];   /* as the format has it */
} ct_server;

/* Ready, with the default limits. Borrows `loop`. */
void ct_server_init(ct_server *s, ct_loop *loop);

/* Closes all listeners and connections and frees what they held. */
void ct_server_fini(ct_server *s);

/* After Lua has run: sends what is corked, reads on where input waits. */
void ct_server_turn(ct_server *s);

/* Gives back the memory that can be done without: closes connections that wait for
 * another request, forgets files and spare requests. */
void ct_server_shrink(ct_server *s);

/* Counts the connections that have output to send, or linger behind it. */
uint32_t ct_server_unsent(const ct_server *s);

/* Sets a connection's deadline. */
void ct_server_deadline(ct_server *s, ct_deadline *d, uint32_t after_ms);

#endif
