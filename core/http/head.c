/* The only file that declares evhttp's two parser functions: libevent 2.1 and
 * 2.2 export them (EVENT2_EXPORT_SYMBOL in its http-internal.h), and the build
 * checks that the library at hand does. spec/core/test_head.c pins what they
 * do. An evhttp_request costs seven allocations, so one is kept and emptied. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/head.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/wire.h"
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <string.h>
#include <sys/queue.h>

enum message_read_status {
    ALL_DATA_READ = 1,
    MORE_DATA_EXPECTED = 0,
    DATA_CORRUPTED = -1,
    REQUEST_CANCELED = -2,
    DATA_TOO_LONG = -3
};
enum message_read_status evhttp_parse_firstline_(struct evhttp_request *,
                                                 struct evbuffer *);
enum message_read_status evhttp_parse_headers_(struct evhttp_request *,
                                               struct evbuffer *);

enum { KEEP_SIZE = 1024 }; /* bytes kept from one request to the next */

/* evhttp insists on a callback; nothing ever calls it. */
static void unused(struct evhttp_request *request, void *arg) {
    (void)request;
    (void)arg;
}

void ct_head_init(ct_head *h) {
    *h = (ct_head){ .request = evhttp_request_new(unused, NULL) };
    ct_assert(h->request);
    h->request->kind = EVHTTP_REQUEST;
    h->asked = ct_new(struct evkeyvalq);
    TAILQ_INIT(h->asked);
}

void ct_head_fini(ct_head *h) {
    if (h->request) evhttp_request_free(h->request);
    if (h->asked) evhttp_clear_headers(h->asked);
    ct_free(h->asked);
    h->request = NULL;
    h->asked = NULL;
    ct_buf_fini(&h->bytes);
}

bool ct_head_parse(ct_head *h, struct evbuffer *buffer, const char *p,
                   size_t n) {
    bool good = evbuffer_add_reference(buffer, p, n, NULL, NULL) == 0 &&
                evhttp_parse_firstline_(h->request, buffer) == ALL_DATA_READ &&
                evhttp_parse_headers_(h->request, buffer) == ALL_DATA_READ;

    evbuffer_drain(buffer, evbuffer_get_length(buffer));
    h->waits = false;
    h->names = UINT64_MAX;
    return good;
}

const char *ct_head_keep(ct_head *h, struct evbuffer *buffer, const char *p,
                         size_t n, size_t from, uint64_t names) {
    h->bytes.head = h->bytes.len = 0;
    ct_buf_add(&h->bytes, p, n);
    h->buffer = buffer;
    h->from = from;
    h->names = names;
    h->waits = true;
    return ct_buf_bytes(&h->bytes);
}

/* evhttp takes every canonical head: the fuzz target of the wire holds that. Its
 * parser for the first line is half of the cost, and tells nothing new. */
static void parse_buffer(ct_head *h) {
    ct_assert(evhttp_parse_headers_(h->request, h->buffer) == ALL_DATA_READ);
}

static void parse_all(ct_head *h) {
    const char *p = ct_buf_bytes(&h->bytes) + h->from;
    size_t n = h->bytes.len - h->from;

    h->waits = false;
    ct_assert(evbuffer_add_reference(h->buffer, p, n, NULL, NULL) == 0);
    parse_buffer(h);
}

/* Gives evhttp the lines of that name alone: of a browser's dozen, handlers ask
 * for one or two. */
static void parse_named(ct_head *h, const char *name, size_t n) {
    const char *p = ct_buf_bytes(&h->bytes) + h->from, *next;
    const char *end = ct_buf_bytes(&h->bytes) + h->bytes.len;
    bool any = false;

    for (; (next = memchr(p, '\n', (size_t)(end - p))); p = next) {
        next++;
        if ((size_t)(next - p) <= n || p[n] != ':') continue;
        if (!ct_str_same(p, n, name, n)) continue;
        any = true;
        ct_assert(evbuffer_add(h->buffer, p, (size_t)(next - p)) == 0);
    }
    if (!any) return;
    ct_assert(evbuffer_add(h->buffer, "\r\n", 2) == 0);
    parse_buffer(h);
    TAILQ_CONCAT(h->asked, h->request->input_headers, next);
}

void ct_head_reset(ct_head *h) {
    struct evhttp_request *r = h->request;

    if (h->bytes.size > KEEP_SIZE) ct_buf_fini(&h->bytes);
    evhttp_clear_headers(h->asked);
    if (h->waits) {
        h->waits = false;
        return;
    }
    evhttp_clear_headers(r->input_headers);
    if (r->uri_elems) evhttp_uri_free(r->uri_elems);
    ct_free(r->uri); /* libevent allocates with ct_alloc()'s allocator */
    ct_free(r->host_cache);
    r->uri_elems = NULL;
    r->uri = NULL;
    r->host_cache = NULL;
    r->headers_size = 0;
    r->flags = 0;
}

ct_str ct_head_uri(const ct_head *h) {
    const char *uri = h->request->uri;

    return (ct_str){ uri, uri ? (uint32_t)strlen(uri) : 0 };
}

static ct_str text(const char *s) {
    return (ct_str){ s, (uint32_t)strlen(s) };
}

static bool is_named(const struct evkeyval *field, const char *name, size_t n) {
    return ct_str_same(field->key, strlen(field->key), name, n);
}

static struct evkeyval *first_named(const struct evkeyvalq *fields,
                                    const char *name, size_t n) {
    struct evkeyval *field;

    TAILQ_FOREACH(field, fields, next) {
        if (is_named(field, name, n)) break;
    }
    return field;
}

/* The list that has all fields with that name, or NULL when there are none. */
static const struct evkeyvalq *with_name(ct_head *h, const char *name,
                                         size_t n) {
    if (!n || !(h->names & ct_wire_name_bit(name, n))) return NULL;
    if (!h->waits) return h->request->input_headers;
    if (!first_named(h->asked, name, n)) parse_named(h, name, n);
    return h->asked;
}

unsigned ct_head_find(ct_head *h, const char *name, size_t n, ct_str *out) {
    const struct evkeyvalq *fields = with_name(h, name, n);
    struct evkeyval *field;
    unsigned count = 0;

    if (!fields) return 0;
    TAILQ_FOREACH(field, fields, next) {
        if (is_named(field, name, n) && !count++) *out = text(field->value);
    }
    return count;
}

bool ct_head_find_from(ct_head *h, const char *name, size_t n, uint32_t *from,
                       ct_str *out) {
    const struct evkeyvalq *fields = with_name(h, name, n);
    struct evkeyval *field;
    uint32_t i = 0;

    if (!fields) return false;
    TAILQ_FOREACH(field, fields, next) {
        if (i++ < *from || !is_named(field, name, n)) continue;
        *from = i;
        *out = text(field->value);
        return true;
    }
    return false;
}

uint32_t ct_head_fields(ct_head *h, uint32_t from, ct_pair *out, uint32_t max) {
    struct evkeyval *field;
    uint32_t i = 0, n = 0;

    if (h->waits) parse_all(h);
    TAILQ_FOREACH(field, h->request->input_headers, next) {
        if (n == max) break;
        if (i++ < from) continue;
        out[n++] = (ct_pair){ text(field->key), text(field->value) };
    }
    return n;
}
