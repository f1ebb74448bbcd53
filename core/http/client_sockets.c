/* libcurl takes its socket off the loop at the end of each transfer and puts it
 * back with the next one: two epoll_ctl() a request. So a socket that nobody
 * waits for stays watched until something comes, which then is the server's end
 * most of the time; libcurl finds it closed when it wants to use it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client_sockets.h"

#include "base/mem.h"
#include "http/client.h"
#include "http/fetch.h"
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct ct_client_socket {
    struct event event;
    ct_client *client;
    int fd;
    short watched, wanted; /* EV_READ | EV_WRITE */
    bool opened;           /* by us: its close will be told */
};

static ct_client_socket *find(const ct_client_sockets *s, int fd) {
    return (uint32_t)fd < s->size ? s->by_fd[fd] : NULL;
}

static void grow(ct_client_sockets *s, uint32_t need) {
    uint32_t size = s->size ? s->size : 64;

    while (size < need) size *= 2;
    s->by_fd = ct_realloc(s->by_fd, size * sizeof(void *));
    while (s->size < size) s->by_fd[s->size++] = NULL;
}

static ct_client_socket *add(ct_client *c, int fd) {
    ct_client_sockets *s = &c->sockets;
    ct_client_socket *one = ct_new(ct_client_socket);

    if ((uint32_t)fd >= s->size) grow(s, (uint32_t)fd + 1);
    one->client = c;
    one->fd = fd;
    s->by_fd[fd] = one;
    return one;
}

static void unwatch(ct_client_socket *one) {
    if (one->watched) event_del(&one->event);
    one->watched = 0;
}

static void forget(ct_client_socket *one) {
    unwatch(one);
    one->client->sockets.by_fd[one->fd] = NULL;
    ct_free(one);
}

/* The callbacks of curl_multi_socket_action() may free `one`. */
static void on_event(evutil_socket_t fd, short what, void *arg) {
    ct_client_socket *one = arg;
    ct_client *c = one->client;
    int flags = 0, running;

    ct_loop_now(c->loop);
    what &= one->wanted;
    if (!what) {
        unwatch(one);
        return;
    }
    if (what & EV_READ) flags |= CURL_CSELECT_IN;
    if (what & EV_WRITE) flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(c->multi, fd, flags, &running);
    ct_client_settle(c);
}

static void watch(ct_client_socket *one, short what) {
    if (one->watched == what) return;
    unwatch(one);
    event_assign(&one->event, one->client->loop->base, one->fd,
                 (short)(what | EV_PERSIST), on_event, one);
    event_add(&one->event, NULL);
    one->watched = what;
}

/* What is not wanted any more stays watched if it is input alone: see above. */
static void want(ct_client_socket *one, short what) {
    one->wanted = what;
    if (what == 0 && one->opened) {
        if (one->watched & EV_WRITE) unwatch(one);
    } else if (what) {
        watch(one, what);
    }
}

static void tell_silence(CURL *easy) {
    char *fetch = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &fetch);
    if (fetch) ct_fetch_on_silence((ct_fetch *)(void *)fetch);
}

int ct_client_sockets_watch(CURL *easy, curl_socket_t fd, int what, void *arg,
                            void *unused) {
    ct_client *c = arg;
    ct_client_socket *one = find(&c->sockets, fd);
    short wanted = 0;

    (void)unused;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) wanted |= EV_READ;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) wanted |= EV_WRITE;
    if (!one && wanted) one = add(c, fd); /* the resolver's own */
    if (!one) return 0;
    want(one, wanted);
    if (what == CURL_POLL_REMOVE && !one->opened) forget(one);
    if (!(wanted & EV_READ)) tell_silence(easy);
    return 0;
}

curl_socket_t ct_client_sockets_open(ct_client *c,
                                     const struct curl_sockaddr *to) {
    int fd = socket(to->family, to->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    to->protocol);

    if (fd < 0) return CURL_SOCKET_BAD;
    add(c, fd)->opened = true;
    c->sockets.open++;
    return fd;
}

int ct_client_sockets_close(void *client, curl_socket_t fd) {
    ct_client *c = client;
    ct_client_socket *one = find(&c->sockets, fd);

    if (one) {
        if (one->opened) c->sockets.open--;
        forget(one);
    }
    return close(fd);
}

static bool is_public4(uint32_t ip) {
    static const struct {
        uint32_t net, mask;
    } closed[] = {
        { 0x00000000, 0xff000000 }, /* this network */
        { 0x0a000000, 0xff000000 }, /* RFC 1918 */
        { 0x64400000, 0xffc00000 }, /* RFC 6598 */
        { 0x7f000000, 0xff000000 }, /* loopback */
        { 0xa9fe0000, 0xffff0000 }, /* link-local */
        { 0xac100000, 0xfff00000 }, /* RFC 1918 */
        { 0xc0000000, 0xffffff00 }, /* RFC 6890 */
        { 0xc0000200, 0xffffff00 }, /* documentation, RFC 5737 */
        { 0xc0586300, 0xffffff00 }, /* RFC 7526 */
        { 0xc0a80000, 0xffff0000 }, /* RFC 1918 */
        { 0xc6120000, 0xfffe0000 }, /* RFC 2544 */
        { 0xc6336400, 0xffffff00 }, /* documentation */
        { 0xcb007100, 0xffffff00 }, /* documentation */
        { 0xe0000000, 0xe0000000 }, /* multicast, reserved, broadcast */
    };

    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
        if ((ip & closed[i].mask) == closed[i].net) return false;
    return true;
}

/* Of 2000::/3, which alone is given out: not 2001::/23 (RFC 2928, Teredo among
 * them) and what is for documentation (RFC 3849, RFC 9637). */
static bool is_given_out(const uint8_t *a) {
    if ((a[0] & 0xe0) != 0x20) return false;
    if (a[0] == 0x20 && a[1] == 0x01)
        return a[2] > 1 && (a[2] != 0x0d || a[3] != 0xb8);
    return a[0] != 0x3f || a[1] != 0xff || a[2] & 0xf0;
}

/* What carries an IPv4 address is judged by it. */
static bool is_public6(const uint8_t *a) {
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff },
                         nat64[12] = { 0, 0x64, 0xff, 0x9b };
    const uint8_t *v4 = a + 12;

    if (a[0] == 0x20 && a[1] == 0x02)
        v4 = a + 2; /* RFC 3056 */
    else if (memcmp(a, mapped, 12) != 0 && memcmp(a, nat64, 12) != 0)
        return is_given_out(a);
    return is_public4((uint32_t)v4[0] << 24 | (uint32_t)v4[1] << 16 |
                      (uint32_t)v4[2] << 8 | v4[3]);
}

bool ct_client_is_public(const struct sockaddr *sa) {
    if (sa->sa_family == AF_INET)
        return is_public4(
            ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr));
    if (sa->sa_family == AF_INET6)
        return is_public6(((const struct sockaddr_in6 *)sa)->sin6_addr.s6_addr);
    return false;
}

void ct_client_sockets_fini(ct_client_sockets *s) {
    for (uint32_t i = 0; i < s->size; i++)
        if (s->by_fd[i]) forget(s->by_fd[i]);
    ct_free(s->by_fd);
    *s = (ct_client_sockets){ 0 };
}
