/* A frame is composed in the loop's scratch memory and leaves in one send; what
 * the socket does not take is kept. While input is being taken (it lies in the
 * same memory), or messages wait to be answered, frames collect in `out`. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ws_parts.h"

#include "base/digest.h"
#include "base/utf8.h"
#include <string.h>

enum {
    CORK_SIZE = 65536,   /* frames that wait for company leave beyond */
    SHARED_MAX = 262144, /* a larger message is not kept for others */
    SCRATCH = CT_LOOP_SCRATCH
};

/* -- Output ---------------------------------------------------------------- */

static void wait_for_room(ct_ws_conn *w) {
    uint64_t now = ct_pace_now();

    if (w->write_by) return;
    ct_pace_start(&w->pace, w->stream.fd, now);
    w->write_by = now + w->options.pace.timeout;
    ct_ws_set_deadline(w);
}

static void all_sent(ct_ws_conn *w) {
    w->write_by = 0;
    w->pace.since = 0;
}

void ct_ws_flush(ct_ws_conn *w) {
    while (w->out.len && !w->broken) {
        ssize_t n =
            ct_stream_send(&w->stream, ct_buf_bytes(&w->out), w->out.len);

        if (n == CT_STREAM_AGAIN) {
            wait_for_room(w);
            break;
        }
        if (n < 0) {
            ct_ws_broke(w, "the connection broke");
            return;
        }
        ct_pace_hand(&w->pace, (size_t)n);
        ct_buf_drain(&w->out, (size_t)n);
    }
    if (w->broken) return;
    if (!w->out.len) all_sent(w);
    ct_ws_sent(w);
}

/* Sends bytes that are the caller's; `out` is empty. */
static void send_now(ct_ws_conn *w, const char *p, size_t n) {
    ssize_t sent = ct_stream_send(&w->stream, p, n);

    if (sent == (ssize_t)n) return;
    if (sent < 0 && sent != CT_STREAM_AGAIN) {
        ct_ws_broke(w, "the connection broke");
        return;
    }
    if (sent > 0) {
        p += sent;
        n -= (size_t)sent;
    }
    ct_buf_add(&w->out, p, n);
    wait_for_room(w);
}

/* -- Frames ---------------------------------------------------------------- */

/* Four random bytes for each frame (RFC 6455 §5.3). */
static const unsigned char *next_mask(ct_ws_hub *hub) {
    if (hub->mask_at + 4 > CT_WS_MASKS) {
        ct_digest_random(hub->masks, CT_WS_MASKS);
        hub->mask_at = 0;
    }
    hub->mask_at += 4;
    return hub->masks + hub->mask_at - 4;
}

static size_t compose(ct_ws_conn *w, char *at, ct_websocket_opcode opcode,
                      bool compressed, ct_str payload) {
    const unsigned char *mask = w->options.client ? next_mask(w->hub) : NULL;
    size_t size = ct_websocket_head((unsigned char *)at, opcode, compressed,
                                    payload.n, mask);

    if (payload.n) memcpy(at + size, payload.p, payload.n);
    if (mask) ct_websocket_mask(at + size, payload.n, mask);
    return size + payload.n;
}

void ct_ws_frame(ct_ws_conn *w, ct_websocket_opcode opcode, bool compressed,
                 ct_str payload) {
    size_t room = (size_t)payload.n + CT_WEBSOCKET_HEAD;
    bool waits = w->out.len > 0;
    char *at;

    if (!waits && !w->corked && room <= SCRATCH) {
        at = w->hub->loop->scratch;
        send_now(w, at, compose(w, at, opcode, compressed, payload));
        return;
    }
    at = ct_buf_reserve(&w->out, room);
    ct_buf_added(&w->out, compose(w, at, opcode, compressed, payload));
    if (!w->corked ? !waits : w->out.len > CORK_SIZE && !w->write_by)
        ct_ws_flush(w);
}

/* -- What goes to many ----------------------------------------------------- */

static bool is_known(const ct_ws_hub *hub, ct_websocket_opcode kind,
                     ct_str payload) {
    return payload.n && hub->plain.len == payload.n &&
           hub->plain_kind == (uint32_t)kind &&
           memcmp(ct_buf_bytes(&hub->plain), payload.p, payload.n) == 0;
}

static void keep(ct_ws_hub *hub, ct_websocket_opcode kind, ct_str payload) {
    ct_buf_fini(&hub->plain);
    ct_buf_fini(&hub->frame);
    ct_buf_fini(&hub->coded);
    if (payload.n <= SHARED_MAX) ct_buf_add(&hub->plain, payload.p, payload.n);
    hub->plain_kind = kind;
}

/* The same message compressed the same way goes to many: it is kept. */
static ct_str compress_shared(ct_ws_conn *w, ct_websocket_opcode kind,
                              ct_str payload) {
    const ct_ws_params *params = &w->deflate->params;
    ct_ws_hub *hub = w->hub;
    bool known = is_known(hub, kind, payload);

    if (!known) keep(hub, kind, payload);
    if (!known || !hub->coded.len || hub->coded_for.level != params->level ||
        hub->coded_for.memory != params->memory ||
        hub->coded_for.own_bits != params->own_bits) {
        ct_buf_fini(&hub->coded);
        ct_ws_compress(w->deflate, payload.p, payload.n, &hub->coded);
        hub->coded_for = *params;
    }
    return (ct_str){ ct_buf_bytes(&hub->coded), (uint32_t)hub->coded.len };
}

/* A message that is sent from the same place twice running goes to many: it is
 * composed once more, and then no more. True when it was sent so. */
static bool send_shared(ct_ws_conn *w, ct_websocket_opcode kind, ct_str payload,
                        bool known) {
    ct_ws_hub *hub = w->hub;
    bool again = hub->last.p == payload.p && hub->last.n == payload.n;

    hub->last = payload;
    if (!known && !again) return false;
    if (w->options.client || w->corked || w->out.len || !payload.n ||
        payload.n > SHARED_MAX)
        return false;
    if (!known) keep(hub, kind, payload);
    if (!hub->frame.len) {
        char *at = ct_buf_reserve(&hub->frame, payload.n + CT_WEBSOCKET_HEAD);

        ct_buf_added(&hub->frame, compose(w, at, kind, false, payload));
    }
    send_now(w, ct_buf_bytes(&hub->frame), hub->frame.len);
    return true;
}

/* -- Messages -------------------------------------------------------------- */

static void send_compressed(ct_ws_conn *w, ct_websocket_opcode kind,
                            ct_str payload) {
    ct_buf coded = { 0 };

    if (!w->deflate->params.own_takeover) {
        ct_ws_frame(w, kind, true, compress_shared(w, kind, payload));
        return;
    }
    ct_ws_compress(w->deflate, payload.p, payload.n, &coded);
    ct_ws_frame(w, kind, true,
                (ct_str){ ct_buf_bytes(&coded), (uint32_t)coded.len });
    ct_buf_fini(&coded);
}

static bool is_utf8(ct_str s) {
    ct_utf8 u = { 0 };

    return ct_utf8_run(&u, s.p, s.n) && ct_utf8_is_whole(&u);
}

/* Answers to messages that came together leave together: at the latest in the
 * loop's next turn. */
static void cork(ct_ws_conn *w) {
    w->corked = w->queue.len > w->given;
    if (w->corked && !w->out.len) ct_stream_poke(&w->stream, CT_STREAM_WRITE);
}

static bool has_room(const ct_ws_conn *w, size_t n) {
    return !w->out.len || w->out.len + n <= w->options.max_queue;
}

int ct_ws_send(ct_ws_conn *w, ct_websocket_opcode kind, ct_str payload) {
    bool data = kind == CT_WEBSOCKET_TEXT || kind == CT_WEBSOCKET_BINARY;
    bool known = data && is_known(w->hub, kind, payload);

    if (w->broken || w->sent_close || w->ended) return CT_CLOSED;
    if (kind == CT_WEBSOCKET_TEXT && !known && !is_utf8(payload))
        return CT_ERROR;
    if (!data && payload.n > CT_WEBSOCKET_CONTROL) return CT_ERROR;
    if (!has_room(w, payload.n)) {
        ct_ws_flush(w); /* what is only corked need not wait */
        if (w->broken) return CT_CLOSED;
        w->wants_room = !has_room(w, payload.n);
        if (w->wants_room) {
            w->told = false; /* while a hook is under way nobody takes */
            return CT_LIMIT;
        }
    }
    cork(w);
    if (data && w->deflate && payload.n && payload.n >= w->options.threshold)
        send_compressed(w, kind, payload);
    else if (!data || !send_shared(w, kind, payload, known))
        ct_ws_frame(w, kind, false, payload);
    w->corked = false;
    return w->broken ? CT_CLOSED : CT_OK;
}
