/* posix_spawn() is vfork underneath: the parent's memory is not copied, and it
 * reports what failed in the child, exec included. A process is not reaped
 * before its group has got its last signal, so that the number is still theirs. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/process.h"

#include "base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct ct_process {
    struct event event;
    ct_loop *loop;
    ct_process_fn *fn;
    void *arg;
    int fd; /* pidfd */
    pid_t pid;
    uint32_t flags; /* CT_SPAWN_* */
    bool ended, kill_rest;
    int status;
};

/* -- Its descriptors ----------------------------------------------------------- */

typedef struct ends {
    int child[3]; /* what becomes 0, 1, 2; 3 or above, or -1 */
    int ours[3];
} ends;

static void close_all(const int *fds) {
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0) close(fds[i]);
}

/* A copy above 2, so that the order in which 0, 1 and 2 are made is of no
 * matter. */
static int copy(int fd) {
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int open_pipe(ends *e, int i) {
    int fds[2], theirs = i == 0 ? 0 : 1, error = 0;

    if (pipe2(fds, O_CLOEXEC) != 0) return errno;
    e->child[i] = copy(fds[theirs]);
    if (e->child[i] < 0) error = errno;
    close(fds[theirs]);
    e->ours[i] = fds[!theirs];
    if (!error && fcntl(e->ours[i], F_SETFL, O_NONBLOCK) != 0) error = errno;
    return error;
}

static int open_end(ends *e, int i, int what) {
    switch (what) {
    case CT_SPAWN_STREAM: return open_pipe(e, i);
    case CT_SPAWN_NULL:
        e->child[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
        break;
    case CT_SPAWN_STDOUT:
        e->child[i] = copy(e->child[1] < 0 ? 1 : e->child[1]);
        break;
    case CT_SPAWN_INHERIT: return 0;
    default: e->child[i] = copy(what); break;
    }
    return e->child[i] < 0 ? errno : 0;
}

/* /dev/null may have become 0, 1 or 2 where those were closed. */
static int open_ends(ends *e, const int32_t *fds) {
    int error = 0;

    for (int i = 0; i < 3; i++) e->child[i] = e->ours[i] = -1;
    for (int i = 0; i < 3 && !error; i++) {
        error = open_end(e, i, fds[i]);
        if (error || e->child[i] < 0 || e->child[i] > 2) continue;
        int low = e->child[i];
        e->child[i] = copy(low);
        if (e->child[i] < 0) error = errno;
        close(low);
    }
    if (!error) return 0;
    close_all(e->child);
    close_all(e->ours);
    return error;
}

/* -- Starting ------------------------------------------------------------------ */

/* The strings in `list` as an array that ends in NULL. Caller frees. */
static char **strings(ct_str list) {
    const char *end = list.p + list.n;
    size_t n = 0;
    char **out;

    for (const char *p = list.p; p < end; p += strlen(p) + 1) n++;
    out = ct_alloc((n + 1) * sizeof *out);
    n = 0;
    for (const char *p = list.p; p < end; p += strlen(p) + 1)
        out[n++] = (char *)p;
    out[n] = NULL;
    return out;
}

static int set_actions(posix_spawn_file_actions_t *actions,
                       const ct_spawn *spawn, const ends *e) {
    int error = 0;

    for (int i = 0; i < 3 && !error; i++)
        if (e->child[i] >= 0)
            error = posix_spawn_file_actions_adddup2(actions, e->child[i], i);
    if (!error) error = posix_spawn_file_actions_addclosefrom_np(actions, 3);
    if (!error && spawn->cwd)
        error = posix_spawn_file_actions_addchdir_np(actions, spawn->cwd);
    return error;
}

static int set_attributes(posix_spawnattr_t *attributes, uint32_t flags) {
    short set = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    if (flags & CT_SPAWN_DETACHED)
        set |= POSIX_SPAWN_SETSID;
    else if (flags & CT_SPAWN_GROUP)
        set |= POSIX_SPAWN_SETPGROUP;
    return posix_spawnattr_setflags(attributes, set);
}

static int run(const ct_spawn *spawn, const ends *e, pid_t *pid) {
    char **args = strings(spawn->args), **env = environ;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error;

    if (!args[0]) {
        ct_free(args);
        return EINVAL;
    }
    if (spawn->env.p) env = strings(spawn->env);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    error = set_actions(&actions, spawn, e);
    if (!error) error = set_attributes(&attributes, spawn->flags);
    if (!error) {
        const char *program = spawn->program ? spawn->program : args[0];
        error = (spawn->flags & CT_SPAWN_SEARCH ? posix_spawnp : posix_spawn)(
            pid, program, &actions, &attributes, args, env);
    }
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (env != environ) ct_free(env);
    ct_free(args);
    return error;
}

/* -- Its end ------------------------------------------------------------------- */

static bool has_group(const ct_process *p) {
    return p->flags & (CT_SPAWN_GROUP | CT_SPAWN_DETACHED);
}

/* Reaps it, if it has ended. */
static bool reap(ct_process *p) {
    siginfo_t info = { 0 };

    if (waitid(P_PIDFD, (id_t)p->fd, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        !info.si_pid)
        return false;
    if (p->kill_rest && has_group(p)) (void)kill(-p->pid, SIGKILL);
    (void)waitid(P_PIDFD, (id_t)p->fd, &info, WEXITED | WNOHANG);
    p->status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    p->ended = true;
    return true;
}

static void on_end(evutil_socket_t fd, short what, void *arg) {
    ct_process *p = arg;

    (void)fd, (void)what;
    ct_loop_now(p->loop);
    if (!reap(p)) return;
    event_del(&p->event);
    p->fn(p->arg); /* may free p */
}

/* Without a way to see its end it must not live. */
static int watch(ct_process *p) {
    int error;

    p->fd = (int)syscall(SYS_pidfd_open, p->pid, 0); /* close-on-exec */
    if (p->fd >= 0) {
        event_assign(&p->event, p->loop->base, p->fd, EV_READ | EV_PERSIST,
                     on_end, p);
        if (event_add(&p->event, NULL) == 0) return 0;
        errno = ENOMEM;
    }
    error = errno;
    (void)kill(p->pid, SIGKILL);
    (void)waitpid(p->pid, NULL, 0);
    if (p->fd >= 0) close(p->fd);
    return error;
}

static ct_process *new_process(ct_loop *loop, uint32_t flags, pid_t pid) {
    ct_process *p = ct_new(ct_process);

    p->loop = loop;
    p->flags = flags;
    p->pid = pid;
    return p;
}

ct_process *ct_process_spawn(ct_loop *loop, const ct_spawn *spawn,
                             ct_process_fn *fn, void *arg, ct_spawned *out) {
    ct_process *p = NULL;
    pid_t pid = 0;
    ends e;

    *out = (ct_spawned){ .fds = { -1, -1, -1 } };
    out->error = open_ends(&e, spawn->fds);
    if (out->error) return NULL;
    out->error = run(spawn, &e, &pid);
    close_all(e.child);
    if (!out->error) {
        p = new_process(loop, spawn->flags, pid);
        out->error = watch(p);
    }
    if (out->error) {
        close_all(e.ours);
        ct_free(p);
        return NULL;
    }
    p->fn = fn;
    p->arg = arg;
    out->pid = pid;
    memcpy(out->fds, e.ours, sizeof e.ours);
    return p;
}

bool ct_process_status(const ct_process *p, int *status) {
    if (p->ended) *status = p->status;
    return p->ended;
}

bool ct_process_kill(ct_process *p, int signal, bool group) {
    errno = ESRCH;
    if (p->ended) return false;
    return kill(group && has_group(p) ? -p->pid : p->pid, signal) == 0;
}

void ct_process_kill_rest(ct_process *p) {
    p->kill_rest = true;
}

bool ct_process_is_detached(const ct_process *p) {
    return p->flags & CT_SPAWN_DETACHED;
}

void ct_process_finish(ct_process *p, double till) {
    struct pollfd ready = { p->fd, POLLIN, 0 };

    event_del(&p->event);
    p->kill_rest = true;
    while (!p->ended && !reap(p)) {
        double left = till - ct_clock_precise();
        if (left <= 0) (void)!ct_process_kill(p, SIGKILL, true);
        (void)poll(&ready, 1, left > 0 ? (int)(left * 1e3) + 1 : 100);
    }
}

void ct_process_free(ct_process *p) {
    if (!p) return;
    event_del(&p->event);
    close(p->fd);
    ct_free(p);
}
