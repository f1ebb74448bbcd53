/* evhttp as the parser of request heads, and nothing else of it: no
 * evhttp_connection exists, so evhttp sees neither sockets nor bodies nor
 * replies. It parses what somebody asks for: the fields of one name, or all of
 * them, since most requests are answered by their target and a field or two. A
 * head is reused for one request after another.
 * Lifetime: that of the ct_request it belongs to. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_HEAD_H
#define CT_HEAD_H

#include "abi.h"
#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evbuffer;
struct evhttp_request;
struct evkeyvalq;

typedef struct ct_head {
    struct evhttp_request *request;
    ct_buf bytes;            /* kept */
    size_t from;             /* of them: where the fields begin */
    struct evbuffer *buffer; /* to parse them with */
    struct evkeyvalq *asked; /* fields parsed by their names so far */
    uint64_t names;          /* ct_wire's: fields that may be there */
    bool waits;              /* for somebody to ask for all of them */
} ct_head;

void ct_head_init(ct_head *h);
void ct_head_fini(ct_head *h);

/* Parses a canonical head that the wire has accepted. `buffer` is an empty
 * scratch evbuffer, empty again afterwards. False when evhttp disagrees. */
bool ct_head_parse(ct_head *h, struct evbuffer *buffer, const char *p, size_t n)
    __attribute__((warn_unused_result));

/* Copies such a head, whose first field is at p[from]; fields are parsed when
 * somebody asks for them. `names` is the wire's. Returns the copy, valid until
 * ct_head_reset(). `buffer` must live as long. */
const char *ct_head_keep(ct_head *h, struct evbuffer *buffer, const char *p,
                         size_t n, size_t from, uint64_t names);

/* Empties the head for the next request. */
void ct_head_reset(ct_head *h);

/* The target of a head that was parsed whole, as evhttp has it. Borrows; valid
 * until ct_head_reset(). */
ct_str ct_head_uri(const ct_head *h);

/* Counts the fields with that name; *out has the first one's value. */
unsigned ct_head_find(ct_head *h, const char *name, size_t n, ct_str *out);

/* The next field with that name from number *from (0 on) on, which moves behind
 * it; false when there is none. */
bool ct_head_find_from(ct_head *h, const char *name, size_t n, uint32_t *from,
                       ct_str *out);

/* Fills `out` with at most `max` fields from number `from` on. */
uint32_t ct_head_fields(ct_head *h, uint32_t from, ct_pair *out, uint32_t max);

#endif
