/* What a client chose is escaped and cut: none can forge a line, nor make one
 * that a collector refuses. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/access.h"

#include "base/clock.h"
#include "http/request.h"
#include <stdio.h>
#include <string.h>

/* The most that each part may have, escaped; all of it fits CT_LOG_LINE. */
enum { METHOD_MOST = 64, URI_MOST = 12288, AGENT_MOST = 2048, REST = 1024 };

_Static_assert(METHOD_MOST + URI_MOST + AGENT_MOST + REST <= CT_LOG_LINE,
               "a line of the access log");

ct_str ct_access_method(const ct_request *r) {
    static const char *const names[] = { "",      "GET",    "HEAD",    "POST",
                                         "PUT",   "DELETE", "OPTIONS", "PATCH",
                                         "TRACE", "CONNECT" };
    const char *name = names[r->wire.method];

    return r->wire.method ? (ct_str){ name, (uint32_t)strlen(name) } : r->verb;
}

typedef struct parts {
    ct_request *r;
    char ip[CT_ADDRESS_TEXT], id[80];
    double seconds;
    unsigned status;
} parts;

static char *escaped(char *at, ct_str s, size_t most, bool json) {
    if (!s.n) s = (ct_str){ "-", 1 };
    return at + ct_log_escape(at, most, s.p, s.n, json);
}

static char *put_text(char *at, const parts *p) {
    at += sprintf(at, "%u ", p->status);
    at = escaped(at, ct_access_method(p->r), METHOD_MOST, false);
    *at++ = ' ';
    at = escaped(at, p->r->uri, URI_MOST, false);
    return at + sprintf(at, " (%s) %.2fms\n", p->ip, p->seconds * 1e3);
}

static const char *level_of(unsigned status) {
    return status < 400 ? "info" : status < 500 ? "warning" : "error";
}

static char *put_json(char *at, const parts *p) {
    ct_request *r = p->r;
    char when[CT_LOG_TIME];
    ct_str agent = { NULL, 0 };

    ct_log_time(when);
    at += sprintf(at,
                  "{\"time\":\"%s\",\"level\":\"%s\",\"logger\":\"access\","
                  "\"request\":\"%s\",\"remote_ip\":\"%s\",\"status\":%u,"
                  "\"bytes\":%.0f,\"seconds\":%.6f,\"method\":\"",
                  when, level_of(p->status), p->id, p->ip, p->status, r->sent,
                  p->seconds);
    at = escaped(at, ct_access_method(r), METHOD_MOST, true);
    at += sprintf(at, "\",\"uri\":\"");
    at = escaped(at, r->uri, URI_MOST, true);
    if (r->handle && ct_head_find(&r->head, "User-Agent", 10, &agent)) {
        at += sprintf(at, "\",\"user_agent\":\"");
        at = escaped(at, agent, AGENT_MOST, true);
    }
    return at + sprintf(at, "\"}\n");
}

static void keep_text(char *out, size_t room, ct_str s) {
    out[ct_log_escape(out, room - 1, s.p, s.n, true)] = 0;
}

static void add(ct_server *s, ct_request *r, parts *p, bool json) {
    char *start;

    if (r->logged) return;
    r->logged = true;
    p->r = r;
    if (r->precise > 0) p->seconds = ct_clock_precise() - r->precise;
    if (!*p->ip) ct_peer_ip(&r->peer, p->ip);
    start = ct_buf_reserve(&s->access_lines, CT_LOG_LINE);
    ct_buf_added(&s->access_lines,
                 (size_t)((json ? put_json : put_text)(start, p) - start));
}

void ct_access_line(ct_server *s, ct_request *r, ct_str id, ct_str ip,
                    bool json) {
    parts p = { .status = r->status };

    keep_text(p.ip, sizeof p.ip, ip);
    keep_text(p.id, sizeof p.id, id);
    add(s, r, &p, json);
}

void ct_access_refused(ct_server *s, ct_request *r, uint32_t status) {
    parts p = { .status = status };

    if (s->access.fd >= 0) add(s, r, &p, s->loop->log->json);
}
