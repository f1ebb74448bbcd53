/* See markdown.h. The library calls back with pieces of HTML, so it is C's. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/markdown.h"

#include "abi.h"

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

enum { MAX_SIZE = 1 << 30 };

/* Of md4c.h and md4c-html.h, whose numbers its soname keeps. */
enum {
    MD_NO_HTML_BLOCKS = 0x0020,
    MD_NO_HTML_SPANS = 0x0040,
    MD_TABLES = 0x0100,
    MD_STRIKETHROUGH = 0x0200,
    MD_FLAGS =
        MD_NO_HTML_BLOCKS | MD_NO_HTML_SPANS | MD_TABLES | MD_STRIKETHROUGH
};

typedef int md_html_fn(const char *p, unsigned n,
                       void (*on_output)(const char *, unsigned, void *),
                       void *arg, unsigned parser, unsigned renderer);

typedef struct page {
    char *out;
    size_t room, len;
} page;

static void on_output(const char *p, unsigned n, void *arg) {
    page *to = arg;
    size_t at = to->len;

    if (at < to->room)
        memcpy(to->out + at, p, n < to->room - at ? n : to->room - at);
    to->len += n;
}

int ct_markdown(const char *p, size_t n, char *out, size_t room, size_t *len,
                const char **why) {
    page to = { out, room, 0 };
    md_html_fn *md_html;
    void *library;
    int failed;

    if (n >= MAX_SIZE) return CT_LIMIT;
    *why = "Markdown needs libmd4c-html.so.0 (Debian: libmd4c-html0)";
    library = dlopen("libmd4c-html.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library) return CT_ERROR;
    *(void **)&md_html = dlsym(library, "md_html");
    failed = md_html ? md_html(p, (unsigned)n, on_output, &to, MD_FLAGS, 0) : 0;
    if (failed) *why = "md4c has no memory left";
    (void)dlclose(library);
    *len = to.len;
    if (!md_html || failed) return CT_ERROR;
    return to.len < MAX_SIZE ? CT_OK : CT_LIMIT;
}
