/* One event_base_loop() a turn, and no system call but its epoll_wait(). All
 * libevent needs to be told once is told here. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/loop.h"

#include "base/assert.h"
#include "base/mem.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* The loop that was made or has turned last, for libevent's log and fatal callbacks
 * and for epoll_wait(). */
static ct_loop *reporter; /* process-wide: those have no argument for it */

static void on_fatal(int error) {
    if (reporter)
        ct_log_line(reporter->log, CT_LEVEL_ERROR, "loop",
                    "libevent cannot go on (%d)", error);
    abort();
}

/* What goes wrong in libevent goes wrong in every turn: one line a second. It
 * may speak before it waits, too early for ct_loop_now(). */
static void on_log(int severity, const char *message) {
    ct_loop *loop = reporter;
    double now = ct_clock_precise();

    if (!loop || severity < EVENT_LOG_WARN || now < loop->muted_till) return;
    loop->muted_till = now + 1;
    ct_log_line(loop->log, CT_LEVEL_WARNING, "loop", "libevent: %s", message);
}

typedef struct ct_loop_counts {
    ct_counters counters;
    ct_count slots[CT_HANDLER_COUNTS];
} ct_loop_counts;

enum { EVENTS = 128 };

static struct event_base *new_base(void) {
    struct event_config *config = event_config_new();
    struct event_base *base;

    if (!config) return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    event_config_require_features(config, EV_FEATURE_ET);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

/* The method is called "epoll (with changelist)". */
static bool is_epoll(const struct event_base *base) {
    return strncmp(event_base_get_method(base), "epoll", 5) == 0;
}

/* libevent takes EPOLLERR for READ and WRITE, whatever else there is: bytes and a
 * reset that come in one edge look like bytes alone, and no other edge comes. An
 * end with an error becomes EPOLLRDHUP without EPOLLIN, which the kernel never
 * says by itself, since an end can be read; in libevent that is CLOSED alone. */
static uint32_t with_error(uint32_t what) {
    const uint32_t end = EPOLLERR | EPOLLRDHUP;

    return (what & end) == end ? what & ~(uint32_t)(EPOLLERR | EPOLLIN) : what;
}

/* In place of libc's, for libevent: symbols are looked up in the program first. A
 * turn has EVENTS at most: libevent would take 4,096, and when that many clients leave
 * at once, others would not have Lua's attention until all are gone. */
int epoll_wait(int fd, struct epoll_event *events, int most, int timeout) {
    int n =
        epoll_pwait(fd, events, most < EVENTS ? most : EVENTS, timeout, NULL);

    if (reporter) reporter->epoll = fd;
    for (int i = 0; i < n; i++) events[i].events = with_error(events[i].events);
    return n;
}

static void on_moment(evutil_socket_t fd, short what, void *arg) {
    ct_loop *loop = arg;

    (void)fd, (void)what;
    loop->soon = false;
}

bool ct_loop_init(ct_loop *loop, ct_log *log, const char **why) {
    *loop = (ct_loop){ .log = log, .epoll = -1 };
    ct_list_init(&loop->listens);
    ct_clock_update(&loop->clock);
    loop->own = ct_new(ct_loop_counts);
    ct_loop_count_in(loop, NULL, NULL);
    event_set_mem_functions(ct_alloc, ct_realloc, ct_free);
    event_set_fatal_callback(on_fatal);
    event_set_log_callback(on_log);
    reporter = loop;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at `ulimit -f` is an error of write() */
    signal(SIGCHLD, SIG_DFL); /* if ignored, children could not be waited for */

    loop->base = new_base();
    if (!loop->base || !is_epoll(loop->base)) {
        *why = "libevent offers no epoll here: is EVENT_NOEPOLL set, or are "
               "no file descriptors left (ulimit -n)?";
        ct_loop_fini(loop);
        return false;
    }
    loop->moment = event_new(loop->base, -1, 0, on_moment, loop);
    loop->scratch = ct_alloc(CT_LOOP_SCRATCH);
    return true;
}

void ct_loop_count_in(ct_loop *loop, ct_counters *counters, ct_count *slots) {
    loop->counters = counters ? counters : &loop->own->counters;
    loop->slots = slots ? slots : loop->own->slots;
}

static bool turn(ct_loop *loop) {
    int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;

    if (loop->again) flags |= EVLOOP_NONBLOCK;
    loop->again = false;
    loop->fresh = false;
    reporter = loop;
    if (event_base_loop(loop->base, flags) == -1) return false;
    loop->quiet = !loop->fresh;
    ct_loop_now(loop);
    if (loop->after_turn && loop->after_turn(loop->after_arg))
        loop->again = true;
    return true;
}

bool ct_loop_run(ct_loop *loop) {
    bool ok = true;

    while (ok && !loop->stopped) ok = turn(loop);
    loop->stopped = false;
    return ok;
}

/* Each turn is one event_base_loop(), so libevent needs no telling. */
void ct_loop_stop(ct_loop *loop) {
    loop->stopped = true;
}

void ct_loop_yield(ct_loop *loop) {
    event_base_loopbreak(loop->base);
    loop->again = true;
}

void ct_loop_soon(ct_loop *loop) {
    const struct timeval moment = { .tv_usec = 2000 };

    if (loop->soon) return;
    loop->soon = true;
    event_add(loop->moment, &moment);
}

/* What epoll does not know yet, or has forgotten, is no error. */
void ct_loop_forget(ct_loop *loop, int fd) {
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void ct_loop_fini(ct_loop *loop) {
    if (loop->moment) event_free(loop->moment);
    if (loop->base) event_base_free(loop->base);
    if (reporter == loop) reporter = NULL;
    ct_free(loop->scratch);
    ct_free(loop->own);
    *loop = (ct_loop){ 0 };
}
