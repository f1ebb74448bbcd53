/* One encoder and one decoder of a request are enough: it has one reply and one
 * body. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/coding.h"

#include "base/mem.h"

static void free_encoder(ct_coding *c) {
    ct_deflate_free(c->gzip);
    ct_brotli_free(c->brotli);
    c->gzip = NULL;
    c->brotli = NULL;
}

ct_coding *ct_coding_encoder(ct_coding *c, int coding, int level) {
    if (!c) c = ct_new(ct_coding);
    free_encoder(c);
    if (coding == CT_CODING_BROTLI)
        c->brotli = ct_brotli_new(level);
    else
        c->gzip = ct_deflate_new(level);
    return c;
}

ct_str ct_coding_encode(ct_coding *c, const char *p, size_t n, ct_flush flush) {
    ct_buf_drain(&c->out, c->out.len);
    if (c->brotli)
        ct_brotli_run(c->brotli, p, n, flush, &c->out);
    else if (c->gzip)
        ct_deflate_run(c->gzip, p, n, flush, &c->out);
    return (ct_str){ ct_buf_bytes(&c->out), (uint32_t)c->out.len };
}

ct_coding *ct_coding_decoder(ct_coding *c) {
    if (!c) c = ct_new(ct_coding);
    ct_inflate_free(c->gunzip);
    c->gunzip = ct_inflate_new();
    return c;
}

void ct_coding_free(ct_coding *c) {
    if (!c) return;
    free_encoder(c);
    ct_inflate_free(c->gunzip);
    ct_buf_fini(&c->out);
    ct_free(c);
}
