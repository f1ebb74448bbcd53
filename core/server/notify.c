/* SPDX-License-Identifier: Apache-2.0 */
#include "server/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* RELOADING=1 goes with the time, or systemd does not take it. */
static int compose(char *out, size_t size, const char *state) {
    struct timespec now;

    if (strcmp(state, "RELOADING=1") != 0)
        return snprintf(out, size, "%s", state);
    clock_gettime(CLOCK_MONOTONIC, &now);
    return snprintf(out, size, "%s\nMONOTONIC_USEC=%lld", state,
                    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void ct_notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    char text[128];
    size_t n = path ? strlen(path) : 0;
    int fd;

    if (n < 2 || n >= sizeof to.sun_path) return;
    memcpy(to.sun_path, path, n);
    if (*path == '@') to.sun_path[0] = 0; /* an abstract name */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) return;
    (void)sendto(fd, text, (size_t)compose(text, sizeof text, state),
                 MSG_NOSIGNAL, (const struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    close(fd);
}
