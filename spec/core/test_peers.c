/* Counting by address, against a plain list. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/peers.h"

#include "check.h"
#include <stdlib.h>

enum { N = 700, STEPS = 200000 };

static ct_peers table;

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
    CHECK(table.used == 0);
    ct_peers_fini(&table);
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
    CHECK(wrong == 0 && table.used == 0);
    for (uint32_t i = 0; i < N; i++) {
        ct_peer p = { .family = AF_INET };

        memcpy(p.ip, &i, 4);
        wrong += ct_peers_count(&table, &p) != 0;
    }
    CHECK(wrong == 0);
    ct_peers_fini(&table);
}

int main(void) {
    test_addresses();
    test_many();
    return check_report();
}
