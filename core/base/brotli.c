/* libbrotlienc with our memory. The window is 256 KiB: a larger one costs memory
 * for each reply and gains little on pages. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/brotli.h"

#include "base/assert.h"
#include "base/mem.h"
#include <brotli/encode.h>

enum { WINDOW_BITS = 18 };

static void *take_memory(void *arg, size_t size) {
    (void)arg;
    return ct_alloc(size);
}

static void give_memory(void *arg, void *p) {
    (void)arg;
    ct_free(p);
}

ct_brotli *ct_brotli_new(int quality) {
    ct_brotli *b = BrotliEncoderCreateInstance(take_memory, give_memory, NULL);

    ct_assert(b);
    BrotliEncoderSetParameter(b, BROTLI_PARAM_QUALITY, (uint32_t)quality);
    BrotliEncoderSetParameter(b, BROTLI_PARAM_LGWIN, WINDOW_BITS);
    return b;
}

void ct_brotli_run(ct_brotli *b, const char *p, size_t n, ct_flush flush,
                   ct_buf *out) {
    static const BrotliEncoderOperation modes[] = { BROTLI_OPERATION_PROCESS,
                                                    BROTLI_OPERATION_FLUSH,
                                                    BROTLI_OPERATION_FINISH };
    const uint8_t *in = (const uint8_t *)p;

    do {
        size_t none = 0, size = 0;
        const uint8_t *made;
        int good = BrotliEncoderCompressStream(b, modes[flush], &n, &in, &none,
                                               NULL, NULL);

        ct_assert(good);
        made = BrotliEncoderTakeOutput(b, &size);
        if (size) ct_buf_add(out, (const char *)made, size);
    } while (n || BrotliEncoderHasMoreOutput(b));
}

void ct_brotli_free(ct_brotli *b) {
    if (b) BrotliEncoderDestroyInstance(b);
}
