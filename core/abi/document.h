/* Markdown, and the framework's own source. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_DOCUMENT_H
#define CT_ABI_DOCUMENT_H
#include "abi/base.h"

/* Writes the HTML of Markdown to `out`, as much as `room` has: its length, which
 * may be more; -1, see ct_abi_why(): there is no library, or it is too long. */
int ct_abi_markdown(ct_vm *vm, const char *p, uint32_t size, char *out,
                    uint32_t room);

/* The name ("tornado.web") and the text of script `i` (0 on) in the binary: 1, or
 * 0 behind the last. Views of constants: valid for ever. */
int ct_abi_script(uint32_t i, ct_str *name, ct_str *text);

#endif
