/* Descriptors are numbers in two variables of the environment; exec keeps both. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/inherit.h"

#include "io/address.h"
#include "io/listen.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SYSTEMD_FIRST = 3 };

static const char *const PLACE = "CTORNADO_WORKER";
static const char *const SOCKETS = "CTORNADO_SOCKETS";
static const char *const FOLDER = "CTORNADO_FOLDER";

static bool keep_private(int fd) {
    return fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static void take_socket(ct_loop *loop, char *line) {
    char *address;
    long fd = strtol(line, &address, 10);
    ct_address asked;
    const char *why;

    if (*address != ' ' || !keep_private((int)fd)) return;
    if (ct_address_parse(&asked, address + 1, &why))
        (void)ct_listen_inherit(loop, (int)fd, &asked);
}

static void take_sockets(ct_loop *loop, const char *text) {
    char *copy = strdup(text), *rest = copy, *line;

    while (copy && (line = strsep(&rest, "\n"))) take_socket(loop, line);
    free(copy);
}

/* They are asked for by the address that they are bound to. */
static void take_systemd(ct_loop *loop) {
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    int n = count ? atoi(count) : 0;

    if (!pid || atoi(pid) != getpid()) return;
    for (int fd = SYSTEMD_FIRST; fd < SYSTEMD_FIRST + n; fd++) {
        ct_address at = { .size = sizeof at.sa };

        if (!keep_private(fd)) continue;
        if (getsockname(fd, (struct sockaddr *)&at.sa, &at.size) == 0)
            (void)ct_listen_inherit(loop, fd, &at);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

void ct_inherit_take(ct_inherit *i, ct_loop *loop) {
    const char *place = getenv(PLACE), *sockets = getenv(SOCKETS);
    const char *folder = getenv(FOLDER);
    unsigned worker;
    int board, channel;

    *i = (ct_inherit){ .board = -1, .channel = -1 };
    take_systemd(loop);
    if (place && sscanf(place, "%u %d %d", &worker, &board, &channel) == 3 &&
        keep_private(board) && keep_private(channel))
        *i = (ct_inherit){ .worker = worker,
                           .board = board,
                           .channel = channel };
    if (i->worker && folder)
        snprintf(i->folder, sizeof i->folder, "%s", folder);
    if (i->worker && sockets) take_sockets(loop, sockets);
    unsetenv(PLACE);
    unsetenv(SOCKETS);
    unsetenv(FOLDER);
}

bool ct_inherit_leave(const ct_inherit *i, const char *sockets) {
    char place[64];

    snprintf(place, sizeof place, "%u %d %d", i->worker, i->board, i->channel);
    if (fcntl(i->board, F_SETFD, 0) == -1) return false;
    if (fcntl(i->channel, F_SETFD, 0) == -1) return false;
    for (const char *p = sockets; *p; p++) {
        if (fcntl(atoi(p), F_SETFD, 0) == -1) return false;
        p = strchr(p, '\n');
        if (!p) break;
    }
    return setenv(PLACE, place, 1) == 0 && setenv(SOCKETS, sockets, 1) == 0;
}

void ct_inherit_share(const char *folder) {
    (void)setenv(FOLDER, folder, 1); /* without it they are not joined */
}
