/* Counting by address, against a plain list. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/peers.h"

#include "check.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 700, STEPS = 200000 };

static ct_peers table, other;
static void *memory;

static ct_peer peer(const char *text) {
    ct_peer p;

    if (!ct_peer_parse(&p, text, strlen(text))) abort();
    return p;
}

static void test_addresses(void) {
    ct_peer a = peer("1.2.3.4"), b = peer("2001:db8::1"),
            c = peer("2001:db8::2"), d = peer("2001:db8:0:1::1"),
            e = peer("102:304::");

    CHECK(ct_peers_count(&table, &a) == 0);
    ct_peers_add(&table, &a);
    ct_peers_add(&table, &b);
    ct_peers_add(&table, &c);
    CHECK(ct_peers_count(&table, &a) == 1);
    CHECK(ct_peers_count(&table, &c) == 2); /* a /64 */
    CHECK(ct_peers_count(&table, &d) == 0);
    CHECK(ct_peers_count(&table, &e) == 0); /* the same bytes as `a` */
    ct_peers_remove(&table, &b);
    ct_peers_remove(&table, &a);
    CHECK(ct_peers_count(&table, &a) == 0 && ct_peers_count(&table, &b) == 1);
    ct_peers_remove(&table, &c);
    CHECK(ct_peers_count(&table, &c) == 0);
}

static void test_many(void) {
    static unsigned counts[N];
    unsigned seed = 1, wrong = 0;

    for (int step = 0; step < STEPS; step++) {
        unsigned i = (seed = seed * 1103515245 + 12345) >> 8 & 0xffff;
        ct_peer p = { .family = AF_INET };

        i %= N;
        memcpy(p.ip, &i, 4);
        if (counts[i] && (seed >> 28 & 1 || step > STEPS / 2)) {
            counts[i]--;
            ct_peers_remove(&table, &p);
        } else {
            counts[i]++;
            ct_peers_add(&table, &p);
        }
        wrong += ct_peers_count(&table, &p) != counts[i];
    }
    CHECK(wrong == 0);
    for (unsigned i = 0; i < N; i++) {
        ct_peer p = { .family = AF_INET };

        memcpy(p.ip, &i, 4);
        wrong += ct_peers_count(&table, &p) != counts[i];
        for (; counts[i]; counts[i]--) ct_peers_remove(&table, &p);
    }
    CHECK(wrong == 0);
    for (uint32_t i = 0; i < N; i++) {
        ct_peer p = { .family = AF_INET };

        memcpy(p.ip, &i, 4);
        wrong += ct_peers_count(&table, &p) != 0;
    }
    CHECK(wrong == 0);
}

/* Two processes count together; what one has counted goes with it. */
static void test_rows(void) {
    ct_peer a = peer("9.9.9.9");

    ct_peers_enter(&table);
    ct_peers_enter(&other);
    ct_peers_enter(&other);
    CHECK(ct_peers_add(&table, &a) && ct_peers_add(&other, &a));
    CHECK(ct_peers_total(&table) == 3 && ct_peers_total(&other) == 3);
    CHECK(ct_peers_count(&table, &a) == 2);
    ct_peers_clear(memory, 1);
    CHECK(ct_peers_total(&table) == 1 && ct_peers_count(&table, &a) == 1);
    ct_peers_remove(&table, &a);
    ct_peers_leave(&table);
    CHECK(ct_peers_total(&other) == 0 && ct_peers_count(&other, &a) == 0);
}

/* A row that is full counts no further address, and goes on with those it has. */
static void test_full(void) {
    ct_peer p = { .family = AF_INET };
    uint32_t i = 0, n;

    do {
        memcpy(p.ip, &i, 4);
    } while (ct_peers_add(&table, &p) && ++i < 100000);
    CHECK(i == 24576);
    for (n = 0; n < i; n++) {
        memcpy(p.ip, &n, 4);
        CHECK(ct_peers_count(&other, &p) == 1);
        ct_peers_remove(&table, &p);
    }
}

/* A process that is killed in the middle of it: the others go on, and its
 * replacement begins with nothing. */
static void test_killed(void) {
    ct_peer a = peer("1.1.1.1");

    CHECK(ct_peers_add(&table, &a));
    for (int i = 0; i < 300; i++) {
        pid_t child = fork();

        if (child == 0) {
            ct_peers_init(&other, memory, 1);
            for (unsigned n = 0;; n++) {
                ct_peer p = { .family = AF_INET };
                unsigned k = n % 500;

                memcpy(p.ip, &k, 4);
                if (n / 500 % 2)
                    ct_peers_remove(&other, &p);
                else
                    (void)ct_peers_add(&other, &p);
            }
        }
        usleep((useconds_t)(100 + i * 7 % 900));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        CHECK(ct_peers_count(&table, &a) >= 1);
        ct_peers_clear(memory, 1);
        CHECK(ct_peers_count(&table, &a) == 1);
    }
    ct_peers_remove(&table, &a);
}

int main(void) {
    memory = mmap(NULL, ct_peers_size(2), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ct_peers_format(memory);
    ct_peers_init(&table, memory, 0);
    ct_peers_init(&other, memory, 1);
    test_rows();
    test_full();
    test_killed();
    test_addresses();
    test_many();
    return check_report();
}
