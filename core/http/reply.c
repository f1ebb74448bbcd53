/* A reply is composed in the loop's scratch memory and sent from there: no
 * allocation and one system call. Only what the socket does not take is kept,
 * and replies to pipelined requests, which leave together. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/reply.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/version.h"
#include "http/access.h"
#include "http/body.h"
#include "http/fields.h"
#include "http/listener.h"
#include "http/server.h"
#include <stdio.h>
#include <string.h>

enum {
    HEAD_ROOM = 512, /* status line and the fields that are C's */
    PIECE_ROOM = 32  /* a chunk's frame */
};

/* -- Status ---------------------------------------------------------------- */

typedef struct status_line {
    uint16_t status;
    const char *reason;
} status_line;

static const status_line lines[] = {
    { 100, "Continue" },
    { 101, "Switching Protocols" },
    { 102, "Processing" },
    { 103, "Early Hints" },
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 203, "Non-Authoritative Information" },
    { 204, "No Content" },
    { 205, "Reset Content" },
    { 206, "Partial Content" },
    { 207, "Multi-Status" },
    { 208, "Already Reported" },
    { 226, "IM Used" },
    { 300, "Multiple Choices" },
    { 301, "Moved Permanently" },
    { 302, "Found" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 305, "Use Proxy" },
    { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 402, "Payment Required" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 407, "Proxy Authentication Required" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 411, "Length Required" },
    { 412, "Precondition Failed" },
    { 413, "Request Entity Too Large" },
    { 414, "Request-URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 416, "Requested Range Not Satisfiable" },
    { 417, "Expectation Failed" },
    { 418, "I'm a Teapot" },
    { 421, "Misdirected Request" },
    { 422, "Unprocessable Entity" },
    { 423, "Locked" },
    { 424, "Failed Dependency" },
    { 425, "Too Early" },
    { 426, "Upgrade Required" },
    { 428, "Precondition Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 451, "Unavailable For Legal Reasons" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
    { 506, "Variant Also Negotiates" },
    { 507, "Insufficient Storage" },
    { 508, "Loop Detected" },
    { 510, "Not Extended" },
    { 511, "Network Authentication Required" },
};

const char *ct_reply_reason(uint32_t status) {
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (lines[i].status == status) return lines[i].reason;
    return "Unknown";
}

static bool is_bodiless(const ct_request *r, uint32_t status) {
    return r->wire.method == CT_METHOD_HEAD || status < 200 || status == 204 ||
           status == 304;
}

/* -- Composing ------------------------------------------------------------- */

static char *put(char *at, const char *p, size_t n) {
    if (n) memcpy(at, p, n);
    return at + n;
}

#define PUT(at, text) put(at, text, sizeof(text) - 1)

static char *put_status(char *at, uint32_t status, ct_str reason) {
    if (status == 200 && !reason.n) return PUT(at, "HTTP/1.1 200 OK\r\n");
    at = PUT(at, "HTTP/1.1 ");
    at += ct_str_from_u64(at, status);
    *at++ = ' ';
    if (!reason.n) reason.p = ct_reply_reason(status);
    if (!reason.n) reason.n = (uint32_t)strlen(reason.p);
    at = put(at, reason.p, reason.n);
    return PUT(at, "\r\n");
}

static bool has_field(const ct_request *r, const char *name) {
    ct_str value;

    if (!r->fields.len) return false;
    return ct_fields_find(&r->fields, (ct_str){ name, (uint32_t)strlen(name) },
                          0, &value);
}

static size_t head_room(const ct_request *r, const ct_reply_head *h) {
    return HEAD_ROOM + h->reason.n + h->type.n + r->fields.len + r->cookies.len;
}

static char *put_length(char *at, double length) {
    at = PUT(at, "Content-Length: ");
    at += ct_str_from_u64(at, (uint64_t)length);
    return PUT(at, "\r\n");
}

static char *put_connection(char *at, const ct_request *r, bool keep) {
    if (!keep && r->wire.minor) return PUT(at, "Connection: close\r\n");
    if (keep && !r->wire.minor) return PUT(at, "Connection: Keep-Alive\r\n");
    return at;
}

/* Writes the head; `h->length` decides the framing (< 0 and not chunked: none).
 * Room: head_room(). */
static char *put_head(char *at, const ct_request *r, const ct_reply_head *h,
                      bool keep) {
    at = put_status(at, h->status, h->reason);
    if (!(h->flags & CT_REPLY_NO_SERVER) && !has_field(r, "Server"))
        at = PUT(at, "Server: ctornado/" CT_VERSION_TEXT "\r\n");
    if (h->type.n) {
        at = PUT(at, "Content-Type: ");
        at = put(at, h->type.p, h->type.n);
        at = PUT(at, "\r\n");
    }
    if (!has_field(r, "Date")) {
        at = PUT(at, "Date: ");
        at = put(at, r->server->loop->clock.date, CT_DATE_LEN);
        at = PUT(at, "\r\n");
    }
    at = put(at, ct_buf_bytes(&r->fields), r->fields.len);
    at = put(at, ct_buf_bytes(&r->cookies), r->cookies.len);
    if (r->chunked)
        at = PUT(at, "Transfer-Encoding: chunked\r\n");
    else if (h->length >= 0 && h->status >= 200 && h->status != 204)
        at = put_length(at, h->length); /* RFC 9110 8.6 */
    at = put_connection(at, r, keep);
    return PUT(at, "\r\n");
}

/* Memory for `n` bytes of one reply: the scratch, or, for large ones, memory
 * that *owned says to free. */
static char *room(const ct_request *r, size_t n, char **owned) {
    *owned = NULL;
    if (n <= CT_LOOP_SCRATCH) return r->server->loop->scratch;
    return *owned = ct_alloc(n);
}

/* -- Keeping or closing ---------------------------------------------------- */

/* The body that nobody read: dropped if it is at hand, else the connection
 * cannot go on. */
static bool body_is_over(ct_request *r) {
    ct_conn *c = r->conn;
    size_t used;

    if (r->body.done) return true;
    if (r->body.over || r->body.failed) return false;
    if (r->wire.expect && !r->body.size && !c->in.len) return false;
    r->body.mode = CT_BODY_DISCARD;
    used = ct_body_feed(r, ct_buf_bytes(&c->in), c->in.len);
    ct_buf_drain(&c->in, used);
    return r->body.done;
}

/* Ends the reading of the body; false when the connection cannot go on. */
static bool end_body(ct_request *r) {
    if (body_is_over(r)) return true;
    r->conn->linger = true;
    return false;
}

static bool may_keep(const ct_request *r, uint32_t flags) {
    const ct_conn *c = r->conn;

    if (!r->wire.keep_alive || (flags & CT_REPLY_CLOSE)) return false;
    /* Clients wait for another reply behind it, and would take the next. */
    if (r->status < 200 && r->status != 101) return false;
    if (c->listener->fading) return false;
    if (c->eof && c->in.len <= r->body.in_place) return false;
    return c->requests + 1 < c->options->max_keepalive_requests;
}

static bool keeps(ct_request *r, uint32_t flags) {
    return end_body(r) && may_keep(r, flags);
}

/* A handler that answers while it reads: its body is looked at in the end. */
static bool reads_on(const ct_request *r) {
    const ct_body *b = &r->body;

    return b->mode == CT_BODY_STREAM && !b->done && !b->over && !b->failed;
}

/* -- Counting -------------------------------------------------------------- */

void ct_reply_count(ct_request *r) {
    const ct_loop *loop = r->server->loop;

    r->counted = true;
    ct_counters_reply(r->conn->listener->counters,
                      loop->slots + r->handler * CT_COUNT_UNIT, r->wire.method,
                      r->status, ct_clock_precise() - r->precise);
}

/* -- Whole replies --------------------------------------------------------- */

static double announced(const ct_request *r, const ct_reply_head *h,
                        ct_str body) {
    if (h->status < 200 || h->status == 204) return -1;
    if (h->status == 304 && !(h->flags & CT_REPLY_LENGTH)) return -1;
    if (r->bodiless && (h->flags & CT_REPLY_LENGTH)) return h->length;
    return body.n;
}

static int begin(ct_request *r, const ct_reply_head *h) {
    if (!r->conn) return r->complete ? CT_ERROR : CT_CLOSED;
    if (r->status) return CT_ERROR;
    r->status = (uint16_t)h->status;
    r->handler = (uint16_t)(h->flags / CT_REPLY_HANDLER);
    r->bodiless = is_bodiless(r, h->status);
    r->sent = 0;
    return CT_OK;
}

int ct_reply_send(ct_request *r, const ct_reply_head *h, ct_str body) {
    ct_reply_head head = *h;
    ct_conn *c = r->conn;
    char *owned, *start, *at;
    size_t head_size = head_room(r, h);
    int status = begin(r, h);
    bool keep;

    if (status != CT_OK) return status;
    keep = keeps(r, h->flags);
    head.length = announced(r, h, body);
    start = room(r, head_size, &owned);
    at = put_head(start, r, &head, keep);
    if (r->bodiless) body.n = 0;
    r->sent = body.n;
    r->complete = true;
    if (head_size + body.n <= CT_LOOP_SCRATCH) {
        at = put(at, body.p, body.n);
        body.n = 0;
    }
    ct_reply_count(r);
    ct_conn_reply(c, start, (size_t)(at - start), body, keep);
    ct_free(owned);
    return CT_OK;
}

int ct_reply_files(ct_request *r, const ct_reply_head *h, ct_segment *files) {
    char *owned, *start, *at;
    int status = begin(r, h);
    bool keep;

    if (status != CT_OK) {
        ct_segments_free(&r->server->files, files);
        return status;
    }
    keep = keeps(r, h->flags);
    start = room(r, head_room(r, h), &owned);
    at = put_head(start, r, h, keep);
    r->sent = h->length;
    r->complete = true;
    ct_reply_count(r);
    ct_conn_reply_files(r->conn, start, (size_t)(at - start), files, keep);
    ct_free(owned);
    return CT_OK;
}

/* -- Streamed replies ------------------------------------------------------ */

int ct_reply_start(ct_request *r, const ct_reply_head *h) {
    char *owned, *start, *at;
    bool keep, good;
    int status = begin(r, h);

    if (status != CT_OK) return status;
    r->left = h->length;
    r->chunked = h->length < 0 && !r->bodiless && r->wire.minor;
    keep = reads_on(r) ? may_keep(r, h->flags) : keeps(r, h->flags);
    if (h->length < 0 && !r->chunked && !r->bodiless) keep = false;
    r->wire.keep_alive = keep;
    start = room(r, head_room(r, h), &owned);
    at = put_head(start, r, h, keep || h->status == 101); /* no "close" */
    good = ct_conn_send(r->conn, start, (size_t)(at - start));
    ct_free(owned);
    return good ? CT_OK : CT_CLOSED;
}

static bool send_chunk(ct_request *r, ct_str piece) {
    char *start = r->server->loop->scratch, *at = start;
    ct_conn *c = r->conn;

    at += ct_str_from_hex(at, piece.n);
    at = PUT(at, "\r\n");
    if (piece.n + PIECE_ROOM <= CT_LOOP_SCRATCH) {
        at = put(at, piece.p, piece.n);
        at = PUT(at, "\r\n");
        return ct_conn_send(c, start, (size_t)(at - start));
    }
    return ct_conn_send(c, start, (size_t)(at - start)) &&
           ct_conn_send(c, piece.p, piece.n) && ct_conn_send(c, "\r\n", 2);
}

int ct_reply_write(ct_request *r, ct_str piece) {
    ct_conn *c = r->conn;

    if (!c) return r->complete ? CT_ERROR : CT_CLOSED;
    if (!r->status || r->complete) return CT_ERROR;
    if (r->left >= 0 && piece.n > r->left) return CT_ERROR;
    if (r->left >= 0) r->left -= piece.n;
    if (r->bodiless || !piece.n) return CT_OK;
    r->sent += piece.n;
    if (r->chunked ? !send_chunk(r, piece) : !ct_conn_send(c, piece.p, piece.n))
        return CT_CLOSED;
    if (c->out.len <= c->options->write_buffer_size) return CT_OK;
    r->wants_drain = true;
    return CT_AGAIN;
}

int ct_reply_end(ct_request *r) {
    static const char last[] = "0\r\n\r\n";
    ct_conn *c = r->conn;
    bool keep;

    if (!c) return r->complete ? CT_ERROR : CT_CLOSED;
    if (!r->status || r->complete) return CT_ERROR;
    if (r->left > 0 && !r->bodiless) {
        (void)ct_reply_abort(r);
        return CT_ERROR;
    }
    r->complete = true;
    keep = end_body(r) && r->wire.keep_alive;
    ct_reply_count(r);
    ct_conn_reply(c, last, r->chunked ? sizeof last - 1 : 0, (ct_str){ 0 },
                  keep);
    return CT_OK;
}

int ct_reply_flushed(ct_request *r) {
    if (!r->conn) return CT_CLOSED;
    if (!r->conn->out.len) return CT_OK;
    r->wants_flush = true;
    return CT_AGAIN;
}

int ct_reply_abort(ct_request *r) {
    if (!r->conn) return CT_CLOSED;
    r->complete = true;
    ct_conn_close(r->conn, true);
    return CT_OK;
}

/* -- Errors ---------------------------------------------------------------- */

static void log_refused(ct_conn *c, ct_request *r, uint32_t status) {
    r->counted = true;
    ct_counters_refusal(c->listener->counters, r->wire.method, status);
    if (!r->handle && !r->verb.n) /* half a head, which lies in `in` */
        (void)ct_request_refuse(r, ct_buf_bytes(&c->in), c->in.len);
    ct_access_refused(c->server, r, status);
}

void ct_reply_error(ct_conn *c, uint32_t status, const char *why) {
    ct_request *r = c->request;
    const char *reason = ct_reply_reason(status);
    char page[512], head[512], ip[CT_ADDRESS_TEXT];
    int n, m;

    ct_peer_ip(&c->peer, ip);
    ct_log_line(c->server->loop->log, CT_LEVEL_DEBUG, "http", "%u to %s: %s",
                (unsigned)status, ip, why ? why : reason);
    n = snprintf(page, sizeof page,
                 "<html><title>%u: %s</title><body>%u: %s</body></html>",
                 (unsigned)status, reason, (unsigned)status, reason);
    m = snprintf(
        head, sizeof head,
        "HTTP/1.1 %u %s\r\nContent-Type: text/html; charset=UTF-8\r\n"
        "Date: %s\r\nContent-Length: %d\r\n%sConnection: close\r\n\r\n",
        (unsigned)status, reason, c->server->loop->clock.date, n,
        status == 503 ? "Retry-After: 1\r\n" : "");
    if (r && r->status) {
        ct_conn_close(c, true); /* a reply is under way: it cannot be mended */
        return;
    }
    if (r && r->wire.method == CT_METHOD_HEAD && r->handle) n = 0;
    if (r) log_refused(c, r, status);
    c->linger = true;
    ct_conn_detach(c, true);
    ct_conn_reply(c, head, (size_t)m, (ct_str){ page, (uint32_t)n }, false);
}
