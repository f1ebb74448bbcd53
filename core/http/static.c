/* Conditions win over ranges (RFC 9110 §13.2.2). Several ranges are answered in
 * parts only where that is shorter than the whole file. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/static.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/str.h"
#include "http/conn.h"
#include "http/fields.h"
#include "http/range.h"
#include "http/reply.h"
#include "http/server.h"
#include <stdio.h>
#include <string.h>

enum {
    OF_REPLY = 0x3fff * CT_REPLY_HANDLER | CT_REPLY_NO_SERVER | CT_REPLY_CLOSE
};
enum { TEN_YEARS = 315360000, BOUNDARY = 32, PART_ROOM = 256 };

typedef struct answer {
    ct_request *r;
    ct_file *file;    /* what is sent: the one asked for, or a form of it */
    const char *type; /* of the one asked for */
    int coding;       /* of `file`: 0, CT_CODING_*; CT_FILE_SIBLING with it */
    ct_range ranges[CT_RANGES_MAX];
    int count;      /* of ranges; 0: all, -1: none of them can be satisfied */
    uint32_t flags; /* of the reply */
} answer;

static ct_str text(const char *s) {
    return (ct_str){ s, (uint32_t)strlen(s) };
}

static ct_str asked(ct_request *r, const char *name) {
    ct_str value = { NULL, 0 };

    if (!ct_head_find(&r->head, name, strlen(name), &value)) value.p = NULL;
    return value;
}

static uint64_t now_of(const ct_request *r) {
    return r->server->loop->clock.mono_ms;
}

/* -- Choosing -------------------------------------------------------------- */

/* What the client likes; false without a word of it. */
static bool find_weights(ct_request *r, ct_weights *w) {
    bool found = false;
    uint32_t at = 0;
    ct_str field;

    *w = (ct_weights){ -1, -1, -1, -1 };
    while (ct_head_find_from(&r->head, "Accept-Encoding", 15, &at, &field)) {
        ct_range_weights(field, w);
        found |= field.n > 0;
    }
    return found;
}

static int weight(int named, int any) {
    return named >= 0 ? named : any > 0 ? any : 0;
}

/* What the client likes best of the codings that are there. */
static int best_coding(const ct_weights *w, bool has_br, bool has_gz) {
    int br = has_br ? weight(w->br, w->any) : 0;
    int gz = has_gz ? weight(w->gzip, w->any) : 0;
    int best = br >= gz ? br : gz;

    if (!best || best < weight(w->identity, w->any)) return 0;
    return br >= gz ? CT_CODING_BROTLI : CT_CODING_GZIP;
}

static bool field_has(ct_request *r, const char *name, const char *what) {
    ct_str value, item = text(what);

    for (uint32_t i = 0; ct_fields_find(&r->fields, text(name), i, &value); i++)
        for (uint32_t at = 0; at + item.n <= value.n; at++)
            if (ct_str_same(value.p + at, item.n, item.p, item.n)) return true;
    return false;
}

static void add_vary(ct_request *r) {
    if (field_has(r, "Vary", "accept-encoding") || field_has(r, "Vary", "*"))
        return;
    ct_fields_add(&r->fields, text("Vary"), text("Accept-Encoding"));
}

/* Parts are of the file as it is: a client cannot put parts of a form together
 * that is made anew each time. */
static bool may_code(ct_request *r, const ct_file *f, uint32_t flags) {
    return (flags & CT_FILE_COMPRESS) && ct_file_may_code(f) &&
           !asked(r, "Range").p &&
           !field_has(r, "Cache-Control", "no-transform");
}

/* A sibling costs nothing, so it goes before what would have to be made. */
static int choose_coding(ct_request *r, const ct_file *f, uint32_t flags) {
    ct_weights liked;
    ct_str given;
    int coding;

    if (f->has_br || f->has_gz || (flags & CT_FILE_COMPRESS)) add_vary(r);
    if (!find_weights(r, &liked)) return 0;
    if (ct_fields_find(&r->fields, text("Content-Encoding"), 0, &given))
        return 0;
    coding = best_coding(&liked, f->has_br, f->has_gz);
    if (coding) return coding | CT_FILE_SIBLING;
    return may_code(r, f, flags) ? best_coding(&liked, true, true) : 0;
}

static const char *name_of(int coding) {
    return coding & CT_CODING_BROTLI ? "br" : "gzip";
}

static ct_file *find_sibling(ct_request *r, ct_str root, ct_str path,
                             int coding) {
    char name[4096];
    ct_file *f;
    int n = snprintf(name, sizeof name, "%.*s%s", (int)path.n, path.p,
                     coding & CT_CODING_BROTLI ? ".br" : ".gz");

    if (ct_files_find(&r->server->files, root, (ct_str){ name, (uint32_t)n },
                      now_of(r), false, &f) != CT_OK)
        return NULL;
    return ct_file_take(f);
}

/* Takes `form`, if there is one, in place of the file. */
static void use(answer *a, ct_file *form) {
    if (form) {
        ct_file_give(&a->r->server->files, a->file);
        a->file = form;
    } else {
        a->coding = 0;
    }
}

static void use_coded(answer *a) {
    if (!a->coding || (a->coding & CT_FILE_SIBLING)) return;
    use(a, ct_file_code(&a->r->server->files, a->file, a->coding));
}

static bool is_unmodified(const answer *a) {
    ct_str tags = asked(a->r, "If-None-Match");
    ct_str since = asked(a->r, "If-Modified-Since");
    time_t at;

    if (tags.p) {
        /* Several fields are one list. */
        uint32_t from = 0;

        while (
            ct_head_find_from(&a->r->head, "If-None-Match", 13, &from, &tags))
            if (ct_range_has_etag(tags, text(a->file->etag))) return true;
        return false;
    }
    return since.p && ct_range_date(since, &at) &&
           at >= a->file->stat.st_mtim.tv_sec;
}

/* Parts that are longer than the whole are not worth it. */
static bool is_worth(const answer *a) {
    uint64_t size = 0;

    for (int i = 0; i < a->count; i++) size += a->ranges[i].size + 100;
    return a->count < 2 || size < a->file->size;
}

static bool may_send_parts(const answer *a) {
    ct_str valid = asked(a->r, "If-Range");

    return !valid.p || ct_range_may(valid, text(a->file->etag),
                                    a->file->stat.st_mtim.tv_sec);
}

/* Several fields are malformed, since Range is no list of fields (RFC 9110
 * §5.3), and what is malformed is ignored. */
static void choose_ranges(answer *a) {
    ct_str range;

    a->count = 0;
    if (ct_head_find(&a->r->head, "Range", 5, &range) != 1) return;
    a->count = ct_range_parse(range, a->file->size, a->ranges);
    if (!is_worth(a)) a->count = 0;
}

/* -- Fields ---------------------------------------------------------------- */

/* Names are canonical, as those that Lua sets. */
static void set_field(ct_request *r, const char *name, const char *value) {
    if (r->fields.len) ct_fields_remove(&r->fields, text(name), (ct_str){ 0 });
    ct_fields_add(&r->fields, text(name), text(value));
}

static void set_content_range(const answer *a) {
    char value[80];

    if (a->count < 0)
        snprintf(value, sizeof value, "bytes */%llu",
                 (unsigned long long)a->file->size);
    else
        snprintf(value, sizeof value, "bytes %llu-%llu/%llu",
                 (unsigned long long)a->ranges->from,
                 (unsigned long long)(a->ranges->from + a->ranges->size - 1),
                 (unsigned long long)a->file->size);
    set_field(a->r, "Content-Range", value);
}

static void set_cache(ct_request *r) {
    char date[CT_DATE_LEN + 1];

    ct_clock_format_date((time_t)r->server->loop->clock.wall + TEN_YEARS, date);
    set_field(r, "Expires", date);
    set_field(r, "Cache-Control", "max-age=315360000");
}

static void set_fields(const answer *a, uint32_t flags) {
    char etag[CT_FILE_ETAG + 3];
    bool made = a->coding && !(a->coding & CT_FILE_SIBLING);

    snprintf(etag, sizeof etag, "%s%s", made ? "W/" : "", a->file->etag);
    set_field(a->r, "Accept-Ranges", "bytes");
    set_field(a->r, "Etag", etag);
    set_field(a->r, "Last-Modified", a->file->date);
    if (flags & CT_FILE_VERSIONED) set_cache(a->r);
}

/* -- Sending --------------------------------------------------------------- */

/* A reply that has only a head. */
static int send_head(const answer *a, uint32_t status, const char *type) {
    ct_reply_head h = { .status = status,
                        .type = text(type),
                        .flags = a->flags };
    int result = ct_reply_send(a->r, &h, (ct_str){ 0 });

    return result == CT_OK ? (int)status : result;
}

static int send_range(ct_request *r, ct_file *f, const ct_reply_head *head,
                      uint64_t from) {
    ct_reply_head h = *head;
    int result;

    if (r->wire.method == CT_METHOD_HEAD) {
        h.flags |= CT_REPLY_LENGTH;
        result = ct_reply_send(r, &h, (ct_str){ 0 });
    } else if (f->bytes && h.length <= CT_FILE_SMALL) {
        result = ct_reply_send(r, &h,
                               (ct_str){ f->bytes + from, (uint32_t)h.length });
    } else {
        result = ct_reply_files(r, &h,
                                ct_segment_new(0, f, from, (uint64_t)h.length));
    }
    return result == CT_OK ? (int)h.status : result;
}

/* What stands before part `i`; before the end when `i` is behind the last. */
static ct_segment *new_part(const answer *a, int i, const char *boundary) {
    const ct_range *range = &a->ranges[i];
    char head[PART_ROOM];
    bool last = i == a->count;
    ct_segment *s;
    int n;

    if (last)
        n = snprintf(head, sizeof head, "\r\n--%s--\r\n", boundary);
    else
        n = snprintf(head, sizeof head,
                     "%s--%s\r\nContent-Type: %s\r\n"
                     "Content-Range: bytes %llu-%llu/%llu\r\n\r\n",
                     i ? "\r\n" : "", boundary, a->type,
                     (unsigned long long)range->from,
                     (unsigned long long)(range->from + range->size - 1),
                     (unsigned long long)a->file->size);
    s = ct_segment_new((size_t)n, last ? NULL : a->file, last ? 0 : range->from,
                       last ? 0 : range->size);
    memcpy(s->bytes, head, (size_t)n);
    return s;
}

static int send_parts(const answer *a) {
    char boundary[BOUNDARY + 1], type[80];
    unsigned char random[BOUNDARY / 2];
    ct_segment *first = NULL, **last = &first;
    ct_reply_head h = { .status = 206, .flags = a->flags | CT_REPLY_LENGTH };
    int result;

    ct_digest_random(random, sizeof random);
    for (int i = 0; i < BOUNDARY / 2; i++)
        snprintf(boundary + 2 * i, 3, "%02x", random[i]);
    for (int i = 0; i <= a->count; i++) {
        *last = new_part(a, i, boundary);
        h.length += (double)((*last)->size + (*last)->left);
        last = &(*last)->next;
    }
    snprintf(type, sizeof type, "multipart/byteranges; boundary=%s", boundary);
    h.type = text(type);
    if (a->r->wire.method == CT_METHOD_HEAD) {
        ct_segments_free(&a->r->server->files, first);
        result = ct_reply_send(a->r, &h, (ct_str){ 0 });
    } else {
        result = ct_reply_files(a->r, &h, first);
    }
    return result == CT_OK ? 206 : result;
}

static int send_answer(const answer *a) {
    ct_reply_head h = { .status = 200,
                        .type = text(a->type),
                        .length = (double)a->file->size,
                        .flags = a->flags };

    if (a->count < 0) {
        set_content_range(a);
        return send_head(a, 416, "text/plain");
    }
    if (a->coding) set_field(a->r, "Content-Encoding", name_of(a->coding));
    if (!a->count) return send_range(a->r, a->file, &h, 0);
    if (a->count > 1) return send_parts(a);
    set_content_range(a);
    h.status = 206;
    h.length = (double)a->ranges->size;
    return send_range(a->r, a->file, &h, a->ranges->from);
}

/* The file, kept in a->file; or what is in its place. */
static int find(answer *a, ct_str root, ct_str path, bool fresh) {
    int result;

    if (!a->r->conn) return CT_CLOSED;
    result = ct_files_find(&a->r->server->files, root, path, now_of(a->r),
                           fresh, &a->file);
    if (result != CT_OK) return result;
    ct_file_take(a->file);
    a->type = a->file->type;
    return CT_OK;
}

static int answer_to(answer *a, uint32_t flags) {
    bool unmodified = is_unmodified(a);

    if (!unmodified) use_coded(a);
    set_fields(a, flags);
    if (unmodified) return send_head(a, 304, "");
    if (may_send_parts(a)) choose_ranges(a);
    return send_answer(a);
}

/* Few clients ask for a 412, so Lua makes it. */
static bool has_precondition(ct_request *r) {
    return asked(r, "If-Match").p || asked(r, "If-Unmodified-Since").p;
}

int ct_static_serve(ct_request *r, ct_str root, ct_str path, uint32_t flags) {
    answer a = { .r = r, .flags = flags & OF_REPLY };
    int result;

    if (r->conn && has_precondition(r)) return CT_ERROR;
    result = find(&a, root, path, flags & CT_FILE_FRESH);
    if (result != CT_OK) return result;
    a.coding = choose_coding(r, a.file, flags);
    if (a.coding & CT_FILE_SIBLING)
        use(&a, find_sibling(r, root, path, a.coding));
    result = answer_to(&a, flags);
    ct_file_give(&r->server->files, a.file);
    return result;
}

int ct_static_coding(ct_request *r, ct_str root, ct_str path, uint32_t flags) {
    answer a = { .r = r };

    if (find(&a, root, path, false) != CT_OK) return 0;
    a.coding = choose_coding(r, a.file, flags);
    ct_file_give(&r->server->files, a.file);
    return a.coding;
}

int ct_static_reply(ct_request *r, ct_str root, ct_str path, const char *type,
                    int coding, uint32_t flags) {
    answer a = { .r = r, .coding = coding, .flags = flags & OF_REPLY };
    int result = find(&a, root, path, false);

    if (result != CT_OK) return result;
    a.type = type;
    use_coded(&a);
    if (flags & CT_FILE_RANGES) choose_ranges(&a);
    result = send_answer(&a);
    ct_file_give(&r->server->files, a.file);
    return result;
}
