/* Channels: the search in the buffer, limits, the end; on socketpairs and pipes. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/channel.h"

#include "base/mem.h"
#include "check.h"
#include "loop.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static int told;

/* -- Help ------------------------------------------------------------------ */

static void on_change(void *arg) {
    (void)arg;
    told++;
}

/* A channel, and the other end, which blocks. */
static ct_channel *channel(int *peer) {
    int fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    *peer = fds[1];
    return ct_channel_open(&loop, fds[0], on_change, NULL);
}

static void say(int peer, const char *text) {
    CHECK(write(peer, text, strlen(text)) == (ssize_t)strlen(text));
    turn();
}

static char got[300000];

/* A read; what it gave is in `got`. */
static int reads(ct_channel *c, const ct_want *want) {
    ct_str out;
    int status = ct_channel_read(c, want, &out);

    memcpy(got, out.p, out.n);
    got[status == CT_OK ? out.n : 0] = 0;
    if (status == CT_LIMIT) return out.n ? -CT_LIMIT : CT_LIMIT;
    return status;
}

static int until(ct_channel *c, const char *mark, size_t max, bool first) {
    ct_want want = { .how = CT_WANT_UNTIL,
                     .first = first,
                     .mark = { mark, (uint32_t)strlen(mark) },
                     .n = max };

    return reads(c, &want);
}

static int bytes(ct_channel *c, ct_want_how how, size_t n) {
    ct_want want = { .how = how, .n = n };

    return reads(c, &want);
}

/* -- Reading --------------------------------------------------------------- */

static void test_until(void) {
    int peer;
    ct_channel *c = channel(&peer);

    turn();
    CHECK(until(c, "\r\n", 0, true) == CT_AGAIN);
    say(peer, "one\r");
    CHECK(until(c, "\r\n", 0, false) == CT_AGAIN);
    CHECK(c->searched == 3);
    say(peer, "\ntwo\r\nthree");
    CHECK(until(c, "\r\n", 0, false) == CT_OK);
    CHECK_STR(got, "one\r\n");
    CHECK(until(c, "\r\n", 0, true) == CT_OK);
    CHECK_STR(got, "two\r\n");
    CHECK(until(c, "\r\n", 0, true) == CT_AGAIN);
    CHECK(ct_channel_rest(c).n == 5);
    /* Another one is looked for from the beginning. */
    CHECK(until(c, "hr", 0, true) == CT_OK);
    CHECK_STR(got, "thr");
    CHECK(bytes(c, CT_WANT_SOME, 100) == CT_OK);
    CHECK_STR(got, "ee");
    CHECK(bytes(c, CT_WANT_SOME, 100) == CT_AGAIN);
    CHECK(c->in.data == NULL); /* empty, it holds no memory */
    close(peer);
    ct_channel_free(c, false);
}

static void test_max(void) {
    int peer;
    ct_channel *c = channel(&peer);

    say(peer, "12345678\n");
    CHECK(until(c, "\n", 8, true) == -CT_LIMIT);
    CHECK(until(c, "\n", 9, true) == CT_OK);
    say(peer, "12345");
    CHECK(until(c, "\n", 6, true) == CT_AGAIN);
    CHECK(until(c, "\n", 5, true) == -CT_LIMIT);
    ct_channel_limit(c, 5, 100);
    CHECK(until(c, "\n", 0, true) == CT_LIMIT);
    CHECK(ct_channel_rest(c).n == 5); /* nothing is lost */
    CHECK(bytes(c, CT_WANT_BYTES, 6) == CT_LIMIT);
    CHECK(bytes(c, CT_WANT_BYTES, 5) == CT_OK);
    CHECK_STR(got, "12345");
    close(peer);
    ct_channel_free(c, false);
}

/* Every way of cutting a text in two, and one byte after the other. */
static void test_pieces(void) {
    const char *text = "abababcab";
    int peer;
    ct_channel *c = channel(&peer);

    for (size_t cut = 0; cut < 9; cut++) {
        char head[16] = "";

        memcpy(head, text, cut);
        say(peer, head);
        CHECK(until(c, "ababc", 0, true) == (cut < 7 ? CT_AGAIN : CT_OK));
        say(peer, text + cut);
        if (cut < 7) CHECK(until(c, "ababc", 0, false) == CT_OK);
        CHECK_STR(got, "abababc");
        CHECK(bytes(c, CT_WANT_BYTES, 2) == CT_OK);
        CHECK_STR(got, "ab");
    }
    close(peer);
    ct_channel_free(c, false);
}

static void test_regex(void) {
    char why[100];
    int peer;
    ct_channel *c = channel(&peer);
    ct_want want = { .how = CT_WANT_REGEX, .first = true };

    want.regex = ct_regex_new_search("\\d+;|end", 8, why, sizeof why);
    CHECK(want.regex != NULL);
    say(peer, "abc12");
    CHECK(reads(c, &want) == CT_AGAIN);
    CHECK(c->searched == 3); /* where a match may have begun */
    want.first = false;
    say(peer, "x34;rest");
    CHECK(reads(c, &want) == CT_OK);
    CHECK_STR(got, "abc12x34;");
    want.first = true;
    want.n = 4;
    CHECK(reads(c, &want) == -CT_LIMIT);
    CHECK(bytes(c, CT_WANT_BYTES, 4) == CT_OK);
    CHECK(ct_regex_new_search("(", 1, why, sizeof why) == NULL);
    ct_regex_free(want.regex);
    close(peer);
    ct_channel_free(c, false);
}

/* A sender that is always ahead does not keep the loop to itself. */
static void test_turns(void) {
    char piece[1000];
    int peer, size = 1 << 20, busy = 0;
    size_t sum = 0;
    ct_channel *c = channel(&peer);

    memset(piece, 'x', sizeof piece);
    CHECK(setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
    for (int i = 0; i < 100; i++)
        CHECK(write(peer, piece, sizeof piece) == (ssize_t)sizeof piece);
    ct_channel_limit(c, 1e6, 1000);
    turn();
    while (sum < 100000) {
        int status = bytes(c, CT_WANT_SOME, 1000);

        if (status == CT_OK) sum += strlen(got);
        if (status == CT_AGAIN) busy++, told = 0, turn(), CHECK(told == 1);
        if (!CHECK(status == CT_OK || status == CT_AGAIN)) break;
    }
    CHECK(busy == 6);
    close(peer);
    ct_channel_free(c, false);
}

static void test_all(void) {
    int peer;
    ct_channel *c = channel(&peer);

    say(peer, "ab");
    CHECK(bytes(c, CT_WANT_ALL, 0) == CT_AGAIN);
    say(peer, "cd");
    close(peer);
    turn();
    CHECK(ct_channel_poll(c) == CT_OK);
    CHECK(bytes(c, CT_WANT_ALL, 0) == CT_OK);
    CHECK_STR(got, "abcd");
    CHECK(ct_channel_poll(c) == CT_EOF);
    CHECK(bytes(c, CT_WANT_BYTES, 1) == CT_EOF);
    CHECK(c->error == 0);
    ct_channel_free(c, false);
}

static void test_unread(void) {
    int peer;
    ct_channel *c = channel(&peer);

    say(peer, "defgh");
    CHECK(bytes(c, CT_WANT_BYTES, 2) == CT_OK);
    ct_channel_unread(c, "abcde", 5);
    CHECK(bytes(c, CT_WANT_BYTES, 8) == CT_OK);
    CHECK_STR(got, "abcdefgh");
    CHECK(bytes(c, CT_WANT_BYTES, 0) == CT_OK);
    CHECK(bytes(c, CT_WANT_SOME, 0) == CT_OK);
    close(peer);
    ct_channel_free(c, false);
}

/* -- Events, errors -------------------------------------------------------- */

static void test_told(void) {
    int peer;
    ct_channel *c = channel(&peer);

    turn();
    told = 0;
    say(peer, "nobody asked");
    CHECK(told == 0);
    CHECK(bytes(c, CT_WANT_BYTES, 100) == CT_AGAIN);
    say(peer, "somebody did");
    CHECK(told == 1);
    say(peer, "and was told");
    CHECK(told == 1);
    CHECK(shutdown(peer, SHUT_WR) == 0);
    turn();
    CHECK(told == 2); /* the end is told to all */
    turn();
    CHECK(told == 2);
    close(peer);
    ct_channel_free(c, false);
}

static void test_write(void) {
    static char much[1 << 20];
    int peer;
    ssize_t n, sum = 0;
    ct_channel *c = channel(&peer);

    turn();
    while ((n = ct_channel_write(c, much, sizeof much)) > 0) sum += n;
    CHECK(n == 0 && sum > 0);
    told = 0;
    while (sum > 0) sum -= read(peer, much, sizeof much);
    turn();
    CHECK(told == 1);
    CHECK(ct_channel_write(c, "x", 1) == 1);
    close(peer);
    CHECK(ct_channel_write(c, "x", 1) == -1);
    CHECK(c->error == EPIPE);
    ct_channel_free(c, false);
}

static void test_pipe(void) {
    int fds[2];
    ct_channel *in, *out;

    CHECK(pipe(fds) == 0);
    in = ct_channel_open(&loop, fds[0], on_change, NULL);
    out = ct_channel_open(&loop, fds[1], on_change, NULL);
    CHECK(bytes(in, CT_WANT_BYTES, 3) == CT_AGAIN);
    CHECK(ct_channel_write(out, "abc", 3) == 3);
    turn();
    CHECK(bytes(in, CT_WANT_BYTES, 3) == CT_OK);
    CHECK_STR(got, "abc");
    CHECK(bytes(in, CT_WANT_SOME, 3) == CT_AGAIN);
    ct_channel_free(out, false);
    turn();
    CHECK(bytes(in, CT_WANT_SOME, 3) == CT_EOF);
    ct_channel_free(in, false);
}

/* The end comes in one edge with the last bytes, which are fewer than asked for. */
static void test_pipe_end(void) {
    int fds[2];
    ct_channel *in;

    CHECK(pipe(fds) == 0);
    in = ct_channel_open(&loop, fds[0], on_change, NULL);
    CHECK(bytes(in, CT_WANT_SOME, 9) == CT_AGAIN);
    CHECK(write(fds[1], "abc", 3) == 3);
    close(fds[1]);
    turn();
    CHECK(bytes(in, CT_WANT_SOME, 9) == CT_OK);
    CHECK_STR(got, "abc");
    CHECK(bytes(in, CT_WANT_SOME, 9) == CT_EOF);
    ct_channel_free(in, false);
}

static void test_adopt(void) {
    int fd = open("/dev/null", O_RDONLY),
        file = open("/proc/self/exe", O_RDONLY);

    close(fd);
    CHECK(ct_channel_open(&loop, fd, on_change, NULL) == NULL);
    CHECK(errno == EBADF);
    CHECK(ct_channel_open(&loop, file, on_change, NULL) == NULL);
    CHECK(errno == EPERM);
    CHECK(fcntl(file, F_GETFD) == -1); /* it was taken */
}

/* A port where nobody listens: bound, and not listening. */
static void test_refused(void) {
    struct sockaddr_in sa = { .sin_family = AF_INET,
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ct_address to = { .size = sizeof sa };
    ct_channel *c;

    CHECK(bind(fd, (struct sockaddr *)&sa, size) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&sa, &size) == 0);
    memcpy(&to.sa, &sa, sizeof sa);
    c = ct_channel_connect(&loop, &to, NULL, on_change, NULL);
    CHECK(c && ct_channel_state(c) == CT_AGAIN);
    CHECK(ct_channel_write(c, "early", 5) == 0);
    while (ct_channel_state(c) == CT_AGAIN) turn();
    CHECK(ct_channel_state(c) == CT_ERROR && c->error == ECONNREFUSED);
    CHECK(bytes(c, CT_WANT_BYTES, 1) == CT_ERROR);
    CHECK(ct_channel_write(c, "late", 4) == -1);
    CHECK(c->error == ECONNREFUSED);
    ct_channel_free(c, false);
    close(fd);
}

int main(void) {
    loop_begin();
    alarm(60);
    test_until();
    test_max();
    test_pieces();
    test_regex();
    test_turns();
    test_all();
    test_unread();
    test_told();
    test_write();
    test_pipe();
    test_pipe_end();
    test_adopt();
    test_refused();
    loop_end();
    return check_report();
}
