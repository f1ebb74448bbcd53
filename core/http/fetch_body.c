/* The body of a response, as gzip or as it is. libcurl 7.88 would decode it, but
 * takes one that is cut off for whole. What a stream has no room for waits in its
 * coded form. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/fetch.h"

enum { PIECE = 16384 };

static bool fail(ct_fetch *f, ct_fetch_failure failure, const char *why) {
    (void)ct_fetch_give_up(f, failure, why);
    return false;
}

static bool count(ct_fetch *f, size_t n) {
    f->received += (double)n;
    return f->received <= f->max_body ||
           fail(f, CT_FETCH_BODY_MAX, "the body is too long");
}

static bool has_enough(const ct_fetch *f) {
    return f->flags & CT_FETCH_STREAM && f->body.len >= CT_FETCH_AHEAD;
}

bool ct_fetch_body_is_full(const ct_fetch *f) {
    return f->more || has_enough(f);
}

/* Decodes from the front of *in: all of it, or what there is room for. */
static bool decode(ct_fetch *f, ct_str *in) {
    size_t n;

    do {
        char *room = ct_buf_reserve(&f->body, PIECE);

        if (!ct_inflate_run(f->gunzip, in, room, PIECE, &n))
            return fail(f, CT_FETCH_BAD,
                        "the body is not gzip, or not only gzip");
        if (!count(f, n)) return false;
        ct_buf_added(&f->body, n);
        f->more = n == PIECE;
    } while (f->more && !has_enough(f));
    return true;
}

static bool add_coded(ct_fetch *f, const char *p, size_t n) {
    ct_str in = { p, (uint32_t)n };

    if (!f->gunzip) f->gunzip = ct_inflate_new();
    if (!decode(f, &in)) return false;
    if (in.n) ct_buf_add(&f->packed, in.p, in.n);
    return true;
}

bool ct_fetch_body_add(ct_fetch *f, const char *p, size_t n) {
    f->raw += (double)n;
    if (f->flags & CT_FETCH_DECODE && f->head.gzip) return add_coded(f, p, n);
    if (!count(f, n)) return false;
    if (!f->body.size && f->head.has_length && f->head.length < 1u << 20)
        ct_buf_reserve(&f->body, f->head.length);
    ct_buf_add(&f->body, p, n);
    return true;
}

bool ct_fetch_body_resume(ct_fetch *f) {
    ct_str in = { ct_buf_bytes(&f->packed), (uint32_t)f->packed.len };

    if (!f->more || has_enough(f)) return true;
    if (!decode(f, &in)) return false;
    ct_buf_drain(&f->packed, f->packed.len - in.n);
    return true;
}

/* At its end; what was asked for as a range ends where it may. */
void ct_fetch_body_check(ct_fetch *f) {
    if (f->head.code == 206) return;
    if (f->failure != CT_FETCH_OK || !f->gunzip || f->more) return;
    if (!ct_inflate_is_whole(f->gunzip))
        (void)fail(f, CT_FETCH_BAD, "the gzip body is cut off");
}

void ct_fetch_body_fini(ct_fetch *f) {
    ct_buf_fini(&f->body);
    ct_buf_fini(&f->packed);
    ct_inflate_free(f->gunzip);
    f->gunzip = NULL;
    f->more = false;
    f->received = f->raw = 0;
}
