/* A table of names: an entry is either being looked up, with those who wait for
 * it, or has its answer. The ring `used` has the entries with an answer, the one
 * that was asked for last at its end, so the first goes when room is needed. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/resolver.h"

#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include <ares.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    BUCKETS = 256,        /* a power of two */
    FAILURE_KEPT = 1000,  /* ms; the least of RFC 9520 §3.2 */
    LOOK_AT_FILES = 2000, /* ms between two looks at resolv.conf and hosts */
    FILES = 2
};

typedef struct entry {
    ct_resolver *resolver;
    struct entry *next; /* in its bucket */
    ct_lookup *lookup;  /* while there is no answer */
    ct_answer *answer;
    uint64_t expires; /* ct_loop_now() */
    ct_list used;     /* in the resolver's, with an answer */
    ct_list waiters;  /* ct_resolve, without one */
    bool old;         /* began before the servers changed: not for others */
    int family;
    uint32_t hash;
    char name[CT_RESOLVER_NAME + 1]; /* in lower case */
} entry;

struct ct_resolve {
    ct_list node; /* in an entry's waiters */
    entry *entry; /* NULL: nothing to wait for */
    ct_answer *answer;
    ct_resolve_fn *fn;
    void *arg;
};

struct ct_resolver {
    ct_loop *loop;
    ct_resolver_options options;
    entry *buckets[BUCKETS];
    ct_list used;
    uint32_t running, known;
    uint64_t look_at; /* when to look at the files again */
    struct timespec changed[FILES];
};

/* -- Names -------------------------------------------------------------------- */

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* Numbers alone, "0x7f" and the like: some read them as addresses (127.1), and
 * no top level domain is one. */
static bool is_number(const char *p, size_t n) {
    char *end;

    if (!n || *p < '0' || *p > '9') return false;
    strtoull(p, &end, 0);
    return end == p + n || strspn(p, "0123456789") == n;
}

/* Lower-case labels of 1 to 63 letters, the last with or without a dot behind.
 * Names in other scripts come in their ASCII form, xn--... (RFC 5891 §4.4). */
static bool is_name(const char *name) {
    size_t n;

    for (;; name += n + 1) {
        for (n = 0; is_letter(name[n]); n++) continue;
        if (n < 1 || n > 63 || (name[n] && name[n] != '.')) return false;
        if (!name[n] || !name[n + 1]) return !is_number(name, n);
    }
}

/* True for `top` and "*.top", with or without a dot behind. */
static bool is_below(const char *name, const char *top) {
    size_t n = strlen(name), size = strlen(top);

    if (n && name[n - 1] == '.') n--;
    if (n < size || memcmp(name + n - size, top, size) != 0) return false;
    return n == size || name[n - size - 1] == '.';
}

/* What DNS does not have, and shall not hear of (RFC 6761 §6.4, RFC 7686 §2). */
static bool is_nowhere(const char *name) {
    return is_below(name, "invalid") || is_below(name, "onion");
}

/* Copies `p` in lower case to `out`, which is "", and stays so (no name) when it
 * is longer than any or has a zero byte. */
static void lower(char *out, const char *p, size_t n) {
    if (n > CT_RESOLVER_NAME || memchr(p, 0, n)) return;
    if (n == CT_RESOLVER_NAME && p[n - 1] != '.') return;
    for (size_t i = 0; i < n; i++)
        out[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] + 32) : p[i];
    out[n] = 0;
}

/* FNV-1a. Who chooses names gains nothing from collisions: a bucket has at most
 * CT_RESOLVER_NAMES. */
static uint32_t hash_of(const char *name, int family) {
    uint32_t h = 2166136261u ^ (uint32_t)family;

    for (; *name; name++) h = (h ^ (uint8_t)*name) * 16777619u;
    return h;
}

/* -- Entries ------------------------------------------------------------------- */

static entry *find(ct_resolver *r, const char *name, int family,
                   uint32_t hash) {
    entry *e = r->buckets[hash % BUCKETS];

    while (e && (e->hash != hash || e->old || e->family != family ||
                 strcmp(e->name, name) != 0))
        e = e->next;
    return e;
}

static void free_entry(entry *e) {
    ct_resolver *r = e->resolver;
    entry **at = &r->buckets[e->hash % BUCKETS];

    while (*at != e) at = &(*at)->next;
    *at = e->next;
    if (e->lookup) r->running--;
    if (e->answer) r->known--;
    ct_list_remove(&e->used);
    ct_lookup_free(e->lookup);
    ct_answer_unref(e->answer);
    ct_free(e);
}

/* Lookups under way go on, for those who wait already. */
static void forget(ct_resolver *r) {
    for (int i = 0; i < BUCKETS; i++)
        for (entry *e = r->buckets[i]; e; e = e->next) e->old = true;
    while (!ct_list_is_empty(&r->used))
        free_entry(ct_list_of(r->used.next, entry, used));
}

/* How long an answer is kept, in ms. */
static uint64_t life_of(const ct_resolver *r, const ct_answer *a) {
    double most = r->options.max_ttl * 1000, ms = FAILURE_KEPT;

    if (a->status == ARES_SUCCESS) ms = (double)a->ttl * 1000;
    return (uint64_t)(ms < most ? ms : most);
}

/* Gives all who wait the answer, before anybody is told. */
static void hand_out(entry *e, ct_answer *answer, ct_list *waiters) {
    while (!ct_list_is_empty(&e->waiters)) {
        ct_resolve *q = ct_list_of(e->waiters.next, ct_resolve, node);

        ct_list_remove(&q->node);
        ct_list_add(waiters, &q->node);
        q->entry = NULL;
        q->answer = ct_answer_ref(answer);
    }
}

/* The entry has its answer from now on, or goes. Takes `answer`. */
static void keep(entry *e, ct_answer *answer) {
    ct_resolver *r = e->resolver;
    uint64_t life = life_of(r, answer);

    ct_lookup_free(e->lookup);
    e->lookup = NULL;
    e->answer = answer;
    e->expires = ct_loop_now(r->loop) + life;
    r->running--;
    r->known++;
    ct_list_add(&r->used, &e->used);
    if (!life || e->old) free_entry(e);
}

/* Who is told may free itself and others, or ask anew: so they are taken from
 * the front, and the entry is not touched any more. */
static void on_answer(void *arg, ct_answer *answer) {
    ct_list waiters;

    ct_list_init(&waiters);
    hand_out(arg, answer, &waiters);
    keep(arg, answer);
    while (!ct_list_is_empty(&waiters)) {
        ct_resolve *q = ct_list_of(waiters.next, ct_resolve, node);

        ct_list_remove(&q->node);
        q->fn(q->arg);
    }
}

/* An entry with a lookup under way; NULL when there are too many of them. */
static entry *new_entry(ct_resolver *r, const char *name, int family,
                        uint32_t hash) {
    entry *e;

    if (r->running + r->known >= CT_RESOLVER_NAMES) {
        if (ct_list_is_empty(&r->used)) return NULL;
        free_entry(ct_list_of(r->used.next, entry, used));
    }
    e = ct_new(entry);
    e->resolver = r;
    e->family = family;
    e->hash = hash;
    memcpy(e->name, name, strlen(name) + 1);
    ct_list_init(&e->used);
    ct_list_init(&e->waiters);
    e->next = r->buckets[hash % BUCKETS];
    r->buckets[hash % BUCKETS] = e;
    r->running++;
    e->lookup = ct_lookup_new(r->loop, &r->options.lookup, e->name, family,
                              on_answer, e);
    return e;
}

/* -- The resolver --------------------------------------------------------------- */

static struct timespec changed_at(const char *path) {
    struct stat st;

    if (!path || stat(path, &st) != 0) return (struct timespec){ 0 };
    return st.st_mtim;
}

/* With other servers or another hosts file, what is known may be wrong. */
static void look_at_files(ct_resolver *r) {
    const char *hosts = getenv("CARES_HOSTS");
    const char *const paths[FILES] = { r->options.lookup.conf,
                                       hosts ? hosts : "/etc/hosts" };
    uint64_t now = ct_loop_now(r->loop);

    if (now < r->look_at) return;
    r->look_at = now + LOOK_AT_FILES;
    for (int i = 0; i < FILES; i++) {
        struct timespec at = changed_at(paths[i]), *last = &r->changed[i];

        if (at.tv_sec != last->tv_sec || at.tv_nsec != last->tv_nsec) forget(r);
        *last = at;
    }
}

ct_resolver *ct_resolver_new(ct_loop *loop,
                             const ct_resolver_options *options) {
    ct_resolver *r = ct_new(ct_resolver);

    ares_library_init_mem(ARES_LIB_INIT_ALL, ct_alloc, ct_free, ct_realloc);
    r->loop = loop;
    r->options = *options;
    ct_list_init(&r->used);
    return r;
}

void ct_resolver_set(ct_resolver *r, const ct_resolver_options *options) {
    r->options = *options;
    r->look_at = 0;
    forget(r);
}

void ct_resolver_free(ct_resolver *r) {
    if (!r) return;
    for (int i = 0; i < BUCKETS; i++)
        while (r->buckets[i]) free_entry(r->buckets[i]);
    ct_free(r);
    ares_library_cleanup();
}

static ct_answer *loopback(int family) {
    const struct in6_addr v6 = IN6ADDR_LOOPBACK_INIT;
    const uint8_t v4[4] = { 127, 0, 0, 1 };
    ct_answer *a = ct_answer_new(ARES_SUCCESS, 2);

    if (family != AF_INET) {
        memcpy(a->address[a->count].ip, &v6, sizeof v6);
        a->address[a->count++].family = AF_INET6;
    }
    if (family != AF_INET6) {
        memcpy(a->address[a->count].ip, v4, sizeof v4);
        a->address[a->count++].family = AF_INET;
    }
    return a;
}

/* The answer that needs no lookup, or NULL. */
static ct_answer *known_before(const char *key, int family) {
    if (!is_name(key)) return ct_answer_new(ARES_EBADNAME, 0);
    if (is_nowhere(key)) return ct_answer_new(ARES_ENOTFOUND, 0);
    return is_below(key, "localhost") ? loopback(family) : NULL;
}

/* The entry for a name, new if need be; NULL when there are too many. */
static entry *entry_of(ct_resolver *r, const char *key, int family) {
    uint32_t hash = hash_of(key, family);
    entry *e = find(r, key, family, hash);

    if (e && e->answer && e->expires <= ct_loop_now(r->loop)) {
        free_entry(e);
        e = NULL;
    }
    return e ? e : new_entry(r, key, family, hash);
}

/* Lets `q` wait for the entry, or have its answer. */
static void join(ct_resolve *q, entry *e) {
    if (e->answer) {
        q->answer = ct_answer_ref(e->answer);
        ct_list_remove(&e->used);
        ct_list_add(&e->resolver->used, &e->used);
    } else {
        q->entry = e;
        ct_list_add(&e->waiters, &q->node);
    }
}

ct_resolve *ct_resolver_ask(ct_resolver *r, const char *name, size_t size,
                            int family, ct_resolve_fn *fn, void *arg) {
    char key[CT_RESOLVER_NAME + 1] = "";
    ct_answer *answer;
    entry *e = NULL;
    ct_resolve *q;

    lower(key, name, size);
    answer = known_before(key, family);
    if (!answer) {
        look_at_files(r);
        e = entry_of(r, key, family);
        if (!e) return NULL;
    }
    q = ct_new(ct_resolve);
    ct_list_init(&q->node);
    q->fn = fn;
    q->arg = arg;
    q->answer = answer;
    if (e) join(q, e);
    return q;
}

const ct_answer *ct_resolve_answer(const ct_resolve *q) {
    return q->answer;
}

void ct_resolve_free(ct_resolve *q) {
    if (!q) return;
    ct_list_remove(&q->node);
    if (q->entry && ct_list_is_empty(&q->entry->waiters)) free_entry(q->entry);
    ct_answer_unref(q->answer);
    ct_free(q);
}

uint32_t ct_resolver_running(const ct_resolver *r) {
    return r->running;
}

uint32_t ct_resolver_known(const ct_resolver *r) {
    return r->known;
}
