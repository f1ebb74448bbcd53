/* c-ares may call back inside of any of its functions, and must not be destroyed
 * there: on_result() only keeps the answer, settle() tells it when c-ares has
 * returned.
 *
 * What c-ares checks by itself: the answer's address, id and question, and the
 * host names in it (RFC 5452 §9.1). A truncated answer is asked for again over
 * TCP, and a server that does not know EDNS without it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/lookup.h"

#include "base/mem.h"
#include "io/timer.h"
#include <ares.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <string.h>

enum { EDNS_SIZE = 1232 }; /* fits any path unfragmented (RFC 9715 §3.1) */

/* One of c-ares's sockets. */
typedef struct watch {
    struct event event;
    ct_lookup *lookup;
    struct watch *next;
    short what; /* EV_READ, EV_WRITE */
} watch;

struct ct_lookup {
    ct_loop *loop;
    ares_channel channel; /* NULL: c-ares could not make one */
    watch *watches;
    ct_timer *timer;
    ct_answer *answer; /* to be told */
    ct_lookup_fn *fn;
    void *arg;
    double deadline; /* ct_clock_precise() */
    bool freed;      /* what c-ares says now, nobody wants to know */
};

/* -- Answers ---------------------------------------------------------------- */

ct_answer *ct_answer_new(int status, uint32_t room) {
    ct_answer *a = ct_alloc0(sizeof *a + room * sizeof a->address[0]);

    a->refs = 1;
    a->status = status;
    return a;
}

ct_answer *ct_answer_ref(ct_answer *a) {
    a->refs++;
    return a;
}

void ct_answer_unref(ct_answer *a) {
    if (a && --a->refs == 0) ct_free(a);
}

/* c-ares asks the next server after SERVFAIL, REFUSED and NOTIMP as it does when
 * nobody listens, and says ARES_ECONNREFUSED of all when none is left. */
const char *ct_answer_code(const ct_answer *a) {
    switch (a->status) {
    case ARES_SUCCESS: return "OK";
    case ARES_ENOTFOUND: return "NXDOMAIN";
    case ARES_ENODATA: return "NODATA";
    case ARES_EFORMERR: return "FORMERR";
    case ARES_ECONNREFUSED:
    case ARES_ESERVFAIL:
    case ARES_ENOTIMP:
    case ARES_EREFUSED: return "SERVFAIL";
    case ARES_EBADNAME: return "BADNAME";
    case ARES_EBADRESP: return "BADRESP";
    case ARES_ETIMEOUT: return "TIMEOUT";
    default: return "ERROR";
    }
}

const char *ct_answer_text(const ct_answer *a) {
    if (a->status == ARES_ECONNREFUSED)
        return "No DNS server could answer (they failed, refused or are not "
               "there)";
    return ares_strerror(a->status);
}

/* A time to live with its highest bit set counts as 0 (RFC 2181 §8). */
static void lower_ttl(ct_answer *a, int ttl) {
    uint32_t n = ttl > 0 ? (uint32_t)ttl : 0;

    if (n < a->ttl) a->ttl = n;
}

/* IPv4 that is disguised as IPv6 (::ffff:127.0.0.1) has no place in a name. */
static bool is_mapped(const struct sockaddr *sa) {
    return sa->sa_family == AF_INET6 &&
           IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

static void add_address(ct_answer *a, const struct ares_addrinfo_node *node) {
    ct_address from = { .size = node->ai_addrlen };

    if (a->count == CT_ANSWER_MAX || from.size > sizeof from.sa) return;
    if (node->ai_family != AF_INET && node->ai_family != AF_INET6) return;
    if (is_mapped(node->ai_addr)) return;
    memcpy(&from.sa, node->ai_addr, from.size);
    a->address[a->count++] = ct_address_peer(&from);
    lower_ttl(a, node->ai_ttl);
}

static ct_answer *answer_of(const struct ares_addrinfo *info) {
    ct_answer *a = ct_answer_new(ARES_SUCCESS, CT_ANSWER_MAX);

    a->ttl = UINT32_MAX;
    for (const struct ares_addrinfo_cname *c = info->cnames; c; c = c->next)
        lower_ttl(a, c->ttl);
    for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next)
        add_address(a, n);
    if (a->count) return a;
    ct_answer_unref(a);
    return ct_answer_new(ARES_ENODATA, 0);
}

/* -- c-ares and the loop ----------------------------------------------------- */

static void on_result(void *arg, int status, int timeouts,
                      struct ares_addrinfo *info) {
    ct_lookup *l = arg;

    (void)timeouts;
    if (!l->freed && !l->answer) {
        if (status == ARES_ECANCELLED) status = ARES_ETIMEOUT;
        if (status == ARES_SUCCESS && info)
            l->answer = answer_of(info);
        else
            l->answer = ct_answer_new(status ? status : ARES_ENODATA, 0);
    }
    if (info) ares_freeaddrinfo(info);
}

static struct timeval timeval_of(double seconds) {
    struct timeval tv = { .tv_sec = (time_t)seconds };

    tv.tv_usec = (suseconds_t)((seconds - (double)tv.tv_sec) * 1e6);
    return tv;
}

/* Tells the answer, or waits on. The last thing that a callback does. */
static void settle(ct_lookup *l) {
    double left = l->deadline - ct_clock_precise();
    struct timeval most = timeval_of(left > 0 ? left : 0), tv;
    const struct timeval *next;
    ct_answer *answer = l->answer;

    if (answer) {
        l->answer = NULL;
        ct_timer_stop(l->timer);
        l->fn(l->arg, answer); /* may free l */
        return;
    }
    next = ares_timeout(l->channel, &most, &tv);
    ct_timer_start(l->timer, (double)next->tv_sec + (double)next->tv_usec / 1e6,
                   false);
}

/* At the deadline, cancelling gives what has come so far: when the servers have
 * told of IPv4 and not of IPv6, that is an answer. */
static void on_time(void *arg) {
    ct_lookup *l = arg;

    if (!l->answer && ct_clock_precise() >= l->deadline)
        ares_cancel(l->channel);
    else if (!l->answer)
        ares_process_fd(l->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    settle(l);
}

static void on_socket(evutil_socket_t fd, short what, void *arg) {
    ct_lookup *l = ((watch *)arg)->lookup; /* the watch may go meanwhile */

    ct_loop_now(l->loop);
    ares_process_fd(l->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    settle(l);
}

static void free_watch(watch **at) {
    watch *w = *at;

    *at = w->next;
    event_del(&w->event);
    ct_free(w);
}

/* c-ares wants to know of a socket, or (neither) is about to close it. */
static void on_state(void *arg, int fd, int readable, int writable) {
    ct_lookup *l = arg;
    short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    watch **at = &l->watches, *w;

    while (*at && (*at)->event.ev_fd != fd) at = &(*at)->next;
    if (*at && (*at)->what == what) return;
    if (*at) free_watch(at);
    if (!what) return;
    w = ct_new(watch);
    w->lookup = l;
    w->what = what;
    w->next = l->watches;
    l->watches = w;
    event_assign(&w->event, l->loop->base, fd, (short)(what | EV_PERSIST),
                 on_socket, w);
    event_add(&w->event, NULL);
}

static bool set_servers(ares_channel channel, const char *servers) {
    return !*servers ||
           ares_set_servers_ports_csv(channel, servers) == ARES_SUCCESS;
}

/* The hosts file comes first whatever nsswitch.conf says: it is the only source
 * besides the servers that is read here. */
static int open_channel(ct_lookup *l, const ct_lookup_options *o) {
    char lookups[] = "fb", conf[CT_LOOKUP_PATH];
    int status;
    struct ares_options options = { .flags = ARES_FLAG_EDNS,
                                    .timeout = (int)(o->timeout * 1000),
                                    .tries = o->tries,
                                    .ednspsz = EDNS_SIZE,
                                    .lookups = lookups,
                                    .resolvconf_path = conf,
                                    .sock_state_cb = on_state,
                                    .sock_state_cb_data = l };

    memcpy(conf, o->conf, sizeof conf);
    status = ares_init_options(&l->channel, &options,
                               ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS |
                                   ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
                                   ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB |
                                   (*conf ? ARES_OPT_RESOLVCONF : 0));
    if (status != ARES_SUCCESS) {
        l->channel = NULL;
        return status;
    }
    return set_servers(l->channel, o->servers) ? ARES_SUCCESS : ARES_EBADSTR;
}

ct_lookup *ct_lookup_new(ct_loop *loop, const ct_lookup_options *options,
                         const char *name, int family, ct_lookup_fn *fn,
                         void *arg) {
    const struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_ENVHOSTS,
                                               .ai_family = family,
                                               .ai_socktype = SOCK_STREAM };
    ct_lookup *l = ct_new(ct_lookup);
    int status;

    l->loop = loop;
    l->fn = fn;
    l->arg = arg;
    l->deadline = ct_clock_precise() + options->deadline;
    l->timer = ct_timer_new(loop, on_time, l);
    status = open_channel(l, options);
    if (status == ARES_SUCCESS)
        ares_getaddrinfo(l->channel, name, NULL, &hints, on_result, l);
    else
        l->answer = ct_answer_new(status, 0);
    if (l->answer)
        ct_timer_start(l->timer, 0, false); /* told in the next turn */
    else
        settle(l);
    return l;
}

void ct_lookup_free(ct_lookup *l) {
    if (!l) return;
    l->freed = true;
    if (l->channel) ares_cancel(l->channel);
    if (l->channel) ares_destroy(l->channel);
    while (l->watches) free_watch(&l->watches);
    ct_timer_free(l->timer);
    ct_answer_unref(l->answer);
    ct_free(l);
}

bool ct_lookup_check(const ct_lookup_options *options) {
    ct_lookup l = { 0 };
    bool ok = open_channel(&l, options) == ARES_SUCCESS;

    if (l.channel) ares_destroy(l.channel);
    return ok;
}
