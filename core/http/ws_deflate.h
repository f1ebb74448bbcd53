/* permessage-deflate (RFC 7692): what is agreed on in the handshake, and the
 * coding of messages. zlib's states (44 and 268 KiB) are lent by the message, not
 * kept by the connection: between two of them it has only the window that its
 * peer may refer to. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WS_DEFLATE_H
#define CT_WS_DEFLATE_H

#include "base/buf.h"
#include "base/deflate.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one side wants, or what both agreed on. `own` is what we send. */
typedef struct ct_ws_params {
    uint8_t own_bits, peer_bits;      /* windows of 2^n bytes, 9 to 15 */
    bool own_takeover, peer_takeover; /* windows reach back over messages */
    uint8_t level, memory;            /* of our deflate, 1 to 9 */
} ct_ws_params;

enum { CT_WS_ANSWER = 160 }; /* room for one extension with all parameters */

/* A server's choice from the offers in Sec-WebSocket-Extensions: the first that
 * is well-formed and can be met. True: *agreed has what is the case now (`want`,
 * less what the client asked for), `out` the value of the reply's field. */
bool ct_ws_accept_offer(const char *p, size_t n, const ct_ws_params *want,
                        ct_ws_params *agreed, char out[CT_WS_ANSWER]);

/* A client's check of the answer to the offer "permessage-deflate;
 * client_max_window_bits": false when it cannot be an answer to that. */
bool ct_ws_check_answer(const char *p, size_t n, const ct_ws_params *want,
                        ct_ws_params *agreed);

/* zlib's states, for the messages of all connections. Lifetime: process. */
typedef struct ct_ws_codecs ct_ws_codecs;

ct_ws_codecs *ct_ws_codecs_new(void);
void ct_ws_codecs_free(ct_ws_codecs *c);

/* The coding of one connection. Lifetime: connection. */
typedef struct ct_ws_deflate {
    ct_ws_codecs *codecs; /* borrowed */
    ct_ws_params params;
    ct_inflate *inflate; /* lent while a message is under way */
    ct_buf own, peer;    /* windows, if they are taken over */
    uint8_t restarts;    /* last blocks within this message */
} ct_ws_deflate;

void ct_ws_deflate_init(ct_ws_deflate *d, ct_ws_codecs *codecs,
                        const ct_ws_params *agreed);
void ct_ws_deflate_fini(ct_ws_deflate *d);

/* Appends a message, compressed, to `out`. */
void ct_ws_compress(ct_ws_deflate *d, const char *p, size_t n, ct_buf *out);

typedef enum ct_ws_result {
    CT_WS_OK,
    CT_WS_TOO_BIG, /* `out` would have more than `max` bytes */
    CT_WS_CORRUPT
} ct_ws_result;

/* Appends what is in a piece of a message, `whole` with its last, to `out`. After
 * anything but OK the connection must end. */
ct_ws_result ct_ws_decompress(ct_ws_deflate *d, const char *p, size_t n,
                              bool whole, size_t max, ct_buf *out)
    __attribute__((warn_unused_result));

#endif
