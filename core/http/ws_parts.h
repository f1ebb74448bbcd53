/* What the files of a WebSocket have of each other; the contracts of the rest are
 * in http/ws_conn.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WS_PARTS_H
#define CT_WS_PARTS_H

#include "http/ws_conn.h"

/* What stands before an item's bytes in `queue`. */
typedef struct ct_ws_item {
    uint32_t size, kind;
} ct_ws_item;

/* -- ws_conn.c ------------------------------------------------------------- */

/* Queues the event, unless one waits. */
void ct_ws_tell(ct_ws_conn *w);

/* Ends the connection. What was received whole is still taken. */
void ct_ws_drop(ct_ws_conn *w, bool reset);

/* The same for one that ended by itself: 1006, with that reason. */
void ct_ws_broke(ct_ws_conn *w, const char *why);

/* Nothing more is taken of what the peer sends: its Close has come, or it has made
 * a fault. */
void ct_ws_set_over(ct_ws_conn *w, unsigned code, ct_str reason, bool faulty);

/* `out` has become less. */
void ct_ws_sent(ct_ws_conn *w);

/* The deadlines have changed. */
void ct_ws_set_deadline(ct_ws_conn *w);

/* -- ws_input.c ------------------------------------------------------------ */

/* False while the peer is held back. */
bool ct_ws_wants_input(const ct_ws_conn *w);

/* Reads and takes input as far as it is wanted. */
void ct_ws_read(ct_ws_conn *w);

/* -- ws_send.c ------------------------------------------------------------- */

/* Sends a frame, or keeps what the socket does not take. */
void ct_ws_frame(ct_ws_conn *w, ct_websocket_opcode opcode, bool compressed,
                 ct_str payload);

/* Sends from `out`. */
void ct_ws_flush(ct_ws_conn *w);

#endif
