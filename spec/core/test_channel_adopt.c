/* Channels that take a stream over: what its owner had read comes first, what it
 * had not sent leaves first, and its owner is left with nothing. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/channel.h"

#include "check.h"
#include "loop.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_stream(ct_stream *s, int what, void *arg) {
    (void)s, (void)what, (void)arg;
    CHECK(!"the owner that gave the stream away is called");
}

static void on_channel(void *arg) {
    ++*(int *)arg;
    ct_loop_stop(&loop);
}

/* A stream on one end of a socketpair; the other is returned. */
static int open_stream(ct_stream *s) {
    int fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                     fds) == 0);
    CHECK(ct_stream_init(s, &loop, fds[0], on_stream, NULL));
    return fds[1];
}

static ct_buf buf_of(const char *text) {
    ct_buf b = { 0 };

    ct_buf_add(&b, text, strlen(text));
    return b;
}

static const char *received(ct_channel *c, size_t max) {
    static char text[100];
    ssize_t n = ct_channel_recv(c, text, max);

    if (n < 0) return n == CT_STREAM_AGAIN ? "again" : "end";
    text[n] = 0;
    return text;
}

static void test_adopt(void) {
    ct_buf in = buf_of("read before"), out = buf_of("unsent ");
    ct_channel *c;
    ct_stream s;
    char text[100];
    int calls = 0, other = open_stream(&s);

    CHECK(write(other, " and now", 8) == 8);
    c = ct_channel_adopt(&s, &in, &out, on_channel, &calls);
    CHECK(s.fd == -1 && !in.data && !out.data);
    ct_stream_fini(&s, true); /* does nothing any more */
    CHECK(ct_channel_send(c, "sent", 4));
    CHECK(read(other, text, sizeof text) == 11);
    CHECK(memcmp(text, "unsent sent", 11) == 0);
    CHECK_STR(received(c, 4), "read");
    CHECK_STR(received(c, 50), " before");
    CHECK_STR(received(c, 50), " and now");
    CHECK_STR(received(c, 50), "again");
    turn();
    calls = 0;
    CHECK(write(other, "x", 1) == 1);
    CHECK(ct_loop_run(&loop) && calls == 1);
    CHECK_STR(received(c, 50), "x");
    close(other);
    CHECK(ct_loop_run(&loop) && calls == 2);
    CHECK_STR(received(c, 50), "end");
    ct_channel_free(c, false);
}

/* The stream waited for room: its new owner sends on when there is some. */
static void test_adopt_full(void) {
    static char piece[65536];
    ct_buf in = { 0 }, out = buf_of("the rest");
    ct_channel *c;
    ct_stream s;
    ssize_t n;
    int calls = 0, other = open_stream(&s);

    memset(piece, 'x', sizeof piece);
    do n = ct_stream_send(&s, piece, sizeof piece);
    while (n > 0);
    c = ct_channel_adopt(&s, &in, &out, on_channel, &calls);
    CHECK(ct_channel_unsent(c) == 8);
    do n = read(other, piece, sizeof piece);
    while (n > 0);
    while (ct_channel_unsent(c)) CHECK(ct_loop_run(&loop));
    CHECK(read(other, piece, sizeof piece) == 8);
    CHECK(memcmp(piece, "the rest", 8) == 0);
    close(other);
    ct_channel_free(c, true);
}

int main(void) {
    loop_begin();
    test_adopt();
    test_adopt_full();
    loop_end();
    return check_report();
}
