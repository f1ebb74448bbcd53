/* Names that are too long are left alone, as what is not there. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rotate.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

static bool numbered(char out[PATH_MAX], const char *path, unsigned i) {
    int n = i ? snprintf(out, PATH_MAX, "%s.%u", path, i)
              : snprintf(out, PATH_MAX, "%s", path);

    return n > 0 && n < PATH_MAX;
}

void ct_rotate(const char *path, unsigned backups) {
    char from[PATH_MAX], to[PATH_MAX];

    for (unsigned i = backups; i; i--)
        if (numbered(from, path, i - 1) && numbered(to, path, i))
            (void)rename(from, to); /* best effort: most are not there yet */
}
