/* The access log: a line for each request that was answered. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ACCESS_H
#define CT_ACCESS_H

#include "abi.h"
#include "http/server.h"
#include <stdbool.h>

/* The method as the client has sent it. Borrows from the request. */
ct_str ct_access_method(const struct ct_request *r);

/* Adds the line of a request to those of this turn: "STATUS METHOD URI (IP) MS",
 * as Tornado has it, or an object. `ip`: its client behind proxies; empty: the
 * peer. `id`: what it is called, for objects. */
void ct_access_line(ct_server *s, struct ct_request *r, ct_str id, ct_str ip,
                    bool json);

/* The same for a request that no handler answers, by the status that it gets. What
 * is not known of it is "-". */
void ct_access_refused(ct_server *s, struct ct_request *r, uint32_t status);

#endif
