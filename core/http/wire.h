/* The wire: strict HTTP/1.1 framing in front of evhttp (RFC 9110, RFC 9112).
 * Pure: bytes in, verdict and offsets out. It allocates nothing, reads no clock
 * and knows no socket. Every byte is looked at once, however the input is cut.
 *
 * It judges a request's head and decodes its body; what is wrong becomes a
 * status code for the caller to answer before it closes the connection. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_WIRE_H
#define CT_WIRE_H

#include "abi.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ct_wire_limits {
    uint32_t max_line_size;   /* request line with CRLF: 414 beyond */
    uint32_t max_header_size; /* head from request line to empty line: 431 */
    uint32_t max_fields;      /* 431 beyond */
} ct_wire_limits;

/* The part of a head between two offsets, counted from the head's first byte
 * (leading empty lines included). */
typedef struct ct_wire_span {
    uint32_t at, n;
} ct_wire_span;

typedef enum ct_wire_verdict {
    CT_WIRE_MORE, /* all bytes taken; the head or body goes on */
    CT_WIRE_DONE, /* complete */
    CT_WIRE_BAD   /* refused: see status and reason */
} ct_wire_verdict;

typedef struct ct_wire {
    uint8_t state, step; /* private, as has_*, wants_*, start, name and extra */
    uint8_t minor;       /* 0: HTTP/1.0; 1: HTTP/1.1 to 1.9 */
    uint8_t method;      /* ct_method; CT_METHOD_OTHER: see the span */
    bool keep_alive;     /* by version and Connection */
    bool chunked;        /* Transfer-Encoding: chunked */
    bool has_length;     /* a valid Content-Length */
    bool expect;         /* Expect: 100-continue, of HTTP/1.1 with a body */
    bool upgrade;        /* Connection: upgrade with an Upgrade field */
    bool absolute;       /* target in absolute-form; `host` is its authority */
    bool canonical;      /* evhttp can take the head's bytes as they are */
    bool has_host, has_encoding, has_upgrade, wants_upgrade, wants_close,
        wants_keep;
    uint16_t status;    /* BAD: 400, 413, 414, 417, 431, 501 or 505 */
    const char *reason; /* BAD: one English phrase for the log */
    uint32_t at;        /* head: bytes judged so far; its length when DONE */
    uint32_t start;     /* head: where the current part began */
    uint32_t fields;    /* how many fields */
    ct_wire_span verb, host;
    ct_wire_span target; /* origin-form part, see absolute; empty or with '?'
                          * first when the path is empty: evhttp has it whole */
    ct_wire_span name;   /* the field being read */
    uint32_t path;       /* bytes of target before '?'; 1 for an empty path */
    uint64_t length;     /* Content-Length */
    uint64_t left;       /* body: bytes left of the length or the chunk */
    uint32_t extra;      /* body: bytes of extensions or trailers so far */
    uint64_t names;      /* ct_wire_name_bit() of each field's name */
} ct_wire;

/* One bit of 64 for a field's name of one byte or more, in either case: with that of all names
 * of a head, most of those that are not in it can be told without looking. */
static inline uint64_t ct_wire_name_bit(const char *p, size_t n) {
    unsigned first = (unsigned char)p[0] | 0x20,
             last = (unsigned char)p[n - 1] | 0x20;

    return (uint64_t)1 << ((n * 7 + first * 3 + last) & 63);
}

/* Ready for the next request's head. */
void ct_wire_init(ct_wire *w);

/* Judges the head in `p`, which holds the `n` bytes of the connection from the
 * head's first byte on: the same bytes as in the call before, and more. DONE:
 * the head has w->at bytes; the body's framing is known, and ct_wire_body() may
 * be called when ct_wire_has_body(). Never looks at a byte behind the head. */
ct_wire_verdict ct_wire_head(ct_wire *w, const ct_wire_limits *limits,
                             const char *p, size_t n);

/* True when the request has a body of one byte or more, or a chunked one. */
static inline bool ct_wire_has_body(const ct_wire *w) {
    return w->chunked || w->length > 0;
}

/* Writes the head as evhttp is to see it to `out` (at least w->at + 64 bytes),
 * for a head with `canonical` false: request line, Host, then the other fields
 * without white space around their values, an empty line. Returns its length.
 * The target is in origin-form, or "*". A target that starts with "//" has "/"
 * in its place, a method of one or two letters and CONNECT have GET: evhttp
 * misreads these. `p` is the head given to ct_wire_head(). */
size_t ct_wire_canonical(const ct_wire *w, const char *p, char *out);

/* Bytes of content that the body is known to go on with: of its length, or of a chunk
 * whose size has been judged with its whole line. */
uint64_t ct_wire_body_left(const ct_wire *w);

/* Decodes the next `n` bytes of the body. Takes `*used` of them, of which the
 * `*size` bytes at `*data` (inside `p`) are content; it returns after each run
 * of content, so call it until used == n or DONE or BAD. DONE: the body is
 * complete, and p + *used is the next request's. */
ct_wire_verdict ct_wire_body(ct_wire *w, const char *p, size_t n, size_t *used,
                             const char **data, size_t *size);

#endif
