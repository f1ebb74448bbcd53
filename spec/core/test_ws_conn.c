/* Two WebSockets at the ends of a socket pair: messages, limits, and the ways in
 * which connections end; and that nothing of them stays. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ws_conn.h"

#include "check.h"
#include "loop.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static ct_events events;
static ct_ws_hub hub;

static const ct_ws_options usual = { .max_message = 1 << 20,
                                     .max_queue = 100000,
                                     .close_timeout = 5000,
                                     .pace = { 30000, 240 } };

/* Lets both sides do what they can; forgets their events. */
static void turns(void) {
    ct_events_item item;

    for (int i = 0; i < 20; i++) turn();
    while (ct_events_take(&events, &item))
        CHECK(item.type == CT_EVENT_WEBSOCKET);
}

static bool from_fd(void *from, ct_ws_conn *to, ct_stream_fn *fn, void *arg) {
    return ct_stream_init(&to->stream, &loop, *(int *)from, fn, arg);
}

static ct_ws_conn *open_one(int fd, const ct_ws_options *options) {
    uint32_t handle = ct_ws_open(&hub, options, from_fd, &fd);

    CHECK(handle != 0);
    return ct_slots_get(&hub.slots, handle);
}

static void open_pair(ct_ws_conn **server, ct_ws_conn **client,
                      const ct_ws_options *options) {
    ct_ws_options theirs = *options;
    int fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                     fds) == 0);
    theirs.client = true;
    *server = open_one(fds[0], options);
    *client = open_one(fds[1], &theirs);
    turns();
}

static ct_str text(const char *s) {
    return (ct_str){ s, (uint32_t)strlen(s) };
}

static bool takes(ct_ws_conn *w, uint32_t kind, const char *expected) {
    uint32_t got;
    ct_str out;

    return ct_ws_take(w, &got, &out) == CT_OK && got == kind &&
           out.n == strlen(expected) && memcmp(out.p, expected, out.n) == 0;
}

static bool is_empty(ct_ws_conn *w) {
    uint32_t kind;
    ct_str out;

    return ct_ws_take(w, &kind, &out) == CT_AGAIN;
}

static bool has_ended(ct_ws_conn *w, uint32_t code, const char *reason) {
    uint32_t got;
    ct_str out;

    return ct_ws_take(w, &got, &out) == CT_EOF && got == code &&
           out.n == strlen(reason) && memcmp(out.p, reason, out.n) == 0;
}

/* Gives both back; nothing must stay once each has seen the other's end. */
static void release(ct_ws_conn *a, ct_ws_conn *b) {
    ct_ws_release(a);
    ct_ws_release(b);
    turns();
    CHECK(hub.slots.count == 0);
    CHECK(ct_list_is_empty(&hub.conns));
}

static void test_messages(void) {
    ct_ws_conn *s, *c;

    open_pair(&s, &c, &usual);
    CHECK(is_empty(s));
    CHECK(ct_ws_send(c, CT_WEBSOCKET_TEXT, text("one")) == CT_OK);
    CHECK(ct_ws_send(c, CT_WEBSOCKET_BINARY, text("\xff")) == CT_OK);
    CHECK(ct_ws_send(c, CT_WEBSOCKET_PING, text("p")) == CT_OK);
    turns();
    CHECK(takes(s, CT_WEBSOCKET_TEXT, "one"));
    CHECK(ct_ws_send(s, CT_WEBSOCKET_TEXT, text("answer")) == CT_OK);
    CHECK(takes(s, CT_WEBSOCKET_BINARY, "\xff"));
    CHECK(is_empty(s));
    turns();
    CHECK(takes(c, CT_WEBSOCKET_TEXT, "answer"));
    CHECK(is_empty(c));
    CHECK(!s->queue.data && !s->in.data && !s->out.data && !s->message.data);
    release(s, c);
}

static void test_refused(void) {
    char long_text[200];
    ct_ws_conn *s, *c;

    memset(long_text, 'x', sizeof long_text);
    open_pair(&s, &c, &usual);
    CHECK(ct_ws_send(s, CT_WEBSOCKET_TEXT, text("\xff")) == CT_ERROR);
    CHECK(ct_ws_send(s, CT_WEBSOCKET_TEXT, text("\xc3")) == CT_ERROR);
    CHECK(ct_ws_send(s, CT_WEBSOCKET_PING, (ct_str){ long_text, 126 }) ==
          CT_ERROR);
    CHECK(ct_ws_close(s, 1006, text("")) == CT_ERROR);
    CHECK(ct_ws_close(s, 1000, (ct_str){ long_text, 124 }) == CT_ERROR);
    CHECK(ct_ws_close(s, 1000, text("\xff")) == CT_ERROR);
    turns();
    CHECK(is_empty(c));
    release(s, c);
}

static void test_closing(void) {
    ct_ws_conn *s, *c;

    open_pair(&s, &c, &usual);
    CHECK(ct_ws_send(c, CT_WEBSOCKET_TEXT, text("before")) == CT_OK);
    CHECK(ct_ws_close(c, 4000, text("why")) == CT_OK);
    CHECK(ct_ws_close(c, 4000, text("why")) == CT_CLOSED);
    CHECK(ct_ws_send(c, CT_WEBSOCKET_TEXT, text("late")) == CT_CLOSED);
    turns();
    /* What came before the Close is taken, and may be answered, before it. */
    CHECK(takes(s, CT_WEBSOCKET_TEXT, "before"));
    CHECK(ct_ws_send(s, CT_WEBSOCKET_TEXT, text("thrown away")) == CT_OK);
    CHECK(has_ended(s, 4000, "why"));
    CHECK(ct_ws_send(s, CT_WEBSOCKET_TEXT, text("late")) == CT_CLOSED);
    turns();
    CHECK(has_ended(c, 4000, ""));
    release(s, c);
}

static void test_vanishing(void) {
    uint32_t code;
    ct_str reason;
    ct_ws_conn *s, *c;

    open_pair(&s, &c, &usual);
    CHECK(ct_ws_send(c, CT_WEBSOCKET_TEXT, text("last")) == CT_OK);
    turns();
    ct_ws_release(c);
    turns();
    CHECK(takes(s, CT_WEBSOCKET_TEXT, "last"));
    CHECK(ct_ws_take(s, &code, &reason) == CT_EOF && code == 1006 && reason.n);
    ct_ws_release(s);
    CHECK(ct_list_is_empty(&hub.conns));
}

/* Returns how many messages of `size` bytes one side could send. */
static int fill(ct_ws_conn *w, const char *bytes, uint32_t size) {
    int n = 0;

    while (n < 1000 &&
           ct_ws_send(w, CT_WEBSOCKET_BINARY, (ct_str){ bytes, size }) == CT_OK)
        n++;
    return n;
}

static void test_limits(void) {
    enum { SIZE = 30000 };
    char *bytes = calloc(1, SIZE);
    ct_ws_conn *s, *c;
    uint32_t kind;
    int sent, got = 0;
    ct_str out;

    open_pair(&s, &c, &usual);
    sent = fill(c, bytes, SIZE);
    CHECK(sent > 2 && sent < 1000);
    CHECK(c->out.len <= usual.max_queue + CT_WEBSOCKET_HEAD);
    for (int i = 0; i < 10; i++) turns();
    CHECK(s->queue.len < CT_WS_QUEUE + CT_LOOP_SCRATCH + SIZE);
    for (int i = 0; i < 1000 && got < sent; i++) {
        while (ct_ws_take(s, &kind, &out) == CT_OK) {
            CHECK(out.n == SIZE);
            got++;
        }
        turns();
    }
    CHECK(got == sent);
    CHECK(!c->out.len);
    CHECK(ct_ws_send(c, CT_WEBSOCKET_TEXT, text("more")) == CT_OK);
    turns();
    CHECK(takes(s, CT_WEBSOCKET_TEXT, "more"));
    release(s, c);
    free(bytes);
}

static void test_too_big(void) {
    ct_ws_options small = usual;
    ct_ws_conn *s, *c;

    small.max_message = 10;
    open_pair(&s, &c, &small);
    CHECK(ct_ws_send(c, CT_WEBSOCKET_TEXT, text("0123456789")) == CT_OK);
    CHECK(ct_ws_send(c, CT_WEBSOCKET_TEXT, text("0123456789a")) == CT_OK);
    turns();
    CHECK(takes(s, CT_WEBSOCKET_TEXT, "0123456789"));
    CHECK(has_ended(s, 1009, "message too big"));
    turns();
    CHECK(has_ended(c, 1009, "message too big"));
    release(s, c);
}

static void test_compressed(void) {
    const ct_ws_params params = { 15, 15, false, true, 6, 8 };
    ct_ws_options with = usual;
    char *bytes = malloc(50001);
    ct_ws_conn *s, *c;

    with.deflate = &params;
    memset(bytes, 'x', 50000);
    bytes[50000] = 0;
    open_pair(&s, &c, &with);
    for (int i = 0; i < 3; i++) {
        CHECK(ct_ws_send(c, CT_WEBSOCKET_TEXT, text(bytes)) == CT_OK);
        CHECK(!c->out.len);
        turns();
        CHECK(takes(s, CT_WEBSOCKET_TEXT, bytes));
    }
    CHECK(is_empty(s));
    release(s, c);
    free(bytes);
}

/* What waits goes along to another hub, compression with windows and a deadline,
 * too; the hub that it left may end before it. */
static void test_moving(void) {
    const ct_ws_params params = { 15, 15, true, true, 6, 8 };
    ct_ws_options with = usual;
    ct_ws_hub other;
    ct_ws_conn *s, *c;
    uint32_t handle, old;

    ct_ws_hub_init(&other, &loop, &events);
    with.deflate = &params;
    with.ping_interval = 60000;
    open_pair(&s, &c, &with);
    CHECK(ct_ws_send(c, CT_WEBSOCKET_TEXT, text("one hat")) == CT_OK);
    CHECK(ct_ws_send(c, CT_WEBSOCKET_TEXT, text("two hats")) == CT_OK);
    turns();
    CHECK(takes(s, CT_WEBSOCKET_TEXT, "one hat"));
    old = s->handle;
    handle = ct_ws_move(s, &other);
    CHECK(handle && ct_slots_get(&other.slots, handle) == s);
    CHECK(!ct_slots_get(&hub.slots, old) || old == c->handle);
    CHECK(takes(s, CT_WEBSOCKET_TEXT, "two hats"));
    CHECK(ct_ws_send(c, CT_WEBSOCKET_TEXT, text("three hats")) == CT_OK);
    turns();
    CHECK(takes(s, CT_WEBSOCKET_TEXT, "three hats"));
    CHECK(ct_ws_send(s, CT_WEBSOCKET_TEXT, text("four hats")) == CT_OK);
    turns();
    CHECK(takes(c, CT_WEBSOCKET_TEXT, "four hats"));
    CHECK(ct_ws_close(s, 1000, text("")) == CT_OK);
    CHECK(ct_ws_move(s, &hub) == 0); /* it has begun to end */
    turns();
    release(s, c);
    turns();
    ct_ws_hub_fini(&other);
}

/* What goes to many from the same place: its frame is kept, and is not taken for
 * that of other bytes, another kind or another way of sending. */
static void test_shared(void) {
    const ct_ws_params params = { 15, 15, false, true, 6, 8 };
    ct_ws_options with = usual;
    ct_ws_conn *s[2], *c[2];
    char bytes[] = "a message to all, a message to all";

    with.deflate = &params;
    open_pair(&s[0], &c[0], &usual);
    open_pair(&s[1], &c[1], &with);
    for (int i = 0; i < 24; i++) {
        uint32_t kind = i / 3 % 2 ? CT_WEBSOCKET_BINARY : CT_WEBSOCKET_TEXT;

        bytes[0] = (char)('a' + i / 6);
        for (int k = 0; k < 2; k++) {
            CHECK(ct_ws_send(s[k], kind, text(bytes)) == CT_OK);
            turns();
            CHECK(takes(c[k], kind, bytes) && is_empty(c[k]));
            CHECK(ct_ws_send(c[k], kind, text(bytes)) == CT_OK);
            turns();
            CHECK(takes(s[k], kind, bytes) && is_empty(s[k]));
        }
    }
    CHECK(hub.frame.len > 0);
    bytes[3] = (char)0xff; /* known as bytes, and still no text */
    for (int i = 0; i < 3; i++) {
        CHECK(ct_ws_send(s[0], CT_WEBSOCKET_BINARY, text(bytes)) == CT_OK);
        CHECK(ct_ws_send(s[0], CT_WEBSOCKET_TEXT, text(bytes)) == CT_ERROR);
    }
    ct_ws_release(s[0]);
    ct_ws_release(c[0]);
    release(s[1], c[1]);
}

/* What is open when the state ends is freed with it. */
static void test_fini(void) {
    ct_ws_conn *s, *c;

    open_pair(&s, &c, &usual);
    CHECK(ct_ws_send(c, CT_WEBSOCKET_TEXT, text("not taken")) == CT_OK);
    turns();
    ct_ws_hub_fini(&hub);
}

int main(void) {
    if (!loop_begin()) return check_report();
    ct_ws_hub_init(&hub, &loop, &events);
    test_messages();
    test_refused();
    test_closing();
    test_vanishing();
    test_limits();
    test_too_big();
    test_compressed();
    test_moving();
    test_shared();
    test_fini();
    ct_events_fini(&events);
    loop_end();
    return check_report();
}
