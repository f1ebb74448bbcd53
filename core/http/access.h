/* The access log: a line for each request that a handler has answered. */
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
void ct_access_line(ct_server *s, const struct ct_request *r, ct_str id,
                    ct_str ip, bool json);

#endif
