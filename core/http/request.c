/* Requests are kept in a free list with their evhttp_request: making one of
 * those costs more than parsing a short head. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/request.h"

#include "base/mem.h"
#include "http/body.h"
#include "http/conn.h"
#include "http/server.h"
#include "io/tls.h"

enum {
    SPARE_MAX = 1024, /* requests kept */
    KEEP_SIZE = 1024, /* bytes of each buffer kept with them */
    BATCH = 64        /* requests collected before Lua has its turn */
};

ct_request *ct_request_new(ct_server *s) {
    ct_request *r;

    if (ct_list_is_empty(&s->spare)) {
        r = ct_new(ct_request);
        ct_head_init(&r->head);
        ct_list_init(&r->node);
    } else {
        r = ct_list_of(s->spare.prev, ct_request, node);
        ct_list_remove(&r->node);
        s->spare_count--;
    }
    r->server = s;
    ct_wire_init(&r->wire);
    ct_body_init(&r->body);
    s->request_count++;
    return r;
}

/* Gives r->verb and r->uri bytes of their own where evhttp was shown others
 * (see ct_wire_canonical). */
static void keep_spans(ct_request *r, const char *p) {
    const ct_wire *w = &r->wire;
    bool own = w->target.n && p[w->target.at] == '/';

    r->uri = ct_head_uri(&r->head);
    if (w->method == CT_METHOD_OTHER) {
        ct_buf_add(&r->text, p + w->verb.at, w->verb.n);
        r->verb.n = w->verb.n;
    }
    if (own) {
        ct_buf_add(&r->text, p + w->target.at, w->target.n);
        r->uri.n = w->target.n;
    }
    if (r->text.len) {
        r->verb.p = ct_buf_bytes(&r->text);
        if (own) r->uri.p = r->verb.p + r->verb.n;
    }
}

/* Gives the head to evhttp as evhttp must see it. */
static bool parse_canonical(ct_request *r, const char *p) {
    const ct_wire *w = &r->wire;
    char *canonical = ct_alloc(w->at + 64);
    bool good = ct_head_parse(&r->head, r->server->head_buffer, canonical,
                              ct_wire_canonical(w, p, canonical));

    ct_free(canonical);
    if (good) keep_spans(r, p);
    return good;
}

static bool parse(ct_request *r, const char *p) {
    static const char version[] = " HTTP/1.1\r\n";
    const ct_wire *w = &r->wire;

    if (!w->canonical) return parse_canonical(r, p);
    p = ct_head_keep(&r->head, r->server->head_buffer, p, w->at,
                     w->target.at + w->target.n + sizeof version - 1, w->names);
    r->verb = (ct_str){ p + w->verb.at, w->verb.n };
    r->uri = (ct_str){ p + w->target.at, w->target.n };
    return true;
}

size_t ct_request_refuse(ct_request *r, const char *p, size_t n) {
    const ct_wire *w = &r->wire;

    if (n < w->verb.at + w->verb.n || n < w->target.at + w->target.n) return n;
    ct_buf_add(&r->text, p + w->verb.at, w->verb.n);
    ct_buf_add(&r->text, p + w->target.at, w->target.n);
    r->verb = (ct_str){ ct_buf_bytes(&r->text), w->verb.n };
    r->uri = (ct_str){ r->verb.p + w->verb.n, w->target.n };
    return n;
}

bool ct_request_begin(ct_request *r, const char *p) {
    ct_server *s = r->server;

    if (__builtin_expect(s->scarce, 0) && !ct_mem_refill()) {
        r->wire.status = 503;
        r->wire.reason = "there is no memory";
        return false;
    }
    if (!parse(r, p)) {
        r->wire.status = 400;
        r->wire.reason = "refused by the head's parser";
        return false;
    }
    r->handle = ct_slots_add(&s->requests, r);
    if (!r->handle) {
        r->wire.status = 503;
        r->wire.reason = "too many requests at once";
        return false;
    }
    r->secure = r->conn->secure || ct_tls_is_on(&r->conn->stream);
    r->started = s->loop->clock.wall;
    r->precise = s->loop->clock.precise;
    r->body.done = !ct_wire_has_body(&r->wire);
    s->handled++;
    ct_events_add(r->events, CT_EVENT_REQUEST, r->handle);
    if (r->events->count >= BATCH) ct_loop_yield(s->loop);
    return true;
}

/* Emptied, with its memory if that is little. */
static ct_buf emptied(ct_buf b) {
    if (b.size > KEEP_SIZE) ct_buf_fini(&b);
    b.head = b.len = 0;
    return b;
}

static void reset(ct_request *r) {
    ct_head head = r->head;

    ct_head_reset(&head);
    ct_buf_fini(&r->text);
    *r = (ct_request){ .head = head,
                       .fields = emptied(r->fields),
                       .cookies = emptied(r->cookies) };
    ct_list_init(&r->node);
}

void ct_request_destroy(ct_request *r) {
    ct_head_fini(&r->head);
    ct_buf_fini(&r->fields);
    ct_buf_fini(&r->cookies);
    ct_free(r);
}

void ct_request_free(ct_request *r) {
    ct_server *s = r->server;

    if (r->handle && !r->counted) ct_count_add(&s->loop->counters->cut, 1);
    if (r->handle) ct_slots_remove(&s->requests, r->handle);
    ct_body_fini(&r->body);
    ct_coding_free(r->coding);
    s->request_count--;
    reset(r);
    if (s->spare_count >= SPARE_MAX) {
        ct_request_destroy(r);
        return;
    }
    ct_list_add(&s->spare, &r->node);
    s->spare_count++;
}
