/* Markdown to HTML by md4c (CommonMark 0.30, tables, strikethrough), a library
 * that is opened when it is asked for: who renders nothing needs it not. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_MARKDOWN_H
#define CT_MARKDOWN_H

#include <stddef.h>

/* Writes the HTML of `n` bytes of Markdown to `out`, as much as `room` has, and
 * how long it is in all to *len. HTML in the text comes out as text. CT_OK;
 * CT_ERROR with the reason in *why when there is no library; CT_LIMIT for 1 GiB
 * and more. Blocks for as long as it takes: md4c is linear, 100 MB/s or so. */
int ct_markdown(const char *p, size_t n, char *out, size_t room, size_t *len,
                const char **why) __attribute__((warn_unused_result));

#endif
