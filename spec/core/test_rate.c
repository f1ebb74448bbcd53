/* Token buckets with a time of the test's own, and two processes with one table. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rate.h"

#include "base/hash.h"
#include "check.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static ct_rate_state s;

static ct_rate *make(uint32_t buckets) {
    void *memory = mmap(NULL, ct_rate_size(buckets), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) abort();
    return ct_rate_init(memory, buckets);
}

/* The vectors of SipHash-1-3 (Rust's, which the reference code agrees with). */
static void test_hash(void) {
    const ct_hash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
    static const uint64_t want[] = { 0xabac0158050fc4dc, 0xc9f49bf37d57ca93,
                                     0x82cb9b024dc7d44d, 0x8bf80ab8e7ddf7fb };
    uint8_t bytes[16];

    for (uint8_t i = 0; i < sizeof bytes; i++) bytes[i] = i;
    for (size_t n = 0; n < 4; n++) CHECK(ct_hash64(&key, bytes, n) == want[n]);
    CHECK(ct_hash64(&key, bytes, 8) != ct_hash64(&key, bytes, 9));
}

static bool take(ct_rate *r, const char *key, double now) {
    return ct_rate_take(r, key, strlen(key), &(ct_rate_rule){ 0.5, 3 }, now,
                        &s);
}

static bool near(double a, double b) {
    return a - b < 1e-3 && b - a < 1e-3;
}

static void test_bucket(void) {
    ct_rate *r = make(64);

    CHECK(take(r, "a", 100) && s.remaining == 2 && near(s.reset, 0.5));
    CHECK(take(r, "a", 100) && s.remaining == 1 && s.retry == 0);
    CHECK(take(r, "a", 100) && s.remaining == 0 && near(s.retry, 0.5));
    CHECK(!take(r, "a", 100) && s.remaining == 0 && near(s.retry, 0.5));
    CHECK(near(s.reset, 1.5));
    CHECK(!take(r, "a", 100.4) && near(s.retry, 0.1));
    CHECK(take(r, "b", 100.4) && s.remaining == 2);
    CHECK(take(r, "a", 100.5) && !take(r, "a", 100.5));
    CHECK(take(r, "a", 200) && s.remaining == 2);
    munmap(r, ct_rate_size(64));
}

/* Over a long time exactly as many as the rate says. */
static void test_long(void) {
    ct_rate *r = make(8);
    unsigned allowed = 0;

    for (int i = 0; i < 100000; i++) allowed += take(r, "x", 1 + i * 0.001);
    CHECK(allowed == 3 + 199);
    munmap(r, ct_rate_size(8));
}

/* More keys than buckets: those that are full soonest make room, so that one that
 * is empty stays so. */
static void test_full(void) {
    ct_rate *r = make(1024);
    char key[16];

    for (int i = 0; i < 20; i++)
        ct_rate_take(r, "victim", 6, &(ct_rate_rule){ 10, 5 }, 50, &s);
    CHECK(!s.allowed);
    for (int i = 0; i < 100000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        CHECK(take(r, key, 50 + i * 1e-5));
        if (!s.allowed) break;
    }
    CHECK(!ct_rate_take(r, "victim", 6, &(ct_rate_rule){ 10, 5 }, 51, &s));
    munmap(r, ct_rate_size(1024));
}

static void test_processes(void) {
    ct_rate *r = make(64);
    unsigned sum = 0;
    int ends[2];

    take(r, "shared", 10);
    if (pipe(ends) != 0) abort();
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            unsigned allowed = 0;

            for (int k = 0; k < 1000; k++)
                allowed += ct_rate_take(r, "shared", 6,
                                        &(ct_rate_rule){ 1, 500 }, 11, &s);
            _exit(write(ends[1], &allowed, sizeof allowed) < 0);
        }
    for (int i = 0; i < 4; i++) {
        unsigned allowed;

        CHECK(read(ends[0], &allowed, sizeof allowed) == sizeof allowed);
        sum += allowed;
        wait(NULL);
    }
    CHECK(sum == 500);
    close(ends[0]);
    close(ends[1]);
    munmap(r, ct_rate_size(64));
}

/* Whoever takes may be killed at any moment: nobody waits for it, and no bucket is
 * emptier than it can be. */
static void test_killed(void) {
    ct_rate *r = make(64);
    ct_rate_rule rule = { 1, 5 };
    char key[16];

    for (int i = 0; i < 1000; i++) {
        pid_t child = fork();

        for (unsigned n = 0; child == 0; n++) {
            snprintf(key, sizeof key, "k%u", n % 300);
            ct_rate_take(r, key, strlen(key), &rule, 100 + i * 10 + n * 1e-4,
                         &s);
        }
        usleep((useconds_t)(50 + i * 7 % 300));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        ct_rate_take(r, "k1", 2, &rule, 107 + i * 10, &s);
        CHECK(s.allowed && s.remaining == 4 && s.reset <= 5);
    }
    munmap(r, ct_rate_size(64));
}

int main(void) {
    test_killed();
    test_hash();
    test_bucket();
    test_long();
    test_full();
    test_processes();
    return check_report();
}
