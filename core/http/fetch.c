/* What libcurl gives is kept until its owner reads it. A stream that is not read
 * is paused when CT_FETCH_AHEAD bytes are here, so that TCP holds the server
 * back; so is an upload that has nothing to send (fetch_upload.c). */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/fetch.h"

#include "base/mem.h"
#include <string.h>

void ct_fetch_tell(ct_fetch *f) {
    if (f->told || !f->client) return;
    f->told = true;
    f->client->fn(f->tag, f->client->arg);
}

/* -- What libcurl calls ------------------------------------------------------ */

size_t ct_fetch_give_up(ct_fetch *f, ct_fetch_failure failure,
                        const char *why) {
    if (f->failure == CT_FETCH_OK) {
        f->failure = failure;
        f->reason = why;
    }
    return CURL_WRITEFUNC_ERROR;
}

/* A 401 that libcurl will answer by itself (digest) is no head to tell of. */
static bool may_go_on(const ct_fetch *f) {
    return (f->head.code == 401 && f->flags & CT_FETCH_DIGEST) ||
           (f->head.code == 407 && f->flags & CT_FETCH_PROXY_DIGEST);
}

/* The final response is here, with its head at least. */
static bool has_answer(const ct_fetch *f) {
    return f->head.whole && !f->of_proxy && !may_go_on(f);
}

/* Whether the head at hand answers CONNECT: then libcurl has another code, or none,
 * for the response. One that opens the tunnel is forgotten. */
static bool is_of_proxy(ct_fetch *f) {
    ct_response *head = &f->head;
    long code = 0;

    if (!f->tunnels) return false;
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &code);
    f->of_proxy = head->code != (uint32_t)code;
    if (f->of_proxy && head->whole && head->code < 300)
        ct_response_init(head, head->max);
    return f->of_proxy;
}

/* A line of the head. What a proxy's fields say of a body is ignored (RFC 9110
 * §9.3.6), so they may say anything. */
static bool take_line(ct_fetch *f, const char *p, size_t n) {
    bool good = ct_response_line(&f->head, p, n);

    return is_of_proxy(f) ? !f->head.over : good;
}

size_t ct_fetch_on_head(char *p, size_t size, size_t n, void *arg) {
    ct_fetch *f = arg;
    ct_response *head = &f->head;
    bool whole = head->whole;

    n *= size;
    if (!take_line(f, p, n))
        return ct_fetch_give_up(
            f, head->over ? CT_FETCH_HEADER_MAX : CT_FETCH_BAD, head->why);
    if (whole || !head->whole || f->of_proxy) return n;
    if (head->has_length && (double)head->length > f->max_body &&
        !(f->flags & CT_FETCH_HEAD) && head->code != 304)
        return ct_fetch_give_up(f, CT_FETCH_BODY_MAX,
                                "Content-Length too long");
    ct_fetch_tls_watch(f);
    if (f->flags & CT_FETCH_STREAM && !may_go_on(f)) ct_fetch_tell(f);
    return n;
}

size_t ct_fetch_on_body(char *p, size_t size, size_t n, void *arg) {
    ct_fetch *f = arg;

    n *= size;
    if (ct_fetch_body_is_full(f)) {
        f->recv_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (!ct_fetch_body_add(f, p, n)) return CURL_WRITEFUNC_ERROR;
    if (f->flags & CT_FETCH_STREAM) ct_fetch_tell(f);
    return n;
}

/* libcurl goes on sending what the server has answered already, until that takes
 * it, which may be never; and forgets that an upload is paused when it stops. */
void ct_fetch_on_silence(ct_fetch *f) {
    const ct_response *head = &f->head;

    if (!(f->flags & (CT_FETCH_BODY | CT_FETCH_UPLOAD)) || !f->running ||
        f->recv_paused || head->code == 417 || !has_answer(f))
        return;
    ct_list_remove(&f->node);
    ct_list_add(&f->client->answered, &f->node);
}

/* Whether all of the response is here, as far as its head tells. */
static bool is_answered(const ct_fetch *f) {
    return has_answer(f) && f->head.has_length &&
           f->raw >= (double)f->head.length;
}

/* -- The end ----------------------------------------------------------------- */

static double seconds_of(const ct_fetch *f, CURLINFO what) {
    curl_off_t us = 0;

    curl_easy_getinfo(f->easy, what, &us);
    return (double)us / 1e6;
}

static ct_fetch_failure failure_of(const ct_fetch *f, CURLcode result) {
    if (f->of_proxy && f->head.whole) return CT_FETCH_NO_TUNNEL;
    switch (result) {
    case CURLE_OPERATION_TIMEDOUT:
        return seconds_of(f, CURLINFO_PRETRANSFER_TIME_T) > 0
                   ? CT_FETCH_TIMEOUT
                   : CT_FETCH_CONNECT_TIMEOUT;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return CT_FETCH_CLOSED;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING: return CT_FETCH_BAD;
    default: return CT_FETCH_FAILED;
    }
}

static void stop(ct_fetch *f) {
    curl_multi_remove_handle(f->client->multi, f->easy);
    f->running = false;
    ct_list_remove(&f->node);
}

/* libcurl goes over to a new connection when a kept one turns out to be closed,
 * five times in the life of a handle: only a reset makes it count anew. */
static bool has_connected(const ct_fetch *f) {
    long connects = 0;

    curl_easy_getinfo(f->easy, CURLINFO_NUM_CONNECTS, &connects);
    return connects > 0;
}

/* libcurl takes a head that ends with the connection for a whole one, and calls a
 * line that is longer than it can hold (100 KiB) a lack of memory. */
static void check_head(ct_fetch *f, CURLcode result) {
    if (f->failure != CT_FETCH_OK || f->head.whole || !f->head.code) return;
    if (result == CURLE_OK) {
        f->failure = CT_FETCH_CLOSED;
        f->reason = "the connection was closed within the header";
    } else if (result == CURLE_OUT_OF_MEMORY) {
        f->failure = CT_FETCH_HEADER_MAX;
        f->reason = "the header is too long";
    }
}

void ct_fetch_finish(ct_fetch *f, CURLcode result) {
    if (result != CURLE_OK || has_connected(f)) f->dirty = true;
    if (result == CURLE_SEND_ERROR && is_answered(f)) result = CURLE_OK;
    check_head(f, result);
    if (result == CURLE_OK) ct_fetch_tls_check(f);
    if (result == CURLE_OK) ct_fetch_body_check(f);
    if (result != CURLE_OK && f->failure == CT_FETCH_OK) {
        f->failure = failure_of(f, result);
        if (f->refused) f->reason = "the address is not public";
    }
    f->code = result;
    f->done = true;
    stop(f);
    ct_fetch_tell(f);
}

void ct_fetch_answer(ct_fetch *f) {
    f->dirty = true;
    ct_fetch_finish(f, CURLE_OK);
}

void ct_fetch_orphan(ct_fetch *f) {
    f->failure = CT_FETCH_CLOSED;
    f->reason = "the client was closed";
    f->done = true;
    stop(f);
    ct_fetch_tell(f);
    f->client = NULL;
}

void ct_fetch_describe(ct_fetch *f, ct_fetch_info *out) {
    static const CURLINFO times[CT_FETCH_TIMES] = {
        CURLINFO_NAMELOOKUP_TIME_T,    CURLINFO_CONNECT_TIME_T,
        CURLINFO_APPCONNECT_TIME_T,    CURLINFO_PRETRANSFER_TIME_T,
        CURLINFO_STARTTRANSFER_TIME_T, CURLINFO_TOTAL_TIME_T,
        CURLINFO_REDIRECT_TIME_T,
    };
    const ct_buf *lines = &f->head.lines;
    const char *why = f->reason ? f->reason
                      : *f->why ? f->why
                                : curl_easy_strerror(f->code);

    f->told = false;
    *out = (ct_fetch_info){ .whole = f->head.whole && !f->of_proxy &&
                                     (f->done || !may_go_on(f)),
                            .done = f->done,
                            .failure = f->failure,
                            .curl = f->code,
                            .code = f->head.code,
                            .version = f->head.version,
                            .why = { why, (uint32_t)strlen(why) } };
    if (lines->len)
        out->head = (ct_str){ ct_buf_bytes(lines), (uint32_t)lines->len };
    if (!f->done) return;
    for (int i = 0; i < CT_FETCH_TIMES; i++)
        out->times[i] = seconds_of(f, times[i]);
}

/* -- Streams ------------------------------------------------------------------ */

/* Goes on in both directions as far as they are not paused. libcurl calls back
 * from here, and may pause again. */
static void go_on(ct_fetch *f) {
    int paused = (f->recv_paused ? CURLPAUSE_RECV : 0) |
                 (f->send_paused ? CURLPAUSE_SEND : 0);

    curl_easy_pause(f->easy, paused);
    ct_client_settle(f->client);
}

/* What it finds is the end of a fetch that runs, too. */
static void decode_more(ct_fetch *f) {
    bool good = !f->more || ct_fetch_body_resume(f);

    if (!good) f->more = false;
    if (f->done) ct_fetch_body_check(f);
    if (good || !f->running) return;
    f->dirty = f->done = true;
    stop(f);
    ct_client_settle(f->client);
}

int ct_fetch_read(ct_fetch *f, ct_str *out) {
    if (f->read) ct_buf_drain(&f->body, f->read);
    f->read = 0;
    f->told = false;
    decode_more(f);
    if (f->recv_paused && f->running && !ct_fetch_body_is_full(f)) {
        f->recv_paused = false;
        go_on(f);
    }
    if (!f->body.len) return f->done ? CT_EOF : CT_AGAIN;
    *out = (ct_str){ ct_buf_bytes(&f->body), (uint32_t)f->body.len };
    f->read = f->body.len;
    return CT_OK;
}

int ct_fetch_write(ct_fetch *f, const char *p, size_t n) {
    f->told = false;
    if (f->done || f->upload_ended) return CT_EOF;
    if (f->upload.len >= CT_FETCH_AHEAD) return CT_LIMIT;
    if (n) ct_buf_add(&f->upload, p, n);
    if (!n || !f->send_paused) return CT_OK;
    f->send_paused = false;
    go_on(f);
    return CT_OK;
}

int ct_fetch_write_end(ct_fetch *f) {
    if (f->done || f->upload_ended) return CT_EOF;
    f->upload_ended = true;
    if (!f->send_paused) return CT_OK;
    f->send_paused = false;
    go_on(f);
    return CT_OK;
}

/* -- Life ----------------------------------------------------------------------- */

ct_fetch *ct_fetch_take(ct_client *c, uint32_t tag) {
    ct_fetch *f;

    if (!ct_list_is_empty(&c->idle)) {
        f = ct_list_of(c->idle.next, ct_fetch, node);
        ct_list_remove(&f->node);
        c->idle_count--;
    } else {
        CURL *easy = curl_easy_init();

        if (!easy) return NULL;
        f = ct_new(ct_fetch);
        f->easy = easy;
        ct_list_init(&f->node);
    }
    f->client = c;
    f->tag = tag;
    return f;
}

bool ct_fetch_start(ct_fetch *f, const ct_fetch_request *r) {
    ct_client *c = f->client;

    ct_response_init(&f->head, r->max_header_size);
    f->flags = r->flags;
    f->max_body = r->max_body_size;
    if (!ct_fetch_setup(f, r)) return false;
    if (curl_multi_add_handle(c->multi, f->easy) != CURLM_OK) return false;
    f->running = true;
    ct_list_add(&c->running, &f->node);
    ct_client_kick(c);
    return true;
}

/* What made the handle dirty goes, with all that it had. */
static void reset(ct_fetch *f) {
    curl_easy_reset(f->easy);
    curl_slist_free_all(f->list);
    curl_slist_free_all(f->connect_to);
    curl_slist_free_all(f->resolve);
    f->list = f->connect_to = f->resolve = NULL;
    ct_buf_fini(&f->fields);
    ct_buf_fini(&f->url);
    ct_buf_fini(&f->method);
    f->set = f->dirty = f->proxied = false;
}

/* Forgets what was one request's. */
static void clear(ct_fetch *f) {
    if (f->dirty) reset(f);
    ct_fetch_body_fini(f);
    ct_fetch_tls_fini(f);
    ct_buf_fini(&f->upload);
    if (f->head.lines.size > 4096) ct_response_fini(&f->head);
    ct_free(f->data);
    f->data = NULL;
    f->read = 0;
    f->failure = CT_FETCH_OK;
    f->code = CURLE_OK;
    f->why[0] = 0;
    f->reason = NULL;
    f->done = f->told = f->upload_ended = f->refused = false;
    f->tunnels = f->of_proxy = false;
    f->sent = (ct_fetch_sent){ 0 };
    f->recv_paused = f->send_paused = false;
}

void ct_fetch_give(ct_fetch *f) {
    ct_client *c = f->client;

    if (f->running) {
        stop(f);
        ct_client_settle(c);
    }
    if (!c || c->idle_count >= CT_CLIENT_KEPT) {
        ct_fetch_free(f);
        return;
    }
    clear(f);
    f->node.next = c->idle.next; /* the last one first: it is in the cache */
    f->node.prev = &c->idle;
    c->idle.next->prev = &f->node;
    c->idle.next = &f->node;
    c->idle_count++;
}

void ct_fetch_free(ct_fetch *f) {
    ct_list_remove(&f->node);
    clear(f);
    reset(f);
    curl_easy_cleanup(f->easy);
    ct_response_fini(&f->head);
    ct_free(f);
}
