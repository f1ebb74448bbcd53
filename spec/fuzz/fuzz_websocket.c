/* Fuzzes the scanner of WebSocket frames: an input's first byte says which side
 * we are and seeds how the rest is cut. Whole and in pieces it must give the same
 * bytes and events. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/websocket.h"

#include "pieces.h"

typedef struct outcome {
    ct_websocket scan;
    ct_websocket_event last;
    size_t n;
    char *said;
} outcome;

static void say(outcome *o, ct_str s) {
    if (s.n) memcpy(o->said + o->n, s.p, s.n);
    o->n += s.n;
    if (o->last == CT_WEBSOCKET_DATA && !o->scan.whole) return;
    o->said[o->n++] = (char)o->scan.opcode;
    o->said[o->n++] = (char)(o->scan.compressed + 2 * o->scan.whole);
}

static bool feed(void *arg, char *p, size_t n) {
    outcome *o = arg;
    size_t at = 0;

    while (o->last != CT_WEBSOCKET_BAD) {
        size_t used;
        ct_str out;

        o->last = ct_websocket_next(&o->scan, p + at, n - at, &used, &out);
        at += used;
        expect(at <= n, "bytes taken");
        if (o->last == CT_WEBSOCKET_MORE) {
            expect(at == n, "all taken");
            return true;
        }
        if (o->last != CT_WEBSOCKET_BAD) say(o, out);
    }
    return false;
}

/* Feeds all in pieces of 1 to `most` bytes; `seed` says of how many. */
static void run(outcome *o, const char *p, size_t size, uint32_t seed,
                size_t most) {
    memset(o, 0, sizeof *o);
    ct_websocket_init(&o->scan, seed & 1, seed & 2, 300);
    o->said = malloc(2 * size + 64);
    feed_pieces(p, size, seed, most, feed, o);
    expect(o->n <= 2 * size + 8, "size of what was said");
}

/* Of a text that is refused, more was given before when it came in pieces. */
static void check_same(const outcome *a, const outcome *b) {
    expect((a->last == CT_WEBSOCKET_BAD) == (b->last == CT_WEBSOCKET_BAD),
           "same end");
    if (a->last == CT_WEBSOCKET_BAD) {
        expect(a->scan.code == b->scan.code, "same code");
        expect(a->scan.reason == b->scan.reason, "same reason");
        return;
    }
    expect(a->n == b->n && memcmp(a->said, b->said, a->n) == 0, "same events");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    outcome whole, cut;

    if (size < 2) return 0;
    run(&whole, (const char *)data + 1, size - 1, data[0], 1);
    for (size_t most = 4; most <= 1 << 20; most *= 16) {
        run(&cut, (const char *)data + 1, size - 1, data[0], most);
        check_same(&whole, &cut);
        free(cut.said);
    }
    free(whole.said);
    return 0;
}
