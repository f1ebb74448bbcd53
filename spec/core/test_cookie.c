/* The request's cookies: split at ";" only, the last of a name wins. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/cookie.h"

#include "base/mem.h"
#include "check.h"
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdlib.h>

static struct evbuffer *buffer;

/* The value of cookie `name` in a request with these header lines, or NULL. */
static const char *find(const char *lines, const char *name) {
    static char out[256];
    char text[1024];
    ct_head h;
    ct_str value;
    bool found;
    int n = snprintf(text, sizeof text, "GET /path HTTP/1.1\r\n%s\r\n", lines);

    ct_head_init(&h);
    CHECK(ct_head_parse(&h, buffer, text, (size_t)n));
    found =
        ct_cookie_find(&h, (ct_str){ name, (uint32_t)strlen(name) }, &value);
    if (found) snprintf(out, sizeof out, "%.*s", (int)value.n, value.p);
    ct_head_fini(&h);
    return found ? out : NULL;
}

static void test_find(void) {
    const char *lines = "Cookie: a=1; b=2;c=x=y ; a=3; empty=; =v; alone\r\n"
                        "Host: a\r\nCookie: d=\"q; e=4\r\n";

    CHECK_STR(find(lines, "a"), "3");
    CHECK_STR(find(lines, "b"), "2");
    CHECK_STR(find(lines, "c"), "x=y");
    CHECK_STR(find(lines, "empty"), "");
    CHECK_STR(find(lines, "d"), "\"q");
    CHECK_STR(find(lines, "e"), "4");
    CHECK(!find(lines, "alone"));
    CHECK(!find(lines, "A"));
    CHECK(!find("Host: a\r\n", "a"));
    CHECK(!find("Cookie: \r\n", "a"));
    CHECK(!find("Cookie: ;;; ; = ;\r\n", "a"));
}

/* 60 KiB of separators: one pass over them. */
static void test_long(void) {
    enum { SIZE = 60000 };
    char *text = malloc(SIZE + 64);
    size_t n = (size_t)sprintf(text, "GET /path HTTP/1.1\r\nCookie: a=1");
    ct_head h;
    ct_str value;

    memset(text + n, ';', SIZE);
    memcpy(text + n + SIZE, "\r\n\r\n", 4);
    ct_head_init(&h);
    CHECK(ct_head_parse(&h, buffer, text, n + SIZE + 4));
    CHECK(ct_cookie_find(&h, (ct_str){ "a", 1 }, &value) && value.n == 1);
    ct_head_fini(&h);
    free(text);
}

int main(void) {
    event_set_mem_functions(ct_alloc, ct_realloc, ct_free);
    buffer = evbuffer_new();
    test_find();
    test_long();
    evbuffer_free(buffer);
    return check_report();
}
