/* Accepting. The event is level-triggered, so that a burst may end early. When
 * descriptors run out the waiting connection would wake us for ever: a spare
 * descriptor is given up to take that one and close it, so that its client is
 * told, and the socket is not watched for a while. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/listen.h"

#include "base/mem.h"
#include "io/listen_socket.h"
#include "io/timer.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/util.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BURST = 128, /* accepted from a socket that is given up */
    TURN = 16    /* accepted at a time: those who are served wait meanwhile */
};

static const double PAUSE = 0.1; /* seconds */

struct ct_listen {
    ct_list node; /* in loop->listens */
    struct event event;
    ct_loop *loop;
    ct_peer_fn *fn;
    void *arg;
    ct_timer *pause;
    ct_address at;
    ct_address asked; /* before the kernel chose a port */
    ino_t inode;      /* of the unix socket's file */
    uint64_t muted_till;
    ct_listen *more; /* another socket of the same address, or NULL */
    int fd, spare;
    bool held;      /* see ct_listen_hold() */
    bool staged;    /* does not accept before ct_listen_commit() */
    bool kept;      /* by no generation: it goes on */
    bool inherited; /* a socket that nobody has asked for yet */
    bool borrowed;  /* see ct_listen_inherit() */
    bool opened;    /* by this process, not inherited */
};

/* -- Sockets that are there ------------------------------------------------- */

static bool is_same(const ct_address *a, const ct_address *b) {
    return a->size == b->size && memcmp(&a->sa, &b->sa, a->size) == 0;
}

bool ct_listen_is_same(const ct_listen *a, const ct_listen *b) {
    return is_same(&a->asked, &b->asked) && is_same(&a->at, &b->at);
}

/* Whether both descriptors are of one socket. */
static bool is_one(int a, int b) {
    struct stat x, y;

    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino;
}

static bool has_socket(const ct_listen *l, int fd) {
    for (; l; l = l->more)
        if (l->fd != -1 && is_one(l->fd, fd)) return true;
    return false;
}

/* Whether `other` is of the generation of `l`; or (`before`) may give it a socket:
 * this process was started with that, or, while a generation is loaded, one before
 * has it. */
static bool is_of(const ct_listen *other, const ct_listen *l, bool before) {
    if (!before) return !other->inherited && other->staged == l->staged;
    return !other->staged && (other->inherited || l->loop->staging);
}

/* Of those, and asked for as `l` was, the first one at the place with that number,
 * from 0; or NULL: then *place is how many there are. One place is one port. */
static const ct_listen *find_place(const ct_listen *l, bool before,
                                   unsigned *place) {
    const ct_list *end = &l->loop->listens, *m;
    unsigned found = 0;

    for (const ct_list *n = end->next; n != end; n = n->next) {
        const ct_listen *other = ct_list_of(n, const ct_listen, node), *same;

        if (!is_of(other, l, before) || !is_same(&other->asked, &l->asked))
            continue;
        for (m = end->next; m != n; m = m->next) {
            same = ct_list_of(m, const ct_listen, node);
            if (is_of(same, l, before) && ct_listen_is_same(same, other)) break;
        }
        if (m == n && found++ == *place) return other;
    }
    *place = found;
    return NULL;
}

/* Several may have asked for port 0 of an address: the second one gets the port
 * that the second one before has, and so on. */
static const ct_listen *find_socket(const ct_listen *l) {
    unsigned place = 0;

    if (ct_address_port(&l->asked) == 0 && l->asked.sa.ss_family != AF_UNIX) {
        place = UINT_MAX;
        (void)find_place(l, false, &place);
    }
    return find_place(l, true, &place);
}

/* One more of the sockets that are bound as that of `first`, but none that it has. */
static const ct_listen *find_more(const ct_listen *first) {
    const ct_list *end = &first->loop->listens;

    for (const ct_list *n = end->next; n != end; n = n->next) {
        const ct_listen *other = ct_list_of(n, const ct_listen, node);

        if (is_of(other, first, true) && ct_listen_is_same(other, first) &&
            !has_socket(first, other->fd))
            return other;
    }
    return NULL;
}

/* Shares the socket of another one: 1, or 0 when there is none, -1 with errno set. */
static int share_socket(ct_listen *l, const ct_listen *other) {
    if (!other) return 0;
    l->fd = fcntl(other->fd, F_DUPFD_CLOEXEC, 0);
    if (l->fd == -1) return -1;
    l->at = other->at;
    l->borrowed = other->borrowed;
    l->opened = other->opened;
    return 1;
}

static bool find_name(ct_listen *l) {
    if (l->at.sa.ss_family == AF_UNIX) return true;
    l->at.size = sizeof l->at.sa;
    return getsockname(l->fd, (struct sockaddr *)&l->at.sa, &l->at.size) == 0;
}

static bool open_listener(ct_listen *l, int backlog, char *why, size_t size) {
    int shared = share_socket(l, find_socket(l));

    if (shared > 0)
        (void)listen(l->fd, backlog); /* it may be another one now */
    if (shared) return shared > 0;
    if (l->at.sa.ss_family == AF_UNIX && l->loop->share_ports && l->staged) {
        errno = EXDEV; /* the other workers could not have it */
        return false;
    }
    l->at.share |= l->loop->share_ports;
    l->fd = ct_listen_socket(&l->at, backlog, why, size);
    if (l->fd == -1) return false;
    l->opened = true;
    l->inode = ct_listen_inode(&l->at);
    return find_name(l);
}

int ct_listen_claim(ct_loop *loop, const ct_address *asked, bool *borrowed) {
    const ct_list *end = &loop->listens;

    for (const ct_list *n = end->next; n != end; n = n->next) {
        ct_listen *l = ct_list_of(n, ct_listen, node);
        int fd = l->fd;

        if (!l->inherited || !is_same(&l->asked, asked)) continue;
        if (borrowed) *borrowed = l->borrowed;
        l->fd = -1;
        ct_listen_free(l);
        return fd;
    }
    return -1;
}

unsigned ct_listen_unclaimed(const ct_loop *loop, const ct_address *asked) {
    const ct_list *end = &loop->listens;
    unsigned count = 0;

    for (const ct_list *n = end->next; n != end; n = n->next) {
        const ct_listen *l = ct_list_of(n, const ct_listen, node);

        count += l->inherited && is_same(&l->asked, asked);
    }
    return count;
}

void ct_listen_keep(ct_listen *l) {
    l->kept = true;
    if (l->more) ct_listen_keep(l->more);
}

/* -- Accepting ------------------------------------------------------------- */

/* Errors of the connection that was about to be accepted, not ours. */
static bool is_of_peer(int error) {
    static const int errors[] = { ECONNABORTED, EINTR,       EPROTO,
                                  EPERM,        ENETDOWN,    ENOPROTOOPT,
                                  EHOSTDOWN,    ENONET,      EHOSTUNREACH,
                                  EOPNOTSUPP,   ENETUNREACH, ETIMEDOUT };

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i] == error) return true;
    return false;
}

static int open_spare(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void refuse_one(ct_listen *l) {
    int fd;

    if (l->spare == -1) return;
    close(l->spare);
    fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd != -1) close(fd);
    l->spare = open_spare();
}

static void report(ct_listen *l, int error) {
    char text[CT_ADDRESS_TEXT];
    uint64_t now = ct_loop_now(l->loop);

    if (now < l->muted_till) return;
    l->muted_till = now + 1000;
    ct_address_format(&l->at, text);
    ct_log_line(l->loop->log, CT_LEVEL_ERROR, "listen",
                "%s: cannot accept, pausing: %s", text,
                ct_listen_reason(&l->at, error));
}

static void pause_for(ct_listen *l, int error) {
    report(l, error);
    refuse_one(l);
    event_del(&l->event);
    ct_timer_start(l->pause, PAUSE, false);
}

static void on_pause_over(void *arg) {
    ct_listen *l = arg;

    if (l->spare == -1) l->spare = open_spare();
    if (!l->held) event_add(&l->event, NULL);
}

/* False when there is no more to accept now. */
static bool accept_one(ct_listen *l) {
    ct_address peer = { .size = sizeof peer.sa };
    int fd = accept4(l->fd, (struct sockaddr *)&peer.sa, &peer.size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd != -1) {
        l->fn(fd, &peer, l->arg);
        return true;
    }
    if (errno == EAGAIN) return false;
    if (is_of_peer(errno)) return true;
    pause_for(l, errno);
    return false;
}

static void on_ready(evutil_socket_t fd, short what, void *arg) {
    ct_listen *l = arg;

    (void)fd, (void)what;
    ct_loop_now(l->loop);
    for (int i = 0; i < TURN && !l->held; i++)
        if (!accept_one(l)) return;
}

static ct_listen *make(ct_loop *loop, const ct_address *at, ct_peer_fn *fn,
                       void *arg) {
    ct_listen *l = ct_new(ct_listen);

    l->loop = loop;
    l->fn = fn;
    l->arg = arg;
    l->at = l->asked = *at;
    l->fd = -1;
    l->staged = loop->staging;
    ct_list_init(&l->node);
    l->pause = ct_timer_new(loop, on_pause_over, l);
    l->spare = open_spare();
    return l;
}

static void watch(ct_listen *l) {
    ct_list_add(&l->loop->listens, &l->node);
    event_assign(&l->event, l->loop->base, l->fd, EV_READ | EV_PERSIST,
                 on_ready, l);
    if (!l->staged) event_add(&l->event, NULL);
}

/* Whoever had more processes than there are now has left sockets whose queues
 * somebody must empty. */
static void add_more(ct_listen *first) {
    ct_listen *l = first, *next;

    do {
        next = make(first->loop, &first->asked, first->fn, first->arg);
        if (share_socket(next, find_more(first)) < 1) break;
        watch(next);
        l->more = next;
        l = next;
    } while (true);
    ct_listen_free(next);
}

/* NOLINTNEXTLINE(readability-function-size): a callback and a text: 7 values */
ct_listen *ct_listen_new(ct_loop *loop, const ct_address *at, int backlog,
                         ct_peer_fn *fn, void *arg, char *why, size_t size) {
    ct_listen *l = make(loop, at, fn, arg);

    if (!open_listener(l, backlog, why, size)) {
        int error = errno;

        ct_listen_explain(at, error, why, size);
        ct_listen_free(l);
        errno = error;
        return NULL;
    }
    watch(l);
    add_more(l);
    return l;
}

/* The file of a unix socket goes to the generation that goes on. */
static void take_file(ct_listen *l) {
    const ct_list *end = &l->loop->listens;

    for (ct_list *n = end->next; n != end; n = n->next) {
        ct_listen *other = ct_list_of(n, ct_listen, node);

        if (other == l || !other->inode || !ct_listen_is_same(other, l))
            continue;
        l->inode = other->inode;
        other->inode = 0;
    }
}

void ct_listen_commit(ct_loop *loop, bool later) {
    ct_list *end = &loop->listens, *n, *next;

    for (n = end->next; n != end; n = next) {
        ct_listen *l = ct_list_of(n, ct_listen, node);

        next = n->next;
        if (l->inherited) {
            ct_listen_free(l);
        } else if (l->staged) {
            l->staged = false;
            take_file(l);
            if (!l->held) event_add(&l->event, NULL);
        } else if (later && !l->kept) {
            ct_listen_hold(l, true);
        }
    }
}

void ct_listen_empty(ct_loop *loop) {
    ct_list *end = &loop->listens, *n, *next;

    for (n = end->next; n != end; n = next) {
        ct_listen *l = ct_list_of(n, ct_listen, node);
        bool more = !l->inherited && !l->staged && !l->held && !l->kept;

        next = n->next;
        while (more) more = accept_one(l);
    }
}

static void trim(ct_listen *l) {
    if (!l->more) return;
    for (ct_listen *m = l->more; m; m = m->more)
        for (int i = 0; i < BURST && m->fd != -1; i++)
            if (!accept_one(m)) break;
    ct_listen_free(l->more);
    l->more = NULL;
}

void ct_listen_trim(ct_loop *loop) {
    const ct_list *end = &loop->listens;

    for (ct_list *n = end->next; n != end; n = n->next)
        trim(ct_list_of(n, ct_listen, node));
}

bool ct_listen_inherit(ct_loop *loop, int fd, const ct_address *asked,
                       bool borrowed) {
    ct_listen *l = ct_new(ct_listen);

    l->loop = loop;
    l->fd = fd;
    l->spare = -1;
    l->inherited = true;
    l->borrowed = borrowed;
    l->asked = l->at = *asked;
    ct_list_add(&loop->listens, &l->node);
    ct_listen_tune(fd, asked);
    if (evutil_make_socket_nonblocking(fd) == 0 && find_name(l)) return true;
    ct_listen_free(l);
    return false;
}

/* A generation that ends may share its socket with the one that serves. */
static bool is_listed(const ct_listen *l) {
    const ct_list *end = &l->loop->listens;

    for (const ct_list *n = end->next; n != &l->node && n != end; n = n->next)
        if (is_one(ct_list_of(n, const ct_listen, node)->fd, l->fd))
            return true;
    return false;
}

void ct_listen_list(const ct_loop *loop, ct_buf *out) {
    const ct_list *end = &loop->listens;

    for (const ct_list *n = end->next; n != end; n = n->next) {
        const ct_listen *l = ct_list_of(n, ct_listen, node);
        char address[CT_ADDRESS_TEXT], line[CT_ADDRESS_TEXT + 16];
        int size;

        if (l->inherited || l->staged || is_listed(l)) continue;
        ct_address_format(&l->asked, address);
        size = snprintf(line, sizeof line, "%d%s %s\n", l->fd,
                        l->inode ? "+" : "", address);
        ct_buf_add(out, line, (size_t)size);
    }
}

void ct_listen_own(ct_loop *loop) {
    const ct_list *end = &loop->listens;

    for (ct_list *n = end->next; n != end; n = n->next) {
        ct_listen *l = ct_list_of(n, ct_listen, node);

        if (l->borrowed) l->inode = ct_listen_inode(&l->at);
        l->borrowed = false;
    }
}

/* Generations and workers have copies of one socket. */
static void close_socket(ct_listen *l) {
    if (l->fd == -1) return;
    ct_loop_forget(l->loop, l->fd);
    close(l->fd);
    l->fd = -1;
}

static void leave(ct_listen *l, bool all) {
    if (l->inherited || l->fd == -1) return;
    for (int i = 0; i < BURST && l->opened && !all; i++)
        if (!accept_one(l)) break;
    ct_listen_hold(l, true);
    event_del(&l->event); /* held, it may be watched behind a pause */
    ct_timer_stop(l->pause);
    close_socket(l);
    l->inode = 0;
}

void ct_listen_leave(ct_loop *loop, bool all) {
    const ct_list *end = &loop->listens;

    for (ct_list *n = end->next; n != end; n = n->next)
        leave(ct_list_of(n, ct_listen, node), all);
}

const ct_address *ct_listen_address(const ct_listen *l) {
    return &l->at;
}

void ct_listen_hold(ct_listen *l, bool hold) {
    if (l->more) ct_listen_hold(l->more, hold);
    if (hold == l->held) return;
    l->held = hold;
    if (l->staged || l->fd == -1) return;
    if (hold)
        event_del(&l->event);
    else
        event_add(&l->event, NULL);
}

void ct_listen_free(ct_listen *l) {
    if (!l) return;
    ct_listen_free(l->more);
    ct_list_remove(&l->node);
    if (event_initialized(&l->event)) event_del(&l->event);
    ct_timer_free(l->pause);
    ct_listen_unlink(&l->at, l->inode);
    close_socket(l);
    if (l->spare != -1) close(l->spare);
    ct_free(l);
}
