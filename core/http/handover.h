/* A request's connection leaves HTTP: for RequestHandler:detach(), and for what
 * follows a 101 (RFC 9110 §7.8). */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_HANDOVER_H
#define CT_HANDOVER_H

#include "http/request.h"
#include "io/channel.h"

/* Makes the connection a channel, with the bytes received and not used, and
 * those not yet sent (a reply's head that ct_reply_start() wrote, earlier
 * replies). The request is complete and has no connection any more; http/ keeps
 * nothing. NULL when the client is gone, or the reply is complete already.
 * Caller frees with ct_channel_free(). */
ct_channel *ct_handover(ct_request *r, ct_channel_fn *fn, void *arg);

/* The same for an owner of its own: moves the stream, which must be looked at for
 * input once (ct_stream_move()), and gives the two buffers away. False when there
 * is no connection (any more). */
bool ct_handover_stream(ct_request *r, ct_stream *stream, ct_buf *in,
                        ct_buf *out, ct_stream_fn *fn, void *arg)
    __attribute__((warn_unused_result));

#endif
