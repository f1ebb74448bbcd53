/* Answers are short enough for the socket's buffer, so sending them needs no
 * event; a peer that does not read loses the rest. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/control.h"

#include "base/list.h"
#include "base/mem.h"
#include "io/address.h"
#include "io/listen.h"
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE = 64, PEERS = 16 };

static const struct timeval PATIENCE = { .tv_sec = 5 };

struct ct_control {
    ct_loop *loop;
    ct_listen *listen;
    ct_list peers;
    unsigned count;
    char *path;
    ct_control_fn *fn;
    void *arg;
};

struct ct_control_peer {
    ct_list node;
    ct_control *control;
    struct event event;
    int fd;
    unsigned have;
    char line[LINE];
};

int ct_control_release(ct_control_peer *p) {
    int fd = p->fd;

    event_del(&p->event);
    ct_loop_forget(p->control->loop, fd); /* another process may get it */
    ct_list_remove(&p->node);
    p->control->count--;
    ct_free(p);
    return fd;
}

static void close_peer(ct_control_peer *p) {
    close(ct_control_release(p));
}

void ct_control_answer(ct_control_peer *p, bool ok, const char *text) {
    const char *word = ok ? "ok\n" : "error\n";
    struct iovec parts[] = { { (void *)(uintptr_t)word, strlen(word) },
                             { (void *)(uintptr_t)text, strlen(text) } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
    char rest[256];

    /* What is left unread would make a reset of the end. */
    (void)recv(p->fd, rest, sizeof rest, MSG_DONTWAIT);
    (void)sendmsg(p->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    close_peer(p);
}

/* Reads up to the end of the line: what comes behind it is for whoever gets the
 * connection, if anybody. */
static ssize_t read_line(ct_control_peer *p) {
    char *at = p->line + p->have, *end;
    size_t room = sizeof p->line - 1 - p->have;
    ssize_t n = recv(p->fd, at, room, MSG_PEEK);

    if (n <= 0) return n;
    end = memchr(at, '\n', (size_t)n);
    return recv(p->fd, at, end ? (size_t)(end - at) + 1 : (size_t)n, 0);
}

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    ct_control_peer *p = arg;
    ssize_t n = -1;
    char *end;

    (void)fd;
    ct_loop_now(p->control->loop);
    if (!(what & EV_TIMEOUT)) n = read_line(p);
    if (n == -1 && !(what & EV_TIMEOUT) && errno == EAGAIN) return;
    if (n <= 0) {
        close_peer(p);
        return;
    }
    p->have += (unsigned)n;
    p->line[p->have] = 0;
    end = strchr(p->line, '\n');
    if (!end && p->have < sizeof p->line - 1) return;
    event_del(&p->event);
    if (end) *end = 0;
    p->control->fn(p, p->line, p->control->arg);
}

static bool is_ours(int fd) {
    struct ucred who;
    socklen_t size = sizeof who;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == -1)
        return false;
    return who.uid == 0 || who.uid == geteuid();
}

static void on_peer(int fd, const ct_address *from, void *arg) {
    ct_control *c = arg;
    ct_control_peer *p;

    (void)from;
    if (c->count >= PEERS || !is_ours(fd)) {
        close(fd);
        return;
    }
    p = ct_new(ct_control_peer);
    p->control = c;
    p->fd = fd;
    c->count++;
    ct_list_add(&c->peers, &p->node);
    event_assign(&p->event, c->loop->base, fd, EV_READ | EV_PERSIST,
                 on_readable, p);
    event_add(&p->event, &PATIENCE);
}

ct_control *ct_control_new(ct_loop *loop, const char *path, ct_control_fn *fn,
                           void *arg, char *why, size_t size) {
    ct_control *c = ct_new(ct_control);
    char text[128];
    ct_address at;
    const char *expected = "a path of less than 100 bytes";

    c->loop = loop;
    c->fn = fn;
    c->arg = arg;
    ct_list_init(&c->peers);
    snprintf(text, sizeof text, "unix:%.110s", path);
    if (strlen(path) < 100 && ct_address_parse(&at, text, &expected))
        c->listen = ct_listen_new(loop, &at, PEERS, on_peer, c, why, size);
    else
        snprintf(why, size, "%s: expected %s", path, expected);
    if (c->listen) {
        ct_listen_keep(c->listen);
        c->path = ct_memdup(path, strlen(path));
        return c;
    }
    ct_free(c);
    return NULL;
}

bool ct_control_is_at(const ct_control *c, const char *path) {
    return strcmp(c->path, path) == 0;
}

void ct_control_leave(ct_control *c, const ct_control_peer *one) {
    ct_list *n, *next;

    if (!c) return;
    for (n = c->peers.next; n != &c->peers; n = next) {
        ct_control_peer *p = ct_list_of(n, ct_control_peer, node);

        next = n->next;
        if (p != one) close_peer(p);
    }
    ct_listen_free(c->listen);
    c->listen = NULL;
}

void ct_control_free(ct_control *c) {
    if (!c) return;
    ct_control_leave(c, NULL);
    ct_free(c->path);
    ct_free(c);
}
