/* The head of a response to us, line by line as libcurl gives it: collects the
 * final response's, and refuses what RFC 9110 and 9112 do not allow where
 * libcurl is lenient. Pure. Lifetime: that of the fetch it is part of. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_RESPONSE_H
#define CT_RESPONSE_H

#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CT_RESPONSE_INTERIM = 32 }; /* heads before the final one, at most */

typedef struct ct_response {
    ct_buf lines;     /* of the response at hand, the empty line left out */
    size_t max;       /* bytes of them */
    uint64_t length;  /* Content-Length, when has_length */
    uint32_t code;    /* 0: no status line yet */
    uint32_t version; /* 10, 11, 20 */
    uint32_t heads;   /* begun so far */
    bool has_length, chunked;
    bool coded;      /* there is a Content-Encoding */
    bool gzip;       /* ... and it is gzip alone */
    bool whole;      /* the empty line has come */
    bool over;       /* `why` is that the head is too long */
    const char *why; /* it is refused: a static string */
} ct_response;

/* Forgets what it held and is ready for a head of at most `max` bytes. */
void ct_response_init(ct_response *r, size_t max);

/* Takes one line with its end. False: refused, see `why` and `over`. */
bool ct_response_line(ct_response *r, const char *p, size_t n)
    __attribute__((warn_unused_result));

void ct_response_fini(ct_response *r);

#endif
