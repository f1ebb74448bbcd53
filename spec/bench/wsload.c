/* Loads an echo over WebSockets: PORT CONNECTIONS BYTES SECONDS. Each connection
 * has one text message under way; its echo must come back as one frame, byte for
 * byte. Prints `open` when all handshakes are done, and at the end how many echoes
 * came, in how many seconds, and the 99th percentile of their time in
 * microseconds. Exits 1 for any other answer. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SLOWEST_US = 1000000, EVENTS = 128, HEAD = 14, PIECE = 65536 };

typedef struct client {
    int fd;
    size_t sent, got; /* of the message, and of its echo */
    uint64_t since;
} client;

static char *message, *echo; /* frames: masked with zeros, and not masked */
static size_t message_size, echo_size;
static uint32_t times[SLOWEST_US + 1];
static uint64_t echoes;
static int epoll;

static void fail(const char *what) {
    fprintf(stderr, "wsload: %s (%s)\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_us(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A text frame of `n` bytes; its size goes to *size. */
static char *frame(size_t n, int masked, size_t *size) {
    char *p = malloc(n + HEAD);
    size_t at = 2;

    if (!p) fail("no memory");
    p[0] = (char)0x81;
    p[1] = (char)((masked ? 0x80 : 0) | (n < 126 ? n : n < 65536 ? 126 : 127));
    for (int i = n < 126 ? 0 : n < 65536 ? 2 : 8; i > 0; i--)
        p[at++] = (char)((uint64_t)n >> (8 * (i - 1)));
    for (int i = 0; masked && i < 4; i++) p[at++] = 0;
    for (size_t i = 0; i < n; i++) p[at++] = (char)('a' + i % 26);
    *size = at;
    return p;
}

static void shake_hands(int fd, int port) {
    char text[4096];
    size_t got = 0;
    int n = snprintf(text, sizeof text,
                     "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                     "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     port);

    if (send(fd, text, (size_t)n, 0) != n) fail("handshake not sent");
    text[0] = 0;
    while (!strstr(text, "\r\n\r\n")) {
        ssize_t k = recv(fd, text + got, sizeof text - 1 - got, 0);

        if (k <= 0) fail("no handshake");
        got += (size_t)k;
        text[got] = 0;
    }
    if (!strstr(text, " 101 ") || !strstr(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        fail("not a handshake");
}

static void open_client(client *c, int port) {
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct epoll_event event = { EPOLLIN | EPOLLOUT | EPOLLET, { .ptr = c } };
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail("not connected");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    shake_hands(c->fd, port);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) fail("epoll");
}

static void go_on(client *c) {
    while (c->sent < message_size) {
        ssize_t n = send(c->fd, message + c->sent, message_size - c->sent,
                         MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN) fail("not sent");
        if (n < 0) return;
        c->sent += (size_t)n;
    }
}

static void begin(client *c) {
    c->sent = c->got = 0;
    c->since = now_us();
    go_on(c);
}

static void take(client *c, const char *p, size_t n) {
    uint64_t spent;

    if (c->got + n > echo_size || memcmp(echo + c->got, p, n) != 0)
        fail("not the echo");
    c->got += n;
    if (c->got < echo_size) return;
    spent = now_us() - c->since;
    times[spent < SLOWEST_US ? spent : SLOWEST_US]++;
    echoes++;
    begin(c);
}

static void look_at(client *c) {
    static char piece[PIECE];
    ssize_t n;

    go_on(c);
    while ((n = recv(c->fd, piece, sizeof piece, 0)) > 0) {
        take(c, piece, (size_t)n);
        if ((size_t)n < sizeof piece) return; /* empty */
    }
    if (n == 0 || errno != EAGAIN) fail("the server has left");
}

static unsigned p99(void) {
    uint64_t left = echoes / 100;
    unsigned us = SLOWEST_US;

    while (us > 0 && times[us] <= left) left -= times[us--];
    return us;
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS];
    int port, count;
    uint64_t start, end;
    client *clients;

    if (argc != 5) fail("usage: wsload PORT CONNECTIONS BYTES SECONDS");
    port = atoi(argv[1]);
    count = atoi(argv[2]);
    message = frame((size_t)atol(argv[3]), 1, &message_size);
    echo = frame((size_t)atol(argv[3]), 0, &echo_size);
    epoll = epoll_create1(0);
    clients = calloc((size_t)count, sizeof *clients);
    for (int i = 0; i < count; i++) open_client(&clients[i], port);
    puts("open");
    fflush(stdout);
    start = now_us();
    end = start + (uint64_t)atoi(argv[4]) * 1000000;
    for (int i = 0; i < count; i++) begin(&clients[i]);
    while (now_us() < end) {
        int n = epoll_wait(epoll, events, EVENTS, 100);

        for (int i = 0; i < n; i++) look_at(events[i].data.ptr);
    }
    printf("%lu echoes in %.3f s, p99 %u us\n", (unsigned long)echoes,
           (double)(now_us() - start) / 1e6, p99());
    return 0;
}
