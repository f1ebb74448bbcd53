/* A window is what the sender compressed last, so it is had from the text itself
 * (own) or from inflate (peer), and given back to zlib with the next message.
 * For short messages that is less than zlib's state by two orders. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ws_deflate.h"

#include "base/mem.h"
#include "base/str.h"
#include <stdio.h>
#include <string.h>

enum { SPARE = 4, PIECE = 16384, RESTARTS = 16, NO_BITS = 0 };

/* -- The handshake --------------------------------------------------------- */

/* What an offer or answer says; bits are 0 when absent, 1 for a parameter that
 * has no value. */
typedef struct extension {
    bool ours;  /* it is permessage-deflate */
    bool valid; /* and everything in it is as it must be */
    bool server_no_takeover, client_no_takeover;
    uint8_t server_bits, client_bits;
} extension;

typedef struct cursor {
    const char *p, *end;
} cursor;

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

static void skip_space(cursor *c) {
    while (c->p < c->end && is_space(*c->p)) c->p++;
}

static bool take_char(cursor *c, char wanted) {
    skip_space(c);
    if (c->p == c->end || *c->p != wanted) return false;
    c->p++;
    skip_space(c);
    return true;
}

static ct_str take_token(cursor *c) {
    const char *from = c->p;

    while (c->p < c->end && ct_str_is_token(c->p, 1)) c->p++;
    return (ct_str){ from, (uint32_t)(c->p - from) };
}

/* A value may be quoted (RFC 6455 §9.1), but must be a token when it is not. */
static bool take_value(cursor *c, ct_str *out) {
    bool quoted = c->p < c->end && *c->p == '"';

    if (quoted) c->p++;
    *out = take_token(c);
    if (quoted && (c->p == c->end || *c->p++ != '"')) return false;
    return out->n > 0;
}

static bool is(ct_str s, const char *name) {
    return ct_str_same(s.p, s.n, name, strlen(name));
}

/* 8 to 15, without leading zeros (RFC 7692 §7.1.2). */
static bool read_bits(ct_str s, uint8_t *out) {
    uint64_t n;

    if (s.n > 2 || s.p[0] == '0' || !ct_str_decimal(s.p, s.n, &n)) return false;
    *out = (uint8_t)n;
    return n >= 8 && n <= 15;
}

static bool set_flag(bool *flag, bool has_value) {
    bool twice = *flag;

    *flag = true;
    return !twice && !has_value;
}

static bool set_bits(uint8_t *bits, bool has_value, ct_str value,
                     bool may_be_bare) {
    if (*bits) return false;
    *bits = 1;
    return has_value ? read_bits(value, bits) : may_be_bare;
}

static bool set_param(extension *e, ct_str name, bool has_value, ct_str value) {
    if (is(name, "server_no_context_takeover"))
        return set_flag(&e->server_no_takeover, has_value);
    if (is(name, "client_no_context_takeover"))
        return set_flag(&e->client_no_takeover, has_value);
    if (is(name, "server_max_window_bits"))
        return set_bits(&e->server_bits, has_value, value, false);
    if (is(name, "client_max_window_bits"))
        return set_bits(&e->client_bits, has_value, value, true);
    return false;
}

/* Takes one extension of the list; false when the list's form is broken. */
static bool take_extension(cursor *c, extension *e) {
    ct_str name, value = { 0 };

    *e = (extension){ .valid = true };
    skip_space(c);
    name = take_token(c);
    if (!name.n) return false;
    e->ours = is(name, "permessage-deflate");
    while (take_char(c, ';')) {
        bool has_value;

        name = take_token(c);
        if (!name.n) return false;
        has_value = take_char(c, '=');
        if (has_value && !take_value(c, &value)) return false;
        if (e->ours && !set_param(e, name, has_value, value)) e->valid = false;
    }
    skip_space(c);
    return c->p == c->end || *c->p == ',';
}

static uint8_t lesser(uint8_t a, uint8_t b) {
    return a < b ? a : b;
}

/* zlib cannot make raw deflate with a window of 256 bytes. */
static bool agree(const extension *e, const ct_ws_params *want,
                  ct_ws_params *agreed) {
    if (!e->ours || !e->valid || e->server_bits == 8) return false;
    *agreed = *want;
    if (e->server_no_takeover) agreed->own_takeover = false;
    if (e->client_no_takeover) agreed->peer_takeover = false;
    if (e->server_bits)
        agreed->own_bits = lesser(want->own_bits, e->server_bits);
    if (!e->client_bits) agreed->peer_bits = 15;
    if (e->client_bits > 1)
        agreed->peer_bits = lesser(want->peer_bits, e->client_bits);
    return true;
}

static void write_answer(const extension *e, const ct_ws_params *agreed,
                         char out[CT_WS_ANSWER]) {
    char server[32] = "", client[32] = "";

    if (e->server_bits || agreed->own_bits < 15)
        snprintf(server, sizeof server, "; server_max_window_bits=%d",
                 agreed->own_bits);
    if (e->client_bits && agreed->peer_bits < 15)
        snprintf(client, sizeof client, "; client_max_window_bits=%d",
                 agreed->peer_bits);
    snprintf(out, CT_WS_ANSWER, "permessage-deflate%s%s%s%s",
             agreed->own_takeover ? "" : "; server_no_context_takeover",
             agreed->peer_takeover ? "" : "; client_no_context_takeover",
             server, client);
}

bool ct_ws_accept_offer(const char *p, size_t n, const ct_ws_params *want,
                        ct_ws_params *agreed, char out[CT_WS_ANSWER]) {
    cursor c = { p, p + n };
    extension e;

    do {
        if (!take_extension(&c, &e)) return false;
        if (!agree(&e, want, agreed)) continue;
        write_answer(&e, agreed, out);
        return true;
    } while (take_char(&c, ','));
    return false;
}

bool ct_ws_check_answer(const char *p, size_t n, const ct_ws_params *want,
                        ct_ws_params *agreed) {
    cursor c = { p, p + n };
    extension e;

    if (!take_extension(&c, &e) || c.p != c.end) return false;
    if (!e.ours || !e.valid || e.client_bits == 1 || e.client_bits == 8)
        return false;
    *agreed = *want;
    agreed->own_takeover &= !e.client_no_takeover;
    agreed->peer_takeover = !e.server_no_takeover;
    agreed->peer_bits = e.server_bits ? e.server_bits : 15;
    if (e.client_bits) agreed->own_bits = lesser(want->own_bits, e.client_bits);
    return true;
}

/* -- States to lend -------------------------------------------------------- */

typedef struct spare_deflate {
    ct_deflate *state;
    uint8_t bits, level, memory;
} spare_deflate;

struct ct_ws_codecs {
    ct_inflate *inflates[SPARE];
    spare_deflate deflates[SPARE];
    unsigned next; /* the place of the next deflate that is new */
};

ct_ws_codecs *ct_ws_codecs_new(void) {
    return ct_new(ct_ws_codecs);
}

void ct_ws_codecs_free(ct_ws_codecs *c) {
    if (!c) return;
    for (int i = 0; i < SPARE; i++) {
        ct_inflate_free(c->inflates[i]);
        ct_deflate_free(c->deflates[i].state);
    }
    ct_free(c);
}

static ct_inflate *lend_inflate(ct_ws_codecs *c) {
    for (int i = 0; i < SPARE; i++) {
        ct_inflate *z = c->inflates[i];

        c->inflates[i] = NULL;
        if (z) return z;
    }
    return ct_inflate_new_raw();
}

static void give_back(ct_ws_codecs *c, ct_inflate *z) {
    for (int i = 0; i < SPARE && z; i++) {
        if (c->inflates[i]) continue;
        c->inflates[i] = z;
        z = NULL;
    }
    ct_inflate_free(z);
}

/* One for a message that is compressed at once, so it stays here. */
static ct_deflate *use_deflate(ct_ws_codecs *c, const ct_ws_params *p) {
    spare_deflate *d;

    for (int i = 0; i < SPARE; i++) {
        d = &c->deflates[i];
        if (d->state && d->bits == p->own_bits && d->level == p->level &&
            d->memory == p->memory)
            return d->state;
    }
    d = &c->deflates[c->next++ % SPARE];
    ct_deflate_free(d->state);
    *d = (spare_deflate){ ct_deflate_new_raw(p->level, p->own_bits, p->memory),
                          p->own_bits, p->level, p->memory };
    return d->state;
}

/* -- A connection ---------------------------------------------------------- */

void ct_ws_deflate_init(ct_ws_deflate *d, ct_ws_codecs *codecs,
                        const ct_ws_params *agreed) {
    *d = (ct_ws_deflate){ .codecs = codecs, .params = *agreed };
}

void ct_ws_deflate_fini(ct_ws_deflate *d) {
    ct_inflate_free(d->inflate);
    d->inflate = NULL;
    ct_buf_fini(&d->own);
    ct_buf_fini(&d->peer);
}

/* Keeps the last `size` bytes of the window and the `n` bytes behind it. */
static void slide(ct_buf *window, const char *p, size_t n, size_t size) {
    if (n >= size) {
        ct_buf_fini(window);
        p += n - size;
        n = size;
    }
    if (window->len + n > size) ct_buf_drain(window, window->len + n - size);
    if (n) ct_buf_add(window, p, n);
}

void ct_ws_compress(ct_ws_deflate *d, const char *p, size_t n, ct_buf *out) {
    ct_deflate *z = use_deflate(d->codecs, &d->params);

    ct_deflate_restart(z, d->own.len ? ct_buf_bytes(&d->own) : NULL,
                       d->own.len);
    ct_deflate_run(z, p, n, CT_FLUSH_SYNC, out);
    out->len -= 4; /* 00 00 ff ff, RFC 7692 §7.2.1 */
    if (d->params.own_takeover)
        slide(&d->own, p, n, (size_t)1 << d->params.own_bits);
}

/* Another block follows the last one (RFC 7692 §7.2.3.5): goes on with what it
 * has decoded as the window. */
static bool go_on(ct_ws_deflate *d) {
    char window[CT_DEFLATE_WINDOW];

    if (d->restarts++ == RESTARTS) return false;
    ct_inflate_restart(d->inflate, window,
                       ct_inflate_window(d->inflate, window));
    return true;
}

static ct_ws_result run(ct_ws_deflate *d, ct_str in, size_t max, ct_buf *out) {
    size_t size;

    do {
        size_t room = max - out->len + 1 < PIECE ? max - out->len + 1 : PIECE;

        if (!ct_inflate_run(d->inflate, &in, ct_buf_reserve(out, room), room,
                            &size))
            return CT_WS_CORRUPT;
        ct_buf_added(out, size);
        if (out->len > max) return CT_WS_TOO_BIG;
        if (ct_inflate_is_whole(d->inflate) && in.n) {
            if (!go_on(d)) return CT_WS_CORRUPT;
            size = 1;
        }
    } while (size);
    return CT_WS_OK;
}

static void end_message(ct_ws_deflate *d) {
    char window[CT_DEFLATE_WINDOW];
    size_t size = (size_t)1 << d->params.peer_bits, n;

    if (d->params.peer_takeover) {
        n = ct_inflate_window(d->inflate, window);
        ct_buf_fini(&d->peer);
        slide(&d->peer, window, n, size);
    }
    give_back(d->codecs, d->inflate);
    d->inflate = NULL;
    d->restarts = 0;
}

ct_ws_result ct_ws_decompress(ct_ws_deflate *d, const char *p, size_t n,
                              bool whole, size_t max, ct_buf *out) {
    ct_ws_result result;

    if (!d->inflate) {
        d->inflate = lend_inflate(d->codecs);
        ct_inflate_restart(d->inflate,
                           d->peer.len ? ct_buf_bytes(&d->peer) : NULL,
                           d->peer.len);
    }
    result = run(d, (ct_str){ p, (uint32_t)n }, max, out);
    if (result == CT_WS_OK && whole)
        result = run(d, (ct_str){ "\0\0\xff\xff", 4 }, max, out);
    if (result == CT_WS_OK && whole) end_message(d);
    return result;
}
