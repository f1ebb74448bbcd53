/* The other end of the channel is server/upgrade.c. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/elder.h"

#include "io/listen.h"
#include "server/pass.h"
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORD = 4000 };

static void say(const ct_elder *e, const char *word) {
    if (e->channel == -1) return;
    (void)send(e->channel, word, strlen(word), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* It is said when it is so: somebody may wait for the line. */
static void take_over(ct_elder *e) {
    e->waiting = false;
    e->fn(e->arg);
    ct_listen_commit(e->loop, false); /* frees what nobody asked for */
    ct_listen_own(e->loop);
    ct_log_line(e->loop->log, CT_LEVEL_INFO, "upgrade", "taken over");
    say(e, "taken");
}

/* What it says in frames that are not known here says nothing. */
static void take_kin(const ct_elder *e, const char *word, int fd) {
    unsigned worker;
    int frames;

    /* NOLINTNEXTLINE(cert-err34-c): our own words */
    if (e->waiting && sscanf(word, CT_ELDER_KIN, &worker, &frames) == 2 &&
        frames == CT_KIN_FRAMES)
        e->kin(worker, fd, e->arg);
    else
        close(fd);
}

/* "kin", "go", or its end. */
static void on_word(evutil_socket_t fd, short what, void *arg) {
    ct_elder *e = arg;
    char word[32];
    int passed;
    ssize_t n = ct_pass_receive(fd, word, sizeof word, &passed);

    (void)what;
    ct_loop_now(e->loop);
    if (n == 0) ct_elder_fini(e);
    if (passed != -1)
        take_kin(e, word, passed);
    else if (e->waiting && n >= 0)
        take_over(e);
}

void ct_elder_init(ct_elder *e, ct_loop *loop, int channel) {
    *e = (ct_elder){ .loop = loop,
                     .channel = channel,
                     .waiting = channel != -1 };
}

void ct_elder_succeed(ct_elder *e, ct_elder_fn *fn, ct_elder_kin_fn *kin,
                      void *arg) {
    e->fn = fn;
    e->kin = kin;
    e->arg = arg;
    if (!e->waiting) {
        fn(arg);
        return;
    }
    event_assign(&e->event, e->loop->base, e->channel, EV_READ | EV_PERSIST,
                 on_word, e);
    event_add(&e->event, NULL);
    say(e, "serving");
}

void ct_elder_fail(const ct_elder *e, const char *why) {
    char text[WORD];

    if (!e->waiting || e->fn) return;
    snprintf(text, sizeof text, "error %s", why);
    say(e, text);
}

void ct_elder_stop(const ct_elder *e) {
    if (e->channel != -1 && !e->waiting) say(e, "stop");
}

void ct_elder_fini(ct_elder *e) {
    if (e->channel == -1) return;
    if (e->fn) event_del(&e->event);
    close(e->channel);
    e->channel = -1;
}
