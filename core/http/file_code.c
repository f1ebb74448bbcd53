/* Coded forms of files: made when a client first wants one, and kept with the
 * file, so that they live as long as what is known of it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/file.h"

#include "base/brotli.h"
#include "base/deflate.h"
#include "base/mem.h"
#include "http/mime.h"
#include <string.h>

/* As the setting compress_response has them for other replies. */
enum { GZIP_LEVEL = 6, BROTLI_LEVEL = 5 };

static int index_of(int coding) {
    return coding == CT_CODING_BROTLI;
}

bool ct_file_may_code(const ct_file *f) {
    return f->size >= CT_FILE_CODE_MIN && f->size <= CT_FILE_CODE_MAX &&
           ct_mime_is_compressible(f->type);
}

/* -- What is kept ---------------------------------------------------------- */

static void forget(ct_files *files, ct_file *f, int i) {
    ct_file *coded = f->coded[i];

    if (!coded) return;
    f->coded[i] = NULL;
    files->coded -= coded->size;
    ct_file_give(files, coded);
}

void ct_file_forget_coded(ct_files *files, ct_file *f) {
    forget(files, f, 0);
    forget(files, f, 1);
}

/* Makes room for `size` bytes; false when there is not that much. */
static bool make_room(ct_files *files, size_t size) {
    if (size > files->coded_limit) return false;
    for (ct_list *at = files->recent.next;
         at != &files->recent && files->coded + size > files->coded_limit;
         at = at->next)
        ct_file_forget_coded(files, ct_list_of(at, ct_file, recent));
    return files->coded + size <= files->coded_limit;
}

static void keep(ct_files *files, ct_file *f, ct_file *coded, int i) {
    if (!make_room(files, coded->size)) return;
    f->coded[i] = ct_file_take(coded);
    files->coded += coded->size;
}

/* -- Making ---------------------------------------------------------------- */

static void encode(int coding, const char *p, size_t n, ct_buf *out) {
    if (coding == CT_CODING_BROTLI) {
        ct_brotli *b = ct_brotli_new(BROTLI_LEVEL);

        ct_brotli_run(b, p, n, CT_FLUSH_END, out);
        ct_brotli_free(b);
    } else {
        ct_deflate *d = ct_deflate_new(GZIP_LEVEL);

        ct_deflate_run(d, p, n, CT_FLUSH_END, out);
        ct_deflate_free(d);
    }
}

/* Takes what is in `out`. */
static ct_file *new_coded(const ct_file *f, ct_buf *out) {
    ct_file *coded = ct_new(ct_file);

    coded->refs = 1;
    coded->fd = -1;
    coded->size = out->len;
    coded->bytes = ct_memdup(ct_buf_bytes(out), out->len);
    coded->stat = f->stat;
    coded->type = f->type;
    memcpy(coded->etag, f->etag, sizeof coded->etag);
    memcpy(coded->date, f->date, sizeof coded->date);
    ct_list_init(&coded->recent);
    return coded;
}

/* NULL when it is no smaller. False in *good when the file cannot be read. */
static ct_file *make(const ct_file *f, int coding, bool *good) {
    char *p = ct_alloc(f->size);
    ct_file *coded = NULL;
    ct_buf out = { 0 };

    *good = ct_file_read(f, p, f->size, 0);
    if (*good) encode(coding, p, f->size, &out);
    ct_free(p);
    if (*good && out.len < f->size) coded = new_coded(f, &out);
    ct_buf_fini(&out);
    return coded;
}

ct_file *ct_file_code(ct_files *files, ct_file *f, int coding) {
    int i = index_of(coding);
    ct_file *coded;
    bool good;

    if (f->coded[i]) return ct_file_take(f->coded[i]);
    if (f->uncoded[i]) return NULL;
    coded = make(f, coding, &good);
    if (coded)
        keep(files, f, coded, i);
    else
        f->uncoded[i] = good;
    return coded;
}
