/* The scanner of WebSocket frames: the same events for an input, however it is
 * cut, and the close code of RFC 6455 for each thing that is wrong. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "http/websocket.h"

#include <stdlib.h>

enum { ROOM = 1 << 18, LIMIT = 70000 };

static char said[ROOM]; /* "text(hello) ping(x) !1002 why" */
static size_t said_len;

static void say(const char *p, size_t n) {
    if (said_len + n >= sizeof said) abort();
    memcpy(said + said_len, p, n);
    said_len += n;
    said[said_len] = 0;
}

static void says(const char *s) {
    say(s, strlen(s));
}

static void say_event(const ct_websocket *w, ct_websocket_event e, ct_str out,
                      bool *open) {
    static const char *const names[] = { "",      "text", "binary", "",
                                         "",      "",     "",       "",
                                         "close", "ping", "pong" };
    char number[32];

    if (e == CT_WEBSOCKET_DATA) {
        if (!*open) {
            if (w->compressed) says("z-");
            says(names[w->opcode]);
            says("(");
        }
        say(out.p, out.n);
        *open = !w->whole;
        if (w->whole) says(") ");
        return;
    }
    if (*open) says("|"); /* a control frame between the pieces */
    says(names[w->opcode]);
    if (w->opcode == CT_WEBSOCKET_CLOSE) {
        snprintf(number, sizeof number, "%u ", w->code);
        says(number);
    }
    says("(");
    say(out.p, out.n);
    says(") ");
}

/* Feeds one piece, from memory of just its size; false behind BAD. */
static bool feed(ct_websocket *w, const char *p, size_t n, bool *open) {
    char *copy = malloc(n + !n);
    size_t at = 0, used;
    ct_str out = { 0 };
    ct_websocket_event e;

    memcpy(copy, p, n);
    while ((e = ct_websocket_next(w, copy + at, n - at, &used, &out)) !=
               CT_WEBSOCKET_MORE &&
           e != CT_WEBSOCKET_BAD) {
        at += used;
        say_event(w, e, out, open);
    }
    if (e == CT_WEBSOCKET_BAD) {
        char number[32];

        snprintf(number, sizeof number, "!%u ", w->code);
        says(number);
        says(w->reason);
    } else {
        CHECK(at + used == n);
    }
    free(copy);
    return e != CT_WEBSOCKET_BAD;
}

/* The events of `p` when it comes in pieces: the first of `first` bytes, then of
 * `piece`. */
static const char *scan_as(bool client, const char *p, size_t n, size_t first,
                           size_t piece) {
    ct_websocket w;
    bool open = false;
    size_t at = 0, size = first;

    said_len = 0;
    said[0] = 0;
    ct_websocket_init(&w, client, true, LIMIT);
    while (at < n) {
        if (size > n - at) size = n - at;
        if (!feed(&w, p + at, size, &open)) break;
        at += size;
        size = piece;
    }
    return said;
}

/* The same for each way to cut it. Pieces of a text that is refused differ in
 * how much of it was given before, so only the ends are compared then. */
static const char *scan(bool client, const char *p, size_t n) {
    static char whole[ROOM];
    const char *bad;

    strcpy(whole, scan_as(client, p, n, n, n));
    bad = strchr(whole, '!');
    for (size_t first = 1; first <= n && first < 300; first++) {
        const char *cut = scan_as(client, p, n, first, n);

        if (bad && strchr(cut, '!')) cut = strchr(cut, '!');
        CHECK_STR(cut, bad ? bad : whole);
    }
    if (!bad) CHECK_STR(scan_as(client, p, n, 1, 1), whole);
    return bad ? bad : whole;
}

/* A masked frame behind those in `out` (at *len). */
static void frame(char *out, size_t *len, int first, const char *p, size_t n) {
    static const unsigned char mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
    unsigned char head[CT_WEBSOCKET_HEAD];
    size_t size = ct_websocket_head(head, first & 15, false, n, mask);

    head[0] = (unsigned char)first;
    memcpy(out + *len, head, size);
    memcpy(out + *len + size, p, n);
    ct_websocket_mask(out + *len + size, n, mask);
    *len += size + n;
}

static char wire[ROOM];
static size_t wire_len;

static void put(int first, const char *text) {
    frame(wire, &wire_len, first, text, strlen(text));
}

static const char *take(void) {
    size_t n = wire_len;

    wire_len = 0;
    return scan(false, wire, n);
}

static const char *one(int first, const char *p, size_t n) {
    frame(wire, &wire_len, first, p, n);
    return take();
}

static void messages(void) {
    put(0x81, "Hello");
    put(0x82, "\x01\xff");
    put(0x81, "");
    CHECK_STR(take(), "text(Hello) binary(\x01\xff) text() ");

    put(0x01, "Hel");
    put(0x89, "are you there");
    put(0x00, "");
    put(0x8a, "");
    put(0x80, "lo");
    put(0x81, "next");
    CHECK_STR(take(), "text(Hel|ping(are you there) |pong() lo) text(next) ");

    put(0xc1, "\xff\xfe");
    CHECK_STR(take(), "z-text(\xff\xfe) ");

    put(0x88, "");
    CHECK_STR(take(), "close1005 () ");
    put(0x88, "\x03\xe8");
    CHECK_STR(take(), "close1000 () ");
    put(0x88, "\x0f\xa0"
              "bye");
    CHECK_STR(take(), "close4000 (bye) ");

    /* RFC 6455 §5.7: as a client gets it */
    CHECK_STR(scan(true, "\x81\x05Hello\x89\x05Hello", 14),
              "text(Hello) ping(Hello) ");
}

static void lengths(void) {
    static char body[LIMIT + 1];
    static const size_t sizes[] = { 125, 126, 127, 128, 191, 65535, 65536 };

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset(body, 'x', sizeof body);
        frame(wire, &wire_len, 0x81, body, sizes[i]);
        CHECK(strlen(scan_as(false, wire, wire_len, wire_len, 1)) ==
              sizes[i] + 7);
        CHECK(strspn(said + 5, "x") == sizes[i]);
        CHECK(strlen(scan_as(false, wire, wire_len, 3, 1000)) == sizes[i] + 7);
        CHECK(strspn(said + 5, "x") == sizes[i]);
        wire_len = 0;
    }
    CHECK_STR(scan(false, "\x81\xfe\x00\x7d....", 8), "!1002 bad length");
    CHECK_STR(scan(false, "\x81\xff\0\0\0\0\0\0\xff\xff....", 14),
              "!1002 bad length");
    CHECK_STR(scan(false, "\x81\xff\x80\0\0\0\0\x01\xff\xff....", 14),
              "!1002 bad length");
    CHECK_STR(scan(false, "\x81\xff\0\0\0\0\0\x01\x11\x71....", 14),
              "!1009 message too big");
    frame(wire, &wire_len, 0x01, body, LIMIT - 1);
    frame(wire, &wire_len, 0x80, body, 2);
    CHECK_STR(strchr(scan_as(false, wire, wire_len, 999, 999), '!'),
              "!1009 message too big");
    wire_len = 0;
}

static void errors(void) {
    char long_ping[126] = { 0 };

    for (int op = 3; op < 16; op++) {
        if (op >= 8 && op <= 10) continue;
        CHECK_STR(one(0x80 | op, "x", 1), "!1002 unknown opcode");
    }
    CHECK_STR(one(0xa1, "x", 1), "!1002 reserved bits");
    CHECK_STR(one(0x91, "x", 1), "!1002 reserved bits");
    CHECK_STR(one(0xc9, "x", 1), "!1002 reserved bits");
    CHECK_STR(one(0xc0, "x", 1), "!1002 reserved bits");
    CHECK_STR(one(0x80, "x", 1), "!1002 continuation of nothing");
    CHECK_STR(one(0x09, "x", 1), "!1002 fragmented control frame");
    CHECK_STR(one(0x89, long_ping, 126), "!1002 control frame too long");
    put(0x01, "a");
    put(0x81, "b");
    CHECK_STR(take(), "!1002 new message inside a fragmented one");
    CHECK_STR(scan(false, "\x81\x01x", 3), "!1002 frame without a mask");
    CHECK_STR(scan(true, "\x81\x81....x", 7), "!1002 masked frame");

    CHECK_STR(one(0x88, "\x03", 1), "!1002 close frame of one byte");
    CHECK_STR(one(0x88, "\x03\xe7", 2), "!1002 invalid close code");
    CHECK_STR(one(0x88, "\x03\xed", 2), "!1002 invalid close code");
    CHECK_STR(one(0x88, "\x0b\xb7", 2), "!1002 invalid close code");
    CHECK_STR(one(0x88, "\x13\x88", 2), "!1002 invalid close code");
    CHECK_STR(one(0x88, "\x03\xe8\xff", 3), "!1007 close reason is not UTF-8");
}

static void texts(void) {
    static const char greek[] = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
    char big[300];
    size_t n = sizeof greek - 1;

    put(0x81, greek);
    CHECK(strstr(take(), greek) != NULL);
    for (size_t i = 1; i < n; i++) { /* cut inside of a sequence, by frames */
        frame(wire, &wire_len, 0x01, greek, i);
        frame(wire, &wire_len, 0x80, greek + i, n - i);
        CHECK(strstr(take(), greek) != NULL);
    }
    CHECK_STR(one(0x81, greek, n - 1), "!1007 text is not UTF-8");
    CHECK_STR(one(0x01, "\xed\xa0\x80", 3), "!1007 text is not UTF-8");
    /* Wrong at the first byte of a long frame: told before the rest comes. */
    memset(big, 'x', sizeof big);
    for (size_t i = 0; i < sizeof big; i += 37) {
        big[i] = (char)0xff;
        frame(wire, &wire_len, 0x81, big, sizeof big);
        wire_len -= sizeof big - 1 - i;
        CHECK_STR(take(), "!1007 text is not UTF-8");
        big[i] = 'x';
    }
    /* A sequence across the edge of a block of 64. */
    memcpy(big + 63, "\xe1\xbd\xb9", 3);
    CHECK(one(0x81, big, sizeof big)[0] == 't');
}

/* Masked byte by byte here; with a byte that is not ASCII in each place. */
static void masks(void) {
    static const unsigned char mask[4] = { 0x01, 0x80, 0x7f, 0xfe };
    char frame_of[256], text[256];

    for (size_t n = 1; n < 126; n++) {
        for (size_t at = 0; at <= n; at++) {
            ct_websocket w;
            ct_str out;
            size_t used;

            for (size_t i = 0; i < n; i++)
                text[i] = (char)(i == at ? 0xc3 : 'a' + i % 26);
            frame_of[0] = (char)0x81;
            frame_of[1] = (char)(0x80 | n);
            memcpy(frame_of + 2, mask, 4);
            for (size_t i = 0; i < n; i++)
                frame_of[6 + i] = (char)(text[i] ^ mask[i % 4]);
            ct_websocket_init(&w, false, false, LIMIT);
            if (ct_websocket_next(&w, frame_of, 6 + n, &used, &out) ==
                CT_WEBSOCKET_DATA)
                CHECK(at == n && out.n == n && memcmp(out.p, text, n) == 0);
            else
                CHECK(at < n && w.code == CT_WEBSOCKET_BAD_DATA);
        }
    }
}

int main(void) {
    messages();
    masks();
    lengths();
    errors();
    texts();
    CHECK(!ct_websocket_code_is_valid(999));
    CHECK(!ct_websocket_code_is_valid(1015));
    CHECK(ct_websocket_code_is_valid(1014));
    return check_report();
}
