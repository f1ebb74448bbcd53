/* Handles: an old one finds nothing, zero is none, and the table has a limit. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slots.h"

#include "check.h"

static int object, other;

static void test_one(void) {
    ct_slots s = { 0 };

    CHECK(ct_slots_get(&s, 0) == NULL);
    CHECK(ct_slots_get(&s, 12345) == NULL);
    CHECK(!ct_slots_remove(&s, 0));

    uint32_t h = ct_slots_add(&s, &object);
    CHECK(h != 0 && s.count == 1);
    CHECK(ct_slots_get(&s, h) == &object);
    CHECK(ct_slots_get(&s, 0) == NULL);
    CHECK(ct_slots_get(&s, h ^ (1u << CT_SLOT_BITS)) == NULL);
    CHECK(ct_slots_remove(&s, h) && s.count == 0);
    CHECK(ct_slots_get(&s, h) == NULL);
    CHECK(!ct_slots_remove(&s, h));
    ct_slots_fini(&s);
    CHECK(ct_slots_get(&s, h) == NULL);
}

/* A handle that is kept must not come back soon, with one object at a time. */
static void test_reuse(void) {
    ct_slots s = { 0 };
    uint32_t kept = ct_slots_add(&s, &object);
    int same = 0;

    CHECK(ct_slots_remove(&s, kept));
    for (int i = 0; i < 1000000; i++) {
        uint32_t h = ct_slots_add(&s, &other);
        same += h == kept || ct_slots_get(&s, kept) != NULL;
        ct_slots_remove(&s, h);
    }
    CHECK(same == 0);
    CHECK(s.used <= 256);
    ct_slots_fini(&s);
}

/* The oldest free slot is taken first. */
static void test_order(void) {
    ct_slots s = { 0 };
    uint32_t h[1000];
    int wrong = 0;

    for (int i = 0; i < 1000; i++) h[i] = ct_slots_add(&s, &object);
    for (int i = 0; i < 1000; i += 2) ct_slots_remove(&s, h[i]);
    for (int i = 0; i < 1000; i += 2) {
        uint32_t again = ct_slots_add(&s, &other);
        wrong += (again & CT_SLOT_MASK) != (h[i] & CT_SLOT_MASK);
        wrong += ct_slots_get(&s, again) != &other;
        wrong += ct_slots_get(&s, h[i]) != NULL;
        wrong += ct_slots_get(&s, h[i + 1]) != &object;
    }
    CHECK(wrong == 0);
    CHECK(s.count == 1000);
    ct_slots_fini(&s);
}

static void test_limit(void) {
    ct_slots s = { 0 };
    uint32_t last = 0, n = 0;

    for (uint32_t h; (h = ct_slots_add(&s, &object)) != 0; n++) last = h;
    CHECK(n == CT_SLOT_MASK); /* all but slot 0 */
    CHECK(s.count == n);
    CHECK(ct_slots_remove(&s, last));
    uint32_t again = ct_slots_add(&s, &other);
    CHECK(again != 0 && again != last);
    CHECK(ct_slots_get(&s, again) == &other);
    CHECK(ct_slots_add(&s, &object) == 0);
    ct_slots_fini(&s);
}

int main(void) {
    test_one();
    test_reuse();
    test_order();
    test_limit();
    return check_report();
}
