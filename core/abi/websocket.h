/* WebSockets (RFC 6455), of both sides. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_WEBSOCKET_H
#define CT_ABI_WEBSOCKET_H
#include "abi/base.h"

/* -- WebSockets ----------------------------------------------------------------
 * Alive until ct_abi_websocket_release(). CT_EVENT_WEBSOCKET tells that there is
 * something to take, or room again. */

enum {
    CT_FRAME_TEXT = 1,
    CT_FRAME_BINARY = 2,
    CT_FRAME_PING = 9,
    CT_FRAME_PONG = 10
};

/* permessage-deflate (RFC 7692): what one side wants, or both have agreed on.
 * `own` is what we send; bits are those of the window, 9 to 15. */
typedef struct ct_websocket_deflate {
    uint32_t own_bits, peer_bits;
    uint32_t own_takeover, peer_takeover; /* 0: each message by itself */
    uint32_t level, memory;               /* of ours, 1 to 9 */
} ct_websocket_deflate;

typedef struct ct_websocket_options {
    double max_message;                 /* bytes, as the next two */
    double max_queue;                   /* that may wait to be sent */
    double threshold;                   /* of compression */
    double ping_interval, ping_timeout; /* seconds; 0: none */
    double close_timeout;               /* seconds */
    /* Of a client's side, seconds and bytes a second: its peer must take so much
     * in that time. On a server's side those of the server stand for both. */
    double write_timeout, write_min_rate;
    uint32_t tell_ping, tell_pong; /* 0: Lua does not ask for them */
    uint32_t deflates;             /* 0: nothing was agreed on */
    ct_websocket_deflate deflate;
} ct_websocket_options;

typedef struct ct_websocket_item {
    ct_str bytes;  /* a message, a ping's or pong's payload, or the reason */
    uint32_t kind; /* CT_FRAME_* */
    uint32_t code; /* EOF: the close code (1005: none given, 1006: none came) */
} ct_websocket_item;

/* A server's choice from the offers of Sec-WebSocket-Extensions: OK with what is
 * agreed on and the field's value for the 101; EOF for none. And a client's look
 * at the answer to "permessage-deflate; client_max_window_bits": OK, ERROR. */
int ct_abi_websocket_offers(ct_vm *vm, const char *offers, uint32_t size,
                            const ct_websocket_deflate *want,
                            ct_websocket_deflate *agreed, ct_str *answer);
int ct_abi_websocket_answer(const char *answer, uint32_t size,
                            const ct_websocket_deflate *want,
                            ct_websocket_deflate *agreed);

/* Makes a WebSocket of a request to which the head of a 101 was sent, or of a
 * channel whose handshake is over; that is gone then. 0: there is no connection
 * any more. */
uint32_t ct_abi_websocket_accept(ct_vm *vm, uint32_t request,
                                 const ct_websocket_options *options);
uint32_t ct_abi_websocket_connect(ct_vm *vm, uint32_t channel,
                                  const ct_websocket_options *options);

/* Takes what came next: OK, AGAIN, EOF: it has ended, CLOSED: no such handle. */
int ct_abi_websocket_take(ct_vm *vm, uint32_t websocket,
                          ct_websocket_item *out);

/* Sends a frame of that kind: OK; LIMIT when max_queue bytes wait: the event
 * comes when half of them have left; CLOSED; ERROR: text that is no UTF-8, or
 * more than 125 bytes for a control frame. */
int ct_abi_websocket_send(ct_vm *vm, uint32_t websocket, uint32_t kind,
                          const char *p, uint32_t size);

/* Sends a Close frame; code 0: without one. OK, CLOSED, ERROR for a code or reason
 * (123 bytes of UTF-8) that cannot be sent. Messages are not taken any more. */
int ct_abi_websocket_close(ct_vm *vm, uint32_t websocket, uint32_t code,
                           const char *reason, uint32_t size);

/* Bytes that wait to be sent; TCP_NODELAY on or off. */
uint32_t ct_abi_websocket_unsent(ct_vm *vm, uint32_t websocket);
int ct_abi_websocket_nodelay(ct_vm *vm, uint32_t websocket, int on);

enum { CT_LUGGAGE = 1048576 }; /* bytes that may go with a WebSocket */

/* Gives a WebSocket to the generation that serves now, where CT_EVENT_MOVED comes,
 * with bytes for it. OK: the handle is old; CLOSED: it has begun to end, or this is
 * that generation; LIMIT: too many bytes. */
int ct_abi_websocket_move(ct_vm *vm, uint32_t websocket, const char *p,
                          uint32_t size);

/* The bytes that one has brought, until ct_abi_websocket_take(): OK, CLOSED. */
int ct_abi_websocket_luggage(ct_vm *vm, uint32_t websocket, ct_str *out);

/* Gives the handle back; what has not ended is cut off. */
void ct_abi_websocket_release(ct_vm *vm, uint32_t websocket);

#endif
