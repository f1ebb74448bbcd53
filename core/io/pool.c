/* One lock for all: jobs are long compared with what is done under it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/pool.h"

#include "base/assert.h"
#include "base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

struct ct_pool {
    ct_waker *waker;
    pthread_mutex_t lock;
    pthread_cond_t more;  /* a job was queued, or the pool closes */
    pthread_cond_t ended; /* a thread has ended */
    ct_list queue;
    unsigned queued, max_queued;
    unsigned running;             /* jobs */
    unsigned threads, max, alive; /* made; may be made; not ended */
    bool closing;
    ct_list at_work; /* jobs that run */
    pthread_t ids[];
};

static void call_done(ct_note *note) {
    ct_job *job = ct_list_of(note, ct_job, note);

    job->done(job);
}

/* Takes the next job; NULL when the thread is to end. Under the lock. */
static ct_job *next_job(ct_pool *p) {
    ct_job *job;

    while (!p->queued && !p->closing) pthread_cond_wait(&p->more, &p->lock);
    if (p->closing) return NULL;
    job = ct_list_of(p->queue.next, ct_job, node);
    ct_list_remove(&job->node);
    ct_list_add(&p->at_work, &job->node);
    p->queued--;
    p->running++;
    job->ran = true;
    return job;
}

/* Posts while the lock is held, so that who frees the pool finds it posted. */
static void work_off(ct_pool *p, ct_job *job) {
    pthread_mutex_unlock(&p->lock);
    job->run(job);
    pthread_mutex_lock(&p->lock);
    ct_list_remove(&job->node);
    p->running--;
    ct_waker_post(p->waker, &job->note);
}

static void *work(void *arg) {
    ct_pool *p = arg;
    ct_job *job;

    pthread_mutex_lock(&p->lock);
    while ((job = next_job(p))) work_off(p, job);
    p->alive--;
    pthread_cond_signal(&p->ended);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Signals are the loop's: a new thread has them all masked. */
static bool add_thread(ct_pool *p) {
    sigset_t all, before;
    bool made;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    made = pthread_create(&p->ids[p->threads], NULL, work, p) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!made) return false;
    p->threads++;
    p->alive++;
    return true;
}

ct_pool *ct_pool_new(ct_waker *waker, unsigned threads, unsigned queue) {
    ct_pool *p = ct_alloc0(sizeof *p + threads * sizeof *p->ids);
    pthread_condattr_t monotonic;

    ct_assert(threads && threads <= CT_POOL_THREADS);
    p->waker = waker;
    p->max = threads;
    p->max_queued = queue;
    ct_list_init(&p->queue);
    ct_list_init(&p->at_work);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->more, NULL);
    pthread_cond_init(&p->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return p;
}

/* Whether a job can be taken in; a thread is made when all have one. */
static bool has_room(ct_pool *p) {
    unsigned load = p->queued + p->running;

    if (load >= p->threads && p->threads < p->max && add_thread(p)) return true;
    return p->threads && load < p->threads + p->max_queued;
}

bool ct_pool_add(ct_pool *p, ct_job *job) {
    bool room;

    pthread_mutex_lock(&p->lock);
    room = has_room(p);
    if (room) {
        ct_list_init(&job->note.node);
        job->note.fn = call_done;
        job->pool = p;
        job->ran = false;
        ct_list_add(&p->queue, &job->node);
        p->queued++;
        pthread_cond_signal(&p->more);
    }
    pthread_mutex_unlock(&p->lock);
    return room;
}

bool ct_pool_drop(ct_job *job) {
    ct_pool *p = job->pool; /* which outlives its jobs */
    bool waiting;

    job->dropped = true;
    pthread_mutex_lock(&p->lock);
    waiting = !job->ran;
    if (waiting) {
        ct_list_remove(&job->node);
        p->queued--;
    }
    pthread_mutex_unlock(&p->lock);
    return waiting;
}

unsigned ct_pool_load(ct_pool *p) {
    unsigned load;

    pthread_mutex_lock(&p->lock);
    load = p->queued + p->running;
    pthread_mutex_unlock(&p->lock);
    return load;
}

static struct timespec in(double seconds) {
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)seconds;
    at.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* Lets the threads end, for at most so long; true when all have. */
static bool wait_for_threads(ct_pool *p, double seconds) {
    struct timespec till = in(seconds);
    bool ended;

    pthread_mutex_lock(&p->lock);
    p->closing = true;
    for (ct_list *n = p->at_work.next; n != &p->at_work; n = n->next)
        ct_list_of(n, ct_job, node)->dropped = true;
    pthread_cond_broadcast(&p->more);
    while (p->alive &&
           pthread_cond_timedwait(&p->ended, &p->lock, &till) == 0) {
    }
    ended = !p->alive;
    pthread_mutex_unlock(&p->lock);
    return ended;
}

bool ct_pool_free(ct_pool *p, double seconds) {
    if (!p) return true;
    if (!wait_for_threads(p, seconds)) return false;
    for (unsigned i = 0; i < p->threads; i++) pthread_join(p->ids[i], NULL);
    ct_waker_flush(p->waker);
    while (!ct_list_is_empty(&p->queue)) {
        ct_job *job = ct_list_of(p->queue.next, ct_job, node);
        ct_list_remove(&job->node);
        job->dropped = true;
        job->done(job);
    }
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->more);
    pthread_cond_destroy(&p->ended);
    ct_free(p);
    return true;
}
