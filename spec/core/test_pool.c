/* The thread pool and what wakes the loop. Run under ASan here; it is what a
 * ThreadSanitizer build of these files is for, too. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/pool.h"

#include "base/mem.h"
#include "check.h"
#include "loop.h"
#include <pthread.h>
#include <signal.h>

static ct_waker *waker;

typedef struct count_job {
    ct_job job;
    int value, result;
    bool done, blocked, elsewhere;
} count_job;

static int done_count, done_wanted;
static pthread_t loop_thread;

/* A gate that jobs wait at. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static int at_gate;

static void set_gate(bool open) {
    pthread_mutex_lock(&lock);
    gate_open = open;
    if (!open) at_gate = 0;
    pthread_cond_broadcast(&opened);
    pthread_mutex_unlock(&lock);
}

static void wait_for_arrivals(int n) {
    pthread_mutex_lock(&lock);
    while (at_gate < n) pthread_cond_wait(&arrived, &lock);
    pthread_mutex_unlock(&lock);
}

static void run_gate(ct_job *job) {
    (void)job;
    pthread_mutex_lock(&lock);
    at_gate++;
    pthread_cond_signal(&arrived);
    while (!gate_open) pthread_cond_wait(&opened, &lock);
    pthread_mutex_unlock(&lock);
}

static void run_square(ct_job *job) {
    count_job *c = ct_list_of(job, count_job, job);
    sigset_t mask;

    c->result = c->value * c->value;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    c->blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGCHLD);
    c->elsewhere = !pthread_equal(pthread_self(), loop_thread);
}

static void on_done(ct_job *job) {
    count_job *c = ct_list_of(job, count_job, job);

    CHECK(pthread_equal(pthread_self(), loop_thread));
    CHECK(!c->done);
    c->done = true;
    if (++done_count == done_wanted) ct_loop_stop(&loop);
}

static void run_until(int wanted) {
    done_wanted = wanted;
    if (done_count < wanted) run();
}

static void prepare(count_job *c, void (*work)(ct_job *), int value) {
    *c = (count_job){ .value = value };
    c->job.run = work;
    c->job.done = on_done;
}

static void test_many(void) {
    enum { N = 1000 };
    ct_pool *p = ct_pool_new(waker, 4, N);
    count_job *jobs = ct_alloc(N * sizeof *jobs);

    done_count = 0;
    for (int i = 0; i < N; i++) {
        prepare(&jobs[i], run_square, i);
        CHECK(ct_pool_add(p, &jobs[i].job));
    }
    run_until(N);
    for (int i = 0; i < N; i++) {
        CHECK(jobs[i].result == i * i && jobs[i].job.ran);
        CHECK(jobs[i].blocked && jobs[i].elsewhere);
    }
    CHECK(ct_pool_load(p) == 0);
    CHECK(ct_pool_free(p, 10));
    ct_free(jobs);
}

/* Two run, three wait, the sixth is refused. */
static void test_limit(void) {
    ct_pool *p = ct_pool_new(waker, 2, 3);
    count_job jobs[6];

    done_count = 0;
    set_gate(false);
    for (int i = 0; i < 6; i++) {
        prepare(&jobs[i], run_gate, i);
        CHECK(ct_pool_add(p, &jobs[i].job) == (i < 5));
        if (i < 2) wait_for_arrivals(i + 1);
    }
    CHECK(ct_pool_load(p) == 5);
    set_gate(true);
    run_until(5);
    CHECK(ct_pool_free(p, 10));
}

static void test_drop(void) {
    ct_pool *p = ct_pool_new(waker, 1, 3);
    count_job running, waiting, last;

    done_count = 0;
    set_gate(false);
    prepare(&running, run_gate, 0);
    prepare(&waiting, run_gate, 0);
    prepare(&last, run_square, 7);
    CHECK(ct_pool_add(p, &running.job));
    wait_for_arrivals(1);
    CHECK(ct_pool_add(p, &waiting.job));
    CHECK(ct_pool_add(p, &last.job));
    CHECK(ct_pool_drop(&waiting.job));
    CHECK(!ct_pool_drop(&running.job));
    set_gate(true);
    run_until(2);
    CHECK(running.job.dropped && running.job.ran && running.done);
    CHECK(!waiting.done && !waiting.job.ran);
    CHECK(last.result == 49 && !last.job.dropped);
    CHECK(ct_pool_free(p, 10));
}

/* A pool that is freed calls `done` for what waits, once, and does not wait for
 * what does not end. */
static void test_free(void) {
    ct_pool *p = ct_pool_new(waker, 1, 3);
    count_job running, waiting;

    done_count = 0;
    set_gate(false);
    prepare(&running, run_gate, 0);
    prepare(&waiting, run_square, 3);
    CHECK(ct_pool_add(p, &running.job));
    wait_for_arrivals(1);
    CHECK(ct_pool_add(p, &waiting.job));
    CHECK(!ct_pool_free(p, 0.01));
    CHECK(running.job.dropped && !running.done && !waiting.done);
    set_gate(true);
    CHECK(ct_pool_free(p, 10));
    CHECK(running.done && running.job.ran);
    CHECK(waiting.done && !waiting.job.ran && waiting.result == 0);
    CHECK(ct_pool_free(NULL, 0));
}

int main(void) {
    loop_thread = pthread_self();
    if (!loop_begin()) return check_report();
    waker = ct_waker_new(&loop);
    if (CHECK(waker)) {
        test_many();
        test_limit();
        test_drop();
        test_free();
    }
    ct_waker_free(waker);
    loop_end();
    return check_report();
}
