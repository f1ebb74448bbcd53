/* Collected bodies lie in memory up to body_buffer_size and in an unlinked file
 * beyond; one that came whole with its head is not copied at all. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/body.h"

#include "base/mem.h"
#include "http/conn.h"
#include "http/server.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { STREAM_AHEAD = 65536 }; /* decoded bytes that may wait for Lua */

void ct_body_init(ct_body *b) {
    *b = (ct_body){ .file = -1 };
}

void ct_body_fini(ct_body *b) {
    if (b->map) munmap(b->map, (size_t)b->size);
    if (b->file >= 0) close(b->file);
    ct_buf_fini(&b->bytes);
    ct_body_init(b);
}

bool ct_body_wants_input(const ct_request *r) {
    const ct_body *b = &r->body;

    if (b->done || b->over || b->failed) return false;
    switch (b->mode) {
    case CT_BODY_UNREAD: return false;
    case CT_BODY_STREAM: return b->bytes.len - b->lent < STREAM_AHEAD;
    default: return true;
    }
}

void ct_body_notify(ct_request *r) {
    if (!r->body.waited) return;
    r->body.waited = false;
    ct_events_add(r->events, CT_EVENT_BODY, r->handle);
}

/* -- Spooling to disk ------------------------------------------------------ */

static void fail(ct_request *r, unsigned status, const char *reason) {
    r->body.failed = true;
    r->wire.status = (uint16_t)status;
    r->wire.reason = reason;
}

static bool write_all(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t k = write(fd, p, n);

        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static int open_spool(const char *dir) {
    char path[300];
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0) return fd;
    snprintf(path, sizeof path, "%s/ctornado-XXXXXX", dir);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) unlink(path);
    return fd;
}

static void collect(ct_request *r, const char *p, size_t n) {
    ct_body *b = &r->body;

    if (b->file < 0 && b->bytes.len + n <= r->conn->options->body_buffer_size &&
        !ct_mem_is_short()) {
        ct_buf_add(&b->bytes, p, n);
        return;
    }
    if (b->file < 0) {
        b->file = open_spool(r->server->options.temp_dir);
        if (b->file < 0 ||
            !write_all(b->file, ct_buf_bytes(&b->bytes), b->bytes.len)) {
            fail(r, 507, "the body cannot be spooled to body_temp_dir");
            return;
        }
        ct_buf_fini(&b->bytes);
    }
    if (!write_all(b->file, p, n))
        fail(r, 507, "the body cannot be spooled to body_temp_dir");
}

/* -- From the wire --------------------------------------------------------- */

static void sink(ct_request *r, const char *p, size_t n) {
    ct_body *b = &r->body;

    b->size += (double)n;
    if (b->mode == CT_BODY_DISCARD) return;
    if (b->size > b->max) {
        b->over = true;
        return;
    }
    if (b->mode == CT_BODY_COLLECT)
        collect(r, p, n);
    else
        ct_buf_add(&b->bytes, p, n);
}

size_t ct_body_feed(ct_request *r, const char *p, size_t n) {
    size_t at = 0;

    while (at < n && ct_body_wants_input(r)) {
        const char *data = NULL;
        size_t used = 0, size = 0;
        ct_wire_verdict v =
            ct_wire_body(&r->wire, p + at, n - at, &used, &data, &size);

        at += used;
        if (v == CT_WIRE_BAD) {
            r->body.failed = true;
            break;
        }
        if (size) sink(r, data, size);
        if (v == CT_WIRE_DONE)
            r->body.done = true;
        else if (r->body.size + (double)ct_wire_body_left(&r->wire) >
                     r->body.max &&
                 r->body.mode != CT_BODY_DISCARD)
            r->body.over = true; /* a chunk says that it will be too large */
    }
    return at;
}

/* -- For Lua --------------------------------------------------------------- */

/* Whole, undecoded and with the head: used where it lies. */
static bool is_at_hand(const ct_request *r) {
    return !r->wire.chunked && !r->body.size &&
           r->conn->in.len >= r->wire.length;
}

static int collected(ct_request *r) {
    ct_body *b = &r->body;

    if (b->over) return CT_LIMIT;
    if (b->done) return CT_OK;
    if (!r->conn || b->failed) return CT_CLOSED;
    b->waited = true;
    return CT_AGAIN;
}

int ct_body_collect(ct_request *r, double max) {
    ct_body *b = &r->body;

    if (b->done) return CT_OK;
    if (!r->conn) return CT_CLOSED;
    if (b->mode != CT_BODY_UNREAD) return collected(r);
    if (!r->wire.chunked && (double)r->wire.length > max) {
        b->over = true;
        return CT_LIMIT;
    }
    b->mode = CT_BODY_COLLECT;
    b->max = max;
    if (is_at_hand(r)) {
        b->in_place = (uint32_t)r->wire.length;
        b->size = b->in_place;
        b->done = true;
        return CT_OK;
    }
    ct_conn_read_body(r->conn);
    return collected(r);
}

static int mapped(ct_body *b, ct_str *out) {
    if (b->size > UINT32_MAX) return CT_LIMIT;
    if (!b->map) {
        void *map =
            mmap(NULL, (size_t)b->size, PROT_READ, MAP_PRIVATE, b->file, 0);
        if (map == MAP_FAILED) return CT_ERROR;
        b->map = map;
    }
    *out = (ct_str){ b->map, (uint32_t)b->size };
    return CT_OK;
}

int ct_body_get(ct_request *r, ct_str *out) {
    ct_body *b = &r->body;

    *out = (ct_str){ 0 };
    if (!b->done) return r->conn ? CT_AGAIN : CT_CLOSED;
    if (b->file >= 0) return mapped(b, out);
    if (b->in_place && r->conn)
        *out = (ct_str){ ct_buf_bytes(&r->conn->in), b->in_place };
    else
        *out = (ct_str){ ct_buf_bytes(&b->bytes), (uint32_t)b->bytes.len };
    return CT_OK;
}

int ct_body_read(ct_request *r, double max, ct_str *out) {
    ct_body *b = &r->body;

    *out = (ct_str){ 0 };
    if (b->mode == CT_BODY_COLLECT) return CT_ERROR;
    if (b->mode == CT_BODY_UNREAD && !r->wire.chunked &&
        (double)r->wire.length > max)
        b->over = true;
    if (b->over) return CT_LIMIT;
    b->mode = CT_BODY_STREAM;
    b->max = max;
    ct_buf_drain(&b->bytes, b->lent);
    b->lent = 0;
    if (!b->bytes.len && !b->done && r->conn) ct_conn_read_body(r->conn);
    if (b->over) return CT_LIMIT;
    if (b->bytes.len) {
        b->lent = (uint32_t)b->bytes.len;
        *out = (ct_str){ ct_buf_bytes(&b->bytes), b->lent };
        return CT_OK;
    }
    if (b->done) return CT_EOF;
    if (!r->conn || b->failed) return CT_CLOSED;
    b->waited = true;
    return CT_AGAIN;
}
