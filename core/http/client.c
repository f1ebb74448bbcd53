/* Only curl_multi_socket_action(): libcurl says which sockets and which moment
 * it waits for. Its timer is moved with each transfer; ours is left to fire too
 * early and set again, which is cheaper. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client.h"

#include "base/clock.h"
#include "base/mem.h"
#include "http/fetch.h"
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static void *zeroed(size_t n, size_t size) {
    if (size && n > SIZE_MAX / size) return NULL;
    return ct_alloc0(n * size);
}

static char *copy(const char *s) {
    return ct_memdup(s, strlen(s));
}

static int on_timeout_change(CURLM *multi, long ms, void *arg) {
    ct_client *c = arg;

    (void)multi;
    c->due = ms < 0 ? 0 : ct_clock_precise() + (double)ms / 1e3;
    return 0;
}

static void arm(ct_client *c) {
    double left;

    if (!c->due || (c->armed && c->armed <= c->due)) return;
    left = c->due - ct_clock_precise();
    c->armed = c->due;
    ct_timer_start(c->timer, left > 0 ? left : 0, false);
}

static void on_timer(void *arg) {
    ct_client *c = arg;

    c->armed = 0;
    if (c->due && ct_clock_precise() >= c->due)
        ct_client_kick(c);
    else
        arm(c);
}

static void set_callbacks(ct_client *c) {
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION,
                      ct_client_sockets_watch);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timeout_change);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
}

/* The lowest number that is not a descriptor's; -1 when none is left. */
static int free_number(void) {
    int fd = eventfd(0, EFD_CLOEXEC);

    if (fd >= 0) close(fd);
    return fd;
}

static bool is_local_socket(int fd) {
    int domain = 0;
    socklen_t size = sizeof domain;

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
           domain == AF_UNIX;
}

/* libcurl makes itself a pair of sockets that whatever a site starts would
 * inherit, and tells nobody their numbers: the lowest that were free. */
static CURLM *new_multi(void) {
    int fd = free_number(), end;
    CURLM *multi = curl_multi_init();

    if (!multi || fd < 0) return multi;
    end = free_number();
    for (; fd < end; fd++)
        if (is_local_socket(fd)) (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return multi;
}

ct_client *ct_client_new(ct_loop *loop, ct_client_fn *fn, void *arg) {
    ct_client *c;
    CURLM *multi;

    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, ct_alloc, ct_free, ct_realloc,
                             copy, zeroed) != CURLE_OK)
        return NULL;
    multi = new_multi();
    if (!multi) {
        curl_global_cleanup();
        return NULL;
    }
    c = ct_new(ct_client);
    c->multi = multi;
    c->loop = loop;
    c->fn = fn;
    c->arg = arg;
    c->timer = ct_timer_new(loop, on_timer, c);
    ct_list_init(&c->running);
    ct_list_init(&c->answered);
    ct_list_init(&c->idle);
    set_callbacks(c);
    return c;
}

void ct_client_limit(ct_client *c, uint32_t pool, uint32_t most,
                     uint32_t host_most) {
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)pool);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)most);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)host_most);
}

static void take_results(ct_client *c) {
    const CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(c->multi, &left))) {
        char *fetch = NULL;
        CURLcode result = m->data.result;

        if (m->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &fetch);
        ct_fetch_finish((ct_fetch *)(void *)fetch, result);
    }
}

void ct_client_settle(ct_client *c) {
    take_results(c);
    while (!ct_list_is_empty(&c->answered))
        ct_fetch_answer(ct_list_of(c->answered.next, ct_fetch, node));
    arm(c);
}

void ct_client_kick(ct_client *c) {
    int running;

    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    ct_client_settle(c);
}

void ct_client_free(ct_client *c) {
    if (!c) return;
    while (!ct_list_is_empty(&c->running))
        ct_fetch_orphan(ct_list_of(c->running.next, ct_fetch, node));
    while (!ct_list_is_empty(&c->answered))
        ct_fetch_orphan(ct_list_of(c->answered.next, ct_fetch, node));
    while (!ct_list_is_empty(&c->idle))
        ct_fetch_free(ct_list_of(c->idle.next, ct_fetch, node));
    curl_multi_cleanup(c->multi);
    ct_client_sockets_fini(&c->sockets);
    ct_timer_free(c->timer);
    curl_global_cleanup();
    ct_free(c);
}
