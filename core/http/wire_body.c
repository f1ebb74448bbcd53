/* What follows a judged head: the head as evhttp is to see it, and the body,
 * counted by its length or chunked (RFC 9112 §7.1).
 * Chunk lines and trailers go through a table, a byte at a time: by state and
 * kind of byte it says the next state, and what it leaves out is refused.
 * Extensions and trailers are checked and dropped. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/wire.h"

#include "base/str.h"

#include <string.h>

enum { MAX_SIZE_DIGITS = 32, MAX_EXTENSIONS = 4096, MAX_TRAILERS = 8192 };

/* -- The canonical head --------------------------------------------------- */

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static char *put(char *out, const char *p, size_t n) {
    memcpy(out, p, n);
    return out + n;
}

/* A method that evhttp cannot take has GET in its place: it refuses a line that
 * is shorter than "GET / HTTP/1.1", and takes CONNECT's target for a host. */
static char *put_verb(const ct_wire *w, const char *p, char *out) {
    if (w->verb.n < 3 || w->method == CT_METHOD_CONNECT)
        return put(out, "GET ", 4);
    return put(out, p + w->verb.at, w->verb.n + 1);
}

/* evhttp would take "//" for the start of an authority. */
static char *put_target(const ct_wire *w, const char *p, char *out) {
    const char *t = p + w->target.at;
    uint32_t n = w->target.n;

    if (n == 0) return put(out, w->method == CT_METHOD_OPTIONS ? "*" : "/", 1);
    if (n > 1 && t[0] == '/' && t[1] == '/') return put(out, "/", 1);
    if (t[0] == '?') out = put(out, "/", 1);
    return put(out, t, n);
}

/* Copies the field line p[0..n) but for blanks around its value, and Host. */
static char *put_field(const char *p, size_t n, char *out) {
    const char *value = (const char *)memchr(p, ':', n) + 1, *end = p + n;
    size_t name = (size_t)(value - 1 - p);

    if (ct_str_same(p, name, "host", 4)) return out;
    while (value < end && is_blank(*value)) value++;
    while (end > value && is_blank(end[-1])) end--;
    out = put(out, p, name + 1);
    out = put(out, value, (size_t)(end - value));
    return put(out, "\r\n", 2);
}

size_t ct_wire_canonical(const ct_wire *w, const char *p, char *out) {
    const char *line = p + w->verb.at, *end = p + w->at - 2, *next;
    char *o = out;

    o = put_verb(w, p, o);
    o = put_target(w, p, o);
    o = put(o, w->minor ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n", 11);
    if (w->has_host || w->absolute) {
        o = put(o, "Host:", 5);
        o = put(o, p + w->host.at, w->host.n);
        o = put(o, "\r\n", 2);
    }
    line = (const char *)memchr(line, '\r', (size_t)(end - line)) + 2;
    for (; line < end; line = next + 2) {
        next = memchr(line, '\r', (size_t)(end - line));
        o = put_field(line, (size_t)(next - line), o);
    }
    o = put(o, "\r\n", 2);
    return (size_t)(o - out);
}

/* -- The grammar of a chunked body ---------------------------------------- */

enum kind {
    OTHER, /* may stand in quoted strings and in values only */
    HEX,
    TCHAR, /* any other byte of a token */
    WS,
    SEMICOLON,
    EQUALS,
    QUOTE,
    BACKSLASH,
    COLON,
    CR,
    LF,
    CTL,
    KINDS
};

/* What comes next. A body starts in state 0, as wire.c leaves it. */
enum state {
    SIZE_START, /* the first digit */
    SIZE,
    EXT_START, /* after ';' */
    EXT_NAME,
    EXT_EQUALS, /* after blanks behind a name */
    EXT_VALUE_START,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPE,
    EXT_END,   /* after a quoted string */
    EXT_SPACE, /* after blanks that only ';' may follow */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    LINE_START, /* of a trailer, or the empty line */
    LINE_NAME,
    LINE_VALUE,
    LINE_LF,
    LAST_LF,
    COMPLETE,
    BAD
};

/* The next state; 0 stands for BAD, as only DATA_LF leads to SIZE_START. */
static const uint8_t table[BAD][KINDS] = {
    [SIZE_START] = { [HEX] = SIZE },
    [SIZE] = { [HEX] = SIZE,
               [WS] = EXT_SPACE,
               [SEMICOLON] = EXT_START,
               [CR] = SIZE_LF },
    [EXT_START] = { [WS] = EXT_START, [HEX] = EXT_NAME, [TCHAR] = EXT_NAME },
    [EXT_NAME] = { [HEX] = EXT_NAME,
                   [TCHAR] = EXT_NAME,
                   [WS] = EXT_EQUALS,
                   [EQUALS] = EXT_VALUE_START,
                   [SEMICOLON] = EXT_START,
                   [CR] = SIZE_LF },
    [EXT_EQUALS] = { [WS] = EXT_EQUALS,
                     [EQUALS] = EXT_VALUE_START,
                     [SEMICOLON] = EXT_START },
    [EXT_VALUE_START] = { [WS] = EXT_VALUE_START,
                          [HEX] = EXT_VALUE,
                          [TCHAR] = EXT_VALUE,
                          [QUOTE] = EXT_QUOTED },
    [EXT_VALUE] = { [HEX] = EXT_VALUE,
                    [TCHAR] = EXT_VALUE,
                    [WS] = EXT_SPACE,
                    [SEMICOLON] = EXT_START,
                    [CR] = SIZE_LF },
    [EXT_QUOTED] = { [OTHER] = EXT_QUOTED,
                     [HEX] = EXT_QUOTED,
                     [TCHAR] = EXT_QUOTED,
                     [WS] = EXT_QUOTED,
                     [SEMICOLON] = EXT_QUOTED,
                     [EQUALS] = EXT_QUOTED,
                     [COLON] = EXT_QUOTED,
                     [QUOTE] = EXT_END,
                     [BACKSLASH] = EXT_ESCAPE },
    [EXT_ESCAPE] = { [OTHER] = EXT_QUOTED,
                     [HEX] = EXT_QUOTED,
                     [TCHAR] = EXT_QUOTED,
                     [WS] = EXT_QUOTED,
                     [SEMICOLON] = EXT_QUOTED,
                     [EQUALS] = EXT_QUOTED,
                     [COLON] = EXT_QUOTED,
                     [QUOTE] = EXT_QUOTED,
                     [BACKSLASH] = EXT_QUOTED },
    [EXT_END] = { [WS] = EXT_SPACE, [SEMICOLON] = EXT_START, [CR] = SIZE_LF },
    [EXT_SPACE] = { [WS] = EXT_SPACE, [SEMICOLON] = EXT_START },
    [SIZE_LF] = { [LF] = DATA },
    [DATA_CR] = { [CR] = DATA_LF },
    [DATA_LF] = { [LF] = SIZE_START },
    [LINE_START] = { [HEX] = LINE_NAME, [TCHAR] = LINE_NAME, [CR] = LAST_LF },
    [LINE_NAME] = { [HEX] = LINE_NAME,
                    [TCHAR] = LINE_NAME,
                    [COLON] = LINE_VALUE },
    [LINE_VALUE] = { [OTHER] = LINE_VALUE,
                     [HEX] = LINE_VALUE,
                     [TCHAR] = LINE_VALUE,
                     [WS] = LINE_VALUE,
                     [SEMICOLON] = LINE_VALUE,
                     [EQUALS] = LINE_VALUE,
                     [QUOTE] = LINE_VALUE,
                     [BACKSLASH] = LINE_VALUE,
                     [COLON] = LINE_VALUE,
                     [CR] = LINE_LF },
    [LINE_LF] = { [LF] = LINE_START },
    [LAST_LF] = { [LF] = COMPLETE },
};

static enum kind kind_of(uint8_t c) {
    switch (c) {
    case '0' ... '9':
    case 'A' ... 'F':
    case 'a' ... 'f': return HEX;
    case 'G' ... 'Z':
    case 'g' ... 'z':
    case '#' ... '\'':
    case '^' ... '`':
    case '!':
    case '*':
    case '+':
    case '-':
    case '.':
    case '|':
    case '~': return TCHAR;
    case ' ':
    case '\t': return WS;
    case ';': return SEMICOLON;
    case '=': return EQUALS;
    case '"': return QUOTE;
    case '\\': return BACKSLASH;
    case ':': return COLON;
    case '\r': return CR;
    case '\n': return LF;
    case 0x7f: return CTL;
    default: return c < 0x20 ? CTL : OTHER;
    }
}

/* -- The decoder ---------------------------------------------------------- */

static bool refuse(ct_wire *w, uint16_t status, const char *reason) {
    w->status = status;
    w->reason = reason;
    return false;
}

static bool refuse_byte(ct_wire *w) {
    if (w->state <= SIZE) return refuse(w, 400, "bad chunk size");
    if (w->state < SIZE_LF) return refuse(w, 400, "bad chunk extension");
    if (w->state == SIZE_LF) return refuse(w, 400, "bare CR");
    if (w->state <= DATA_LF) return refuse(w, 400, "chunk without its CRLF");
    return refuse(w, 400, "bad trailer");
}

/* Adds a digit to the chunk's size, which stays below 2^63 (RFC 9112 §7.1: digits that
 * overflow are to be expected). */
static bool add_digit(ct_wire *w, uint8_t c) {
    uint8_t digit = (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);

    if (w->left >> 59) return refuse(w, 400, "huge chunk");
    if (w->step == MAX_SIZE_DIGITS)
        return refuse(w, 400, "a chunk size of too many digits");
    w->left = w->left << 4 | digit;
    w->step++;
    return true;
}

static bool add_extra(ct_wire *w) {
    w->extra++;
    if (w->state < SIZE_LF && w->extra > MAX_EXTENSIONS)
        return refuse(w, 400, "too many chunk extensions");
    if (w->state > SIZE_LF && w->extra > MAX_TRAILERS)
        return refuse(w, 431, "trailers too long");
    return true;
}

/* Takes one byte of the framing. */
static bool step(ct_wire *w, uint8_t c) {
    uint8_t next = table[w->state][kind_of(c)];

    if (next == 0 && w->state != DATA_LF) return refuse_byte(w);
    if (w->state == DATA_LF && c != '\n') return refuse_byte(w);
    w->state = next;
    if (next == SIZE) return add_digit(w, c);
    if (next == SIZE_START) w->step = 0;
    if (next == DATA && w->left == 0) {
        w->state = LINE_START;
        w->extra = 0;
        return true;
    }
    if ((next >= EXT_START && next < SIZE_LF) ||
        (next >= LINE_START && next <= LINE_LF))
        return add_extra(w);
    return true;
}

/* Content that lies at `p`, of the chunk or of the length. */
static size_t take(ct_wire *w, const char *p, size_t n, const char **data,
                   size_t *size) {
    *data = p;
    *size = n < w->left ? n : (size_t)w->left;
    w->left -= *size;
    return *size;
}

static ct_wire_verdict take_chunked(ct_wire *w, const char *p, size_t n,
                                    size_t *used, const char **data,
                                    size_t *size) {
    size_t i;

    if (w->state == COMPLETE) return CT_WIRE_DONE;
    for (i = 0; i < n && w->state != DATA; i++, *used = i) {
        if (!step(w, (uint8_t)p[i])) return CT_WIRE_BAD;
        if (w->state == COMPLETE) {
            *used = i + 1;
            return CT_WIRE_DONE;
        }
    }
    if (i < n) *used = i + take(w, p + i, n - i, data, size);
    if (w->state == DATA && w->left == 0) w->state = DATA_CR;
    return CT_WIRE_MORE;
}

uint64_t ct_wire_body_left(const ct_wire *w) {
    return w->chunked && w->state != DATA ? 0 : w->left;
}

ct_wire_verdict ct_wire_body(ct_wire *w, const char *p, size_t n, size_t *used,
                             const char **data, size_t *size) {
    *used = *size = 0;
    *data = p;
    if (w->status) return CT_WIRE_BAD;
    if (w->chunked) return take_chunked(w, p, n, used, data, size);
    *used = take(w, p, n, data, size);
    return w->left ? CT_WIRE_MORE : CT_WIRE_DONE;
}
