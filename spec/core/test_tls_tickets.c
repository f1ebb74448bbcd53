/* Ticket keys: how they follow each other, and readers in another process while
 * they change. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls_tickets.h"

#include "check.h"
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_order(void) {
    ct_tls_tickets t = { 0 };
    ct_tls_key names[5], k;

    CHECK(!ct_tls_tickets_newest(&t, &k));
    CHECK(ct_tls_tickets_find(&t, t.keys[0].name, &k) == -1);
    for (int i = 0; i < 5; i++) {
        CHECK(ct_tls_tickets_renew(&t, 100 + i, 1));
        CHECK(ct_tls_tickets_newest(&t, &names[i]));
    }
    for (int i = 0; i < 5; i++) {
        int at = ct_tls_tickets_find(&t, names[i].name, &k);

        CHECK(at == (i < 2 ? -1 : 4 - i));
        CHECK(at == -1 || memcmp(&k, &names[i], sizeof k) == 0);
    }
    CHECK(!ct_tls_tickets_renew(&t, 1e9, 0)); /* 0: never */
    t.turn |= 1; /* its writer has died in the middle */
    CHECK(!ct_tls_tickets_newest(&t, &k));
    CHECK(ct_tls_tickets_find(&t, names[4].name, &k) == -1);
}

/* In a key of this test all bytes are the same. */
static bool is_whole(const ct_tls_key *k) {
    const uint8_t *p = (const uint8_t *)k;

    return memcmp(p, p + 1, sizeof *k - 1) == 0;
}

static void change(ct_tls_tickets *t, int turns) {
    for (int i = 0; i < turns; i++) {
        atomic_fetch_add(&t->turn, 1);
        memset(t->keys, i, sizeof t->keys);
        atomic_fetch_add(&t->turn, 1);
    }
}

static void test_processes(void) {
    ct_tls_tickets *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status, whole = 0;
    ct_tls_key k;
    pid_t pid;

    CHECK(t != MAP_FAILED);
    ct_tls_tickets_guard(t, true);
    t->count = CT_TLS_TICKETS;
    pid = fork();
    if (pid == 0) {
        change(t, 300000);
        _exit(0);
    }
    while (waitpid(pid, &status, WNOHANG) == 0)
        if (ct_tls_tickets_newest(t, &k)) whole += CHECK(is_whole(&k));
    CHECK(status == 0 && whole > 0);
    ct_tls_tickets_guard(t, false);
    CHECK(ct_tls_tickets_newest(t, &k)); /* reading goes on */
    munmap(t, sizeof *t);
}

int main(void) {
    test_order();
    test_processes();
    return check_report();
}
