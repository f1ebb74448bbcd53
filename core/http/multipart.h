/* multipart/form-data (RFC 7578, RFC 2046 §5.1) as a scanner: bytes in, events
 * out. Pure and incremental as the wire is: it allocates nothing, and looks at
 * each byte a constant number of times, however the input is cut. What is in a
 * part's header is not judged here, only its bytes. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_MULTIPART_H
#define CT_MULTIPART_H

#include "abi.h"
#include <stdbool.h>
#include <stddef.h>

/* Ready for the first byte of a body. `parts` and `header` are the most parts,
 * and bytes of a part's header, that are taken. False for a boundary that is
 * empty, longer than CT_MULTIPART_BOUNDARY or has control characters. */
bool ct_multipart_init(ct_multipart *m, const char *boundary, size_t n,
                       uint32_t parts, uint32_t header)
    __attribute__((warn_unused_result));

/* Takes `*used` bytes of `p` and says what they are, with their bytes in *out
 * (inside `p` or `m`; valid until the next call). Call it again with the rest,
 * and with no bytes too, until it answers MORE, DONE or BAD. A body that ends
 * before DONE is cut off. */
ct_multipart_event ct_multipart_next(ct_multipart *m, const char *p, size_t n,
                                     size_t *used, ct_str *out);

#endif
