/* What a reply has besides composed bytes: ranges of a file, each behind some
 * bytes of its own. Lifetime: until sent, or the connection's end. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_SEGMENT_H
#define CT_SEGMENT_H

#include "base/buf.h"
#include "http/file.h"
#include "io/stream.h"
#include <stddef.h>
#include <stdint.h>

/* Bytes of a file that are sent before others have their turn. */
enum { CT_SEGMENT_BURST = 1 << 20 };

typedef struct ct_segment {
    struct ct_segment *next;
    ct_file *file;     /* kept, or NULL: only bytes */
    uint64_t at, left; /* of the file */
    size_t size;
    char bytes[]; /* `size` of them, sent before the file's */
} ct_segment;

/* A segment of `size` bytes, to be filled, and `left` bytes of `file` (may be
 * NULL) from `at` on. Caller frees with ct_segments_free(). */
ct_segment *ct_segment_new(size_t size, ct_file *file, uint64_t at,
                           uint64_t left);

/* One step: sends from `out`; when that is empty, the first segment's own bytes
 * go there, or, when it has none any more, those of its file to the stream. One
 * that is done is freed. How many bytes were sent, or CT_STREAM_*. */
ssize_t ct_segments_send(ct_segment **first, ct_files *files, ct_stream *stream,
                         ct_buf *out);

/* Frees a chain; NULL is fine. */
void ct_segments_free(ct_files *files, ct_segment *s);

#endif
