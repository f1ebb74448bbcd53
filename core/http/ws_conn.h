/* One WebSocket (RFC 6455), of either side: it owns the stream, keeps what came
 * and was not taken, and what was sent and not yet left, answers pings and Close
 * frames, and has all the deadlines. Messages are pulled (ct_ws_take). Lifetime:
 * until Lua has released it and its connection has ended, whichever is later. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WS_CONN_H
#define CT_WS_CONN_H

#include "abi.h"
#include "base/buf.h"
#include "base/events.h"
#include "base/list.h"
#include "base/slots.h"
#include "http/pace.h"
#include "http/seat.h"
#include "http/websocket.h"
#include "http/ws_deflate.h"
#include "io/deadlines.h"
#include "io/stream.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    CT_WS_QUEUE = 65536, /* bytes not taken, above which nothing is read */
    CT_WS_REASON = 123,  /* bytes that a Close frame's reason may have */
    CT_WS_MASKS = 256    /* random bytes that are fetched at once */
};

typedef struct ct_ws_options {
    size_t max_message;     /* bytes, before and after inflating */
    size_t max_queue;       /* bytes that may wait to be sent */
    size_t threshold;       /* shorter messages are not compressed */
    uint32_t ping_interval; /* ms, as all below; 0: none */
    uint32_t ping_timeout;  /* 0: pongs are not looked for */
    uint32_t close_timeout; /* for the peer's Close */
    ct_pace_rule pace;      /* of a peer that does not take all */
    bool client;            /* we are: what we send is masked */
    bool tell_ping, tell_pong;
    const ct_ws_params *deflate; /* what was agreed on; NULL: nothing */
} ct_ws_options;

/* What the WebSockets of a state share. Lifetime: generation. */
typedef struct ct_ws_hub {
    ct_loop *loop;     /* borrowed */
    ct_events *events; /* borrowed: gets CT_EVENT_WEBSOCKET */
    ct_slots slots;    /* handle -> ct_ws_conn */
    ct_list conns;     /* all, the released ones too */
    ct_deadlines deadlines;
    ct_ws_codecs *codecs; /* NULL until the first is needed */
    /* The last message that went to several: what it is, its frame as servers send
     * it, and its bytes compressed without a window; both empty until needed. */
    ct_buf plain, frame, coded;
    ct_ws_params coded_for;
    uint32_t plain_kind;
    ct_str last; /* where the last message was: its bytes may be gone */
    unsigned char masks[CT_WS_MASKS];
    uint32_t mask_at; /* bytes of them that are used up */
} ct_ws_hub;

typedef struct ct_ws_conn {
    ct_ws_hub *hub;
    ct_list node;         /* in hub->conns */
    ct_deadline deadline; /* the earliest of the four below */
    uint64_t ping_at, pong_by, write_by, end_by; /* monotonic ms; 0: none */
    ct_stream stream;
    ct_pace pace; /* while write_by is set */
    ct_seat seat; /* a client's among the server's connections, or none */
    ct_websocket scan;
    ct_ws_deflate *deflate; /* or NULL */
    ct_buf in;              /* received, held back by a full queue */
    ct_buf message;         /* under way: an item that is not complete */
    ct_buf queue;           /* items: a head (see ws_conn.c) and bytes */
    ct_buf out;
    ct_ws_options options; /* `deflate` in it is NULL */
    uint32_t handle;       /* 0: released */
    uint32_t given;        /* bytes of `queue` that the last take gave */
    uint32_t drained;      /* bytes thrown away while lingering */
    uint16_t code;         /* of the end: see `ended`, `over` */
    ct_utf8 utf8;          /* of a compressed text */
    char *reason;          /* likewise; NULL: none */
    ct_buf luggage;        /* of Lua, while it moves */
    bool told;             /* an event waits to be taken */
    bool corked;           /* what is sent waits for company */
    bool wants_room;       /* tell when `out` is half empty */
    bool over;   /* the peer's Close or its fault lies behind `queue` */
    bool faulty; /* ... its fault */
    bool sent_close, got_close;
    bool ended;  /* code and reason are final */
    bool shut;   /* our side is ended: reading until the peer ends */
    bool broken; /* there is no connection any more */
} ct_ws_conn;

void ct_ws_hub_init(ct_ws_hub *hub, ct_loop *loop, ct_events *events);

/* Ends all connections. */
void ct_ws_hub_fini(ct_ws_hub *hub);

/* An owner of stream and buffers that gives them away. */
typedef bool ct_ws_mover(void *from, ct_ws_conn *to, ct_stream_fn *fn,
                         void *arg);

/* Makes a WebSocket of a connection whose handshake is done; `move` puts the
 * stream, what was received behind the handshake (in) and what is not yet sent
 * (out) into it. 0 when there is no connection, or no slot. Returns its handle. */
uint32_t ct_ws_open(ct_ws_hub *hub, const ct_ws_options *options,
                    ct_ws_mover *move, void *from);

/* Takes the next item: OK with its kind in *kind and its bytes in *out, until the
 * next call; AGAIN when CT_EVENT_WEBSOCKET will tell; EOF when it is over: *kind
 * is the code and *out the reason. */
int ct_ws_take(ct_ws_conn *w, uint32_t *kind, ct_str *out);

/* Sends a frame (TEXT, BINARY, PING, PONG), or keeps it. LIMIT: max_queue bytes
 * wait already, an event tells when half of it has left; CLOSED; ERROR: a text
 * that is no UTF-8, or a control frame of more than 125 bytes. */
int ct_ws_send(ct_ws_conn *w, ct_websocket_opcode kind, ct_str payload);

/* Begins the closing handshake; nothing more is taken. `code` 0: none. OK,
 * CLOSED when it has begun before, ERROR for a bad code or reason. */
int ct_ws_close(ct_ws_conn *w, unsigned code, ct_str reason);

/* Gives it to another hub: what is to come, and what waits to be taken, is told
 * there. The handle there, and the one here is old; 0 when it has begun to end, or
 * there is no slot. */
uint32_t ct_ws_move(ct_ws_conn *w, ct_ws_hub *to);

/* Lua is done with it: what is not closed is cut off. May free it. */
void ct_ws_release(ct_ws_conn *w);

#endif
