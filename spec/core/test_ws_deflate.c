/* permessage-deflate: what is agreed on for which offer, RFC 7692's samples, and
 * messages that come back as they were for each way to agree. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "http/ws_deflate.h"

#include <stdlib.h>

static const ct_ws_params small = { 15, 12, false, true, 6, 8 };
static const ct_ws_params plain = { 15, 15, true, true, 6, 8 };
static ct_ws_codecs *codecs;

static const char *accept(const ct_ws_params *want, const char *offer) {
    static char out[CT_WS_ANSWER];
    ct_ws_params agreed;

    if (ct_ws_accept_offer(offer, strlen(offer), want, &agreed, out))
        return out;
    return "declined";
}

#define PMD "permessage-deflate"

static void offers(void) {
    CHECK_STR(accept(&plain, PMD), PMD);
    CHECK_STR(accept(&plain, PMD "; client_max_window_bits"), PMD);
    CHECK_STR(accept(&plain, "x, " PMD ";client_max_window_bits=10 "),
              PMD "; client_max_window_bits=10");
    CHECK_STR(accept(&plain, PMD "; server_max_window_bits=\"9\""),
              PMD "; server_max_window_bits=9");
    CHECK_STR(accept(&plain, PMD "; server_no_context_takeover"),
              PMD "; server_no_context_takeover");
    CHECK_STR(accept(&plain, PMD "; client_no_context_takeover"),
              PMD "; client_no_context_takeover");
    CHECK_STR(accept(&plain, PMD "; server_max_window_bits=15"),
              PMD "; server_max_window_bits=15");
    CHECK_STR(accept(&small, PMD), PMD "; server_no_context_takeover");
    CHECK_STR(accept(&small, PMD "; client_max_window_bits"),
              PMD "; server_no_context_takeover; client_max_window_bits=12");
    CHECK_STR(accept(&plain,
                     PMD "; foo, " PMD "; server_max_window_bits=8, " PMD
                         "; server_max_window_bits=10"),
              PMD "; server_max_window_bits=10");
}

static void bad_offers(void) {
    static const char *const offers[] = {
        "",
        "x-webkit-deflate-frame",
        PMD "; foo=1",
        PMD "; server_max_window_bits",
        PMD "; server_max_window_bits=7",
        PMD "; server_max_window_bits=8",
        PMD "; server_max_window_bits=16",
        PMD "; server_max_window_bits=010",
        PMD "; server_max_window_bits=abc",
        PMD "; server_max_window_bits=",
        PMD "; server_max_window_bits=\"10",
        PMD "; client_max_window_bits=99",
        PMD "; server_no_context_takeover=1",
        PMD "; server_no_context_takeover; server_no_context_takeover",
        PMD "; client_max_window_bits; client_max_window_bits=10",
        PMD " foo",
        PMD ";",
        "; " PMD,
        "=",
    };

    for (size_t i = 0; i < sizeof offers / sizeof *offers; i++)
        CHECK_STR(accept(&plain, offers[i]), "declined");
}

static bool answer(const char *text, ct_ws_params *agreed) {
    return ct_ws_check_answer(text, strlen(text), &plain, agreed);
}

static void answers(void) {
    ct_ws_params a;

    CHECK(answer(PMD, &a) && a.own_bits == 15 && a.peer_bits == 15);
    CHECK(a.own_takeover && a.peer_takeover);
    CHECK(answer(PMD "; server_max_window_bits=9; client_max_window_bits=10; "
                     "server_no_context_takeover; client_no_context_takeover",
                 &a));
    CHECK(a.own_bits == 10 && a.peer_bits == 9);
    CHECK(!a.own_takeover && !a.peer_takeover);
    CHECK(!answer(PMD ", " PMD, &a));
    CHECK(!answer(PMD "; foo", &a));
    CHECK(!answer("gzip", &a));
    CHECK(!answer(PMD "; client_max_window_bits", &a));
    CHECK(!answer(PMD "; client_max_window_bits=8", &a));
}

/* What a message is, that comes in pieces of `piece` bytes. */
static const char *decode(ct_ws_deflate *d, const char *p, size_t n,
                          size_t piece, size_t max) {
    static char text[1 << 17];
    ct_buf out = { 0 };
    ct_ws_result r = CT_WS_OK;

    for (size_t at = 0; at <= n && r == CT_WS_OK; at += piece) {
        size_t size = n - at < piece ? n - at : piece;

        r = ct_ws_decompress(d, p + at, size, at + piece > n, max, &out);
    }
    CHECK(out.len < sizeof text);
    if (out.len) memcpy(text, ct_buf_bytes(&out), out.len);
    text[out.len] = 0;
    ct_buf_fini(&out);
    return r == CT_WS_OK        ? text
           : r == CT_WS_TOO_BIG ? "(too big)"
                                : "(corrupt)";
}

static void samples(void) {
    ct_ws_deflate d;

    ct_ws_deflate_init(&d, codecs, &plain);
    /* RFC 7692 §7.2.3 */
    CHECK_STR(decode(&d, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, 9, 100), "Hello");
    CHECK_STR(decode(&d, "\xf2\x00\x11\x00\x00", 5, 1, 100), "Hello");
    CHECK_STR(decode(&d, "\x00\x05\x00\xfa\xffHello\x00", 11, 2, 100), "Hello");
    CHECK_STR(decode(&d, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, 9, 100),
              "Hello");
    CHECK_STR(decode(&d, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, 1, 100),
              "Hello");
    CHECK_STR(decode(&d, "\xf2\x48\x05\0\0\0\xff\xff\xca\xc9\xc9\x07\x00", 13,
                     3, 100),
              "Hello");
    CHECK_STR(decode(&d, "\x00", 1, 9, 100), "");
    CHECK_STR(decode(&d, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, 9, 5), "Hello");
    CHECK_STR(decode(&d, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, 9, 4), "(too big)");
    ct_ws_deflate_fini(&d);

    ct_ws_deflate_init(&d, codecs, &plain);
    CHECK_STR(decode(&d, "\xff\xff\xff\xff\xfe", 5, 9, 100), "(corrupt)");
    ct_ws_deflate_fini(&d);

    ct_ws_deflate_init(&d, codecs, &plain); /* last blocks without end */
    CHECK_STR(decode(&d,
                     "\x03\0\x03\0\x03\0\x03\0\x03\0\x03\0\x03\0\x03\0\x03\0"
                     "\x03\0\x03\0\x03\0\x03\0\x03\0\x03\0\x03\0\x03\0\x03\0",
                     36, 99, 100),
              "(corrupt)");
    ct_ws_deflate_fini(&d);
}

/* Twenty messages over one connection, both ends ours. */
static size_t talk(const ct_ws_params *sender, const ct_ws_params *reader) {
    static char message[50000];
    ct_ws_deflate a, b;
    size_t sent = 0;

    ct_ws_deflate_init(&a, codecs, sender);
    ct_ws_deflate_init(&b, codecs, reader);
    srand(1);
    for (int i = 0; i < 20; i++) {
        size_t n = (size_t)(i * i * i * 7);
        ct_buf wire = { 0 };

        for (size_t k = 0; k < n; k++)
            message[k] = "abcdefgh"[k % 5 + (unsigned)rand() % 3];
        if (i) memcpy(message, "the same beginning ", 19 < n ? 19 : n);
        message[n] = 0;
        ct_ws_compress(&a, message, n, &wire);
        sent += wire.len;
        CHECK_STR(decode(&b, ct_buf_bytes(&wire), wire.len, 1000, 60000),
                  message);
        ct_buf_fini(&wire);
    }
    CHECK(a.own.len <= (size_t)1 << sender->own_bits);
    CHECK(b.peer.len <= (size_t)1 << reader->peer_bits);
    ct_ws_deflate_fini(&a);
    ct_ws_deflate_fini(&b);
    return sent;
}

static void conversations(void) {
    ct_ws_params a = plain, b = plain;
    size_t least = talk(&a, &b), most;

    a.own_takeover = b.peer_takeover = false;
    most = talk(&a, &b);
    CHECK(least < most);
    for (uint8_t bits = 9; bits <= 15; bits++)
        for (int takeover = 0; takeover < 2; takeover++) {
            a.own_bits = b.peer_bits = bits;
            a.own_takeover = b.peer_takeover = takeover;
            CHECK(talk(&a, &b) > 0);
        }
}

int main(void) {
    codecs = ct_ws_codecs_new();
    offers();
    bad_offers();
    answers();
    samples();
    conversations();
    ct_ws_codecs_free(codecs);
    return check_report();
}
