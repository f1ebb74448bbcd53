/* WebSocket frames (RFC 6455 §5) as a scanner: bytes in, pieces of messages and
 * control frames out. Pure and incremental as the wire is: it allocates nothing,
 * unmasks and checks UTF-8 in one pass where the bytes lie, and refuses as early
 * as the first wrong byte. What permessage-deflate (RFC 7692) makes of a message
 * is not its business; see http/ws_deflate.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WEBSOCKET_H
#define CT_WEBSOCKET_H

#include "abi.h"
#include "base/utf8.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ct_websocket_opcode {
    CT_WEBSOCKET_CONTINUATION = 0,
    CT_WEBSOCKET_TEXT = 1,
    CT_WEBSOCKET_BINARY = 2,
    CT_WEBSOCKET_CLOSE = 8,
    CT_WEBSOCKET_PING = 9,
    CT_WEBSOCKET_PONG = 10
} ct_websocket_opcode;

enum { /* close codes, RFC 6455 §7.4.1 */
       CT_WEBSOCKET_NORMAL = 1000,
       CT_WEBSOCKET_GOING_AWAY = 1001,
       CT_WEBSOCKET_PROTOCOL_ERROR = 1002,
       CT_WEBSOCKET_NO_STATUS = 1005, /* never on the wire */
       CT_WEBSOCKET_ABNORMAL = 1006,  /* never on the wire */
       CT_WEBSOCKET_BAD_DATA = 1007,
       CT_WEBSOCKET_TOO_BIG = 1009,
       CT_WEBSOCKET_FAILED = 1011
};

enum {
    CT_WEBSOCKET_CONTROL = 125, /* bytes that a control frame may carry */
    CT_WEBSOCKET_HEAD = 14      /* bytes that a frame's head may have */
};

typedef enum ct_websocket_event {
    CT_WEBSOCKET_MORE, /* all bytes are taken; more must come */
    CT_WEBSOCKET_DATA, /* a piece of a message; `whole` with its last */
    CT_WEBSOCKET_SIGN, /* a control frame: see `opcode` */
    CT_WEBSOCKET_BAD   /* see `code` and `reason`: fail the connection */
} ct_websocket_event;

/* Where a scan is. All but what is said to be for the caller is the scanner's. */
typedef struct ct_websocket {
    uint64_t max_message; /* bytes of a message as it is on the wire */
    uint64_t size;        /* of this message so far */
    uint64_t left;        /* of this frame's payload */
    const char *reason;   /* for the caller, BAD: one English phrase */
    uint32_t mask;
    uint16_t code;    /* for the caller: BAD, and CLOSE (1005: none given) */
    uint8_t opcode;   /* for the caller: TEXT, BINARY, or the control frame's */
    bool whole;       /* for the caller, DATA: the message ends here */
    bool compressed;  /* for the caller, DATA: RSV1 was set */
    uint8_t message;  /* opcode of the message that is under way, or 0 */
    bool client;      /* we are: frames must come unmasked */
    bool deflate;     /* RSV1 is allowed */
    bool fin, inside; /* of this frame; its payload is being taken */
    uint8_t have;     /* bytes of the head, or of a control payload */
    ct_utf8 utf8;
    unsigned char head[CT_WEBSOCKET_HEAD];
    char control[CT_WEBSOCKET_CONTROL];
} ct_websocket;

/* Ready for the first frame. */
void ct_websocket_init(ct_websocket *w, bool client, bool deflate,
                       uint64_t max_message);

/* Takes `*used` of the bytes at `p`, which it may change, and says what they are:
 * with DATA, *out is a piece of the message inside `p`, with SIGN the payload (for
 * CLOSE the reason) inside `w`, both until the next call. Call it again with the
 * rest until it answers MORE (all is taken) or BAD. */
ct_websocket_event ct_websocket_next(ct_websocket *w, char *p, size_t n,
                                     size_t *used, ct_str *out);

/* True when an endpoint may send this close code (RFC 6455 §7.4). */
bool ct_websocket_code_is_valid(unsigned code);

/* Writes a frame's head to `out`: the whole message in one frame of `n` bytes,
 * RSV1 set when `compressed`, masked with `mask` unless that is NULL. Returns its
 * length. */
size_t ct_websocket_head(unsigned char out[CT_WEBSOCKET_HEAD],
                         ct_websocket_opcode opcode, bool compressed,
                         uint64_t n, const unsigned char mask[4]);

/* Masks or unmasks `n` bytes from the mask's first byte on. */
void ct_websocket_mask(char *p, size_t n, const unsigned char mask[4]);

#endif
