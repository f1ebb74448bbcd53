/* Deadlines: never early, at most one tick late, however they are moved. The
 * time is the test's own. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wheel.h"

#include "check.h"
#include <stdlib.h>

enum { START = 1000003, N = 500 };

static ct_wheel wheel;

static void test_one(void) {
    ct_deadline d;

    ct_wheel_init(&wheel, START);
    ct_deadline_init(&d);
    CHECK(ct_wheel_expired(&wheel, START) == NULL);
    ct_wheel_set(&wheel, &d, START + 500);
    CHECK(wheel.count == 1);
    CHECK(ct_wheel_expired(&wheel, START + 499) == NULL);
    CHECK(ct_wheel_expired(&wheel, START + 500 + CT_WHEEL_TICK) == &d);
    CHECK(d.at == 0 && wheel.count == 0);
    CHECK(ct_wheel_expired(&wheel, START + 5000) == NULL);
}

static void test_moves(void) {
    ct_deadline d;

    ct_wheel_init(&wheel, START);
    ct_deadline_init(&d);
    ct_wheel_set(&wheel, &d, START + 1000);
    uint64_t slot = d.slot;
    ct_wheel_set(&wheel, &d, START + 9000); /* later: one store */
    CHECK(d.slot == slot);
    CHECK(ct_wheel_expired(&wheel, START + 8999) == NULL);
    CHECK(wheel.count == 1 && d.slot != slot);
    ct_wheel_set(&wheel, &d, START + 9100);
    ct_wheel_set(&wheel, &d, START + 9001); /* earlier: relinks */
    CHECK(ct_wheel_expired(&wheel, START + 9001 + CT_WHEEL_TICK) == &d);
    ct_wheel_set(&wheel, &d, 1); /* long past: at once, or the next tick */
    CHECK(ct_wheel_expired(&wheel, START + 9001 + 2 * CT_WHEEL_TICK) == &d);
}

static void test_remove(void) {
    ct_deadline d;

    ct_wheel_init(&wheel, START);
    ct_deadline_init(&d);
    ct_wheel_remove(&wheel, &d);
    ct_wheel_set(&wheel, &d, START + 100);
    ct_wheel_remove(&wheel, &d);
    ct_wheel_remove(&wheel, &d);
    CHECK(wheel.count == 0);
    CHECK(ct_wheel_expired(&wheel, START + 10000) == NULL);
}

/* Further than the wheel reaches (131 s), and after a long stop. */
static void test_far(void) {
    const uint64_t hour = 3600 * 1000;
    ct_deadline d;
    int early = 0;

    ct_wheel_init(&wheel, START);
    ct_deadline_init(&d);
    ct_wheel_set(&wheel, &d, START + hour);
    for (uint64_t t = 0; t < hour; t += 1000)
        early += ct_wheel_expired(&wheel, START + t) != NULL;
    CHECK(early == 0);
    CHECK(ct_wheel_expired(&wheel, START + hour + CT_WHEEL_TICK) == &d);
    CHECK(ct_wheel_expired(&wheel, START + 9 * hour) == NULL);
    ct_wheel_set(&wheel, &d, START + 9 * hour + 10);
    CHECK(ct_wheel_expired(&wheel, START + 9 * hour + 9) == NULL);
    CHECK(ct_wheel_expired(&wheel, START + 99 * hour) == &d);
}

/* All that is due at once comes out at once, and only that. */
static void test_many(void) {
    static ct_deadline d[N];
    int got = 0;

    ct_wheel_init(&wheel, START);
    for (int i = 0; i < N; i++) {
        ct_deadline_init(&d[i]);
        ct_wheel_set(&wheel, &d[i], START + (i % 2 ? 100 : 50000));
    }
    while (ct_wheel_expired(&wheel, START + 1000)) got++;
    CHECK(got == N / 2 && wheel.count == N / 2);
    while (ct_wheel_expired(&wheel, START + 60000)) got++;
    CHECK(got == N && wheel.count == 0);
}

/* Sets, moves, removes and waits at random, against what each node says. */
static void test_random(void) {
    static ct_deadline d[N];
    static uint64_t at[N];
    uint64_t now = START;
    int wrong = 0, set = 0;

    srand(2);
    ct_wheel_init(&wheel, now);
    for (int i = 0; i < N; i++) ct_deadline_init(&d[i]);
    for (int round = 0; round < 100000; round++) {
        int i = rand() % N;
        if (rand() % 8) {
            at[i] = now + 1 + (uint64_t)(rand() % 300000);
            ct_wheel_set(&wheel, &d[i], at[i]);
        } else {
            at[i] = 0;
            ct_wheel_remove(&wheel, &d[i]);
        }
        now += (uint64_t)(rand() % 300);
        for (ct_deadline *e; (e = ct_wheel_expired(&wheel, now));) {
            wrong += at[e - d] == 0 || at[e - d] > now;
            at[e - d] = 0;
        }
        int k = rand() % N;
        wrong += at[k] && at[k] + CT_WHEEL_TICK <= now; /* too late */
    }
    for (int i = 0; i < N; i++) set += at[i] != 0;
    CHECK(wrong == 0);
    CHECK(wheel.count == (unsigned)set);
}

int main(void) {
    test_one();
    test_moves();
    test_remove();
    test_far();
    test_many();
    test_random();
    return check_report();
}
