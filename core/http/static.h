/* Answers a request with a file: conditions, ranges, codings. It decides what
 * Tornado's StaticFileHandler decides, when nobody has overridden it.
 * Lifetime: none; a call does it all. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_STATIC_H
#define CT_STATIC_H

#include "abi.h"
#include "http/reply.h"

/* See ct_abi_file_serve(), ct_abi_file_coding() and ct_abi_file_reply(). */
int ct_static_serve(ct_request *r, ct_str root, ct_str path, uint32_t flags);
int ct_static_coding(ct_request *r, ct_str root, ct_str path, uint32_t flags);
int ct_static_reply(ct_request *r, ct_str root, ct_str path, const char *type,
                    int coding, uint32_t flags);

#endif
