/* Accepting. The event is level-triggered, so that a burst may end early. When
 * descriptors run out the waiting connection would wake us for ever: a spare
 * descriptor is given up to take that one and close it, so that its client is
 * told, and the socket is not watched for a while. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/listen.h"

#include "base/mem.h"
#include "io/timer.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/util.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A peer that vanished without a word while all was quiet is found by probes, after
 * two minutes. */
enum {
    BURST = 128,
    ALIVE_IDLE = 60, /* seconds, as the next */
    ALIVE_PAUSE = 10,
    ALIVE_TRIES = 6
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
    int fd, spare;
    bool held;      /* see ct_listen_hold() */
    bool staged;    /* does not accept before ct_listen_commit() */
    bool kept;      /* by no generation: it goes on */
    bool inherited; /* a socket that nobody has asked for yet */
};

/* -- Opening --------------------------------------------------------------- */

static const struct sockaddr *sockaddr_of(const ct_address *a) {
    return (const struct sockaddr *)&a->sa;
}

static const char *path_of(const ct_address *a) {
    return ((const struct sockaddr_un *)&a->sa)->sun_path;
}

static bool is_unix(const ct_address *a) {
    return a->sa.ss_family == AF_UNIX;
}

/* The inode of a unix socket's file, or 0 when there is none. */
static ino_t inode_of(const ct_address *a) {
    struct stat st;

    if (!is_unix(a) || lstat(path_of(a), &st) == -1) return 0;
    return S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

static int open_socket(ct_address *at) {
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = socket(at->sa.ss_family, type, 0);

    if (fd == -1 && errno == EAFNOSUPPORT && at->any) {
        struct sockaddr_in v4 = {
            .sin_family = AF_INET,
            .sin_port = ((struct sockaddr_in6 *)&at->sa)->sin6_port,
        };
        memcpy(&at->sa, &v4, sizeof v4); /* a kernel without IPv6 */
        at->size = sizeof v4;
        fd = socket(AF_INET, type, 0);
    }
    return fd;
}

/* A server that was killed leaves its file, and bind() refuses to replace it.
 * One that lives accepts, or has a full queue (EAGAIN). */
static void remove_stale(const ct_address *at) {
    int fd;

    if (!inode_of(at)) return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1) return;
    if (connect(fd, sockaddr_of(at), at->size) == -1 && errno == ECONNREFUSED)
        unlink(path_of(at));
    close(fd);
}

static void set_option(int fd, int level, int name, int value) {
    (void)setsockopt(fd, level, name, &value, sizeof value); /* best effort */
}

static void prepare(int fd, const ct_address *at) {
    if (is_unix(at)) {
        fchmod(fd, 0600); /* bind() gives the mode to the file */
        remove_stale(at);
        return;
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* peers inherit what is set */
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, ALIVE_IDLE);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, ALIVE_PAUSE);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, ALIVE_TRIES);
    if (at->sa.ss_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !at->any);
    if (at->share) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

static const char *reason(const ct_address *at, int error) {
    bool local = is_unix(at);

    switch (error) {
    case EACCES:
        if (local) return "permission denied: its folder must be writable";
        return "permission denied: ports below 1024 need root or "
               "CAP_NET_BIND_SERVICE";
    case EADDRINUSE:
        if (local)
            return "address already in use: another program listens there, "
                   "or the file is no socket; choose another path";
        return "address already in use: another program listens there; stop "
               "it or choose another --port";
    case EADDRNOTAVAIL:
        return "no such address on this machine: `ip address` lists them, "
               "*:PORT means all";
    case EXDEV:
        return "a new unix socket needs a restart of a server with a master, "
               "whose workers must share it";
    case ENOENT: return "no such folder: create it first";
    case EMFILE: return "too many open files: raise `ulimit -n`";
    default: return strerror(error);
    }
}

static void explain(const ct_address *at, int error, char *why, size_t size) {
    char text[CT_ADDRESS_TEXT];

    ct_address_format(at, text);
    snprintf(why, size, "%s: %s", text, reason(at, error));
}

/* -- Sockets that are there ------------------------------------------------- */

static bool is_same(const ct_address *a, const ct_address *b) {
    return a->size == b->size && memcmp(&a->sa, &b->sa, a->size) == 0;
}

bool ct_listen_is_same(const ct_listen *a, const ct_listen *b) {
    return is_same(&a->asked, &b->asked);
}

/* One that this process was started with, or while a generation is loaded that
 * of the one before. */
static const ct_listen *find_socket(const ct_listen *l) {
    const ct_list *end = &l->loop->listens;

    for (const ct_list *n = end->next; n != end; n = n->next) {
        const ct_listen *other = ct_list_of(n, ct_listen, node);

        if (other->staged || !is_same(&other->asked, &l->asked)) continue;
        if (other->inherited || l->loop->staging) return other;
    }
    return NULL;
}

/* Shares a socket: 1, or 0 when there is none to share, -1 with errno set. */
static int share_socket(ct_listen *l) {
    const ct_listen *other = find_socket(l);

    if (!other) return 0;
    l->fd = fcntl(other->fd, F_DUPFD_CLOEXEC, 0);
    if (l->fd == -1) return -1;
    l->at = other->at;
    return 1;
}

static bool find_name(ct_listen *l) {
    if (is_unix(&l->at)) return true;
    l->at.size = sizeof l->at.sa;
    return getsockname(l->fd, (struct sockaddr *)&l->at.sa, &l->at.size) == 0;
}

static bool open_listener(ct_listen *l, int backlog) {
    int shared = share_socket(l);

    if (shared > 0)
        (void)listen(l->fd, backlog); /* it may be another one now */
    if (shared) return shared > 0;
    if (is_unix(&l->at) && l->loop->share_ports && l->staged) {
        errno = EXDEV; /* the other workers could not have it */
        return false;
    }
    l->at.share |= l->loop->share_ports;
    l->fd = open_socket(&l->at);
    if (l->fd == -1) return false;
    prepare(l->fd, &l->at);
    if (bind(l->fd, sockaddr_of(&l->at), l->at.size) == -1) return false;
    l->inode = inode_of(&l->at);
    if (listen(l->fd, backlog) == -1) return false;
    return find_name(l);
}

int ct_listen_inherited(const ct_loop *loop, const ct_address *asked) {
    const ct_list *end = &loop->listens;

    for (const ct_list *n = end->next; n != end; n = n->next) {
        const ct_listen *l = ct_list_of(n, ct_listen, node);

        if (l->inherited && is_same(&l->asked, asked))
            return fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
    }
    return -1;
}

void ct_listen_keep(ct_listen *l) {
    l->kept = true;
}

int ct_listen_socket(ct_address *at, int backlog, char *why, size_t size) {
    int fd = open_socket(at);

    if (fd == -1) goto fail;
    prepare(fd, at);
    if (bind(fd, sockaddr_of(at), at->size) == -1) goto fail;
    if (listen(fd, backlog) == 0) return fd;

fail:
    explain(at, errno, why, size);
    if (fd != -1) close(fd);
    return -1;
}

/* The kernel asks this program for the index of a socket: random() % n. Where that
 * cannot be (a unix socket) nothing is lost but the wish. */
void ct_listen_spread(int fd, unsigned n) {
    struct sock_filter code[] = {
        { BPF_LD | BPF_W | BPF_ABS, 0, 0,
          (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM) },
        { BPF_ALU | BPF_MOD | BPF_K, 0, 0, n },
        { BPF_RET | BPF_A, 0, 0, 0 },
    };
    struct sock_fprog program = { .len = 3, .filter = code };

    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
                     sizeof program);
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
                "%s: cannot accept, pausing: %s", text, reason(&l->at, error));
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
    for (int i = 0; i < BURST && !l->held; i++)
        if (!accept_one(l)) return;
}

/* NOLINTNEXTLINE(readability-function-size): a callback and a text: 7 values */
ct_listen *ct_listen_new(ct_loop *loop, const ct_address *at, int backlog,
                         ct_peer_fn *fn, void *arg, char *why, size_t size) {
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
    if (!open_listener(l, backlog)) {
        int error = errno;

        explain(at, error, why, size);
        ct_listen_free(l);
        errno = error;
        return NULL;
    }
    ct_list_add(&loop->listens, &l->node);
    event_assign(&l->event, loop->base, l->fd, EV_READ | EV_PERSIST, on_ready,
                 l);
    if (!l->staged) event_add(&l->event, NULL);
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

bool ct_listen_inherit(ct_loop *loop, int fd, const ct_address *asked) {
    ct_listen *l = ct_new(ct_listen);

    l->loop = loop;
    l->fd = fd;
    l->spare = -1;
    l->inherited = true;
    l->asked = l->at = *asked;
    ct_list_add(&loop->listens, &l->node);
    if (evutil_make_socket_nonblocking(fd) == 0 && find_name(l)) return true;
    ct_listen_free(l);
    return false;
}

const ct_address *ct_listen_address(const ct_listen *l) {
    return &l->at;
}

void ct_listen_hold(ct_listen *l, bool hold) {
    if (hold == l->held) return;
    l->held = hold;
    if (l->staged) return;
    if (hold)
        event_del(&l->event);
    else
        event_add(&l->event, NULL);
}

/* The file is ours only as long as nobody has replaced it. */
void ct_listen_free(ct_listen *l) {
    if (!l) return;
    ct_list_remove(&l->node);
    if (event_initialized(&l->event)) event_del(&l->event);
    ct_timer_free(l->pause);
    if (l->inode && inode_of(&l->at) == l->inode) unlink(path_of(&l->at));
    if (l->fd != -1) close(l->fd);
    if (l->spare != -1) close(l->spare);
    ct_free(l);
}
