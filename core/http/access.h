/* The access log: a line for each request that was answered. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ACCESS_H
#define CT_ACCESS_H

#include "abi.h"
#include "http/server.h"
#include <stdbool.h>

/* The method as the client has sent it. Borrows from the request. */
ct_str ct_access_method(const struct ct_request *r);

/* What Lua knows of a request, or empty. */
typedef struct ct_access_about {
    ct_str id;    /* what it is called */
    ct_str trace; /* the trace that it belongs to, in hex */
    ct_str ip;    /* of its client behind proxies; empty: the peer's */
} ct_access_about;

/* No access log. */
void ct_access_init(ct_server *s);

/* Sends further lines to `path`, as ct_log_open() does, in a format of enum
 * ct_access_format; "": to nobody. False, changing nothing, with errno set. */
bool ct_access_open(ct_server *s, const char *path, uint32_t format)
    __attribute__((warn_unused_result));

/* Writes what is left, and closes it. */
void ct_access_close(ct_server *s);

/* Adds the line of a request to those of this turn, once; nothing without a log. The
 * status of one whose client left before it was answered is 499, as nginx's.
 *   TORNADO   [I 261122 10:15:00 access ID] STATUS METHOD URI (IP) 1.50ms
 *   COMBINED  IP - USER [22/Nov/2026:10:15:00 +0000] "METHOD URI HTTP/1.1"
 *             STATUS BYTES "REFERER" "AGENT", USER as in Basic credentials
 *   JSON      an object */
void ct_access_line(ct_server *s, struct ct_request *r,
                    const ct_access_about *about);

/* The same for a request that no handler answers, by the status that it gets. What
 * is not known of it is "-". */
void ct_access_refused(ct_server *s, struct ct_request *r, uint32_t status);

/* The turn is over: writes its lines, in one piece. The process log says once that
 * they cannot be written, and how many were lost when they can be again. */
void ct_access_flush(ct_server *s);

#endif
