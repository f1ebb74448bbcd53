/* Loop, timers, signals, listeners and streams together, on socketpairs and
 * loopback connections. Each test runs the loop until what it waits for has
 * happened; a guard ends one that waits in vain. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/stream.h"

#include "base/mem.h"
#include "check.h"
#include "io/listen.h"
#include "io/signals.h"
#include "loop.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* -- Help ------------------------------------------------------------------ */

/* What has been logged since the last call. */
static const char *logged(void) {
    static char text[10000];
    ssize_t n = pread(the_log.fd, text, sizeof text - 1, 0);

    text[n > 0 ? n : 0] = 0;
    CHECK(ftruncate(the_log.fd, 0) == 0);
    return text;
}

/* One end is a stream; the other is ours and blocks. */
typedef struct pair {
    ct_stream s;
    int other;
    int what;      /* all bits told so far */
    int calls;     /* of the callback */
    int until;     /* bits that end run() */
    bool free_now; /* fini inside the callback */
} pair;

static void on_stream(ct_stream *s, int what, void *arg) {
    pair *p = arg;

    CHECK(s == &p->s);
    p->what |= what;
    p->calls++;
    if (p->free_now) {
        ct_stream_fini(s, false);
        memset(s, 0xee, sizeof *s); /* nobody may look at it now */
        ct_loop_stop(&loop);
    } else if (what & p->until) {
        ct_loop_stop(&loop);
    }
}

static void pair_init(pair *p) {
    int fds[2];

    memset(p, 0, sizeof *p);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    CHECK(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
    p->other = fds[1];
    p->until = CT_STREAM_READ;
    CHECK(ct_stream_init(&p->s, &loop, fds[0], on_stream, p));
}

static void pair_fini(pair *p) {
    ct_stream_fini(&p->s, false);
    ct_stream_fini(&p->s, false); /* twice is fine */
    close(p->other);
}

/* Waits for `bits` in a callback that is still to come. */
static bool wait_for(pair *p, int bits) {
    p->what = 0;
    p->until = bits;
    return run();
}

/* -- Streams --------------------------------------------------------------- */

static void test_read(void) {
    char in[100];
    pair p;

    pair_init(&p);
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == CT_STREAM_AGAIN);
    CHECK(write(p.other, "Hello", 5) == 5);
    CHECK(wait_for(&p, CT_STREAM_READ) && p.what == CT_STREAM_READ);
    CHECK(p.s.readable);
    CHECK(ct_stream_recv(&p.s, in, 2) == 2);
    CHECK(p.s.readable); /* there may be more */
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == 3);
    CHECK(!p.s.readable); /* short: there is not */
    CHECK(memcmp(in, "llo", 3) == 0);
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == CT_STREAM_AGAIN);
    pair_fini(&p);
}

/* What is not read now stays, and the stream does not spin. */
static void test_not_read(void) {
    char in[10];
    pair p;

    pair_init(&p);
    CHECK(write(p.other, "abc", 3) == 3);
    CHECK(wait_for(&p, CT_STREAM_READ));
    int calls = p.calls;
    for (int i = 0; i < 5; i++) turn();
    CHECK(p.calls == calls && p.s.readable);
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == 3);
    pair_fini(&p);
}

static void test_peer_shuts(void) {
    char in[10];
    pair p;

    pair_init(&p);
    CHECK(write(p.other, "bye", 3) == 3);
    CHECK(shutdown(p.other, SHUT_WR) == 0);
    CHECK(wait_for(&p, CT_STREAM_SHUT));
    CHECK(p.what == (CT_STREAM_READ | CT_STREAM_SHUT) && p.s.shut);
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == 3);
    CHECK(p.s.readable); /* the end is still to be read */
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == CT_STREAM_EOF);
    CHECK(!p.s.readable);
    int calls = p.calls;
    for (int i = 0; i < 5; i++) turn();
    CHECK(p.calls == calls);
    CHECK(ct_stream_send(&p.s, "still", 5) == 5); /* half-closed only */
    CHECK(read(p.other, in, sizeof in) == 5);
    pair_fini(&p);
}

/* A copy keeps what was closed alive, and another stream has its number: what
 * happens to the copy is none of its business, and what happens to itself is. */
static void test_copied(void) {
    pair old, p;
    int fd, copy, other;
    char in[10];

    pair_init(&old);
    turn(); /* epoll knows it */
    fd = old.s.fd;
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    other = old.other;
    old.s.shown = true;
    ct_stream_fini(&old.s, false);
    pair_init(&p);
    CHECK(p.s.fd == fd);
    turn();
    CHECK(write(other, "not yours", 9) == 9 && close(other) == 0);
    turn();
    CHECK(p.calls == 0 && !p.s.shut);
    close(copy);
    CHECK(shutdown(p.other, SHUT_WR) == 0);
    CHECK(wait_for(&p, CT_STREAM_SHUT));
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == CT_STREAM_EOF);
    pair_fini(&p);
}

static void test_we_shut(void) {
    char in[10];
    pair p;

    pair_init(&p);
    CHECK(ct_stream_send(&p.s, "end", 3) == 3);
    CHECK(ct_stream_shut(&p.s) == 0);
    CHECK(read(p.other, in, sizeof in) == 3);
    CHECK(read(p.other, in, sizeof in) == 0);
    CHECK(write(p.other, "x", 1) == 1);
    CHECK(wait_for(&p, CT_STREAM_READ));
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == 1);
    pair_fini(&p);
}

/* Fills the socket; returns how much it took. */
static size_t fill(pair *p) {
    static char block[10000];
    size_t total = 0;

    for (;;) {
        ssize_t n = ct_stream_send(&p->s, block, sizeof block);
        if (n > 0) total += (size_t)n;
        if (n != (ssize_t)sizeof block) break;
    }
    CHECK(ct_stream_send(&p->s, "x", 1) == CT_STREAM_AGAIN);
    CHECK(p->s.want_write);
    return total;
}

static void empty(pair *p, size_t n) {
    static char block[10000];

    while (n) {
        ssize_t got = read(p->other, block, n < sizeof block ? n : 10000);
        if (!CHECK(got > 0)) return;
        n -= (size_t)got;
    }
}

static void test_write(void) {
    pair p;

    pair_init(&p);
    for (int i = 0; i < 3; i++) {
        size_t n = fill(&p);
        int calls = p.calls;
        turn();
        CHECK(p.calls == calls); /* no room yet */
        empty(&p, n);
        CHECK(wait_for(&p, CT_STREAM_WRITE) && p.what == CT_STREAM_WRITE);
        CHECK(!p.s.want_write);
    }
    int calls = p.calls;
    for (int i = 0; i < 5; i++) turn();
    CHECK(p.calls == calls); /* room alone is no news */
    pair_fini(&p);
}

/* Bytes that came before the wait for room are told as well, whether their edge
 * has been delivered or not. */
static void test_read_while_writing(void) {
    char in[10];
    pair p;

    pair_init(&p);
    CHECK(write(p.other, "abc", 3) == 3);
    size_t n = fill(&p);
    CHECK(wait_for(&p, CT_STREAM_READ) && p.what == CT_STREAM_READ);
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == 3);
    CHECK(write(p.other, "def", 3) == 3);
    empty(&p, n);
    CHECK(wait_for(&p, CT_STREAM_WRITE));
    CHECK(p.s.readable && ct_stream_recv(&p.s, in, sizeof in) == 3);
    pair_fini(&p);
}

/* A client that has half-closed gets its long answer, and is told of once. */
static void test_write_to_half_closed(void) {
    char in[10];
    pair p;

    pair_init(&p);
    CHECK(shutdown(p.other, SHUT_WR) == 0);
    CHECK(wait_for(&p, CT_STREAM_SHUT));
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == CT_STREAM_EOF);
    for (int i = 0; i < 3; i++) {
        empty(&p, fill(&p));
        CHECK(wait_for(&p, CT_STREAM_WRITE) && p.what == CT_STREAM_WRITE);
    }
    pair_fini(&p);
}

/* Who reads with pauses reads on, though an edge comes that has the end in it. */
static void test_poked_behind_end(void) {
    pair p;

    pair_init(&p);
    CHECK(write(p.other, "abc", 3) == 3);
    CHECK(shutdown(p.other, SHUT_WR) == 0);
    CHECK(wait_for(&p, CT_STREAM_SHUT));
    ct_stream_poke(&p.s, CT_STREAM_READ);
    ct_stream_await_room(&p.s); /* there is room: an edge, in the same turn */
    p.what = 0;
    turn();
    CHECK(p.what == (CT_STREAM_READ | CT_STREAM_WRITE));
    pair_fini(&p);
}

static void test_broken_pipe(void) {
    char in[10];
    pair p;

    pair_init(&p);
    close(p.other);
    CHECK(ct_stream_send(&p.s, "x", 1) == CT_STREAM_ERROR); /* no SIGPIPE */
    CHECK(wait_for(&p, CT_STREAM_READ));
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == CT_STREAM_EOF);
    p.other = -1;
    pair_fini(&p);
}

/* Closed while it waits for room: the owner is told. */
static void test_closed_while_writing(void) {
    pair p;

    pair_init(&p);
    fill(&p);
    turn();
    close(p.other);
    CHECK(wait_for(&p, CT_STREAM_WRITE));
    CHECK(ct_stream_send(&p.s, "x", 1) == CT_STREAM_ERROR);
    p.other = -1;
    pair_fini(&p);
}

/* The same over TCP, so that there are resets. */
static void pair_tcp(pair *p) {
    struct sockaddr_in sa = { .sin_family = AF_INET,
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
    socklen_t size = sizeof sa;

    memset(p, 0, sizeof *p);
    CHECK(bind(server, (struct sockaddr *)&sa, size) == 0);
    CHECK(listen(server, 1) == 0);
    CHECK(getsockname(server, (struct sockaddr *)&sa, &size) == 0);
    p->other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(p->other, (struct sockaddr *)&sa, size) == 0);
    fd = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    close(server);
    CHECK(ct_stream_init(&p->s, &loop, fd, on_stream, p));
}

static void reset(pair *p) {
    const struct linger now = { .l_onoff = 1, .l_linger = 0 };

    setsockopt(p->other, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(p->other);
    p->other = -1;
}

/* Bytes and the reset behind them are one edge: no other one comes. */
static void test_reset_behind_bytes(void) {
    char in[10];
    pair p;

    pair_tcp(&p);
    CHECK(write(p.other, "bye", 3) == 3);
    reset(&p);
    CHECK(wait_for(&p, CT_STREAM_READ));
    CHECK(p.what == (CT_STREAM_READ | CT_STREAM_SHUT) && p.s.shut);
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == 3);
    CHECK(p.s.readable); /* the end is still to be read */
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == CT_STREAM_ERROR);
    CHECK(errno == ECONNRESET);
    pair_fini(&p);
}

/* A reset is news, though the peer had ended its side before. */
static void test_reset_behind_end(void) {
    char in[10];
    pair p;

    pair_tcp(&p);
    CHECK(ct_stream_send(&p.s, "x", 1) == 1); /* not read: so it is a reset */
    CHECK(shutdown(p.other, SHUT_WR) == 0);
    CHECK(wait_for(&p, CT_STREAM_SHUT));
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == CT_STREAM_EOF);
    reset(&p);
    CHECK(wait_for(&p, CT_STREAM_READ));
    CHECK(ct_stream_send(&p.s, "x", 1) == CT_STREAM_ERROR);
    int calls = p.calls;
    for (int i = 0; i < 5; i++) turn();
    CHECK(p.calls == calls);
    pair_fini(&p);
}

static void test_free_in_callback(void) {
    pair p;

    pair_init(&p);
    p.free_now = true;
    CHECK(write(p.other, "x", 1) == 1);
    CHECK(run() && p.calls == 1);
    turn();
    close(p.other);
}

/* -- Listeners ------------------------------------------------------------- */

enum { MOST = 300 };

typedef struct server {
    ct_listen *listen;
    int peers[MOST];
    ct_address from; /* the last peer's */
    int n, want;     /* the loop stops when that many are there */
} server;

static void on_peer(int fd, const ct_address *peer, void *arg) {
    server *s = arg;

    s->from = *peer;
    if (s->n < MOST) s->peers[s->n++] = fd;
    if (s->n == s->want) ct_loop_stop(&loop);
}

static bool server_init(server *s, const char *at) {
    char why[200] = "";
    const char *bad;
    ct_address a;

    memset(s, 0, sizeof *s);
    if (!CHECK(ct_address_parse(&a, at, &bad))) return false;
    s->listen = ct_listen_new(&loop, &a, 4096, on_peer, s, why, sizeof why);
    return s->listen != NULL;
}

static void server_fini(server *s) {
    for (int i = 0; i < s->n; i++) close(s->peers[i]);
    ct_listen_free(s->listen);
}

/* A blocking client's socket. `family`: to reach "*" by IPv4. */
static int client(const server *s, int family) {
    ct_address to = *ct_listen_address(s->listen);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (family == AF_INET) {
        struct sockaddr_in v4 = {
            .sin_family = AF_INET,
            .sin_port = htons((uint16_t)ct_address_port(&to)),
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        memcpy(&to.sa, &v4, sizeof v4);
        to.size = sizeof v4;
    }
    if (connect(fd, (struct sockaddr *)&to.sa, to.size) == 0) return fd;
    close(fd);
    return -1;
}

static bool accept_until(server *s, int want) {
    s->want = want;
    return s->n == want || run();
}

/* More than one burst; each as it must be. */
static void test_accept(void) {
    static int clients[MOST];
    socklen_t size = sizeof(int);
    int nodelay = 0, ready = 0, private = 0;
    server s;

    if (!CHECK(server_init(&s, "127.0.0.1:0"))) return;
    CHECK(ct_address_port(ct_listen_address(s.listen)) > 0);
    for (int i = 0; i < MOST; i++) clients[i] = client(&s, AF_INET);
    turn();
    CHECK(s.n == 16);
    CHECK(accept_until(&s, MOST));
    for (int i = 0; i < MOST; i++) {
        int on = 0;
        getsockopt(s.peers[i], IPPROTO_TCP, TCP_NODELAY, &on, &size);
        nodelay += on != 0;
        ready += (fcntl(s.peers[i], F_GETFL) & O_NONBLOCK) != 0;
        private += (fcntl(s.peers[i], F_GETFD) & FD_CLOEXEC) != 0;
        close(clients[i]);
    }
    CHECK(nodelay == MOST && ready == MOST && private == MOST);
    char ip[CT_ADDRESS_TEXT];
    ct_address_ip(&s.from, ip);
    CHECK_STR(ip, "127.0.0.1");
    server_fini(&s);
}

/* What the connections of a listener avoid congestion with. */
static void congestion_control(const char *at, int family, char name[16]) {
    socklen_t size = 16;
    server s;
    int fd;

    name[0] = 0;
    if (!CHECK(server_init(&s, at))) return;
    fd = client(&s, family);
    if (CHECK(accept_until(&s, 1)))
        getsockopt(s.peers[0], IPPROTO_TCP, TCP_CONGESTION, name, &size);
    close(fd);
    server_fini(&s);
}

static void test_congestion_control(void) {
    char usual[16] = "", four[16], six[16], any[16];
    FILE *file = fopen("/proc/sys/net/ipv4/tcp_congestion_control", "r");

    CHECK(file && fscanf(file, "%15s", usual) == 1);
    if (file) fclose(file);
    congestion_control("127.0.0.1:0", AF_INET, four);
    if (access("/proc/net/if_inet6", R_OK) == 0) {
        congestion_control("[::1]:0", AF_INET6, six);
        CHECK_STR(six, "reno");
    }
    congestion_control("0.0.0.0:0", AF_INET, any);
    CHECK_STR(four, "reno");
    CHECK_STR(any, usual);
}

static void test_in_use(void) {
    char text[CT_ADDRESS_TEXT], why[200];
    server s;

    if (!CHECK(server_init(&s, "127.0.0.1:0"))) return;
    ct_address_format(ct_listen_address(s.listen), text);
    CHECK(!ct_listen_new(&loop, ct_listen_address(s.listen), 1, on_peer, &s,
                         why, sizeof why));
    CHECK(strncmp(why, text, strlen(text)) == 0);
    CHECK(strstr(why, ": address already in use: another program listens "
                      "there; stop it or choose another port") != NULL);
    ct_address other = *ct_listen_address(s.listen);
    ((struct sockaddr_in *)&other.sa)->sin_addr.s_addr = htonl(0x01020304);
    CHECK(!ct_listen_new(&loop, &other, 1, on_peer, &s, why, sizeof why));
    CHECK(strstr(why, "no such address on this machine") != NULL);
    server_fini(&s);
}

/* "*" takes IPv4 and IPv6; "[::]" IPv6 only. */
static void test_families(void) {
    char ip[CT_ADDRESS_TEXT], text[CT_ADDRESS_TEXT];
    server s;
    int fd;

    if (!CHECK(server_init(&s, "*:0"))) return;
    ct_address_format(ct_listen_address(s.listen), text);
    CHECK(strncmp(text, "*:", 2) == 0 && strcmp(text, "*:0") != 0);
    fd = client(&s, AF_INET);
    CHECK(fd != -1 && accept_until(&s, 1));
    ct_address_ip(&s.from, ip);
    CHECK_STR(ip, "127.0.0.1");
    close(fd);
    bool v6 = ct_listen_address(s.listen)->sa.ss_family == AF_INET6;
    server_fini(&s);
    if (!v6 || !server_init(&s, "[::1]:0")) return; /* no IPv6 here */
    fd = client(&s, AF_INET6);
    CHECK(fd != -1 && accept_until(&s, 1));
    ct_address_ip(&s.from, ip);
    CHECK_STR(ip, "::1");
    close(fd);
    server_fini(&s);
    if (!CHECK(server_init(&s, "[::]:0"))) return;
    CHECK(client(&s, AF_INET) == -1);
    server_fini(&s);
}

static void test_unix(void) {
    char dir[] = "/tmp/test_stream.XXXXXX", path[64], at[70];
    struct stat st;
    server s, second;
    int fd;

    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/x.sock", dir);
    snprintf(at, sizeof at, "unix:%s", path);
    if (!CHECK(server_init(&s, at))) return;
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    fd = client(&s, AF_UNIX);
    CHECK(fd != -1 && accept_until(&s, 1));
    close(fd);
    CHECK(!server_init(&second, at)); /* the first one lives */
    CHECK(stat(path, &st) == 0);

    CHECK(unlink(path) == 0); /* replaced by another: not ours any more */
    CHECK(server_init(&second, at));
    server_fini(&s);
    CHECK(stat(path, &st) == 0);
    server_fini(&second);
    CHECK(stat(path, &st) == -1 && errno == ENOENT);
    rmdir(dir);
}

/* A killed server's file is replaced; a file that is no socket is not. */
static void test_stale(void) {
    char dir[] = "/tmp/test_stream.XXXXXX", at[70], why[200];
    const char *bad;
    ct_address a;
    server s;

    CHECK(mkdtemp(dir) != NULL);
    snprintf(at, sizeof at, "unix:%s/x.sock", dir);
    CHECK(ct_address_parse(&a, at, &bad));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(fd, (struct sockaddr *)&a.sa, a.size) == 0);
    close(fd);
    if (CHECK(server_init(&s, at))) server_fini(&s);

    fd = open(at + 5, O_CREAT | O_WRONLY, 0600);
    close(fd);
    CHECK(!ct_listen_new(&loop, &a, 1, on_peer, &s, why, sizeof why));
    CHECK(strstr(why, "or the file is no socket") != NULL);
    CHECK(unlink(at + 5) == 0);
    rmdir(dir);
    CHECK(!ct_listen_new(&loop, &a, 1, on_peer, &s, why, sizeof why));
    CHECK(strstr(why, "no such folder") != NULL);
}

/* Without descriptors: one client is told, one line is logged, nothing spins,
 * and the others are served when there are descriptors again. */
static void test_no_descriptors(void) {
    struct rlimit old, none;
    int clients[3];
    char in[1];
    server s;

    if (!CHECK(server_init(&s, "127.0.0.1:0"))) return;
    for (int i = 0; i < 3; i++) clients[i] = client(&s, AF_INET);
    logged();
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    none = old;
    none.rlim_cur = (rlim_t)clients[2] + 1;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    for (int i = 0; i < 100; i++) turn();
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);

    CHECK(s.n == 0);
    CHECK(read(clients[0], in, 1) == 0); /* was accepted and closed */
    const char *text = logged();
    CHECK(strstr(text, "cannot accept, pausing: too many open files"));
    CHECK(strchr(text, '\n') == strrchr(text, '\n'));
    CHECK(accept_until(&s, 2));
    for (int i = 0; i < 3; i++) close(clients[i]);
    server_fini(&s);
}

/* Over TCP: a stream closed with `reset` is an error to the other end. */
static void test_reset(void) {
    pair p = { .until = CT_STREAM_READ };
    char in[10];
    server s;

    if (!CHECK(server_init(&s, "127.0.0.1:0"))) return;
    p.other = client(&s, AF_INET);
    CHECK(accept_until(&s, 1));
    CHECK(ct_stream_init(&p.s, &loop, s.peers[0], on_stream, &p));
    ct_stream_fini(&p.s, true);
    CHECK(read(p.other, in, 1) == -1 && errno == ECONNRESET);
    close(p.other);

    p.other = client(&s, AF_INET);
    CHECK(accept_until(&s, 2));
    CHECK(ct_stream_init(&p.s, &loop, s.peers[1], on_stream, &p));
    turn();
    const struct linger now = { 1, 0 };
    setsockopt(p.other, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(p.other);
    CHECK(wait_for(&p, CT_STREAM_READ));
    CHECK(ct_stream_recv(&p.s, in, sizeof in) == CT_STREAM_ERROR);
    ct_stream_fini(&p.s, false);
    s.n = 0;
    server_fini(&s);
}

/* A descriptor's number that is used again within the turn is watched. */
static void test_number_reused(void) {
    pair p, q;

    pair_init(&p);
    turn();
    int fd = p.s.fd;
    ct_stream_fini(&p.s, false);
    close(p.other);
    pair_init(&q);
    CHECK(q.s.fd == fd);
    CHECK(write(q.other, "x", 1) == 1);
    CHECK(wait_for(&q, CT_STREAM_READ));
    pair_fini(&q);
}

/* -- Timers, signals, the loop --------------------------------------------- */

typedef struct ticks {
    ct_timer *timer;
    double started, early; /* the most that one came too early */
    double every;
    int n, stop_at;
    bool free_now;
} ticks;

static void on_tick(void *arg) {
    ticks *t = arg;
    double due = t->started + t->every * ++t->n;
    double early = due - ct_clock_precise();

    if (early > t->early) t->early = early;
    if (t->n == t->stop_at) ct_loop_stop(&loop);
    if (t->free_now) ct_timer_free(t->timer);
}

static void start(ticks *t, double seconds, bool repeat) {
    t->timer = ct_timer_new(&loop, on_tick, t);
    t->started = ct_clock_precise();
    t->every = seconds;
    ct_timer_start(t->timer, seconds, repeat);
}

static void test_timer(void) {
    ticks t = { .stop_at = 1 };

    for (int i = 1; i < 10; i++) {
        t.n = 0;
        start(&t, i * 0.0013, false);
        CHECK(run() && t.n == 1);
        CHECK(t.early <= 0);
        for (int k = 0; k < 3; k++) turn();
        CHECK(t.n == 1); /* once */
        ct_timer_free(t.timer);
    }
    ct_timer_free(NULL);
}

static void test_timer_at_once(void) {
    ticks t = { .stop_at = 1, .free_now = true };

    start(&t, 0, false);
    CHECK(run() && t.n == 1);
    t.n = 0;
    start(&t, -5, false);
    CHECK(run() && t.n == 1);
    t.n = 0;
    start(&t, 0.0 / 0.0, false);
    CHECK(run() && t.n == 1);
}

static void test_timer_repeats(void) {
    ticks t = { .stop_at = 5 };

    start(&t, 0.002, true);
    CHECK(run() && t.n == 5);
    CHECK(t.early <= 0);
    ct_timer_stop(t.timer);
    ct_timer_stop(t.timer);
    t.stop_at = 6;
    ct_timer_start(t.timer, 0.001, false);
    ct_timer_start(t.timer, 1e300, false); /* restarted, and capped */
    ticks other = { .stop_at = 1 };
    start(&other, 0.01, false);
    CHECK(run() && t.n == 5);
    ct_timer_free(other.timer);
    ct_timer_free(t.timer);
}

/* What was missed while a callback took long is left out, not made up for. */
static void test_timer_missed(void) {
    ticks t = { .stop_at = 1 };

    start(&t, 0.002, true);
    for (double end = ct_clock_precise() + 0.02; ct_clock_precise() < end;) {
    }
    CHECK(run() && t.n == 1);
    t.stop_at = 2;
    t.started = ct_clock_precise() - 0.004;
    CHECK(run() && t.n == 2);
    ct_timer_free(t.timer);
}

static int signals_seen;

static void on_signal(int signal, void *arg) {
    CHECK(arg == &loop);
    signals_seen |= 1 << signal;
    if (signals_seen == (1 << SIGUSR1 | 1 << SIGTERM)) ct_loop_stop(&loop);
}

static void test_signals(void) {
    static const int list[] = { SIGUSR1, SIGTERM, SIGHUP };
    static const int bad[] = { SIGUSR1, 9999 };
    struct sigaction old;
    ct_signals *s = ct_signals_new(&loop, list, 3, on_signal, &loop);

    if (!CHECK(s != NULL)) return;
    raise(SIGUSR1);
    CHECK(signals_seen == 0); /* not before a turn */
    raise(SIGTERM);
    CHECK(run());
    ct_signals_free(s);
    ct_signals_free(NULL);
    CHECK(sigaction(SIGTERM, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
    CHECK(sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_IGN);
    CHECK(!ct_signals_new(&loop, bad, 2, on_signal, &loop));
}

static bool count_to_five(void *arg) {
    int *n = arg;

    CHECK(loop.fresh);
    if (++*n == 5) ct_loop_stop(&loop);
    return true;
}

/* after_turn that returns true keeps the loop turning; a stop before the run
 * counts. */
static void test_turns(void) {
    int n = 0;

    loop.after_turn = count_to_five;
    loop.after_arg = &n;
    loop.again = true;
    CHECK(ct_loop_run(&loop) && n == 5);
    ct_loop_stop(&loop);
    CHECK(ct_loop_run(&loop) && n == 5);
    CHECK(!loop.stopped);
    loop.after_turn = NULL;
    loop.again = false;
}

static void check_streams(void) {
    test_read();
    test_not_read();
    test_peer_shuts();
    test_copied();
    test_we_shut();
    test_write();
    test_read_while_writing();
    test_write_to_half_closed();
    test_poked_behind_end();
    test_broken_pipe();
    test_closed_while_writing();
    test_reset_behind_bytes();
    test_reset_behind_end();
    test_free_in_callback();
    test_reset();
    test_number_reused();
}

static void check_listeners(void) {
    test_accept();
    test_congestion_control();
    test_in_use();
    test_families();
    test_unix();
    test_stale();
    test_no_descriptors();
}

static void check_the_rest(void) {
    test_timer();
    test_timer_at_once();
    test_timer_repeats();
    test_timer_missed();
    test_turns();
    test_signals();
}

int main(void) {
    const char *why;

    ct_log_init(&the_log);
    the_log.fd = memfd_create("log", MFD_CLOEXEC);
    CHECK(fcntl(the_log.fd, F_SETFL, O_APPEND) == 0);
    the_log.file = true;
    the_log.color = false;
    int files = open_files();
    if (!CHECK(ct_loop_init(&loop, &the_log, &why))) return check_report();
    check_streams();
    check_listeners();
    check_the_rest();
    ct_loop_fini(&loop);
    CHECK(open_files() == files);
    CHECK_STR(logged(), ""); /* libevent had nothing to say */
    ct_log_fini(&the_log);
    return check_report();
}
