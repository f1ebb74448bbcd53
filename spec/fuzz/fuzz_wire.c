/* Fuzzes the wire: an input's first byte seeds how the rest is cut. Whole and
 * in pieces it must come to the same end, every piece in memory of its own; and
 * the canonical head must say the same as the head, to the wire itself, and be
 * taken by evhttp, each of its fields among those that the wire has noted.
 * clang -g -O1 -fsanitize=fuzzer,address,undefined -Icore -D_GNU_SOURCE */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/head.h"
#include "http/wire.h"

#include "pieces.h"
#include <event2/buffer.h>

static const ct_wire_limits limits = { 512, 2048, 16 };

/* What became of an input; `body` has room for all of it. */
typedef struct outcome {
    ct_wire wire;
    ct_wire_verdict verdict;
    bool head;
    size_t used, size;
    char *body;
} outcome;

static bool same_span(ct_wire_span a, ct_wire_span b) {
    return a.at == b.at && a.n == b.n;
}

static bool span_fits(ct_wire_span s, uint32_t at) {
    return s.at <= at && s.n <= at - s.at;
}

/* `a` and `b` are spans of the heads `p` and `q`. */
static bool same_bytes(const char *p, ct_wire_span a, const char *q,
                       ct_wire_span b) {
    return a.n == b.n && memcmp(p + a.at, q + b.at, a.n) == 0;
}

/* -- The canonical head --------------------------------------------------- */

static void check_target(const ct_wire *w, const char *p, const ct_wire *c,
                         const char *out) {
    const char *t = p + w->target.at, *u = out + c->target.at;

    expect(c->target.n > 0, "canonical target");
    if (w->target.n == 0)
        expect(c->target.n == 1, "target of an empty path");
    else if (w->target.n > 1 && t[0] == '/' && t[1] == '/')
        expect(c->target.n == 1 && *u == '/', "target of two slashes");
    else if (t[0] == '?')
        expect(*u == '/' && c->target.n == w->target.n + 1 &&
                   memcmp(u + 1, t, w->target.n) == 0,
               "target of a query");
    else
        expect(same_bytes(p, w->target, out, c->target), "target");
}

/* evhttp is asked late, when nothing could be refused any more. */
static void check_evhttp(const ct_wire *c, const char *p) {
    struct evbuffer *buffer = evbuffer_new();
    ct_pair field;
    ct_str uri, value;
    ct_head h;

    ct_head_init(&h);
    expect(ct_head_parse(&h, buffer, p, c->at), "evhttp takes it");
    uri = ct_head_uri(&h);
    expect(uri.n == c->target.n && !memcmp(uri.p, p + c->target.at, uri.n),
           "evhttp's target");
    expect(ct_head_fields(&h, c->fields, &field, 1) == 0, "evhttp's fields");
    ct_head_reset(&h);
    ct_head_keep(&h, buffer, p, c->at, c->target.at + c->target.n + 11,
                 c->names);
    for (uint32_t i = 0; i < c->fields; i++) {
        expect(ct_head_fields(&h, i, &field, 1) == 1, "a field");
        expect(ct_head_find(&h, field.name.p, field.name.n, &value) > 0,
               "a field's name");
    }
    ct_head_fini(&h);
    evbuffer_free(buffer);
}

static void check_canonical(const ct_wire *w, const char *p) {
    const ct_wire_limits wide = { 1024, 4096, 17 };
    char *out = malloc(w->at + 64);
    size_t n = ct_wire_canonical(w, p, out);
    ct_wire c;

    expect(n <= w->at + 64, "canonical length");
    ct_wire_init(&c);
    expect(ct_wire_head(&c, &wide, out, n) == CT_WIRE_DONE, "canonical parses");
    expect(c.at == n, "canonical is one head");
    expect(c.canonical && !c.absolute, "canonical is canonical");
    expect(c.minor == w->minor, "canonical version");
    if (w->verb.n < 3 || w->method == CT_METHOD_CONNECT)
        expect(c.method == CT_METHOD_GET, "method's stand-in");
    else
        expect(c.method == w->method && same_bytes(p, w->verb, out, c.verb),
               "canonical method");
    expect(same_bytes(p, w->host, out, c.host), "canonical host");
    expect(c.length == w->length && c.has_length == w->has_length,
           "canonical length");
    expect(c.chunked == w->chunked && c.expect == w->expect &&
               c.keep_alive == w->keep_alive && c.upgrade == w->upgrade,
           "canonical flags");
    check_target(w, p, &c, out);
    check_evhttp(&c, out);
    free(out);
}

static void check_head(const ct_wire *w, const char *p, size_t n) {
    expect(w->at <= n && w->at - w->verb.at <= limits.max_header_size, "at");
    expect(memcmp(p + w->at - 4, "\r\n\r\n", 4) == 0, "end of the head");
    expect(w->fields <= limits.max_fields, "fields");
    expect(span_fits(w->verb, w->at) && span_fits(w->target, w->at) &&
               span_fits(w->host, w->at) &&
               (w->path <= w->target.n || w->target.n == 0),
           "spans");
    expect(!(w->chunked && w->has_length), "one framing");
    expect(w->minor == 0 || w->has_host, "a Host");
    check_canonical(w, p);
}

/* -- Feeding -------------------------------------------------------------- */

static void feed_body(outcome *o, const char *p, size_t n) {
    do {
        const char *data;
        size_t used, size;

        o->verdict = ct_wire_body(&o->wire, p, n, &used, &data, &size);
        expect(used <= n && size <= used, "used");
        expect(size == 0 || (data >= p && data + size <= p + used), "data");
        expect(used || n == 0 || o->verdict != CT_WIRE_MORE, "progress");
        memcpy(o->body + o->size, data, size);
        o->size += size;
        o->used += used;
        p += used;
        n -= used;
    } while (o->verdict == CT_WIRE_MORE && n);
}

/* The input has its first `n` bytes now: `p` has these and no more. */
static void feed(outcome *o, const char *p, size_t n) {
    if (o->verdict != CT_WIRE_MORE) return;
    if (!o->head) {
        o->verdict = ct_wire_head(&o->wire, &limits, p, n);
        o->used = o->wire.at;
        expect(o->used <= n, "at");
        if (o->verdict == CT_WIRE_MORE) expect(o->used == n, "takes all");
        if (o->verdict != CT_WIRE_DONE) return;
        o->head = true;
        check_head(&o->wire, p, n);
        if (!ct_wire_has_body(&o->wire)) return;
        o->verdict = CT_WIRE_MORE;
    }
    feed_body(o, p + o->used, n - o->used);
}

/* Feeds all in pieces of 1 to `most` bytes; `seed` says of how many. */
static void run(outcome *o, const uint8_t *data, size_t size, uint32_t seed,
                size_t most) {
    size_t end = 0;

    memset(o, 0, sizeof *o);
    ct_wire_init(&o->wire);
    o->body = malloc(size + 1);
    while (end < size) {
        char *copy;

        seed = seed * 1664525 + 1013904223;
        end += 1 + (seed >> 8) % most;
        if (end > size) end = size;
        copy = malloc(end);
        memcpy(copy, data, end);
        feed(o, copy, end);
        free(copy);
    }
}

static void check_same(const outcome *a, const outcome *b) {
    const ct_wire *v = &a->wire, *w = &b->wire;

    expect(a->verdict == b->verdict && a->head == b->head, "same verdict");
    expect(v->status == w->status && v->reason == w->reason, "same status");
    expect(a->used == b->used && v->at == w->at, "same offsets");
    expect(v->fields == w->fields && v->path == w->path &&
               v->length == w->length && v->left == w->left &&
               v->extra == w->extra && v->canonical == w->canonical,
           "same state");
    expect(same_span(v->verb, w->verb) && same_span(v->target, w->target) &&
               same_span(v->host, w->host),
           "same spans");
    expect(a->size == b->size && memcmp(a->body, b->body, a->size) == 0,
           "same body");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    outcome whole, cut;

    if (size < 2) return 0;
    run(&whole, data + 1, size - 1, 0, 1);
    for (size_t most = 4; most <= 256; most *= 8) {
        run(&cut, data + 1, size - 1, data[0], most);
        check_same(&whole, &cut);
        free(cut.body);
    }
    memset(&cut, 0, sizeof cut);
    ct_wire_init(&cut.wire);
    cut.body = malloc(size);
    feed(&cut, (const char *)data + 1, size - 1);
    check_same(&whole, &cut);
    free(cut.body);
    free(whole.body);
    return 0;
}
