/* Straight to stderr and abort: the log may be what is broken. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void ct_assert_failed(const char *what, const char *file, int line) {
    fprintf(stderr, "ctornado: %s:%d: assertion failed: %s\n", file, line,
            what);
    abort();
}
