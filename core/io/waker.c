/* The eventfd is written by whoever posts into an empty list: the loop takes the
 * whole list, so the others need no system call. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/waker.h"

#include "base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct ct_waker {
    ct_loop *loop;
    struct event event;
    int fd;
    pthread_mutex_t lock; /* holds `posted` */
    ct_list posted;
};

/* The first note posted, or NULL. */
static ct_note *take(ct_waker *w) {
    ct_note *note = NULL;

    pthread_mutex_lock(&w->lock);
    if (!ct_list_is_empty(&w->posted)) {
        note = ct_list_of(w->posted.next, ct_note, node);
        ct_list_remove(&note->node);
    }
    pthread_mutex_unlock(&w->lock);
    return note;
}

void ct_waker_flush(ct_waker *w) {
    ct_note *note;

    while ((note = take(w))) note->fn(note);
}

static void on_wake(evutil_socket_t fd, short what, void *arg) {
    ct_waker *w = arg;
    uint64_t count;

    (void)what;
    ct_loop_now(w->loop);
    (void)!read((int)fd, &count, sizeof count); /* reset; the list counts */
    ct_waker_flush(w);
}

ct_waker *ct_waker_new(ct_loop *loop) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ct_waker *w;

    if (fd < 0) return NULL;
    w = ct_new(ct_waker);
    w->loop = loop;
    w->fd = fd;
    pthread_mutex_init(&w->lock, NULL);
    ct_list_init(&w->posted);
    event_assign(&w->event, loop->base, fd, EV_READ | EV_PERSIST, on_wake, w);
    if (event_add(&w->event, NULL) == 0) return w;
    ct_waker_free(w);
    errno = ENOMEM;
    return NULL;
}

void ct_waker_post(ct_waker *w, ct_note *note) {
    static const uint64_t one = 1;
    bool first;

    pthread_mutex_lock(&w->lock);
    first = ct_list_is_empty(&w->posted);
    ct_list_add(&w->posted, &note->node);
    /* Under the lock, so that the waker is not freed before it is written. */
    if (first) (void)!write(w->fd, &one, sizeof one);
    pthread_mutex_unlock(&w->lock);
}

void ct_waker_free(ct_waker *w) {
    if (!w) return;
    event_del(&w->event);
    close(w->fd);
    pthread_mutex_destroy(&w->lock);
    ct_free(w);
}
