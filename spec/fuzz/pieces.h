/* What fuzz targets share whose input is fed whole and in pieces: how it is cut.
 * Each piece is in memory of its own, so that ASan sees what is read beyond. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PIECES_H
#define PIECES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void expect(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

/* Calls feed(arg, piece, bytes) for pieces of 1 to `most` bytes, until all is fed or
 * it returns false; `seed` says of how many. */
static inline void feed_pieces(const char *p, size_t size, uint32_t seed,
                               size_t most,
                               bool (*feed)(void *arg, char *piece, size_t n),
                               void *arg) {
    size_t at = 0;
    bool more = true;

    while (at < size && more) {
        size_t n;
        char *copy;

        seed = seed * 1664525 + 1013904223;
        n = 1 + (seed >> 8) % most;
        if (n > size - at) n = size - at;
        copy = malloc(n);
        memcpy(copy, p + at, n);
        more = feed(arg, copy, n);
        free(copy);
        at += n;
    }
}

#endif
