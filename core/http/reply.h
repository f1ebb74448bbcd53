/* Replies: status line, fields and body in one buffer and one send. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_REPLY_H
#define CT_REPLY_H

#include "http/conn.h"
#include "http/request.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct ct_reply_head {
    uint32_t status;
    ct_str reason; /* empty: the standard one */
    ct_str type;   /* Content-Type, or empty */
    double length; /* announced; -1: not known */
    uint32_t flags;
} ct_reply_head;

/* The contracts are in abi.h: ct_abi_reply() and its kin. */
int ct_reply_send(ct_request *r, const ct_reply_head *h, ct_str body);
/* As ct_reply_send(), with `h->length` bytes in the chain `files` as the body.
 * Takes `files`. */
int ct_reply_files(ct_request *r, const ct_reply_head *h, ct_segment *files);
int ct_reply_start(ct_request *r, const ct_reply_head *h);
int ct_reply_write(ct_request *r, ct_str piece);
int ct_reply_end(ct_request *r);
int ct_reply_flushed(ct_request *r);
int ct_reply_abort(ct_request *r);

/* Counts the reply, which is complete or has left HTTP with its connection. */
void ct_reply_count(ct_request *r);

/* An error that no application sees: a short page, `Connection: close`, and a
 * close that does not lose it. The request is detached and freed. */
void ct_reply_error(ct_conn *c, uint32_t status, const char *why);

/* The standard reason, or "Unknown". */
const char *ct_reply_reason(uint32_t status);

#endif
