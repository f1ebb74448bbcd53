/* Markdown: what does not fit is counted and not written, and what is too long is
 * refused before it is read. What comes out is in spec/tornado/markdown_spec.lua. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/markdown.h"

#include "abi.h"
#include "check.h"

static const char TEXT[] = "*a* <b>";
static const char HTML[] = "<p><em>a</em> &lt;b&gt;</p>\n";

static void test_room(void) {
    char out[sizeof HTML] = "";
    const char *why = NULL;
    size_t len = 0;

    for (size_t room = 0; room < sizeof HTML; room++) {
        memset(out, '.', sizeof out);
        CHECK(ct_markdown(TEXT, strlen(TEXT), out, room, &len, &why) == CT_OK);
        CHECK(len == strlen(HTML));
        CHECK(memcmp(out, HTML, room) == 0);
        CHECK(out[room] == '.');
    }
}

static void test_nothing(void) {
    const char *why = NULL;
    size_t len = 1;

    CHECK(ct_markdown("", 0, NULL, 0, &len, &why) == CT_OK);
    CHECK(len == 0);
}

static void test_limit(void) {
    const char *why = NULL;
    size_t len = 0;

    CHECK(ct_markdown(NULL, (size_t)1 << 30, NULL, 0, &len, &why) == CT_LIMIT);
}

int main(void) {
    test_room();
    test_nothing();
    test_limit();
    return check_report();
}
