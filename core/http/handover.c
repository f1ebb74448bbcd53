/* What was collected of the body stays with the request; the rest of the input
 * is the new owner's, the rest of an unread body too. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/handover.h"

#include "http/conn.h"
#include "http/reply.h"

bool ct_handover_stream(ct_request *r, ct_stream *stream, ct_buf *in,
                        ct_buf *out, ct_stream_fn *fn, void *arg) {
    ct_conn *c = r->conn;
    bool good;

    if (!c || c->files) return false;
    if (r->status) ct_reply_count(r);
    r->counted = r->complete = true;
    c->told = true; /* it has not gone: no CT_EVENT_GONE */
    ct_conn_detach(c, true);
    *in = c->in;
    *out = c->out;
    c->in = c->out = (ct_buf){ 0 };
    good = ct_stream_move(stream, &c->stream, fn, arg);
    ct_conn_close(c, false);
    return good;
}

ct_channel *ct_handover(ct_request *r, ct_channel_fn *fn, void *arg) {
    ct_conn *c = r->conn;
    ct_channel *channel;

    if (!c || c->files) return NULL;
    r->counted = r->complete = true;
    c->told = true; /* it has not gone: no CT_EVENT_GONE */
    ct_conn_detach(c, true);
    channel = ct_channel_adopt(&c->stream, &c->in, &c->out, fn, arg);
    ct_conn_close(c, false);
    return channel;
}
