/* A listening socket alone: opening it, and why that fails. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/listen_socket.h"

#include "base/assert.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A peer that vanished without a word while all was quiet is found by probes, after
 * two minutes. */
enum {
    ALIVE_IDLE = 60, /* seconds, as the next */
    ALIVE_PAUSE = 10,
    ALIVE_TRIES = 6
};

/* Bytes that the kernel takes before they can be sent: it would take megabytes for each
 * client that does not read, and freeing those of 200 at once is a stall of 20 ms. */
enum { UNSENT = 256 << 10 };

static const struct sockaddr *sockaddr_of(const ct_address *a) {
    return (const struct sockaddr *)&a->sa;
}

static const char *path_of(const ct_address *a) {
    return ((const struct sockaddr_un *)&a->sa)->sun_path;
}

static bool is_unix(const ct_address *a) {
    return a->sa.ss_family == AF_UNIX;
}

ino_t ct_listen_inode(const ct_address *a) {
    struct stat st;

    if (!is_unix(a) || lstat(path_of(a), &st) == -1) return 0;
    return S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

void ct_listen_unlink(const ct_address *a, ino_t inode) {
    if (inode && ct_listen_inode(a) == inode) unlink(path_of(a));
}

static int open_socket(ct_address *at) {
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = socket(at->sa.ss_family, type, 0);

    if (fd == -1 && errno == EAFNOSUPPORT && at->any) {
        struct sockaddr_in v4 = {
            .sin_family = AF_INET,
            .sin_port = ((struct sockaddr_in6 *)&at->sa)->sin6_port,
        };
        memcpy(&at->sa, &v4, sizeof v4); /* a kernel without IPv6 */
        at->size = sizeof v4;
        fd = socket(AF_INET, type, 0);
    }
    return fd;
}

/* A server that was killed leaves its file, and bind() refuses to replace it.
 * One that lives accepts, or has a full queue (EAGAIN). */
static void remove_stale(const ct_address *at) {
    int fd;

    if (!ct_listen_inode(at)) return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1) return;
    if (connect(fd, sockaddr_of(at), at->size) == -1 && errno == ECONNREFUSED)
        unlink(path_of(at));
    close(fd);
}

static void set_option(int fd, int level, int name, int value) {
    (void)setsockopt(fd, level, name, &value, sizeof value); /* best effort */
}

static bool is_loopback(const ct_address *at) {
    const struct sockaddr_in *four = (const void *)&at->sa;
    const struct sockaddr_in6 *six = (const void *)&at->sa;

    if (at->sa.ss_family == AF_INET)
        return ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return at->sa.ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

/* Where there is no network nothing is congested; BBR, which many systems have
 * as their default, would set a timer for each segment all the same: a MiB to a
 * proxy on this machine took 1.4 times the CPU time. */
static void choose_congestion_control(int fd) {
    static const char name[] = "reno";

    (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, sizeof name - 1);
}

void ct_listen_tune(int fd, const ct_address *at) {
    if (is_unix(at)) return;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, ALIVE_IDLE);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, ALIVE_PAUSE);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, ALIVE_TRIES);
    if (is_loopback(at)) choose_congestion_control(fd);
}

static void prepare(int fd, const ct_address *at) {
    if (is_unix(at)) {
        fchmod(fd, 0600); /* bind() gives the mode to the file */
        remove_stale(at);
        return;
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (at->sa.ss_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !at->any);
    if (at->share) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    ct_listen_tune(fd, at);
}

const char *ct_listen_reason(const ct_address *at, int error) {
    bool local = is_unix(at);

    switch (error) {
    case EACCES:
        if (local) return "permission denied: its folder must be writable";
        return "permission denied: ports below 1024 need root or "
               "CAP_NET_BIND_SERVICE";
    case EADDRINUSE:
        if (local)
            return "address already in use: another program listens there, "
                   "or the file is no socket; choose another path";
        return "address already in use: another program listens there; stop "
               "it or choose another port";
    case EADDRNOTAVAIL:
        return "no such address on this machine: `ip address` lists them, "
               "*:PORT means all";
    case EXDEV:
        return "a new unix socket needs a restart of a server with a master, "
               "whose workers must share it";
    case ENOENT: return "no such folder: create it first";
    case EMFILE: return "too many open files: raise `ulimit -n`";
    default: return strerror(error);
    }
}

void ct_listen_explain(const ct_address *at, int error, char *why,
                       size_t size) {
    char text[CT_ADDRESS_TEXT];

    ct_address_format(at, text);
    snprintf(why, size, "%s: %s", text, ct_listen_reason(at, error));
}

static bool bind_in_place(int fd, const ct_address *at, int backlog) {
    return bind(fd, sockaddr_of(at), at->size) == 0 && listen(fd, backlog) == 0;
}

/* Gives a file a name that nobody has. Not every file system can do it the first way. */
static bool name_file(const char *from, const char *to) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL || link(from, to) == -1) return false;
    (void)unlink(from);
    return true;
}

/* A unix socket has its name when it listens: whoever finds the file is accepted, and
 * no other server that starts takes it for one that was left behind. */
static bool bind_aside(int fd, const ct_address *at, int backlog) {
    struct sockaddr_un aside = { .sun_family = AF_UNIX };
    const char *path = path_of(at), *name = strrchr(path, '/');
    int n, error;

    if (!name) return bind_in_place(fd, at, backlog); /* it is no file */
    n = snprintf(aside.sun_path, sizeof aside.sun_path, "%.*s.%x",
                 (int)(name + 1 - path), path, (unsigned)getpid());
    if (n >= (int)sizeof aside.sun_path) return bind_in_place(fd, at, backlog);
    (void)unlink(aside.sun_path); /* of one that was killed just here */
    if (bind(fd, (const struct sockaddr *)&aside, sizeof aside) == -1)
        return false;
    if (listen(fd, backlog) == 0 && name_file(aside.sun_path, path))
        return true;
    error = errno == EEXIST ? EADDRINUSE : errno;
    (void)unlink(aside.sun_path);
    errno = error;
    return false;
}

int ct_listen_socket(ct_address *at, int backlog, char *why, size_t size) {
    int fd = open_socket(at), error;

    if (fd == -1) goto fail;
    prepare(fd, at);
    if (is_unix(at) ? bind_aside(fd, at, backlog)
                    : bind_in_place(fd, at, backlog))
        return fd;

fail:
    error = errno;
    ct_listen_explain(at, error, why, size);
    if (fd != -1) close(fd);
    errno = error;
    return -1;
}

/* The kernel asks such a program for the index of a socket. Where that cannot be (a
 * unix socket) nothing is lost but the wish. */
static void attach(int fd, struct sock_filter *code, unsigned size) {
    struct sock_fprog program = { .len = (uint16_t)size, .filter = code };

    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
                     sizeof program);
}

/* random() % n, and below what that chooses. */
static void choose(struct sock_filter code[2], unsigned n) {
    code[0] = (struct sock_filter){ BPF_LD | BPF_W | BPF_ABS, 0, 0,
                                    (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM) };
    code[1] = (struct sock_filter){ BPF_ALU | BPF_MOD | BPF_K, 0, 0, n };
}

void ct_listen_spread(int fd, unsigned n) {
    struct sock_filter code[3];

    choose(code, n);
    code[2] = (struct sock_filter){ BPF_RET | BPF_A, 0, 0, 0 };
    attach(fd, code, 3);
}

void ct_listen_spread_to(int fd, const uint32_t *list, unsigned n) {
    struct sock_filter code[2 + 2 * CT_LISTEN_SPREAD];
    unsigned size = 2;

    ct_assert(n && n <= CT_LISTEN_SPREAD);
    choose(code, n);
    for (unsigned i = 0; i < n; i++) {
        if (i + 1 < n)
            code[size++] =
                (struct sock_filter){ BPF_JMP | BPF_JEQ | BPF_K, 0, 1, i };
        code[size++] = (struct sock_filter){ BPF_RET | BPF_K, 0, 0, list[i] };
    }
    attach(fd, code, size);
}
