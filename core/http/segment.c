/* A file that ends too early cannot be mended: its length is announced. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/segment.h"

#include "base/mem.h"

ct_segment *ct_segment_new(size_t size, ct_file *file, uint64_t at,
                           uint64_t left) {
    ct_segment *s = ct_alloc(sizeof *s + size);

    s->next = NULL;
    s->file = file ? ct_file_take(file) : NULL;
    s->at = at;
    s->left = left;
    s->size = size;
    return s;
}

static void free_one(ct_files *files, ct_segment *s) {
    if (s->file) ct_file_give(files, s->file);
    ct_free(s);
}

void ct_segments_free(ct_files *files, ct_segment *s) {
    while (s) {
        ct_segment *next = s->next;

        free_one(files, s);
        s = next;
    }
}

static ssize_t send_file(ct_segment *s, ct_stream *stream) {
    size_t most = CT_SEGMENT_BURST;
    ssize_t n;

    if (s->left < most) most = (size_t)s->left;
    if (s->file->bytes)
        n = ct_stream_send(stream, s->file->bytes + s->at, most);
    else
        n = ct_stream_sendfile(stream, s->file->fd, s->at, most);
    if (n > 0) s->at += (uint64_t)n, s->left -= (uint64_t)n;
    return n;
}

/* Bytes that a file follows wait for it, to leave in one packet. */
static ssize_t send_out(ct_stream *stream, ct_buf *out, bool more) {
    ssize_t n;

    stream->more = more;
    n = ct_stream_send(stream, ct_buf_bytes(out), out->len);
    stream->more = false;
    if (n > 0) ct_buf_drain(out, (size_t)n);
    return n;
}

ssize_t ct_segments_send(ct_segment **first, ct_files *files, ct_stream *stream,
                         ct_buf *out) {
    ct_segment *s = *first;
    ssize_t n = 0;

    if (out->len) return send_out(stream, out, s != NULL);
    if (s->size) {
        ct_buf_add(out, s->bytes, s->size);
        s->size = 0;
    } else if (s->left) {
        n = send_file(s, stream);
    }
    if (!s->size && !s->left) {
        *first = s->next;
        free_one(files, s);
    }
    return n;
}
