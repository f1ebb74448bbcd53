/* Workers are exec'd, not only forked: they begin with nothing of the master's
 * but its descriptors, and each has its own layout of memory. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/child.h"

#include "base/mem.h"
#include "io/address.h"
#include "io/listen.h"
#include "io/listen_socket.h"
#include "io/signals.h"
#include "server/inherit.h"
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    OFTEN = 5,    /* early deaths in a row before it has to wait */
    BACK_OFF = 30 /* seconds: the longest pause before a new start */
};

/* -- Sockets --------------------------------------------------------------- */

static bool shares_port(int fd) {
    int on = 0;
    socklen_t size = sizeof on;

    return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, &size) == 0 && on;
}

/* One for each worker, that the kernel spreads connections over, as there were
 * before; all share that of a unix socket, whose file is the first one's, and
 * systemd's. Port 0 is the same port for all. */
static int open_socket(ct_child *c, const char *text, unsigned n, int backlog,
                       const ct_child *first) {
    ct_address at, bound = { .size = sizeof bound.sa };
    bool borrowed = false;
    const char *expected;
    char why[256];
    int fd;

    c->files[n] = 0;
    if (!ct_address_parse(&at, text, &expected)) {
        ct_log_line(c->loop->log, CT_LEVEL_ERROR, "master", "%s: %s", text,
                    expected);
        return -1;
    }
    fd = ct_listen_claim(c->loop, &at, &borrowed);
    if (borrowed && !first) c->files[n] = ct_listen_inode(&at);
    if (fd != -1 && !first) /* what is opened below waits until it serves */
        ct_listen_spread(fd, 1 + ct_listen_unclaimed(c->loop, &at));
    if (fd != -1) return fd;
    if (first && !shares_port(first->sockets[n]))
        return fcntl(first->sockets[n], F_DUPFD_CLOEXEC, 0);
    if (first && getsockname(first->sockets[n], (struct sockaddr *)&bound.sa,
                             &bound.size) == 0)
        at = bound;
    at.share = true;
    fd = ct_listen_socket(&at, backlog, why, sizeof why);
    if (fd == -1)
        ct_log_line(c->loop->log, CT_LEVEL_ERROR, "master", "%s", why);
    else
        c->files[n] = ct_listen_inode(&at);
    return fd;
}

static void add_line(ct_child *c, int fd, const char *address) {
    ct_buf lines = { 0 };
    char number[16];
    int n = snprintf(number, sizeof number, "%d%s ", fd,
                     c->files[c->socket_count] ? "+" : "");

    if (c->addresses) ct_buf_add(&lines, c->addresses, strlen(c->addresses));
    ct_buf_add(&lines, number, (size_t)n);
    ct_buf_add(&lines, address, strlen(address));
    ct_buf_add(&lines, "\n", 2); /* and the end of the text */
    ct_free(c->addresses);
    c->addresses = lines.data;
}

static bool add_socket(ct_child *c, const char *address, int fd) {
    if (fd == -1) return false;
    add_line(c, fd, address);
    c->sockets[c->socket_count++] = fd;
    return true;
}

/* One socket for all: whichever worker lives answers. */
static bool listen_admin(ct_child *c, const ct_vm_wishes *w,
                         const ct_child *first) {
    uint32_t n = c->socket_count;
    int fd;

    if (!*w->admin) return true;
    if (n == CT_CHILD_SOCKETS) return false;
    c->files[n] = 0;
    if (first)
        fd = fcntl(first->sockets[n], F_DUPFD_CLOEXEC, 0);
    else
        fd = open_socket(c, w->admin, n, (int)w->backlog, NULL);
    return add_socket(c, w->admin, fd);
}

bool ct_child_listen(ct_child *c, const ct_vm_wishes *wishes,
                     const ct_child *first) {
    char *copy = ct_memdup(wishes->addresses, strlen(wishes->addresses));
    char *rest = copy, *address;
    bool good = true;

    while (good && (address = strsep(&rest, "\n"))) {
        unsigned n = c->socket_count;

        if (!*address) continue;
        good =
            n < CT_CHILD_SOCKETS &&
            add_socket(c, address,
                       open_socket(c, address, n, (int)wishes->backlog, first));
    }
    ct_free(copy);
    return good && listen_admin(c, wishes, first);
}

bool ct_child_join(ct_child *c, const ct_vm_wishes *wishes,
                   const ct_child *other) {
    const char *lines = other->addresses ? other->addresses : "";
    char *copy = ct_memdup(lines, strlen(lines)), *rest = copy, *line;
    bool good = true;

    while (good && (line = strsep(&rest, "\n")) && *line) {
        const char *address = strchr(line, ' ') + 1;
        unsigned n = c->socket_count;
        int fd = -1;

        c->files[n] = 0;
        if (strcmp(address, wishes->admin) == 0)
            fd = fcntl(other->sockets[n], F_DUPFD_CLOEXEC, 0);
        else
            fd = open_socket(c, address, n, (int)wishes->backlog, other);
        good = add_socket(c, address, fd);
    }
    ct_free(copy);
    return good;
}

static bool is_wanted(const ct_vm_wishes *w, const char *address) {
    size_t n = strlen(address);

    if (strcmp(address, w->admin) == 0) return true;
    for (const char *p = w->addresses; p; p = strchr(p, '\n')) {
        if (*p == '\n') p++;
        if (strncmp(p, address, n) == 0 && (!p[n] || p[n] == '\n')) return true;
    }
    return false;
}

static void remove_file(const ct_child *c, unsigned n, const char *address) {
    const char *expected;
    ct_address at;

    if (c->files[n] && ct_address_parse(&at, address, &expected))
        ct_listen_unlink(&at, c->files[n]);
}

void ct_child_keep(ct_child *c, const ct_vm_wishes *wishes) {
    char *lines = c->addresses, *rest = lines, *line;
    unsigned n = 0;

    c->addresses = NULL;
    c->socket_count = 0;
    while (lines && (line = strsep(&rest, "\n")) && *line) {
        const char *address = strchr(line, ' ') + 1;
        int fd = c->sockets[n];

        if (is_wanted(wishes, address)) {
            c->files[c->socket_count] = c->files[n];
            (void)add_socket(c, address, fd);
        } else {
            remove_file(c, n, address);
            close(fd);
        }
        n++;
    }
    ct_free(lines);
}

void ct_child_remove_files(const ct_child *c) {
    const char *lines = c->addresses ? c->addresses : "";
    char *copy = ct_memdup(lines, strlen(lines)), *rest = copy, *line;

    for (unsigned n = 0; (line = strsep(&rest, "\n")) && *line; n++)
        remove_file(c, n, strchr(line, ' ') + 1);
    ct_free(copy);
}

static void adopt_socket(ct_child *c, const char *address, int fd) {
    c->files[c->socket_count] = 0;
    (void)add_socket(c, address, fd);
}

bool ct_child_adopt(ct_child *children, uint32_t count,
                    const ct_vm_wishes *wishes) {
    char *copy = ct_memdup(wishes->addresses, strlen(wishes->addresses));
    char *rest = copy, *address;
    const char *expected;
    ct_address at;
    uint32_t i = 0;
    int fd;

    for (uint32_t k = 0; k < count; k++)
        children[k].own_count = children[k].socket_count;
    while (count && (address = strsep(&rest, "\n"))) {
        if (!ct_address_parse(&at, address, &expected)) continue;
        while ((fd = ct_listen_claim(children->loop, &at, NULL)) != -1) {
            ct_child *c = &children[i++ % count];

            if (c->socket_count == CT_CHILD_SOCKETS)
                close(fd);
            else
                adopt_socket(c, address, fd);
        }
    }
    ct_free(copy);
    return i > 0;
}

void ct_child_trim(ct_child *c) {
    char *end = c->addresses;

    if (c->socket_count <= c->own_count) return;
    for (unsigned i = 0; end && i < c->own_count; i++)
        end = strchr(end, '\n') + 1;
    if (end) *end = 0;
    while (c->socket_count > c->own_count) close(c->sockets[--c->socket_count]);
}

/* -- The process ----------------------------------------------------------- */

void ct_child_name(uint32_t index) {
    char name[32];

    snprintf(name, sizeof name, "ctornado-w%u", index);
    prctl(PR_SET_NAME, name);
}

/* For the user "www": group first, or there would be no right left to set it.
 * Returns why it cannot be, or NULL. */
static const char *drop_privileges(const ct_vm_wishes *w) {
    static const char no_right[] = "the master must be root";
    const struct passwd *user = *w->user ? getpwnam(w->user) : NULL;
    const struct group *group = *w->group ? getgrnam(w->group) : NULL;

    if (*w->user && !user) return "there is no such user";
    if (*w->group && !group) return "there is no such group";
    if (user && initgroups(user->pw_name, user->pw_gid) == -1) return no_right;
    if (user && setgid(user->pw_gid) == -1) return no_right;
    if (group && setgid(group->gr_gid) == -1) return no_right;
    return user && setuid(user->pw_uid) == -1 ? no_right : NULL;
}

static void become(const ct_child *c, const ct_vm_wishes *wishes,
                   const ct_shared *shared, int channel, char **argv) {
    ct_inherit place = { .worker = c->index,
                         .shared = *shared,
                         .channel = channel };
    const char *why;
    char name[64];

    snprintf(name, sizeof name, "ctornado: worker %u", c->index);
    if (!ct_inherit_leave(&place, c->addresses ? c->addresses : "")) _exit(70);
    why = drop_privileges(wishes);
    if (why) {
        dprintf(STDERR_FILENO,
                "ctornado: user, group: a worker cannot become "
                "\"%s%s%s\": %s\n",
                wishes->user, *wishes->user && *wishes->group ? ":" : "",
                wishes->group, why);
        _exit(1);
    }
    argv[0] = name;
    execv("/proc/self/exe", argv);
    _exit(71);
}

static void on_end(evutil_socket_t fd, short what, void *arg) {
    ct_child *c = arg;
    int status = 0;

    (void)fd, (void)what;
    ct_loop_now(c->loop);
    if (waitpid(c->pid, &status, WNOHANG) != c->pid) return;
    event_del(&c->on_end);
    event_del(&c->on_line);
    close(c->pidfd);
    close(c->channel);
    c->pid = 0;
    c->fn(c, NULL, status, c->arg);
}

/* A line may be longer than the buffer: then its beginning is enough. */
static void take_lines(ct_child *c) {
    char *end;

    while ((end = memchr(c->line, '\n', c->have))) {
        size_t n = (size_t)(end - c->line) + 1;

        *end = 0;
        c->fn(c, c->line, 0, c->arg);
        memmove(c->line, c->line + n, c->have - n);
        c->have -= (unsigned)n;
    }
    if (c->have == sizeof c->line - 1) c->have = 0;
}

static void on_line(evutil_socket_t fd, short what, void *arg) {
    ct_child *c = arg;
    ssize_t n;

    (void)what;
    ct_loop_now(c->loop);
    n = recv(fd, c->line + c->have, sizeof c->line - 1 - c->have, 0);
    if (n <= 0) {
        if (n == 0) event_del(&c->on_line);
        return;
    }
    c->have += (unsigned)n;
    take_lines(c);
}

static void watch(ct_child *c) {
    event_assign(&c->on_end, c->loop->base, c->pidfd, EV_READ | EV_PERSIST,
                 on_end, c);
    event_assign(&c->on_line, c->loop->base, c->channel, EV_READ | EV_PERSIST,
                 on_line, c);
    event_add(&c->on_end, NULL);
    event_add(&c->on_line, NULL);
}

bool ct_child_start(ct_child *c, const ct_vm_wishes *wishes,
                    const ct_shared *shared, char **argv) {
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   ends) == -1)
        return false;
    c->pid = ct_signals_fork();
    if (c->pid == 0) become(c, wishes, shared, ends[1], argv);
    close(ends[1]);
    c->pidfd = c->pid > 0 ? (int)syscall(SYS_pidfd_open, c->pid, 0) : -1;
    if (c->pidfd == -1) {
        if (c->pid > 0) kill(c->pid, SIGKILL);
        c->pid = 0;
        close(ends[0]);
        return false;
    }
    (void)fcntl(c->pidfd, F_SETFD, FD_CLOEXEC);
    c->channel = ends[0];
    c->began = ct_board_now();
    c->served = c->aborted = c->behind = c->asked = c->retired = false;
    c->has_kin = false;
    c->have = 0;
    watch(c);
    return true;
}

void ct_child_describe(int status, char *out, size_t size) {
    if (WIFSIGNALED(status))
        snprintf(out, size, "died of signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(out, size, "ended with exit code %d", WEXITSTATUS(status));
}

uint64_t ct_child_pause(const ct_child *c) {
    unsigned over = c->early < OFTEN ? 0 : c->early - OFTEN + 1;
    unsigned seconds = over == 0 ? 0 : over < 6 ? 1u << (over - 1) : BACK_OFF;

    return seconds * 1000u;
}

void ct_child_say(const ct_child *c, const char *line) {
    if (c->pid) (void)send(c->channel, line, strlen(line), MSG_NOSIGNAL);
}

void ct_child_kill(const ct_child *c, int signal) {
    if (c->pid) (void)kill(c->pid, signal);
}

void ct_child_fini(ct_child *c) {
    for (unsigned i = 0; i < c->socket_count; i++) close(c->sockets[i]);
    ct_free(c->addresses);
    c->addresses = NULL;
    c->socket_count = 0;
}
