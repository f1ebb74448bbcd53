/* Reading. Bytes come into the loop's scratch memory. When they are what is
 * wanted, they are given from there, so that a message costs no allocation; only
 * what is left over or not enough goes into `in`. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/channel.h"

#include "io/tls.h"
#include <string.h>

enum {
    NOT_YET = -1,
    NEVER = -2,
    RUN = 16 /* pieces read before the others have their turn: 1 MiB */
};

/* -- Is it there? ---------------------------------------------------------- */

/* Bytes with the delimiter. A search that found none goes on behind the bytes
 * that cannot be the beginning of one. */
static ssize_t find_mark(ct_channel *c, const ct_want *w, ct_str have) {
    size_t n = w->mark.n;
    const char *at = NULL;

    if (have.n >= c->searched + n)
        at = memmem(have.p + c->searched, have.n - c->searched, w->mark.p, n);
    if (at) return at - have.p + (ssize_t)n;
    if (have.n >= n) c->searched = have.n - n + 1;
    return NOT_YET;
}

static ssize_t find_match(ct_channel *c, const ct_want *w, ct_str have) {
    size_t end;
    int found = ct_regex_search(w->regex, have.p, have.n, &c->searched, &end);

    if (found < 0) return NEVER;
    return found ? (ssize_t)end : NOT_YET;
}

/* The same for both: no answer within `n` bytes is none at all. */
static ssize_t within(const ct_want *w, ct_str have, ssize_t found) {
    if (!w->n) return found;
    if (found >= 0) return (size_t)found > w->n ? NEVER : found;
    return have.n >= w->n ? NEVER : found;
}

/* Of a TLS session only the peer's word is an end: all others can be an
 * attacker's. */
static bool has_end(const ct_channel *c) {
    return c->ended == CT_EOF || (c->ended && !ct_tls_is_on(&c->stream));
}

/* How many bytes of `have` to give, or NOT_YET or NEVER. */
static ssize_t look(ct_channel *c, const ct_want *w, ct_str have) {
    switch (w->how) {
    case CT_WANT_UNTIL: return within(w, have, find_mark(c, w, have));
    case CT_WANT_REGEX: return within(w, have, find_match(c, w, have));
    case CT_WANT_BYTES: return have.n >= w->n ? (ssize_t)w->n : NOT_YET;
    case CT_WANT_SOME:
        if (!have.n && w->n) return NOT_YET;
        return (ssize_t)(have.n < w->n ? have.n : w->n);
    default: return has_end(c) ? (ssize_t)have.n : NOT_YET;
    }
}

/* -- Input ----------------------------------------------------------------- */

static ssize_t from_socket(ct_channel *c, char *p, size_t n) {
    ssize_t got;

    c->asked = true;
    if (c->error) return CT_STREAM_ERROR;
    got = ct_stream_recv(&c->stream, p, n);
    if (got == CT_STREAM_EOF && ct_tls_is_truncated(&c->stream))
        got = CT_STREAM_ERROR;
    if (got == CT_STREAM_ERROR) ct_channel_fail(c);
    return got;
}

/* At most `room` bytes to the scratch memory: OK and their count, AGAIN, EOF,
 * ERROR. A channel that always has more makes room for others now and then. */
static int receive(ct_channel *c, size_t room, uint32_t *got) {
    ssize_t n;

    if (c->ended) return c->ended;
    c->asked = true;
    if (c->connecting || !c->stream.readable) return CT_AGAIN;
    if (++c->run > RUN) {
        ct_stream_poke(&c->stream, CT_STREAM_READ);
        return CT_AGAIN;
    }
    n = from_socket(c, c->stream.loop->scratch,
                    room < c->chunk ? room : c->chunk);
    if (n == CT_STREAM_AGAIN) return CT_AGAIN;
    if (n < 0) return c->ended = n == CT_STREAM_EOF ? CT_EOF : CT_ERROR;
    *got = (uint32_t)n;
    return CT_OK;
}

/* -- Giving ---------------------------------------------------------------- */

static void settle(ct_channel *c) {
    if (!c->given) return;
    ct_buf_drain(&c->in, c->given);
    c->given = 0;
}

static ct_str bytes_of(const ct_channel *c) {
    if (!c->in.len) return (ct_str){ "", 0 };
    return (ct_str){ ct_buf_bytes(&c->in), (uint32_t)c->in.len };
}

/* From `in`, whose memory stays until the next call. */
static int give(ct_channel *c, ssize_t n, ct_str have, ct_str *out) {
    *out = (ct_str){ have.p, n == NEVER };
    if (n == NEVER) return CT_LIMIT;
    out->n = (uint32_t)n;
    c->given = (size_t)n;
    return CT_OK;
}

/* What has just come, with `in` empty: the answer alone is not copied. */
static int give_fresh(ct_channel *c, const ct_want *w, uint32_t got,
                      ct_str *out) {
    ct_str have = { c->stream.loop->scratch, got };
    ssize_t n = look(c, w, have);

    if (n < 0) {
        ct_buf_add(&c->in, have.p, have.n);
        return n == NOT_YET ? CT_AGAIN : give(c, n, have, out);
    }
    ct_buf_add(&c->in, have.p + n, have.n - (size_t)n);
    *out = (ct_str){ have.p, (uint32_t)n };
    return CT_OK;
}

/* Reads a piece; CT_AGAIN with *more: look again. */
static int advance(ct_channel *c, const ct_want *w, ct_str *out, bool *more) {
    uint32_t got;
    int status;

    *more = false;
    if (c->in.len >= c->max_in) return CT_LIMIT;
    status = receive(c, c->max_in - c->in.len, &got);
    if (status == CT_OK && !c->in.len) {
        status = give_fresh(c, w, got, out);
        *more = status == CT_AGAIN;
        return status;
    }
    if (status == CT_OK) ct_buf_add(&c->in, c->stream.loop->scratch, got);
    *more = status == CT_OK || (w->how == CT_WANT_ALL && has_end(c));
    return status;
}

int ct_channel_read(ct_channel *c, const ct_want *w, ct_str *out) {
    int status;
    bool more;

    settle(c);
    if (w->first) c->searched = 0;
    *out = (ct_str){ "", 0 };
    do {
        ct_str have = bytes_of(c);
        ssize_t n = look(c, w, have);

        if (n != NOT_YET) return give(c, n, have, out);
        status = advance(c, w, out, &more);
    } while (more);
    return status;
}

int ct_channel_poll(ct_channel *c) {
    uint32_t got;
    int status;

    settle(c);
    if (c->in.len) return CT_OK;
    status = receive(c, c->max_in, &got);
    if (status == CT_OK) ct_buf_add(&c->in, c->stream.loop->scratch, got);
    return status;
}

ssize_t ct_channel_recv(ct_channel *c, char *p, size_t n) {
    settle(c);
    if (!c->in.len) return from_socket(c, p, n);
    if (n > c->in.len) n = c->in.len;
    memcpy(p, ct_buf_bytes(&c->in), n);
    ct_buf_drain(&c->in, n);
    return (ssize_t)n;
}

void ct_channel_unread(ct_channel *c, const char *p, size_t n) {
    ct_buf in;

    settle(c);
    in = c->in;
    c->in = (ct_buf){ 0 };
    ct_buf_add(&c->in, p, n);
    if (in.len) ct_buf_add(&c->in, ct_buf_bytes(&in), in.len);
    ct_buf_fini(&in);
    c->searched = 0;
}

ct_str ct_channel_rest(const ct_channel *c) {
    ct_str all = bytes_of(c);

    if (!all.n) return all;
    return (ct_str){ all.p + c->given, all.n - (uint32_t)c->given };
}
