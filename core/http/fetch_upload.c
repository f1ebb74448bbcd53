/* A body that is written piece by piece. When its length is not known, libcurl sends
 * it in chunks; but before 8.7 it forgets that for good when the head went in more
 * than one piece: to a socket that was full, or a head of more than 64 KiB over TLS.
 * What is body would be framing then, to whoever reads it. libcurl tells what it has
 * sent, so that is seen, and the chunks are made here. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/fetch.h"

#include <stdio.h>
#include <string.h>

enum {
    FRAMES_ALL = 0x080700, /* the version that does not forget */
    HEX = 18,              /* "ffffffffffffffff\r\n" */
    CRLF = 2,
    LINE_END = 0x0d0a,
    HEAD_END = 0x0d0a0d0a
};

/* -- Heads as they are sent -------------------------------------------------- */

static void take_byte(ct_fetch_sent *s, char c) {
    s->tail = s->tail << 8 | (unsigned char)c;
    if (!s->line && (s->tail & 0xffff) == LINE_END) {
        s->line = true;
        s->http1 = (s->tail >> 16 & 0xff) == '1'; /* and not "HTTP/2" */
    }
    if (s->tail == HEAD_END) s->open = false;
}

static int on_sent(CURL *easy, curl_infotype what, char *p, size_t n,
                   void *arg) {
    ct_fetch_sent *s = &((ct_fetch *)arg)->sent;

    (void)easy;
    if (what != CURLINFO_HEADER_OUT || !n) return 0;
    if (!s->open) *s = (ct_fetch_sent){ .open = true }; /* the next one */
    for (size_t i = 0; i < n; i++) take_byte(s, p[i]);
    if (s->open) s->torn = true;
    return 0;
}

void ct_fetch_watch_heads(ct_fetch *f) {
    CURL *e = f->easy;

    if (curl_version_info(CURLVERSION_NOW)->version_num >= FRAMES_ALL) return;
    curl_easy_setopt(e, CURLOPT_DEBUGFUNCTION, on_sent);
    curl_easy_setopt(e, CURLOPT_DEBUGDATA, f);
    curl_easy_setopt(e, CURLOPT_VERBOSE, 1L);
}

/* -- The body ---------------------------------------------------------------- */

static size_t give(ct_fetch *f, char *p, size_t n) {
    if (n > f->upload.len) n = f->upload.len;
    if (n) memcpy(p, ct_buf_bytes(&f->upload), n);
    ct_buf_drain(&f->upload, n);
    return n;
}

/* libcurl's buffer has 16 KiB at least. */
static size_t give_chunk(ct_fetch *f, char *p, size_t n) {
    size_t most = n - HEX - CRLF, size;
    int hex;

    size = f->upload.len < most ? f->upload.len : most;
    hex = snprintf(p, HEX + 1, "%zx\r\n", size);
    (void)give(f, p + hex, size);
    memcpy(p + hex + size, "\r\n", CRLF);
    return (size_t)hex + size + CRLF;
}

static size_t give_last_chunk(ct_fetch *f, char *p) {
    if (f->sent.ended) return 0;
    f->sent.ended = true;
    memcpy(p, "0\r\n\r\n", 5);
    return 5;
}

size_t ct_fetch_on_upload(char *p, size_t size, size_t n, void *arg) {
    ct_fetch *f = arg;
    bool chunks = f->sent.torn && f->sent.http1;

    n *= size;
    if (f->upload.len) {
        n = chunks ? give_chunk(f, p, n) : give(f, p, n);
        ct_fetch_tell(f);
        return n;
    }
    if (f->upload_ended) return chunks ? give_last_chunk(f, p) : 0;
    f->send_paused = true;
    ct_fetch_tell(f);
    return CURL_READFUNC_PAUSE;
}
