/* The mask is kept as four bytes in memory order and turned after each piece, so
 * that it always begins with the next byte to come. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/websocket.h"

#include <string.h>

enum { FIN = 0x80, RSV1 = 0x40, RSV = 0x70, OPCODE = 0x0f, MASKED = 0x80 };
enum { BLOCK = 64 }; /* bytes unmasked and looked at together */

static const uint64_t HIGH = 0x8080808080808080u;

void ct_websocket_init(ct_websocket *w, bool client, bool deflate,
                       uint64_t max_message) {
    memset(w, 0, offsetof(ct_websocket, head));
    w->client = client;
    w->deflate = deflate;
    w->max_message = max_message;
}

static ct_websocket_event bad(ct_websocket *w, uint16_t code,
                              const char *reason) {
    w->code = code;
    w->reason = reason;
    return CT_WEBSOCKET_BAD;
}

static ct_websocket_event wrong(ct_websocket *w, const char *reason) {
    return bad(w, CT_WEBSOCKET_PROTOCOL_ERROR, reason);
}

/* -- Masking --------------------------------------------------------------- */

/* The mask as it stands `n` bytes later. */
static uint32_t turned(uint32_t mask, size_t n) {
    unsigned char was[4], is[4];

    memcpy(was, &mask, 4);
    for (size_t i = 0; i < 4; i++) is[i] = was[(i + n) & 3];
    memcpy(&mask, is, 4);
    return mask;
}

typedef uint64_t pair __attribute__((vector_size(16)));

/* Each of these unmasks bytes and returns them or'ed: with a bit of HIGH when one
 * of them is not ASCII. */

static pair unmask_pair(char *p, uint64_t mask) {
    pair words;

    memcpy(&words, p, sizeof words);
    words ^= mask;
    memcpy(p, &words, sizeof words);
    return words;
}

static uint64_t unmask_block(char *p, uint64_t mask) {
    pair all = unmask_pair(p, mask) | unmask_pair(p + 16, mask) |
               unmask_pair(p + 32, mask) | unmask_pair(p + 48, mask);

    return all[0] | all[1];
}

static uint64_t unmask_word(char *p, uint32_t mask) {
    uint32_t word;

    memcpy(&word, p, sizeof word);
    word ^= mask;
    memcpy(p, &word, sizeof word);
    return word;
}

/* Less than a block. */
static uint64_t unmask_tail(char *p, size_t n, uint64_t mask) {
    unsigned char bytes[4];
    uint32_t half = (uint32_t)mask;
    uint64_t high = 0;
    pair all = { 0 };

    for (; n >= 16; p += 16, n -= 16) all |= unmask_pair(p, mask);
    for (; n >= 4; p += 4, n -= 4) high |= unmask_word(p, half);
    memcpy(bytes, &half, sizeof bytes);
    for (size_t i = 0; i < n; i++) {
        p[i] = (char)(p[i] ^ bytes[i]);
        high |= (unsigned char)p[i];
    }
    return all[0] | all[1] | high;
}

/* Checks what was just unmasked, `all` or'ed, unless it needs no look. */
static bool check(ct_utf8 *u, uint64_t all, const char *p, size_t n) {
    if (!u || (!(all & HIGH) && !u->need)) return true;
    return ct_utf8_run(u, p, n);
}

/* Unmasks `n` bytes and, when `u` is given, checks that they are UTF-8. */
static bool unmask(char *p, size_t n, uint32_t mask, ct_utf8 *u) {
    uint64_t wide = (uint64_t)mask << 32 | mask;
    size_t i = 0;

    for (; i + BLOCK <= n; i += BLOCK) {
        if (!check(u, unmask_block(p + i, wide), p + i, BLOCK)) return false;
    }
    return check(u, unmask_tail(p + i, n - i, wide), p + i, n - i);
}

void ct_websocket_mask(char *p, size_t n, const unsigned char mask[4]) {
    uint32_t word;

    memcpy(&word, mask, 4);
    (void)unmask(p, n, word, NULL);
}

/* -- Heads ----------------------------------------------------------------- */

static const char *judge_first(const ct_websocket *w, unsigned char first) {
    unsigned opcode = first & OPCODE;
    bool control = opcode & 8;

    if (opcode > CT_WEBSOCKET_PONG ||
        (opcode > CT_WEBSOCKET_BINARY && opcode < CT_WEBSOCKET_CLOSE))
        return "unknown opcode";
    if (first & RSV & ~RSV1) return "reserved bits";
    if ((first & RSV1) &&
        (!w->deflate || control || opcode == CT_WEBSOCKET_CONTINUATION))
        return "reserved bits";
    if (control) return first & FIN ? NULL : "fragmented control frame";
    if (opcode == CT_WEBSOCKET_CONTINUATION)
        return w->message ? NULL : "continuation of nothing";
    return w->message ? "new message inside a fragmented one" : NULL;
}

static const char *judge_second(const ct_websocket *w, unsigned char second) {
    bool control = w->head[0] & 8;

    if (!(second & MASKED) != w->client)
        return w->client ? "masked frame" : "frame without a mask";
    if (control && (second & ~MASKED) > CT_WEBSOCKET_CONTROL)
        return "control frame too long";
    return NULL;
}

/* Bytes of the head, of which the first two are here. */
static size_t head_size(const ct_websocket *w) {
    unsigned n = w->head[1] & 0x7f;
    size_t length = n == 126 ? 2 : n == 127 ? 8 : 0;

    return 2 + length + (w->client ? 0 : 4);
}

/* The payload's length; false when it is not in its shortest form. */
static bool read_length(const ct_websocket *w, uint64_t *out) {
    unsigned n = w->head[1] & 0x7f, bytes = n == 126 ? 2 : n == 127 ? 8 : 0;

    *out = bytes ? 0 : n;
    for (unsigned i = 0; i < bytes; i++) *out = *out << 8 | w->head[2 + i];
    if (bytes == 2) return *out > 125;
    return bytes == 0 || (*out > UINT16_MAX && *out <= INT64_MAX);
}

/* The head is complete: what follows belongs to its payload. */
static ct_websocket_event open_frame(ct_websocket *w) {
    unsigned opcode = w->head[0] & OPCODE;
    size_t size = head_size(w);

    if (!read_length(w, &w->left)) return wrong(w, "bad length");
    w->mask = 0;
    if (!w->client) memcpy(&w->mask, w->head + size - 4, 4);
    w->inside = true;
    w->have = 0;
    w->fin = w->head[0] & FIN;
    if (opcode & 8) {
        w->opcode = (uint8_t)opcode;
        return CT_WEBSOCKET_MORE;
    }
    if (opcode != CT_WEBSOCKET_CONTINUATION) {
        w->message = (uint8_t)opcode;
        w->compressed = w->head[0] & RSV1;
        w->size = 0;
        w->utf8 = (ct_utf8){ 0 };
    }
    w->opcode = w->message;
    if (w->left > w->max_message - w->size)
        return bad(w, CT_WEBSOCKET_TOO_BIG, "message too big");
    w->size += w->left;
    return CT_WEBSOCKET_MORE;
}

/* Takes bytes of a head: MORE with w->inside when it is complete. */
static ct_websocket_event take_head(ct_websocket *w, const char *p, size_t n,
                                    size_t *used) {
    size_t i = 0, size;
    const char *why;

    while (w->have < 2) {
        if (i == n) return CT_WEBSOCKET_MORE;
        unsigned char c = (unsigned char)p[i++];

        *used = i;
        why = w->have ? judge_second(w, c) : judge_first(w, c);
        if (why) return wrong(w, why);
        w->head[w->have++] = c;
    }
    size = head_size(w);
    size -= w->have;
    if (size > n - i) size = n - i;
    memcpy(w->head + w->have, p + i, size);
    w->have = (uint8_t)(w->have + size);
    *used = i + size;
    return w->have == head_size(w) ? open_frame(w) : CT_WEBSOCKET_MORE;
}

size_t ct_websocket_head(unsigned char out[CT_WEBSOCKET_HEAD],
                         ct_websocket_opcode opcode, bool compressed,
                         uint64_t n, const unsigned char mask[4]) {
    size_t bytes = n < 126 ? 0 : n <= UINT16_MAX ? 2 : 8;

    out[0] = (unsigned char)(FIN | (compressed ? RSV1 : 0) | (int)opcode);
    out[1] = (unsigned char)(n < 126 ? n : bytes == 2 ? 126 : 127);
    for (size_t i = 0; i < bytes; i++)
        out[2 + i] = (unsigned char)(n >> 8 * (bytes - 1 - i));
    if (!mask) return 2 + bytes;
    out[1] |= MASKED;
    memcpy(out + 2 + bytes, mask, 4);
    return 6 + bytes;
}

/* -- Payloads -------------------------------------------------------------- */

bool ct_websocket_code_is_valid(unsigned code) {
    if (code >= 3000) return code <= 4999;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
           code != 1006;
}

/* A close frame's code and reason (RFC 6455 §5.5.1). */
static ct_websocket_event take_close(ct_websocket *w, ct_str *out) {
    ct_utf8 u = { 0 };

    w->code = CT_WEBSOCKET_NO_STATUS;
    if (out->n == 0) return CT_WEBSOCKET_SIGN;
    if (out->n == 1) return wrong(w, "close frame of one byte");
    w->code =
        (uint16_t)((unsigned char)out->p[0] << 8 | (unsigned char)out->p[1]);
    if (!ct_websocket_code_is_valid(w->code))
        return wrong(w, "invalid close code");
    out->p += 2;
    out->n -= 2;
    if (ct_utf8_run(&u, out->p, out->n) && ct_utf8_is_whole(&u))
        return CT_WEBSOCKET_SIGN;
    return bad(w, CT_WEBSOCKET_BAD_DATA, "close reason is not UTF-8");
}

static ct_websocket_event take_control(ct_websocket *w, const char *p, size_t n,
                                       ct_str *out) {
    memcpy(w->control + w->have, p, n);
    w->have = (uint8_t)(w->have + n);
    if (w->left) return CT_WEBSOCKET_MORE;
    (void)unmask(w->control, w->have, w->mask, NULL);
    *out = (ct_str){ w->control, w->have };
    w->inside = false;
    w->have = 0;
    return w->opcode == CT_WEBSOCKET_CLOSE ? take_close(w, out)
                                           : CT_WEBSOCKET_SIGN;
}

static ct_websocket_event take_data(ct_websocket *w, char *p, size_t n,
                                    ct_str *out) {
    bool text = w->message == CT_WEBSOCKET_TEXT && !w->compressed;

    if (!unmask(p, n, w->mask, text ? &w->utf8 : NULL))
        return bad(w, CT_WEBSOCKET_BAD_DATA, "text is not UTF-8");
    *out = (ct_str){ p, (uint32_t)n };
    w->whole = w->fin && !w->left;
    if (w->left) {
        w->mask = turned(w->mask, n);
        return CT_WEBSOCKET_DATA;
    }
    w->inside = false;
    w->have = 0;
    if (!w->fin) return CT_WEBSOCKET_DATA;
    w->message = 0;
    if (text && !ct_utf8_is_whole(&w->utf8))
        return bad(w, CT_WEBSOCKET_BAD_DATA, "text is not UTF-8");
    return CT_WEBSOCKET_DATA;
}

ct_websocket_event ct_websocket_next(ct_websocket *w, char *p, size_t n,
                                     size_t *used, ct_str *out) {
    size_t head = 0;

    *used = 0;
    if (!w->inside) {
        ct_websocket_event e = take_head(w, p, n, &head);

        *used = head;
        if (e == CT_WEBSOCKET_BAD || !w->inside) return e;
    }
    n -= head;
    if (!n && w->left) return CT_WEBSOCKET_MORE;
    if (n > w->left) n = (size_t)w->left;
    w->left -= n;
    *used = head + n;
    return w->opcode & 8 ? take_control(w, p + head, n, out)
                         : take_data(w, p + head, n, out);
}
