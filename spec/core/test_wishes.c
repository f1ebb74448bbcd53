/* server/wishes.c: what a worker tells its master comes as it was. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/wishes.h"

#include "base/mem.h"
#include "check.h"
#include <string.h>

static char *text(const char *s) {
    return ct_memdup(s, strlen(s));
}

static ct_vm_wishes *make(const char *user) {
    ct_vm_wishes *w = ct_new(ct_vm_wishes);

    w->addresses = text("127.0.0.1:80\nunix:/run/a b");
    w->admin = text("");
    w->control = text("/run/control");
    w->pid_file = text("/run/pid");
    w->user = text(user);
    w->group = text("");
    w->stop_timeout = 2.5;
    w->worker_timeout = 60;
    w->ticket_rotation = 600;
    w->workers = 3;
    w->backlog = 4096;
    return w;
}

static void line(void) {
    ct_vm_wishes *w = make("www"), *got;
    char out[256];

    CHECK(!ct_wishes_format(w, out, 40));
    CHECK(ct_wishes_format(w, out, sizeof out));
    CHECK(strchr(out, '\n') == out + strlen(out) - 1);
    *strchr(out, '\n') = 0;
    got = ct_wishes_parse(out);
    CHECK(got && strcmp(got->addresses, w->addresses) == 0);
    CHECK(got && strcmp(got->admin, "") == 0);
    CHECK(got && strcmp(got->control, "/run/control") == 0);
    CHECK(got && strcmp(got->pid_file, "/run/pid") == 0);
    CHECK(got && got->ticket_rotation > 599);
    CHECK(got && strcmp(got->user, "www") == 0 && !*got->group);
    CHECK(got && got->workers == 3 && got->backlog == 4096);
    CHECK(got && got->stop_timeout > 2.4 && got->stop_timeout < 2.6);
    ct_vm_wishes_free(got);
    for (size_t n = 0; n < strlen(out); n++) {
        char part[256];

        snprintf(part, sizeof part, "%.*s", (int)n, out);
        got = ct_wishes_parse(part);
        CHECK(!got || strchr(part, '\x1e')); /* never half a line of numbers */
        ct_vm_wishes_free(got);
    }
    ct_vm_wishes_free(w);
}

static void differences(void) {
    ct_vm_wishes *a = make("www"), *b = make("web");
    char out[128];

    ct_wishes_compare(a, a, false, out, sizeof out);
    CHECK(!*out);
    ct_wishes_compare(a, b, false, out, sizeof out);
    CHECK(strcmp(out, "user") == 0);
    b->supervise = true;
    ct_wishes_compare(a, b, true, out, sizeof out);
    CHECK(strcmp(out, "workers, supervise, user") == 0);
    a->no_new_privs = true;
    ct_wishes_compare(a, b, true, out, sizeof out);
    CHECK_STR(out, "workers, supervise, user, no_new_privs");
    ct_wishes_compare(b, a, true, out, sizeof out);
    CHECK_STR(out, "workers, user");
    ct_wishes_stay(b, a);
    CHECK(b->no_new_privs);
    ct_wishes_compare(a, b, false, out, sizeof out);
    CHECK(!*out);
    ct_vm_wishes_free(a);
    ct_vm_wishes_free(b);
}

int main(void) {
    line();
    differences();
    return check_report();
}
