/* Input is read into the loop's scratch memory and judged there; only what is
 * left over (half a head, a pipelined request, a body that nobody has asked for
 * yet) is copied to `in`. One request at a time: what follows waits unread. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/conn.h"

#include "base/mem.h"
#include "http/body.h"
#include "http/preface.h"
#include "http/reply.h"
#include "http/seat.h"
#include "http/secure.h"
#include <errno.h>
#include <sys/socket.h>

enum {
    LINGER_MS = 2000,       /* how long a close waits for the client's end */
    LINGER_BYTES = 4 << 20, /* and how much it throws away meanwhile */
    CORK_SIZE = 65536,      /* replies that wait for company are sent beyond */
    READS = 16              /* in a row, before others have their turn */
};

/* -- State ----------------------------------------------------------------- */

static bool is_active(const ct_conn *c) {
    return c->request && c->request->handle;
}

static bool wants_input(const ct_conn *c) {
    if (c->gone) return false;
    if (c->shut) return true;
    if (c->closing) return false;
    if (is_active(c)) return ct_body_wants_input(c->request);
    if (c->request && c->request->wire.status) return false;
    if (c->files) return false;
    return c->out.len <= c->options->write_buffer_size;
}

static void expire_in(ct_conn *c, uint32_t ms) {
    ct_server_deadline(c->server, &c->deadline, ms);
}

/* What the connection waits for now decides its deadline. */
static void set_deadline(ct_conn *c) {
    const ct_server_options *o = c->options;
    const ct_request *r = c->request;

    if (c->gone) return;
    if (c->shut)
        expire_in(c, LINGER_MS);
    else if (ct_conn_has_output(c))
        expire_in(c, ct_pace_left(c));
    else if (!is_active(c))
        expire_in(c, r || !c->requests ? o->header_timeout : o->idle_timeout);
    else if (!r->status)
        expire_in(c, o->handler_timeout);
    else
        ct_deadlines_remove(&c->server->deadlines, &c->deadline);
}

static void set_body_deadline(ct_conn *c) {
    expire_in(c, ct_pace_of_body(c));
}

/* -- Ending ---------------------------------------------------------------- */

void ct_conn_detach(ct_conn *c, bool gone) {
    ct_request *r = c->request;

    if (!r) return;
    c->request = NULL;
    r->conn = NULL;
    ct_list_remove(&c->begun);
    if (r->body.in_place) {
        if (gone)
            ct_buf_add(&r->body.bytes, ct_buf_bytes(&c->in), r->body.in_place);
        ct_buf_drain(&c->in, r->body.in_place);
    }
    if (!r->handle)
        ct_request_free(r);
    else if (gone && !c->told)
        ct_events_add(r->events, CT_EVENT_GONE, r->handle);
    c->told = false;
}

void ct_conn_close(ct_conn *c, bool reset) {
    ct_server *s = c->server;

    if (c->gone) return;
    c->told = false; /* whoever waits must look again */
    ct_conn_detach(c, true);
    c->gone = true;
    ct_deadlines_remove(&s->deadlines, &c->deadline);
    ct_list_remove(&c->corked);
    ct_list_remove(&c->node);
    ct_list_remove(&c->ready);
    ct_list_add(&s->ready, &c->ready); /* freed when its turn comes */
    ct_stream_fini(&c->stream, reset);
    ct_buf_fini(&c->in);
    ct_buf_fini(&c->out);
    ct_segments_free(&s->files, c->files);
    c->files = NULL;
    ct_seat_close(c);
    ct_listener_left(c->listener);
}

void ct_conn_free(ct_conn *c) {
    ct_list_remove(&c->ready);
    ct_free(c);
}

/* All is sent: a client that may still be sending must not get a reset, or it
 * would lose the reply (RFC 9112 §9.6). */
static void finish(ct_conn *c) {
    if (!c->linger || c->eof || ct_stream_shut(&c->stream) != 0) {
        ct_conn_close(c, false);
        return;
    }
    c->shut = true;
    ct_buf_fini(&c->in);
    set_deadline(c);
}

static void want_turn(ct_conn *c) {
    if (ct_list_is_empty(&c->ready)) ct_list_add(&c->server->ready, &c->ready);
}

/* After a change: errors that waited for their place in the pipeline, the end
 * of the connection, input that was held back. */
static void settle(ct_conn *c) {
    ct_request *r = c->request;

    if (c->gone) return;
    if (r && !r->handle && r->wire.status && !c->closing && !c->files) {
        ct_reply_error(c, r->wire.status, r->wire.reason);
        return;
    }
    if (c->closing && !c->shut && !ct_conn_has_output(c)) {
        finish(c);
        if (c->gone) return;
    }
    if (c->eof && !c->closing && !is_active(c)) {
        c->closing = true;
        ct_conn_detach(c, true);
        if (!ct_conn_has_output(c)) ct_conn_close(c, false);
    }
    if (c->stream.readable && wants_input(c)) want_turn(c);
}

/* -- Output ---------------------------------------------------------------- */

static void drained(ct_conn *c) {
    ct_request *r = c->request;
    size_t mark = c->options->write_buffer_size / 2;

    if (!r || !r->handle) return;
    if (!(r->wants_flush && !c->out.len) &&
        !(r->wants_drain && c->out.len <= mark))
        return;
    r->wants_flush = r->wants_drain = false;
    ct_events_add(r->events, CT_EVENT_DRAIN, r->handle);
}

/* Sends from `out` and what is behind it; false when the connection broke. */
static bool pump_out(ct_conn *c) {
    ssize_t n = 0;

    for (size_t burst = 0; ct_conn_has_output(c); burst += (size_t)n) {
        if (burst >= CT_SEGMENT_BURST && c->files) {
            want_turn(c);
            break;
        }
        n = ct_segments_send(&c->files, &c->server->files, &c->stream, &c->out);
        if (n == CT_STREAM_AGAIN) {
            ct_pace_begin(c);
            break;
        }
        if (n < 0) {
            ct_conn_close(c, c->files != NULL);
            return false;
        }
        ct_count_add(&c->listener->counters->sent, (uint64_t)n);
        ct_pace_hand(&c->pace, (size_t)n);
    }
    if (!ct_conn_has_output(c)) c->pace.since = 0;
    set_deadline(c);
    drained(c);
    return true;
}

static bool parse_ahead(ct_conn *c);

void ct_conn_flush(ct_conn *c) {
    ct_list_remove(&c->corked);
    if (c->gone || !pump_out(c)) return;
    if (!c->closing && !is_active(c) && c->in.len && wants_input(c) &&
        !parse_ahead(c))
        return;
    settle(c);
}

bool ct_conn_send(ct_conn *c, const char *p, size_t n) {
    if (c->gone) return false;
    if (!c->out.len) {
        while (n) {
            ssize_t k = ct_stream_send(&c->stream, p, n);

            if (k == CT_STREAM_AGAIN) break;
            if (k < 0) {
                ct_conn_close(c, false);
                return false;
            }
            ct_count_add(&c->listener->counters->sent, (uint64_t)k);
            p += k;
            n -= (size_t)k;
        }
        if (!n) return true;
    }
    ct_buf_add(&c->out, p, n);
    ct_pace_begin(c);
    set_deadline(c);
    return true;
}

static void cork(ct_conn *c, const char *p, size_t n, ct_str body) {
    ct_buf_add(&c->out, p, n);
    if (body.n) ct_buf_add(&c->out, body.p, body.n);
    if (ct_list_is_empty(&c->corked))
        ct_list_add(&c->server->corked, &c->corked);
    if (c->out.len > CORK_SIZE) ct_conn_flush(c);
}

void ct_conn_reply(ct_conn *c, const char *p, size_t n, ct_str body,
                   bool keep) {
    ct_conn_detach(c, false);
    c->requests++;
    if (keep) {
        set_deadline(c);
        if (c->in.len && wants_input(c) && !parse_ahead(c)) return;
    } else {
        c->linger |= c->in.len > 0;
        c->closing = true;
    }
    if (is_active(c) || !ct_list_is_empty(&c->corked)) {
        cork(c, p, n, body);
        return;
    }
    if (n && !ct_conn_send(c, p, n)) return;
    if (body.n && !ct_conn_send(c, body.p, body.n)) return;
    settle(c);
}

void ct_conn_reply_files(ct_conn *c, const char *p, size_t n, ct_segment *files,
                         bool keep) {
    ct_conn_detach(c, false);
    c->requests++;
    if (!keep) {
        c->linger |= c->in.len > 0;
        c->closing = true;
    }
    c->stream.more = true;
    if (!ct_conn_send(c, p, n)) {
        ct_segments_free(&c->server->files, files);
        return;
    }
    c->stream.more = false;
    c->files = files;
    ct_conn_flush(c);
}

/* -- Input ----------------------------------------------------------------- */

/* Judges a head; returns the bytes used: 0 while it is not complete. */
static size_t take_head(ct_conn *c, const char *p, size_t n) {
    ct_request *r = c->request;
    ct_server *s = c->server;

    if (!r) {
        r = c->request = ct_request_new(s);
        r->conn = c;
        r->owner = c->owner;
        r->events = c->events;
        r->peer = c->peer;
        if (c->requests) expire_in(c, c->options->header_timeout);
    }
    switch (ct_wire_head(&r->wire, &c->options->wire, p, n)) {
    case CT_WIRE_MORE: return 0;
    case CT_WIRE_BAD: return ct_request_refuse(r, p, n);
    case CT_WIRE_DONE: break;
    }
    if (!ct_request_begin(r, p)) return ct_request_refuse(r, p, n);
    ct_list_add(&s->begun, &c->begun);
    set_deadline(c);
    return r->wire.at;
}

/* Gives input to whoever reads; returns how many bytes were used. */
static size_t consume(ct_conn *c, const char *p, size_t n) {
    size_t used = 0;

    while (used < n && wants_input(c)) {
        size_t k = c->preface     ? ct_preface_take(c, p + used, n - used)
                   : is_active(c) ? ct_body_feed(c->request, p + used, n - used)
                                  : take_head(c, p + used, n - used);

        if (!k) break;
        used += k;
    }
    return used;
}

/* A body that went wrong while it was read. */
static void check_body(ct_conn *c) {
    ct_request *r = c->request;

    if (!is_active(c)) return;
    if (r->body.failed) {
        ct_reply_error(c, r->wire.status, r->wire.reason);
        return;
    }
    if (r->body.mode == CT_BODY_UNREAD) return;
    if (r->body.done || r->body.over || r->body.bytes.len > r->body.lent) {
        if (r->body.mode == CT_BODY_STREAM || r->body.done || r->body.over)
            ct_body_notify(r);
    }
    if (r->body.done || !ct_body_wants_input(r))
        set_deadline(c); /* it is the handler's turn */
    else
        set_body_deadline(c);
}

/* Uses what is in `in`, which is empty when that has ended the connection; false
 * when it is gone. */
static bool parse_ahead(ct_conn *c) {
    size_t used = consume(c, ct_buf_bytes(&c->in), c->in.len);

    if (!c->gone && !c->shut) ct_buf_drain(&c->in, used);
    return !c->gone;
}

static void take(ct_conn *c, const char *p, size_t n) {
    ct_count_add(&c->listener->counters->received, n);
    if (c->shut) {
        c->drained += (uint32_t)n;
        if (c->drained > LINGER_BYTES) ct_conn_close(c, true);
        return;
    }
    if (c->in.len) {
        ct_buf_add(&c->in, p, n);
        (void)parse_ahead(c);
    } else {
        size_t used = consume(c, p, n);

        if (used < n) ct_buf_add(&c->in, p + used, n - used);
    }
    check_body(c);
}

static void ended(ct_conn *c) {
    c->eof = true;
    if (c->shut || !is_active(c)) {
        if (ct_conn_has_output(c) && !c->shut) return; /* settle() goes on */
        ct_conn_close(c, false);
    } else if (!c->request->body.done && c->request->body.mode) {
        ct_conn_close(c, true); /* the body was cut off */
    }
}

/* An end that lies behind input which nobody has read. */
static bool is_reset(const ct_conn *c) {
    int error = 0;
    socklen_t size = sizeof error;

    return getsockopt(c->stream.fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
           error;
}

/* While a handler works nothing is read; what the socket says of its end is
 * looked at all the same. */
void ct_conn_check(ct_conn *c) {
    char byte;
    ssize_t n;

    if (c->gone || !is_active(c) || ct_body_wants_input(c->request)) return;
    n = recv(c->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if ((n < 0 && errno != EAGAIN && errno != EINTR) ||
        (n > 0 && is_reset(c))) {
        ct_conn_close(c, true);
    } else if ((n == 0 || (n > 0 && c->stream.shut)) && !c->told) {
        c->told = true;
        ct_events_add(c->request->events, CT_EVENT_GONE, c->request->handle);
    }
}

/* No system call to hear AGAIN: behind a short read there is nothing, or the end,
 * and `readable` says which. */
static void read_on(ct_conn *c) {
    ct_loop *loop = c->server->loop;
    int reads = 0;

    while (wants_input(c) && c->stream.readable) {
        if (reads++ == READS) break; /* settle() sees to the rest */
        ssize_t n = c->preface ? ct_preface_recv(c, loop->scratch)
                               : ct_stream_recv(&c->stream, loop->scratch,
                                                CT_LOOP_SCRATCH);
        if (n == CT_STREAM_AGAIN) break;
        if (n == CT_STREAM_EOF)
            ended(c);
        else if (n < 0)
            ct_secure_failed(c);
        else
            take(c, loop->scratch, (size_t)n);
        if (c->gone || c->eof) break;
    }
    settle(c);
}

void ct_conn_input(ct_conn *c) {
    if (c->files && !c->stream.want_write) ct_conn_flush(c);
    if (c->gone) return;
    read_on(c);
}

void ct_conn_read_body(ct_conn *c) {
    static const char proceed[] = "HTTP/1.1 100 Continue\r\n\r\n";
    ct_request *r = c->request;

    if (r->wire.expect && !r->body.size && !c->in.len) {
        r->wire.expect = false;
        if (!ct_conn_send(c, proceed, sizeof proceed - 1)) return;
    }
    set_body_deadline(c);
    if (c->in.len && !parse_ahead(c)) return;
    check_body(c);
    if (!c->gone && !r->body.done) read_on(c);
}

static void on_event(ct_stream *stream, int what, void *arg) {
    ct_conn *c = arg;

    (void)stream;
    if (what & CT_STREAM_WRITE) ct_conn_flush(c);
    if (c->gone || !(what & (CT_STREAM_READ | CT_STREAM_SHUT))) return;
    ct_conn_check(c);
    ct_conn_input(c);
}

/* -- Deadlines ------------------------------------------------------------- */

void ct_conn_expired(ct_conn *c) {
    ct_request *r = c->request;
    bool idle = !r || (!r->handle && !r->wire.at);

    if (c->shut || (idle && !ct_conn_has_output(c))) {
        ct_conn_close(c, false);
    } else if (ct_conn_has_output(c)) {
        if (ct_pace_is_slow(c))
            ct_conn_close(c, true);
        else
            set_deadline(c);
    } else if (!r->handle) {
        ct_reply_error(c, 408, "the head did not come in time");
    } else if (r->body.mode && !r->body.done && ct_body_wants_input(r)) {
        ct_reply_error(c, 408, "the body did not come in time");
    } else if (!r->status) {
        ct_events_add(r->events, CT_EVENT_TIMEOUT, r->handle);
        set_deadline(c);
    }
}

/* -- Beginning ------------------------------------------------------------- */

void ct_conn_open(ct_listener *l, int fd, const ct_peer *peer) {
    ct_conn *c = ct_new(ct_conn);
    ct_server *s = l->server;

    if (!ct_stream_init(&c->stream, s->loop, fd, on_event, c)) {
        ct_free(c);
        return;
    }
    c->server = s;
    ct_listener_join(l, c);
    ct_list_init(&c->corked);
    ct_list_init(&c->ready);
    ct_list_init(&c->begun);
    ct_deadline_init(&c->deadline);
    ct_list_add(&s->conns, &c->node);
    c->peer = *peer;
    ct_seat_open(c);
    ct_preface_begin(c);
    set_deadline(c);
    if (!c->preface) ct_secure_open(c);
}
