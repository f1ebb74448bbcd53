/* How a WebSocket begins, lives and ends. What the peer does last (its Close, its
 * fault) is answered when Lua has taken the messages before it: `over`. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ws_conn.h"

#include "base/mem.h"
#include "http/ws_parts.h"
#include <string.h>

enum { LINGER_MS = 2000 }; /* how long our end waits for the peer's */

/* -- What Lua is told ------------------------------------------------------ */

void ct_ws_tell(ct_ws_conn *w) {
    if (w->told || !w->handle) return;
    w->told = true;
    ct_events_add(w->hub->events, CT_EVENT_WEBSOCKET, w->handle);
}

/* -- Ending ---------------------------------------------------------------- */

static uint64_t now_ms(const ct_ws_conn *w) {
    return w->hub->loop->clock.mono_ms;
}

/* Keeps the outcome, unless there is one. */
static void set_outcome(ct_ws_conn *w, unsigned code, ct_str reason) {
    if (w->ended) return;
    w->code = (uint16_t)code;
    ct_free(w->reason);
    w->reason = NULL;
    if (!reason.n) return;
    w->reason = ct_alloc(reason.n + 1);
    memcpy(w->reason, reason.p, reason.n);
    w->reason[reason.n] = 0;
}

static void end(ct_ws_conn *w) {
    w->ended = true;
    ct_ws_tell(w);
}

static ct_str str_of(const char *text) {
    return (ct_str){ text, (uint32_t)strlen(text) };
}

static void forget_input(ct_ws_conn *w) {
    ct_buf_fini(&w->in);
    ct_buf_fini(&w->message);
}

/* There is no connection any more. What was received whole is still taken. */
void ct_ws_drop(ct_ws_conn *w, bool reset) {
    if (w->broken) return;
    w->broken = true;
    ct_deadlines_remove(&w->hub->deadlines, &w->deadline);
    ct_stream_fini(&w->stream, reset);
    ct_seat_leave(&w->seat);
    forget_input(w);
    ct_buf_fini(&w->out);
    if (w->deflate) ct_ws_deflate_fini(w->deflate);
    ct_free(w->deflate);
    w->deflate = NULL;
    if (!w->code) w->code = CT_WEBSOCKET_ABNORMAL;
    end(w);
}

void ct_ws_broke(ct_ws_conn *w, const char *why) {
    if (!w->over) set_outcome(w, CT_WEBSOCKET_ABNORMAL, str_of(why));
    ct_ws_drop(w, w->out.len > 0);
}

/* Both sides are done: the server ends the connection first (RFC 6455 §7.1.1),
 * and reads on for a moment, lest a reset overtake the Close frame. */
static void finish(ct_ws_conn *w) {
    if (w->shut || w->broken) return;
    if (!w->options.client && ct_stream_shut(&w->stream) != 0) {
        ct_ws_drop(w, false);
        return;
    }
    w->shut = true;
    forget_input(w);
    w->end_by = now_ms(w) + LINGER_MS;
    ct_ws_set_deadline(w);
}

void ct_ws_sent(ct_ws_conn *w) {
    if (w->wants_room && w->out.len <= w->options.max_queue / 2) {
        w->wants_room = false;
        ct_ws_tell(w);
    }
    if (!w->out.len && w->sent_close && w->over) finish(w);
}

static void send_close(ct_ws_conn *w, unsigned code, ct_str reason) {
    char payload[CT_WEBSOCKET_CONTROL];
    uint32_t n = 0;

    if (w->sent_close) return;
    w->corked = false;
    if (code != CT_WEBSOCKET_NO_STATUS) {
        payload[0] = (char)(code >> 8);
        payload[1] = (char)(code & 0xff);
        if (reason.n) memcpy(payload + 2, reason.p, reason.n);
        n = reason.n + 2;
    }
    w->wants_room = false;
    ct_ws_frame(w, CT_WEBSOCKET_CLOSE, false, (ct_str){ payload, n });
    w->sent_close = true;
}

/* The peer's Close or fault is reached: answers it. */
static void answer_end(ct_ws_conn *w) {
    if (w->ended || w->broken) return;
    if (w->faulty && w->reason)
        send_close(w, w->code, str_of(w->reason));
    else
        send_close(w, w->code, (ct_str){ 0 });
    if (w->broken) return;
    w->end_by = now_ms(w) + w->options.close_timeout;
    ct_ws_set_deadline(w);
    end(w);
    ct_ws_flush(w);
}

/* Nothing more is taken of what the peer sends. */
void ct_ws_set_over(ct_ws_conn *w, unsigned code, ct_str reason, bool faulty) {
    w->over = true;
    w->faulty = faulty;
    set_outcome(w, code, reason);
    forget_input(w);
    w->pong_by = w->ping_at = 0;
    if (!w->queue.len) {
        answer_end(w);
        return;
    }
    w->end_by = now_ms(w) + w->options.close_timeout;
    ct_ws_set_deadline(w);
}

int ct_ws_close(ct_ws_conn *w, unsigned code, ct_str reason) {
    ct_utf8 u = { 0 };

    if (code == 0) code = CT_WEBSOCKET_NO_STATUS;
    if (code != CT_WEBSOCKET_NO_STATUS && !ct_websocket_code_is_valid(code))
        return CT_ERROR;
    if (reason.n > CT_WS_REASON || !ct_utf8_run(&u, reason.p, reason.n) ||
        !ct_utf8_is_whole(&u))
        return CT_ERROR;
    if (w->sent_close || w->ended) return CT_CLOSED;
    ct_buf_fini(&w->queue);
    w->given = 0;
    ct_buf_fini(&w->message);
    if (w->over) { /* the peer was first: this is the answer */
        w->faulty = false;
        send_close(w, code, reason);
        answer_end(w);
        return CT_OK;
    }
    w->ping_at = w->pong_by = 0;
    w->end_by = now_ms(w) + w->options.close_timeout;
    send_close(w, code, reason);
    if (w->broken) return CT_OK;
    ct_ws_set_deadline(w);
    ct_stream_poke(&w->stream, CT_STREAM_READ); /* what was held back */
    return CT_OK;
}

int ct_ws_fail(ct_ws_conn *w) {
    if (w->over) return ct_ws_close(w, CT_WEBSOCKET_FAILED, (ct_str){ 0 });
    if (w->sent_close || w->ended) return CT_CLOSED;
    ct_buf_fini(&w->queue);
    w->given = 0;
    ct_buf_fini(&w->message);
    ct_ws_set_over(w, CT_WEBSOCKET_FAILED, (ct_str){ 0 }, true);
    return CT_OK;
}

/* -- Events and deadlines -------------------------------------------------- */

static void free_conn(ct_ws_conn *w) {
    w->handle = 0;
    ct_ws_drop(w, w->out.len > 0 || !w->sent_close);
    ct_list_remove(&w->node);
    ct_buf_fini(&w->queue);
    ct_buf_fini(&w->luggage);
    ct_free(w->reason);
    ct_free(w);
}

static void free_if_over(ct_ws_conn *w) {
    if (w->broken && !w->handle) free_conn(w);
}

static void on_event(ct_stream *s, int what, void *arg) {
    ct_ws_conn *w = arg;

    (void)s;
    if (what & CT_STREAM_WRITE) ct_ws_flush(w);
    if (!w->broken) ct_ws_read(w);
    free_if_over(w);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return !a || (b && b < a) ? b : a;
}

void ct_ws_set_deadline(ct_ws_conn *w) {
    uint64_t at = earlier(earlier(w->ping_at, w->pong_by),
                          earlier(w->write_by, w->end_by));

    if (w->broken) return;
    if (at)
        ct_deadlines_set(&w->hub->deadlines, &w->deadline, at);
    else
        ct_deadlines_remove(&w->hub->deadlines, &w->deadline);
}

static bool is_due(uint64_t at, uint64_t now) {
    return at && at <= now;
}

static void out_of_time(ct_ws_conn *w) {
    if (w->over && !w->ended) {
        answer_end(w); /* Lua has not taken what was before it */
        return;
    }
    ct_ws_broke(w, "no Close frame came in time");
}

static void next_ping(ct_ws_conn *w, uint64_t now) {
    w->ping_at = now + w->options.ping_interval;
    if (w->out.len) return; /* write_by looks after that */
    if (w->options.ping_timeout) w->pong_by = now + w->options.ping_timeout;
    ct_ws_frame(w, CT_WEBSOCKET_PING, false, (ct_str){ 0 });
}

static void no_pong(ct_ws_conn *w, uint64_t now) {
    if (ct_ws_wants_input(w))
        (void)ct_ws_close(w, CT_WEBSOCKET_NORMAL, str_of("ping timed out"));
    else
        w->pong_by = now + w->options.ping_timeout; /* we do not read it */
}

/* The socket has not taken all for so long. */
static void judge_pace(ct_ws_conn *w) {
    uint64_t now = ct_pace_now();
    ct_pace_look look;

    w->write_by = now + w->options.pace.timeout;
    if (ct_pace_judge(&w->pace, &w->options.pace, w->stream.fd, now, &look))
        ct_ws_broke(w, "what was sent was taken too slowly");
}

static void on_expired(ct_deadline *d) {
    ct_ws_conn *w = ct_list_of(d, ct_ws_conn, deadline);
    uint64_t now = now_ms(w);

    if (is_due(w->end_by, now))
        out_of_time(w);
    else if (is_due(w->write_by, now))
        judge_pace(w);
    else if (is_due(w->pong_by, now))
        no_pong(w, now);
    else if (is_due(w->ping_at, now))
        next_ping(w, now);
    if (!w->broken) ct_ws_set_deadline(w);
    free_if_over(w);
}

/* -- For Lua --------------------------------------------------------------- */

/* What held input back may be gone. */
static void go_on(ct_ws_conn *w) {
    if (w->over) answer_end(w);
    if (w->broken) return;
    if (w->out.len && !w->write_by) ct_ws_flush(w); /* what was corked */
    if (!w->broken && (w->in.len || w->stream.readable))
        ct_stream_poke(&w->stream, CT_STREAM_READ);
}

int ct_ws_take(ct_ws_conn *w, uint32_t *kind, ct_str *out) {
    ct_ws_item head;

    w->told = false;
    if (w->luggage.len) ct_buf_fini(&w->luggage);
    if (w->given) ct_buf_drain(&w->queue, w->given);
    w->given = 0;
    if (!w->queue.len && !w->ended) go_on(w);
    if (w->queue.len) {
        memcpy(&head, ct_buf_bytes(&w->queue), sizeof head);
        *kind = head.kind;
        *out = (ct_str){ ct_buf_bytes(&w->queue) + sizeof head, head.size };
        w->given = (uint32_t)sizeof head + head.size;
        return CT_OK;
    }
    w->told = false; /* go_on() */
    if (!w->ended) return CT_AGAIN;
    *kind = w->code;
    *out = w->reason ? str_of(w->reason) : (ct_str){ "", 0 };
    return CT_EOF;
}

void ct_ws_release(ct_ws_conn *w) {
    ct_slots_remove(&w->hub->slots, w->handle);
    w->handle = 0;
    ct_buf_fini(&w->queue);
    if (!w->ended) ct_ws_drop(w, true);
    free_if_over(w);
}

uint32_t ct_ws_move(ct_ws_conn *w, ct_ws_hub *to) {
    uint32_t handle;

    if (w->ended || w->broken || w->over || w->sent_close) return 0;
    handle = ct_slots_add(&to->slots, w);
    if (!handle) return 0;
    if (w->given) ct_buf_drain(&w->queue, w->given);
    w->given = 0;
    ct_slots_remove(&w->hub->slots, w->handle);
    ct_deadlines_remove(&w->hub->deadlines, &w->deadline);
    ct_list_remove(&w->node);
    ct_list_add(&to->conns, &w->node);
    w->hub = to;
    w->handle = handle;
    w->told = w->wants_room = false;
    if (w->deflate) {
        if (!to->codecs) to->codecs = ct_ws_codecs_new();
        w->deflate->codecs = to->codecs;
    }
    ct_ws_set_deadline(w);
    return handle;
}

/* -- Beginning ------------------------------------------------------------- */

void ct_ws_hub_init(ct_ws_hub *hub, ct_loop *loop, ct_events *events) {
    *hub = (ct_ws_hub){ .loop = loop, .events = events };
    hub->mask_at = CT_WS_MASKS;
    ct_list_init(&hub->conns);
    ct_deadlines_init(&hub->deadlines, loop, on_expired);
}

void ct_ws_hub_fini(ct_ws_hub *hub) {
    while (!ct_list_is_empty(&hub->conns))
        free_conn(ct_list_of(hub->conns.next, ct_ws_conn, node));
    ct_deadlines_fini(&hub->deadlines);
    ct_ws_codecs_free(hub->codecs);
    ct_buf_fini(&hub->plain);
    ct_buf_fini(&hub->frame);
    ct_buf_fini(&hub->coded);
    ct_slots_fini(&hub->slots);
}

static void set_options(ct_ws_conn *w, const ct_ws_options *options) {
    ct_ws_hub *hub = w->hub;

    w->options = *options;
    w->options.deflate = NULL;
    ct_websocket_init(&w->scan, options->client, options->deflate != NULL,
                      options->max_message);
    if (options->ping_interval) w->ping_at = now_ms(w) + options->ping_interval;
    if (!options->deflate) return;
    if (!hub->codecs) hub->codecs = ct_ws_codecs_new();
    w->deflate = ct_new(ct_ws_deflate);
    ct_ws_deflate_init(w->deflate, hub->codecs, options->deflate);
}

uint32_t ct_ws_open(ct_ws_hub *hub, const ct_ws_options *options,
                    ct_ws_mover *move, void *from) {
    ct_ws_conn *w = ct_new(ct_ws_conn);

    w->hub = hub;
    ct_deadline_init(&w->deadline);
    w->handle = ct_slots_add(&hub->slots, w);
    if (!w->handle || !move(from, w, on_event, w)) {
        if (w->handle) ct_slots_remove(&hub->slots, w->handle);
        ct_buf_fini(&w->in);
        ct_buf_fini(&w->out);
        ct_free(w);
        return 0;
    }
    ct_list_add(&hub->conns, &w->node);
    set_options(w, options);
    ct_ws_set_deadline(w);
    ct_stream_poke(&w->stream, CT_STREAM_READ | CT_STREAM_WRITE);
    return w->handle;
}
