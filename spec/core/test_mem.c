/* Memory that runs out: in a child whose address space is limited, with mimalloc,
 * which the other tests have not. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include "check.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 200000, HUGE_SIZE = 1 << 30, KIB = 1024 };

/* In KiB, of /proc/self/status. */
static long status_of(const char *name) {
    char line[256];
    size_t n = strlen(name);
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, n) == 0) kib = strtol(line + n + 1, NULL, 10);
    if (file) fclose(file);
    return kib;
}

/* No more than what is mapped now, and `more` KiB. */
static void limit(long more) {
    struct rlimit l;

    (void)getrlimit(RLIMIT_AS, &l);
    l.rlim_cur = (rlim_t)(status_of("VmSize:") + more) * KIB;
    (void)setrlimit(RLIMIT_AS, &l);
}

typedef struct chain {
    struct chain *next;
    char rest[KIB - sizeof(struct chain *)];
} chain;

/* Takes blocks until malloc has failed; returns them. */
static chain *take_all(void) {
    unsigned before = ct_mem_failures();
    chain *all = NULL;

    for (int i = 0; i < MANY && ct_mem_failures() == before; i++) {
        chain *c = ct_new(chain);

        c->next = all;
        all = c;
    }
    return all;
}

static void give_all(chain *all) {
    while (all) {
        chain *next = all->next;

        ct_free(all);
        all = next;
    }
}

/* Runs fn in a process of its own; returns its wait status. */
static int run(int (*fn)(void), int *to) {
    int status = -1, ends[2];
    pid_t pid;

    fflush(NULL);
    if (to && pipe(ends) != 0) return -1;
    pid = fork();
    if (pid == 0) {
        if (to) dup2(ends[1], STDERR_FILENO);
        _exit(fn());
    }
    if (to) {
        close(ends[1]);
        *to = ends[0];
    }
    waitpid(pid, &status, 0);
    return status;
}

static int costs_no_memory(void) {
    long resident = status_of("VmRSS:");

    CHECK(ct_mem_refill());
    CHECK(status_of("VmRSS:") < resident + 256);
    CHECK(ct_mem_refill()); /* it is full */
    CHECK(!ct_mem_is_short());
    CHECK(ct_mem_failures() == 0);
    return checks_failed;
}

static int goes_on(void) {
    chain *all, *more;
    unsigned failures;

    CHECK(ct_mem_refill());
    limit(0);
    all = take_all();
    CHECK(ct_mem_is_short());
    failures = ct_mem_failures();
    more = ct_new(chain); /* from the block that was given back */
    CHECK(ct_mem_failures() == failures);
    /* First the region is given up for the blocks, then there is nothing. */
    CHECK(ct_mem_refill());
    more->next = take_all();
    CHECK(ct_mem_is_short());
    CHECK(!ct_mem_refill());
    CHECK(ct_mem_is_short());
    give_all(all);
    give_all(more);
    CHECK(ct_mem_refill());
    CHECK(!ct_mem_is_short());
    return checks_failed;
}

static int says_so_and_ends(void) {
    CHECK(ct_mem_refill());
    limit(0);
    for (int i = 0; i < MANY; i++) (void)ct_new(chain);
    return 77;
}

static int refuses_what_is_huge(void) {
    char *p;

    CHECK(ct_mem_refill());
    limit(0);
    CHECK(!ct_mem_try(NULL, HUGE_SIZE));
    CHECK(!ct_mem_is_short());
    p = ct_mem_try(NULL, 100);
    p[99] = 7;
    CHECK(!ct_mem_urge(p, HUGE_SIZE)); /* and the reserve is as it was */
    CHECK(p[99] == 7);
    CHECK(ct_mem_is_short());
    CHECK(ct_mem_refill());
    p = ct_mem_urge(p, 8 << 20); /* out of the region */
    CHECK(p && p[99] == 7);
    ct_free(p);
    return checks_failed;
}

static void *on_thread(void *arg) {
    chain **all = arg;

    ct_free(ct_new(chain)); /* it has a heap */
    limit(0);
    *all = take_all();
    CHECK(ct_mem_refill()); /* in the region there is room */
    CHECK(ct_mem_is_short());
    return NULL;
}

static int helps_threads(void) {
    pthread_t thread;
    chain *all = NULL;

    CHECK(ct_mem_refill());
    CHECK(pthread_create(&thread, NULL, on_thread, &all) == 0);
    pthread_join(thread, NULL);
    CHECK(all != NULL);
    CHECK(ct_mem_is_short());
    give_all(all);
    return checks_failed;
}

static int zeroes(void) {
    chain *all, *last = NULL;

    CHECK(ct_mem_refill());
    limit(0);
    for (all = take_all(); all; all = all->next) last = last ? last : all;
    for (size_t i = 0; last && i < sizeof last->rest; i++)
        if (last->rest[i]) return 1;
    return !last;
}

int main(void) {
    int output = -1, status;
    char text[200] = "";

    CHECK(run(costs_no_memory, NULL) == 0);
    CHECK(run(goes_on, NULL) == 0);
    CHECK(run(refuses_what_is_huge, NULL) == 0);
    CHECK(run(helps_threads, NULL) == 0);
    CHECK(run(zeroes, NULL) == 0);
    status = run(says_so_and_ends, &output);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    CHECK(read(output, text, sizeof text - 1) > 0);
    CHECK_STR(text, "ctornado: out of memory (1024 bytes asked for)\n");
    CHECK_STR(ct_mem_print("%d %s", 1, "b"), "1 b");
    return check_report();
}
