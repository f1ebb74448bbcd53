/* Descriptors are numbers in two variables of the environment; exec keeps both. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/inherit.h"

#include "base/mem.h"
#include "io/address.h"
#include "io/listen.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SYSTEMD_FIRST = 3 };

static const char *const PLACE = "CTORNADO_WORKER";
static const char *const SOCKETS = "CTORNADO_SOCKETS";
static const char *const FOLDER = "CTORNADO_FOLDER";
static const char *const ELDER = "CTORNADO_ELDER";

/* The number at *text, and moves it on; -1 for none. */
static int take_number(const char **text) {
    char *end;
    long n = strtol(*text, &end, 10);

    if (end == *text || n < 0 || n > INT_MAX) return -1;
    *text = end;
    return (int)n;
}

static int number_of(const char *text) {
    return text ? take_number(&text) : -1;
}

static bool keep_private(int fd) {
    return fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static void take_socket(ct_loop *loop, const char *line) {
    int fd = take_number(&line);
    bool borrowed = *line == '+';
    ct_address asked;
    const char *why;

    line += borrowed;
    if (*line != ' ' || !keep_private(fd)) return;
    if (ct_address_parse(&asked, line + 1, &why))
        (void)ct_listen_inherit(loop, fd, &asked, borrowed);
}

static void take_sockets(ct_loop *loop, const char *text) {
    char *copy = ct_memdup(text, strlen(text)), *rest = copy, *line;

    while ((line = strsep(&rest, "\n"))) take_socket(loop, line);
    ct_free(copy);
}

/* They are asked for by the address that they are bound to. */
static void take_systemd(ct_loop *loop) {
    int n = number_of(getenv("LISTEN_FDS"));

    if (number_of(getenv("LISTEN_PID")) != getpid()) return;
    for (int fd = SYSTEMD_FIRST; fd < SYSTEMD_FIRST + n; fd++) {
        ct_address at = { .size = sizeof at.sa };

        if (!keep_private(fd)) continue;
        if (getsockname(fd, (struct sockaddr *)&at.sa, &at.size) == 0)
            (void)ct_listen_inherit(loop, fd, &at, false);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

void ct_inherit_take(ct_inherit *i, ct_loop *loop) {
    const char *place = getenv(PLACE), *sockets = getenv(SOCKETS);
    const char *folder = getenv(FOLDER);
    int elder = number_of(getenv(ELDER));

    *i = (ct_inherit){ .channel = -1, .elder = -1 };
    ct_shared_take(&i->shared);
    take_systemd(loop);
    if (place) {
        int worker = take_number(&place), channel = take_number(&place);

        if (worker > 0 && keep_private(channel)) {
            i->worker = (uint32_t)worker;
            i->channel = channel;
        }
    } else if (keep_private(elder)) {
        i->elder = elder;
    }
    if (i->worker && folder)
        snprintf(i->folder, sizeof i->folder, "%s", folder);
    if (sockets && (i->worker || i->elder != -1)) take_sockets(loop, sockets);
    unsetenv(PLACE);
    unsetenv(SOCKETS);
    unsetenv(FOLDER);
    unsetenv(ELDER);
}

bool ct_inherit_keep(const char *sockets) {
    for (const char *p = sockets; p && *p; p++) {
        if (fcntl(number_of(p), F_SETFD, 0) == -1) return false;
        p = strchr(p, '\n');
        if (!p) break;
    }
    return true;
}

void ct_inherit_heir(char *out[2], int elder, const char *sockets) {
    out[0] = ct_mem_print("%s=%d", ELDER, elder);
    out[1] = ct_mem_print("%s=%s", SOCKETS, sockets);
}

bool ct_inherit_leave(const ct_inherit *i, const char *sockets) {
    char place[64];

    snprintf(place, sizeof place, "%u %d", i->worker, i->channel);
    if (!ct_shared_leave(&i->shared)) return false;
    if (fcntl(i->channel, F_SETFD, 0) == -1) return false;
    if (!ct_inherit_keep(sockets)) return false;
    return setenv(PLACE, place, 1) == 0 && setenv(SOCKETS, sockets, 1) == 0;
}

void ct_inherit_share(const char *folder) {
    (void)setenv(FOLDER, folder, 1); /* without it they are not joined */
}
