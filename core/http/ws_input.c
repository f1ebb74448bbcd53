/* Input is scanned where it was received, in the loop's scratch memory; messages
 * are copied once, to the queue that Lua takes them from. When 64 KiB of them
 * wait nothing is read, so that TCP holds the peer back. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "http/ws_parts.h"
#include <string.h>

enum {
    LINGER_BYTES = 4 << 20, /* thrown away while our end waits for the peer's */
    READS = 8               /* in a row, before others have their turn */
};

/* -- The queue ------------------------------------------------------------- */

static void put_head(char *at, uint32_t kind, size_t size) {
    const ct_ws_item head = { (uint32_t)size, kind };

    memcpy(at, &head, sizeof head);
}

static void add_item(ct_ws_conn *w, uint32_t kind, ct_str bytes) {
    char *at = ct_buf_reserve(&w->queue, sizeof(ct_ws_item) + bytes.n);

    put_head(at, kind, bytes.n);
    if (bytes.n) memcpy(at + sizeof(ct_ws_item), bytes.p, bytes.n);
    ct_buf_added(&w->queue, sizeof(ct_ws_item) + bytes.n);
    ct_ws_tell(w);
}

/* The message under way is whole: it has room for its head in front. */
static void add_message(ct_ws_conn *w) {
    ct_buf *m = &w->message;

    put_head(ct_buf_bytes(m), w->scan.opcode, m->len - sizeof(ct_ws_item));
    if (w->queue.len) {
        ct_buf_add(&w->queue, ct_buf_bytes(m), m->len);
        ct_buf_fini(m);
    } else {
        w->queue = *m;
        *m = (ct_buf){ 0 };
    }
    ct_ws_tell(w);
}

/* -- Input ----------------------------------------------------------------- */

bool ct_ws_wants_input(const ct_ws_conn *w) {
    if (w->broken) return false;
    if (w->sent_close) return true; /* thrown away, but for the peer's Close */
    return !w->over && w->queue.len < CT_WS_QUEUE &&
           w->out.len <= w->options.max_queue;
}

static void fail(ct_ws_conn *w, unsigned code, const char *reason) {
    if (!w->over)
        ct_ws_set_over(w, code, (ct_str){ reason, (uint32_t)strlen(reason) },
                       true);
}

static void take_compressed(ct_ws_conn *w, ct_str piece) {
    ct_buf *m = &w->message;
    size_t was = m->len;
    bool text = w->scan.opcode == CT_WEBSOCKET_TEXT;

    switch (ct_ws_decompress(w->deflate, piece.p, piece.n, w->scan.whole,
                             w->options.max_message + sizeof(ct_ws_item), m)) {
    case CT_WS_OK: break;
    case CT_WS_TOO_BIG:
        fail(w, CT_WEBSOCKET_TOO_BIG, "message too big after decompression");
        return;
    case CT_WS_CORRUPT:
        fail(w, CT_WEBSOCKET_BAD_DATA, "corrupt compressed data");
        return;
    }
    if (text && (!ct_utf8_run(&w->utf8, ct_buf_bytes(m) + was, m->len - was) ||
                 (w->scan.whole && !ct_utf8_is_whole(&w->utf8))))
        fail(w, CT_WEBSOCKET_BAD_DATA, "text is not UTF-8");
    else if (w->scan.whole)
        add_message(w);
}

static void take_data(ct_ws_conn *w, ct_str piece) {
    static const ct_ws_item none;

    if (w->sent_close) return;
    if (!w->scan.compressed && w->scan.whole && !w->message.len) {
        add_item(w, w->scan.opcode, piece);
        return;
    }
    if (!w->message.len) {
        ct_buf_add(&w->message, (const char *)&none, sizeof none);
        w->utf8 = (ct_utf8){ 0 };
    }
    if (w->scan.compressed) {
        take_compressed(w, piece);
        return;
    }
    ct_buf_add(&w->message, piece.p, piece.n);
    if (w->scan.whole) add_message(w);
}

static void take_sign(ct_ws_conn *w, ct_str payload) {
    switch (w->scan.opcode) {
    case CT_WEBSOCKET_CLOSE:
        w->got_close = true;
        ct_ws_set_over(w, w->scan.code, payload, false);
        break;
    case CT_WEBSOCKET_PING:
        if (w->sent_close) return;
        ct_ws_frame(w, CT_WEBSOCKET_PONG, false, payload);
        if (w->options.tell_ping) add_item(w, CT_WEBSOCKET_PING, payload);
        break;
    default:
        if (w->options.tell_pong && !w->sent_close)
            add_item(w, CT_WEBSOCKET_PONG, payload);
    }
}

/* Returns how many bytes were used: all, unless the queue is full. */
static size_t scan(ct_ws_conn *w, char *p, size_t n) {
    size_t used = 0, k;
    ct_str piece;

    while (used < n && ct_ws_wants_input(w)) {
        if (w->over) return n;
        ct_websocket_event e =
            ct_websocket_next(&w->scan, p + used, n - used, &k, &piece);

        used += k;
        if (e == CT_WEBSOCKET_DATA)
            take_data(w, piece);
        else if (e == CT_WEBSOCKET_SIGN)
            take_sign(w, piece);
        else if (e == CT_WEBSOCKET_BAD)
            fail(w, w->scan.code, w->scan.reason);
    }
    return used;
}

static void take(ct_ws_conn *w, char *p, size_t n) {
    size_t used;

    w->pong_by = 0; /* the peer lives */
    if (w->over || w->shut) {
        w->drained += (uint32_t)n;
        if (w->drained > LINGER_BYTES) ct_ws_drop(w, true);
        return;
    }
    used = scan(w, p, n);
    if (used < n && !w->over && !w->broken)
        ct_buf_add(&w->in, p + used, n - used);
}

static void take_kept(ct_ws_conn *w) {
    ct_buf kept = w->in;
    size_t used;

    w->in = (ct_buf){ 0 };
    used = scan(w, ct_buf_bytes(&kept), kept.len);
    if (w->over || w->broken) used = kept.len;
    ct_buf_drain(&kept, used);
    w->in = kept;
}

void ct_ws_read(ct_ws_conn *w) {
    char *scratch = w->hub->loop->scratch;

    w->corked = true; /* pongs must not be composed where the input lies */
    if (w->in.len && ct_ws_wants_input(w)) take_kept(w);
    for (int reads = 0; ct_ws_wants_input(w) && w->stream.readable; reads++) {
        if (reads == READS) {
            ct_stream_poke(&w->stream, CT_STREAM_READ);
            break;
        }
        ssize_t n = ct_stream_recv(&w->stream, scratch, CT_LOOP_SCRATCH);

        if (n == CT_STREAM_AGAIN) break;
        if (n == CT_STREAM_EOF)
            ct_ws_broke(w, "the peer has left without a Close frame");
        else if (n < 0)
            ct_ws_broke(w, "the connection was reset");
        else
            take(w, scratch, (size_t)n);
    }
    w->corked = false;
    if (w->out.len && !w->write_by) ct_ws_flush(w);
}
