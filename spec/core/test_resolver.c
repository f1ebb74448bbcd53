/* The resolver with name servers on the same loop (dns.h): good, dead and
 * hostile ones. Each test runs the loop until what it waits for has happened. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/resolver.h"

#include "check.h"
#include "dns.h"
#include "loop.h"
#include <ares.h>

static ct_resolver *resolver;
static dns server, second;
static char folder[] = "/tmp/test_resolver.XXXXXX", conf[64], hosts[64];

/* -- Help ------------------------------------------------------------------ */

static void on_stop(void *arg) {
    (void)arg;
    ct_loop_stop(&loop);
}

static void run_for(double seconds) {
    ct_timer *t = ct_timer_new(&loop, on_stop, NULL);

    ct_timer_start(t, seconds, false);
    CHECK(ct_loop_run(&loop));
    ct_timer_free(t);
}

/* So much later, for the next question. */
static void pass(uint64_t ms) {
    loop.clock.mono_ms += ms;
}

static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");

    fputs(text, f);
    fclose(f);
}

static ct_resolver_options options(void) {
    ct_resolver_options o = { .max_ttl = 300 };

    snprintf(o.lookup.servers, sizeof o.lookup.servers, "127.0.0.1:%d",
             server.port);
    snprintf(o.lookup.conf, sizeof o.lookup.conf, "%s", conf);
    o.lookup.timeout = 2;
    o.lookup.deadline = 8;
    o.lookup.tries = 2;
    return o;
}

static ct_resolve *ask(const char *name, int family, int *told);

static void on_told(void *arg) {
    ++*(int *)arg;
    ct_loop_stop(&loop);
}

static ct_resolve *ask(const char *name, int family, int *told) {
    return ct_resolver_ask(resolver, name, strlen(name), family, on_told, told);
}

/* All of an answer as text: "NXDOMAIN", or "192.0.2.1 2001:db8::1". */
static const char *text_of(const ct_answer *a) {
    static char text[4000];
    size_t n = 0;

    if (!a) return "(none)";
    if (a->status != ARES_SUCCESS) return ct_answer_code(a);
    for (uint32_t i = 0; i < a->count; i++) {
        char ip[CT_ADDRESS_TEXT];
        ct_peer_ip(&a->address[i], ip);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? " " : "",
                              ip);
    }
    return text;
}

/* Asks and waits. */
static const char *resolve(const char *name, int family) {
    int told = 0;
    ct_resolve *q = ask(name, family, &told);
    const char *text;

    while (!ct_resolve_answer(q) && run()) continue;
    text = text_of(ct_resolve_answer(q));
    ct_resolve_free(q);
    return text;
}

/* -- Without a server ---------------------------------------------------------- */

static void test_localhost(void) {
    int asked = server.asked;

    CHECK_STR(resolve("localhost", AF_UNSPEC), "::1 127.0.0.1");
    CHECK_STR(resolve("LocalHost.", AF_INET), "127.0.0.1");
    CHECK_STR(resolve("a.b.localhost", AF_INET6), "::1");
    CHECK_STR(resolve("a.b.invalid", AF_INET6), "NXDOMAIN");
    CHECK_STR(resolve("x.Onion.", AF_UNSPEC), "NXDOMAIN");
    CHECK(server.asked == asked && ct_resolver_known(resolver) == 0);
    CHECK_STR(resolve("notlocalhost", AF_INET), "192.0.2.1");
    CHECK_STR(resolve("invalid.test", AF_INET), "192.0.2.1");
}

static void test_bad_names(void) {
    static const char *const bad[] = {
        "",
        ".",
        "a..b",
        ".a",
        "a b",
        "a/b",
        "b\303\274cher.test",
        "127.1",
        "1",
        "0x7f.1",
        "0x7f000001",
        "10.0.0.256",
        "a\\.b",
        "a:b",
        "x.0177",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b"
    };
    char name[400];
    int asked = server.asked, told = 0;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!CHECK_STR(resolve(bad[i], AF_UNSPEC), "BADNAME"))
            fprintf(stderr, "    of: %s\n", bad[i]);
    for (int i = 0; i < 400; i++) name[i] = i % 50 == 49 ? '.' : 'a';
    name[254] = 0;
    CHECK_STR(resolve(name, AF_INET), "BADNAME");
    ct_resolve *q =
        ct_resolver_ask(resolver, "a\0b", 3, AF_INET, on_told, &told);
    CHECK_STR(text_of(ct_resolve_answer(q)), "BADNAME");
    ct_resolve_free(q);
    CHECK(server.asked == asked && told == 0);
    name[253] = 0; /* the longest there is */
    CHECK_STR(resolve(name, AF_INET), "192.0.2.1");
    CHECK_STR(resolve("1a.test", AF_INET), "192.0.2.1");
    CHECK_STR(resolve("_dmarc.0x.test", AF_INET), "192.0.2.1");
}

static void test_hosts(void) {
    int asked = server.asked;

    CHECK_STR(resolve("printer.test", AF_INET), "192.0.2.77");
    CHECK_STR(resolve("PRINTER.test", AF_INET6), "2001:db8::77");
    CHECK(server.asked == asked);
}

/* -- Good servers ---------------------------------------------------------------- */

static void test_families(void) {
    const char *both;

    CHECK_STR(resolve("a.test", AF_UNSPEC), "192.0.2.1");
    CHECK_STR(resolve("a.test", AF_INET), "192.0.2.1");
    CHECK_STR(resolve("a.test", AF_INET6), "NODATA");
    CHECK_STR(resolve("six.test", AF_UNSPEC), "2001:db8::1");
    CHECK_STR(resolve("six.test", AF_INET6), "2001:db8::1");
    CHECK_STR(resolve("six.test", AF_INET), "NODATA");
    both = resolve("both.test", AF_UNSPEC);
    CHECK(strcmp(both, "192.0.2.1 2001:db8::1") == 0 ||
          strcmp(both, "2001:db8::1 192.0.2.1") == 0);
    CHECK_STR(resolve("both.test", AF_INET), "192.0.2.1");
}

static void test_order(void) {
    CHECK_STR(resolve("order.test", AF_INET6), "::1 2001:db8::1");
}

static void test_failures(void) {
    CHECK_STR(resolve("nx.test", AF_UNSPEC), "NXDOMAIN");
    CHECK_STR(resolve("servfail.test", AF_INET), "SERVFAIL");
    CHECK_STR(resolve("refused.test", AF_INET), "SERVFAIL");
}

/* All tries of all servers in vain, long before the deadline. */
static void test_timeout(void) {
    ct_resolver_options o = options();
    int asked = server.asked;

    o.lookup.timeout = 0.05;
    ct_resolver_set(resolver, &o);
    CHECK_STR(resolve("mute.test", AF_INET), "TIMEOUT");
    CHECK(server.asked == asked + 2);
    o = options();
    ct_resolver_set(resolver, &o);
}

static void test_noedns(void) {
    CHECK_STR(resolve("noedns.test", AF_INET), "192.0.2.1");
}

static void test_tcp(void) {
    int asked = server.asked_tcp, told = 0;
    ct_resolve *q = ask("large.test", AF_INET, &told);

    while (!ct_resolve_answer(q) && run()) continue;
    CHECK(ct_resolve_answer(q)->count == CT_ANSWER_MAX);
    CHECK(strstr(text_of(ct_resolve_answer(q)), "192.0.2.12") != NULL);
    CHECK(server.asked_tcp == asked + 1);
    ct_resolve_free(q);
}

static void test_search(void) {
    CHECK_STR(resolve("only", AF_INET), "192.0.2.1");
    CHECK_STR(server.last, "only.example.test");
    CHECK_STR(resolve("only.", AF_INET), "NXDOMAIN");
}

/* -- The cache ------------------------------------------------------------------- */

static void test_cache(void) {
    int asked = server.asked;

    CHECK_STR(resolve("cached.test", AF_INET), "192.0.2.1");
    CHECK(server.asked == asked + 1);
    CHECK_STR(resolve("CACHED.test", AF_INET), "192.0.2.1");
    CHECK(server.asked == asked + 1);
    CHECK_STR(resolve("zero.test", AF_INET), "192.0.2.1");
    CHECK_STR(resolve("zero.test", AF_INET), "192.0.2.1");
    CHECK(server.asked == asked + 3);
    CHECK_STR(resolve("negative.test", AF_INET), "192.0.2.1");
    CHECK_STR(resolve("negative.test", AF_INET), "192.0.2.1");
    CHECK(server.asked == asked + 5);
}

static void test_expiry(void) {
    int asked = server.asked;

    CHECK_STR(resolve("second.test", AF_INET), "192.0.2.1");
    CHECK_STR(resolve("nx.expiry.test", AF_INET), "NXDOMAIN");
    CHECK_STR(resolve("nx.expiry.test", AF_INET), "NXDOMAIN");
    CHECK(server.asked == asked + 3); /* nx.expiry.test.example.test, too */
    pass(1100);
    CHECK_STR(resolve("second.test", AF_INET), "192.0.2.1");
    pass(1100);
    CHECK_STR(resolve("nx.expiry.test", AF_INET), "NXDOMAIN");
    CHECK(server.asked == asked + 6);
}

static void test_no_cache(void) {
    ct_resolver_options o = options();
    int asked = server.asked;

    o.max_ttl = 0;
    ct_resolver_set(resolver, &o);
    CHECK(ct_resolver_known(resolver) == 0);
    for (int i = 0; i < 3; i++)
        CHECK_STR(resolve("a.test", AF_INET), "192.0.2.1");
    CHECK(server.asked == asked + 3 && ct_resolver_known(resolver) == 0);
    o.max_ttl = 300;
    ct_resolver_set(resolver, &o);
}

/* The table stays bounded, and the names used last stay in it. */
static void test_full(void) {
    char name[40];
    int asked;

    CHECK_STR(resolve("kept.test", AF_INET), "192.0.2.1");
    for (int i = 0; i < CT_RESOLVER_NAMES + 100; i++) {
        snprintf(name, sizeof name, "n%d.test", i);
        CHECK_STR(resolve(name, AF_INET), "192.0.2.1");
        if (i % 100 == 0) CHECK_STR(resolve("kept.test", AF_INET), "192.0.2.1");
    }
    CHECK(ct_resolver_known(resolver) == CT_RESOLVER_NAMES);
    asked = server.asked;
    CHECK_STR(resolve("kept.test", AF_INET), "192.0.2.1");
    CHECK(server.asked == asked);
    CHECK_STR(resolve("n0.test", AF_INET), "192.0.2.1");
    CHECK(server.asked == asked + 1);
}

/* Another resolv.conf: what was known is asked for again. */
static void test_conf_changes(void) {
    int asked = server.asked;

    CHECK_STR(resolve("a.test", AF_INET), "192.0.2.1");
    CHECK_STR(resolve("a.test", AF_INET), "192.0.2.1");
    CHECK(server.asked <= asked + 1);
    asked = server.asked;
    write_file(conf, "search other.example.test\n");
    pass(2100);
    CHECK_STR(resolve("a.test", AF_INET), "192.0.2.1");
    CHECK(server.asked == asked + 1);
    CHECK_STR(resolve("only", AF_INET), "192.0.2.1");
    CHECK_STR(server.last, "only.other.example.test");
}

/* -- Sharing and giving up --------------------------------------------------------- */

static void test_shared(void) {
    int asked = server.asked, told = 0;
    ct_resolve *q[20];

    for (int i = 0; i < 20; i++) q[i] = ask("shared.test", AF_INET, &told);
    CHECK(ct_resolver_running(resolver) == 1 && told == 0);
    ct_resolve_free(q[0]);
    ct_resolve_free(q[19]);
    CHECK(ct_resolver_running(resolver) == 1);
    while (told < 18 && run()) continue;
    for (int i = 1; i < 19; i++) {
        CHECK_STR(text_of(ct_resolve_answer(q[i])), "192.0.2.1");
        ct_resolve_free(q[i]);
    }
    CHECK(told == 18 && server.asked == asked + 1);
    CHECK(ct_resolver_running(resolver) == 0);
}

/* Nobody waits any more: the lookup ends, with its descriptors. */
static void test_cancel(void) {
    int files = open_files(), told = 0;
    ct_resolve *a = ask("mute.one.test", AF_UNSPEC, &told);
    ct_resolve *b = ask("mute.one.test", AF_UNSPEC, &told);

    run_for(0.02);
    CHECK(open_files() > files && ct_resolver_running(resolver) == 1);
    ct_resolve_free(a);
    CHECK(ct_resolver_running(resolver) == 1);
    ct_resolve_free(b);
    CHECK(ct_resolver_running(resolver) == 0 && open_files() == files);
    run_for(0.2);
    CHECK(told == 0);
}

typedef struct greedy {
    ct_resolve *self, *other;
    int told;
} greedy;

/* Frees itself and another one that was to be told, and asks again. */
static void on_greedy(void *arg) {
    greedy *g = arg;

    g->told++;
    ct_resolve_free(g->self);
    ct_resolve_free(g->other);
    g->self = ct_resolver_ask(resolver, "zero.b.test", 11, AF_INET, on_told,
                              &g->told);
    CHECK(ct_resolve_answer(g->self) == NULL);
    ct_loop_stop(&loop);
}

static void test_free_when_told(void) {
    int told = 0;
    greedy g = { 0 };

    g.self =
        ct_resolver_ask(resolver, "zero.a.test", 11, AF_INET, on_greedy, &g);
    g.other = ask("zero.a.test", AF_INET, &told);
    CHECK(run() && g.told == 1 && told == 0);
    CHECK(run() && g.told == 2);
    CHECK_STR(text_of(ct_resolve_answer(g.self)), "192.0.2.1");
    ct_resolve_free(g.self);
}

static void test_too_many(void) {
    static ct_resolve *q[CT_RESOLVER_NAMES];
    char name[40];
    int told = 0, files = open_files();

    for (int i = 0; i < CT_RESOLVER_NAMES; i++) {
        snprintf(name, sizeof name, "mute.%d.test", i);
        q[i] = ask(name, AF_INET, &told);
        if (!q[i]) CHECK(false);
    }
    CHECK(ask("mute.another.test", AF_INET, &told) == NULL);
    for (int i = 0; i < CT_RESOLVER_NAMES; i++) ct_resolve_free(q[i]);
    CHECK(open_files() == files && ct_resolver_running(resolver) == 0);
}

/* -- Bad servers ------------------------------------------------------------------- */

static void test_first_is_dead(void) {
    ct_resolver_options o = options();

    second.mute = true;
    o.lookup.timeout = 0.05;
    o.lookup.tries = 4; /* of the second server, too, if it is slow once */
    snprintf(o.lookup.servers, sizeof o.lookup.servers,
             "127.0.0.1:%d,127.0.0.1:%d", second.port, server.port);
    ct_resolver_set(resolver, &o);
    second.asked = 0;
    CHECK_STR(resolve("both.test", AF_INET6), "2001:db8::1");
    CHECK(second.asked >= 1);
    int port = second.port; /* nobody there at all */
    dns_fini(&second);
    CHECK_STR(resolve("both.test", AF_INET), "192.0.2.1");
    snprintf(o.lookup.servers, sizeof o.lookup.servers, "127.0.0.1:%d", port);
    ct_resolver_set(resolver, &o);
    CHECK_STR(resolve("both.test", AF_INET), "SERVFAIL");
    dns_init(&second, &loop);
    o = options();
    ct_resolver_set(resolver, &o);
}

/* The deadline ends tries that would go on; what has come by then counts. */
static void test_deadline(void) {
    ct_resolver_options o = options();
    double began = ct_clock_precise(), took;

    o.lookup.timeout = 5;
    o.lookup.deadline = 0.2;
    ct_resolver_set(resolver, &o);
    CHECK_STR(resolve("mute.test", AF_UNSPEC), "TIMEOUT");
    took = ct_clock_precise() - began;
    CHECK(took >= 0.2 && took < 2);
    CHECK_STR(resolve("half.test", AF_UNSPEC), "192.0.2.1");
    o = options();
    ct_resolver_set(resolver, &o);
}

static void test_wrong_answers(void) {
    CHECK_STR(resolve("wrongid.test", AF_INET), "192.0.2.1");
    CHECK_STR(resolve("wrongname.test", AF_INET), "192.0.2.1");
    CHECK_STR(resolve("wrongtype.test", AF_INET), "192.0.2.1");
    CHECK_STR(resolve("noquestion.test", AF_INET), "192.0.2.1");
}

static void test_broken_answers(void) {
    static const char *const broken[] = { "cnameloop", "pointerloop", "cut",
                                          "countless", "long" };
    char name[40];

    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%s.test", broken[i]);
        const char *text = resolve(name, AF_INET);
        if (!CHECK(strcmp(text, "BADRESP") == 0 || strcmp(text, "NODATA") == 0))
            fprintf(stderr, "    %s: %s\n", name, text);
    }
}

/* A server that answers noise: whatever it is taken for, nothing breaks. */
static void test_noise(void) {
    enum { ROUNDS = 100, NAMES = 80 };
    ct_resolver_options o = options();
    int good = 0, bad = 0, asked = server.asked, told = 0;
    ct_resolve *q[NAMES];
    char name[40];

    o.lookup.timeout = 0.01; /* many of them are dropped */
    o.max_ttl = 0;
    ct_resolver_set(resolver, &o);
    server.random = true;
    srand(1);
    for (int i = 0; i < ROUNDS; i++) {
        told = 0;
        for (int j = 0; j < NAMES; j++) {
            snprintf(name, sizeof name, "noise%d.test", j);
            q[j] = ask(name, j % 3 ? AF_UNSPEC : AF_INET, &told);
        }
        while (told < NAMES && run()) continue;
        for (int j = 0; j < NAMES; j++) {
            ct_resolve_answer(q[j])->count ? good++ : bad++;
            ct_resolve_free(q[j]);
        }
    }
    server.random = false;
    CHECK(good > 100 && bad > 100 && server.asked - asked > 10000);
    o = options();
    ct_resolver_set(resolver, &o);
}

static void test_check(void) {
    static const char *const good[] = { "127.0.0.1:53", "127.0.0.1",
                                        "[::1]:53,127.0.0.1:5353" };
    static const char *const bad[] = { "nonsense", "300.1.1.1" };
    ct_resolver_options o = options();

    for (int i = 0; i < 3; i++) {
        snprintf(o.lookup.servers, sizeof o.lookup.servers, "%s", good[i]);
        CHECK(ct_lookup_check(&o.lookup));
    }
    for (int i = 0; i < 2; i++) {
        snprintf(o.lookup.servers, sizeof o.lookup.servers, "%s", bad[i]);
        CHECK(!ct_lookup_check(&o.lookup));
    }
}

/* -- The whole -------------------------------------------------------------------- */

static void prepare(void) {
    ct_resolver_options o;

    CHECK(mkdtemp(folder) != NULL);
    snprintf(conf, sizeof conf, "%s/resolv.conf", folder);
    snprintf(hosts, sizeof hosts, "%s/hosts", folder);
    write_file(conf, "search example.test\noptions ndots:1\n");
    write_file(hosts, "192.0.2.77 printer.test\n2001:db8::77 printer.test\n"
                      "192.0.2.66 localhost\n");
    setenv("CARES_HOSTS", hosts, 1);
    if (!loop_begin()) exit(2);
    dns_init(&server, &loop);
    dns_init(&second, &loop);
    o = options();
    resolver = ct_resolver_new(&loop, &o);
}

static void test_all(void) {
    test_localhost();
    test_bad_names();
    test_hosts();
    test_families();
    test_order();
    test_failures();
    test_timeout();
    test_noedns();
    test_tcp();
    test_search();
    test_cache();
    test_expiry();
    test_no_cache();
    test_full();
    test_conf_changes();
    test_shared();
    test_cancel();
    test_free_when_told();
    test_too_many();
    test_first_is_dead();
    test_deadline();
    test_wrong_answers();
    test_broken_answers();
    test_noise();
    test_check();
}

int main(void) {
    int files = open_files(), told = 0;
    ct_resolve *q;

    prepare();
    test_all();
    q = ask("mute.last.test", AF_UNSPEC, &told); /* the end in mid-query */
    run_for(0.02);
    ct_resolve_free(q);
    ct_resolver_free(resolver);
    dns_fini(&server);
    dns_fini(&second);
    ct_loop_fini(&loop);
    unlink(conf);
    unlink(hosts);
    rmdir(folder);
    CHECK(open_files() == files && told == 0);
    return check_report();
}
