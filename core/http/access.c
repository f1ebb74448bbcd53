/* What a client chose is escaped and cut: none can forge a line, nor make one
 * that a collector refuses. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/access.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/str.h"
#include "http/request.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TELL_AGAIN = 1000 }; /* ms: the log hears no more of a log that fails */
enum { LEFT = 499 }; /* nginx's status for who has left before the reply */

/* The most that each part may have, escaped; all of it fits CT_LOG_LINE. */
enum {
    METHOD_MOST = 64,
    URI_MOST = 10240,
    AGENT_MOST = 2048,
    REFERER_MOST = 2048,
    USER_MOST = 256,
    REST = 1024
};

_Static_assert(METHOD_MOST + URI_MOST + AGENT_MOST + REFERER_MOST + USER_MOST +
                       REST <=
                   CT_LOG_LINE,
               "a line of the access log");

ct_str ct_access_method(const ct_request *r) {
    static const char *const names[] = { "",      "GET",    "HEAD",    "POST",
                                         "PUT",   "DELETE", "OPTIONS", "PATCH",
                                         "TRACE", "CONNECT" };
    const char *name = names[r->wire.method];

    return r->wire.method ? (ct_str){ name, (uint32_t)strlen(name) } : r->verb;
}

/* -- Parts ----------------------------------------------------------------- */

typedef struct parts {
    ct_request *r;
    ct_server *server;
    char ip[CT_ADDRESS_TEXT], id[80], trace[40];
    double seconds;
    unsigned status;
} parts;

static ct_log_level level_of(unsigned status) {
    return status < 400   ? CT_LEVEL_INFO
           : status < 500 ? CT_LEVEL_WARNING
                          : CT_LEVEL_ERROR;
}

static char *escaped(char *at, ct_str s, size_t most, ct_log_form form) {
    if (!s.n) s = (ct_str){ "-", 1 };
    return at + ct_log_escape(at, most, s.p, s.n, form);
}

/* A field of the request; empty when it has none, or was refused. */
static ct_str field_of(ct_request *r, const char *name) {
    ct_str value = { NULL, 0 };

    if (r->handle) (void)ct_head_find(&r->head, name, strlen(name), &value);
    return value;
}

/* The time of this second, as the format has it in every locale. */
static const char *when(ct_server *s, bool combined) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = (time_t)s->loop->clock.wall;
    size_t room = sizeof s->access_when;
    struct tm t;
    long offset;

    if (now == s->access_at) return s->access_when;
    s->access_at = now;
    localtime_r(&now, &t);
    offset = labs(t.tm_gmtoff) / 60;
    if (combined)
        snprintf(s->access_when, room,
                 "%02d/%.3s/%04d:%02d:%02d:%02d %c%02ld%02ld", t.tm_mday,
                 months + 3 * (size_t)t.tm_mon, t.tm_year + 1900, t.tm_hour,
                 t.tm_min, t.tm_sec, t.tm_gmtoff < 0 ? '-' : '+', offset / 60,
                 offset % 60);
    else
        snprintf(s->access_when, room, "%02d%02d%02d %02d:%02d:%02d",
                 t.tm_year % 100, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min,
                 t.tm_sec);
    return s->access_when;
}

/* -- Tornado's line -------------------------------------------------------- */

static char *put_text(char *at, const parts *p) {
    const ct_log *log = &p->server->access;

    *at++ = '[';
    if (!log->stream && !log->journal) /* which have both already */
        at += sprintf(at, "%c %s ", "DIWE"[level_of(p->status)],
                      when(p->server, false));
    at += sprintf(at, "access%s%s] %u ", p->id[0] ? " " : "", p->id, p->status);
    at = escaped(at, ct_access_method(p->r), METHOD_MOST, CT_LOG_TEXT);
    *at++ = ' ';
    at = escaped(at, p->r->uri, URI_MOST, CT_LOG_TEXT);
    return at + sprintf(at, " (%s) %.2fms\n", p->ip, p->seconds * 1e3);
}

/* -- Combined -------------------------------------------------------------- */

/* Whom Basic credentials name (RFC 7617 §2), right or wrong, never the password.
 * A space would end the part. */
static char *put_user(char *at, ct_request *r) {
    static const char scheme[] = "Basic ";
    ct_str field = field_of(r, "Authorization");
    char text[USER_MOST], *end = at + USER_MOST;
    size_t n = 0, skip = sizeof scheme - 1;

    if (field.n <= skip || (field.n - skip) / 4 * 3 + 3 > sizeof text ||
        !ct_str_same(field.p, skip, scheme, skip) ||
        !ct_digest_unbase64(field.p + skip, field.n - skip, text, &n) ||
        !memchr(text, ':', n) || text[0] == ':') {
        *at++ = '-';
        return at;
    }
    for (const char *p = text; *p != ':' && end - at >= 4; p++) {
        if (*p == ' ')
            at += sprintf(at, "\\x20");
        else
            at += ct_log_escape(at, 4, p, 1, CT_LOG_QUOTED);
    }
    return at;
}

static char *put_quoted(char *at, ct_str s, size_t most) {
    *at++ = '"';
    at = escaped(at, s, most, CT_LOG_QUOTED);
    *at++ = '"';
    return at;
}

static char *put_combined(char *at, const parts *p) {
    ct_request *r = p->r;

    at += sprintf(at, "%s - ", p->ip);
    at = put_user(at, r);
    at += sprintf(at, " [%s] \"", when(p->server, true));
    at = escaped(at, ct_access_method(r), METHOD_MOST, CT_LOG_QUOTED);
    *at++ = ' ';
    at = escaped(at, r->uri, URI_MOST, CT_LOG_QUOTED);
    at += sprintf(at, " HTTP/1.%u\" %u %.0f ", (unsigned)r->wire.minor,
                  p->status, r->sent);
    at = put_quoted(at, field_of(r, "Referer"), REFERER_MOST);
    *at++ = ' ';
    at = put_quoted(at, field_of(r, "User-Agent"), AGENT_MOST);
    *at++ = '\n';
    return at;
}

/* -- JSON ------------------------------------------------------------------ */

static char *put_member(char *at, const char *name, ct_str value, size_t most) {
    if (!value.n) return at;
    at += sprintf(at, "\",\"%s\":\"", name);
    return escaped(at, value, most, CT_LOG_JSON);
}

static char *put_json(char *at, const parts *p) {
    static const char *const levels[] = { "debug", "info", "warning", "error" };
    ct_request *r = p->r;
    char now[CT_LOG_TIME];

    ct_log_time(now);
    at += sprintf(at,
                  "{\"time\":\"%s\",\"level\":\"%s\",\"logger\":\"access\","
                  "\"request\":\"%s\",",
                  now, levels[level_of(p->status)], p->id);
    if (*p->trace) at += sprintf(at, "\"trace\":\"%s\",", p->trace);
    at += sprintf(at,
                  "\"remote_ip\":\"%s\",\"status\":%u,\"bytes\":%.0f,"
                  "\"seconds\":%.6f,\"method\":\"",
                  p->ip, p->status, r->sent, p->seconds);
    at = escaped(at, ct_access_method(r), METHOD_MOST, CT_LOG_JSON);
    at += sprintf(at, "\",\"uri\":\"");
    at = escaped(at, r->uri, URI_MOST, CT_LOG_JSON);
    at = put_member(at, "referer", field_of(r, "Referer"), REFERER_MOST);
    at = put_member(at, "user_agent", field_of(r, "User-Agent"), AGENT_MOST);
    return at + sprintf(at, "\"}\n");
}

/* -- Lines ----------------------------------------------------------------- */

static char *put_line(char *at, const parts *p) {
    uint32_t format = p->server->access_format;

    if (p->server->access.stream)
        at += sprintf(at, "<%c>", "7643"[level_of(p->status)]);
    if (format == CT_ACCESS_AUTO)
        format =
            p->server->loop->log->json ? CT_ACCESS_JSON : CT_ACCESS_TORNADO;
    if (format == CT_ACCESS_JSON) return put_json(at, p);
    return format == CT_ACCESS_COMBINED ? put_combined(at, p) : put_text(at, p);
}

static void keep_text(char *out, size_t room, ct_str s) {
    out[ct_log_escape(out, room - 1, s.p, s.n, CT_LOG_JSON)] = 0;
}

static void add(ct_server *s, ct_request *r, parts *p) {
    char *start;

    if (r->logged) return;
    r->logged = true;
    p->r = r;
    p->server = s;
    if (r->precise > 0) p->seconds = ct_clock_precise() - r->precise;
    if (!*p->ip) ct_peer_ip(&r->peer, p->ip);
    start = ct_buf_reserve(&s->access_lines, CT_LOG_LINE);
    ct_buf_added(&s->access_lines, (size_t)(put_line(start, p) - start));
}

void ct_access_line(ct_server *s, ct_request *r, const ct_access_about *about) {
    parts p = { .status = r->status ? r->status : LEFT };

    if (s->access.fd < 0) return;
    keep_text(p.ip, sizeof p.ip, about->ip);
    keep_text(p.id, sizeof p.id, about->id);
    keep_text(p.trace, sizeof p.trace, about->trace);
    add(s, r, &p);
}

void ct_access_refused(ct_server *s, ct_request *r, uint32_t status) {
    parts p = { .status = status };

    if (s->access.fd >= 0) add(s, r, &p);
}

/* -- The log --------------------------------------------------------------- */

void ct_access_init(ct_server *s) {
    ct_log_init(&s->access);
    s->access.fd = -1;
}

void ct_access_close(ct_server *s) {
    if (s->access_lines.len) ct_access_flush(s);
    if (s->access.fd >= 0) ct_log_fini(&s->access);
    s->access.fd = -1;
}

bool ct_access_open(ct_server *s, const char *path, uint32_t format) {
    ct_log log;

    ct_log_init(&log);
    if (*path && !ct_log_open(&log, path)) return false;
    ct_access_close(s); /* what was logged so far is that one's */
    log.dropped = s->access.dropped;
    if (*path) s->access = log;
    s->access_format = format;
    s->access_at = 0;
    return true;
}

static void tell_lost(ct_server *s, bool good, int error) {
    uint64_t now = s->loop->clock.mono_ms;
    ct_log *log = s->loop->log;

    if (!good && !s->access_failed) {
        ct_log_line(log, CT_LEVEL_ERROR, "log",
                    "the access log cannot be written, its lines are lost: %s",
                    error == EAGAIN ? "its reader does not read"
                                    : strerror(error));
        s->access_failed = now;
    } else if (good && now - s->access_failed >= TELL_AGAIN) {
        ct_log_line(log, CT_LEVEL_WARNING, "log",
                    "the access log can be written again: %u lines were lost",
                    s->access.dropped);
        s->access.dropped = 0;
        s->access_failed = 0;
    }
}

void ct_access_flush(ct_server *s) {
    bool good = s->access.fd < 0 ||
                ct_log_raw(&s->access, "access", ct_buf_bytes(&s->access_lines),
                           s->access_lines.len);
    int error = errno;

    ct_buf_fini(&s->access_lines);
    if (!good || s->access_failed) tell_lost(s, good, error);
}
