/* The content types of files, by the end of their name. A table of our own:
 * what a system says in /etc/mime.types differs from one to the next. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_MIME_H
#define CT_MIME_H

#include "abi.h"
#include <stdbool.h>

/* The type of a file of that name, without a charset: "application/gzip" for
 * ".gz", "application/octet-stream" for what is compressed otherwise or not
 * known. A constant. */
const char *ct_mime_type(ct_str name);

/* True when files of that type may have compressed siblings. */
bool ct_mime_is_compressible(const char *type);

#endif
