/* Fuzzes the scanner of multipart/form-data: an input's first byte seeds how the
 * rest is cut. Whole and in pieces it must give the same bytes and events, and
 * look at each byte a few times only. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/multipart.h"

#include "pieces.h"

/* What became of an input: each event's bytes with a mark where it ends. */
typedef struct outcome {
    ct_multipart scan;
    ct_multipart_event last;
    size_t n;
    char *said;
} outcome;

static void say(outcome *o, ct_multipart_event e, ct_str s) {
    if (s.n) memcpy(o->said + o->n, s.p, s.n);
    o->n += s.n;
    if (e == CT_MULTIPART_BEGIN) o->said[o->n++] = '{';
    if (e == CT_MULTIPART_END) o->said[o->n++] = '}';
}

static bool feed(void *arg, char *p, size_t n) {
    outcome *o = arg;
    size_t at = 0;

    while (o->last != CT_MULTIPART_BAD && o->last != CT_MULTIPART_DONE) {
        size_t used;
        ct_str out;

        o->last = ct_multipart_next(&o->scan, p + at, n - at, &used, &out);
        at += used;
        expect(at <= n, "bytes taken");
        if (o->last == CT_MULTIPART_MORE) {
            expect(at == n, "all taken");
            return true;
        }
        if (o->last < CT_MULTIPART_DONE) say(o, o->last, out);
    }
    return true;
}

/* Feeds all in pieces of 1 to `most` bytes; `seed` says of how many. */
static void run(outcome *o, const char *p, size_t size, uint32_t seed,
                size_t most) {
    memset(o, 0, sizeof *o);
    expect(ct_multipart_init(&o->scan, "B", 1, 8, 64), "init");
    o->said = malloc(2 * size + 64);
    feed_pieces(p, size, seed, most, feed, o);
    expect(o->n <= 2 * size, "size of what was said");
    expect(o->scan.looked <= 4 * size + 16, "looks at bytes");
}

/* Of a header that is refused, less was given when it came whole. */
static void check_same(const outcome *a, const outcome *b) {
    expect(a->last == b->last ||
               (a->last < CT_MULTIPART_DONE && b->last < CT_MULTIPART_DONE),
           "same end");
    expect(a->scan.reason == b->scan.reason, "same reason");
    if (a->last == CT_MULTIPART_BAD) return;
    expect(a->n == b->n && memcmp(a->said, b->said, a->n) == 0, "same events");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    outcome whole, cut;

    if (size < 2) return 0;
    run(&whole, (const char *)data + 1, size - 1, 0, 1);
    for (size_t most = 4; most <= 1 << 20; most *= 16) {
        run(&cut, (const char *)data + 1, size - 1, data[0], most);
        check_same(&whole, &cut);
        free(cut.said);
    }
    free(whole.said);
    return 0;
}
