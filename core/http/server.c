/* Deadlines of connections, and what happens at the end of a turn. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include "base/mem.h"
#include "http/access.h"
#include "http/conn.h"
#include "http/listener.h"
#include "http/request.h"
#include <event2/buffer.h>

/* -- Deadlines ------------------------------------------------------------- */

static void on_expired(ct_deadline *d) {
    ct_conn_expired(ct_list_of(d, ct_conn, deadline));
}

void ct_server_deadline(ct_server *s, ct_deadline *d, uint32_t after_ms) {
    ct_deadlines_set(&s->deadlines, d, s->loop->clock.mono_ms + after_ms);
}

/* -- Life ------------------------------------------------------------------ */

void ct_server_init(ct_server *s, ct_loop *loop) {
    *s = (ct_server){ .loop = loop };
    s->options = (ct_server_options){
        .wire = { .max_line_size = 8192,
                  .max_header_size = 65536,
                  .max_fields = 200 },
        .max_body_size = 1 << 20,
        .body_buffer_size = 256 << 10,
        .write_buffer_size = 256 << 10,
        .header_timeout = 10000,
        .body_timeout = 30000,
        .body_min_rate = 240,
        .idle_timeout = 65000,
        .write_timeout = 30000,
        .write_min_rate = 240,
        .handler_timeout = 60000,
        .max_connections = 20000,
        .max_keepalive_requests = 10000,
        .backlog = 4096,
        .temp_dir = "/tmp",
    };
    ct_list_init(&s->conns);
    ct_list_init(&s->corked);
    ct_list_init(&s->ready);
    ct_list_init(&s->spare);
    ct_list_init(&s->begun);
    ct_files_init(&s->files);
    ct_deadlines_init(&s->deadlines, loop, on_expired);
    s->head_buffer = evbuffer_new();
    s->uncounted = ct_new(ct_counters);
    ct_access_init(s);
}

static void free_ready(ct_server *s) {
    while (!ct_list_is_empty(&s->ready)) {
        ct_conn *c = ct_list_of(s->ready.next, ct_conn, ready);

        ct_list_remove(&c->ready);
        if (c->gone) ct_conn_free(c);
    }
}

static void free_spare(ct_server *s) {
    while (!ct_list_is_empty(&s->spare)) {
        ct_request *r = ct_list_of(s->spare.next, ct_request, node);

        ct_list_remove(&r->node);
        ct_request_destroy(r);
    }
    s->spare_count = 0;
}

void ct_server_fini(ct_server *s) {
    for (uint32_t i = 1; i < s->listeners.used; i++)
        if (s->listeners.slots[i].object)
            ct_listener_close(s->listeners.slots[i].object, false);
    /* What the kernel still has to send arrives, unless there would be more. */
    while (!ct_list_is_empty(&s->conns)) {
        ct_conn *c = ct_list_of(s->conns.next, ct_conn, node);

        ct_conn_close(c, ct_conn_has_output(c) ||
                             (c->request && c->request->handle));
    }
    free_ready(s);
    for (uint32_t i = 1; i < s->requests.used; i++)
        if (s->requests.slots[i].object)
            ct_request_free(s->requests.slots[i].object);
    free_spare(s);
    ct_files_fini(&s->files);
    ct_deadlines_fini(&s->deadlines);
    evbuffer_free(s->head_buffer);
    ct_free(s->uncounted);
    ct_access_close(s);
    ct_slots_fini(&s->requests);
    ct_slots_fini(&s->listeners);
}

/* -- Counting -------------------------------------------------------------- */

uint32_t ct_server_unsent(const ct_server *s) {
    uint32_t count = 0;

    for (const ct_list *n = s->conns.next; n != &s->conns; n = n->next) {
        const ct_conn *c = ct_list_of(n, ct_conn, node);

        count += ct_conn_has_output(c) || c->shut;
    }
    return count;
}

/* -- Shortage -------------------------------------------------------------- */

static bool is_idle(const ct_conn *c) {
    return c->requests && !c->request && !c->in.len && !c->shut &&
           !ct_conn_has_output(c);
}

void ct_server_shrink(ct_server *s) {
    ct_list *n, *next;

    for (n = s->conns.next; n != &s->conns; n = next) {
        ct_conn *c = ct_list_of(n, ct_conn, node);

        next = n->next;
        if (is_idle(c)) ct_conn_close(c, false);
    }
    s->loop->again = true; /* which frees them */
    free_spare(s);
    ct_files_fini(&s->files);
}

/* -- The end of a turn ------------------------------------------------------ */

/* A client that sent its request and left at once has told both in one event:
 * for a handler that waits, its end is looked at now. */
static void check_begun(ct_server *s) {
    while (!ct_list_is_empty(&s->begun)) {
        ct_conn *c = ct_list_of(s->begun.next, ct_conn, begun);

        ct_list_remove(&c->begun);
        if (c->stream.shut) ct_conn_check(c);
    }
}

void ct_server_turn(ct_server *s) {
    ct_list ready;

    check_begun(s);
    while (!ct_list_is_empty(&s->corked))
        ct_conn_flush(ct_list_of(s->corked.next, ct_conn, corked));
    if (s->access_lines.len) ct_access_flush(s);
    if (ct_list_is_empty(&s->ready)) return;
    /* Whoever becomes ready meanwhile has its turn in the next round. */
    ready = s->ready;
    ready.next->prev = ready.prev->next = &ready;
    ct_list_init(&s->ready);
    while (!ct_list_is_empty(&ready)) {
        ct_conn *c = ct_list_of(ready.next, ct_conn, ready);

        ct_list_remove(&c->ready);
        if (c->gone)
            ct_conn_free(c);
        else
            ct_conn_input(c);
    }
    if (!ct_list_is_empty(&s->ready)) s->loop->again = true;
}
