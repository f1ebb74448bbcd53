/* Runs the documents of spec/wire: for each case the request in its ```http
 * block goes through the wire whole, byte by byte, cut in two everywhere, and
 * up against a page that may not be read. All must give the ```verdict.
 *
 * Lines of ```http end in CRLF unless they end in a backslash; \r \n \t \\ and
 * \xNN stand for bytes. Its fence may set limits: line=, header=, fields=.
 * A verdict is
 *   done method=.. target=.. host=.. version=.. path=.. length=.. [chunked]
 *        [expect] [upgrade] [absolute] [rewritten] [close]
 *   more (the same when the head is complete), or: bad STATUS [REASON]
 * then lines: body "..", rest "..", evhttp "..". The flags, length, body and
 * rest must be there when, and only when, they hold. kind= is the ct_method. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "http/wire.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct text {
    size_t n;
    char p[16384];
} text;

/* A case of a document. */
typedef struct example {
    const char *file;
    int line;
    ct_wire_limits limits;
    text input, verdict;
} example;

/* What the wire made of an input. */
typedef struct outcome {
    ct_wire wire;
    ct_wire_verdict verdict;
    bool head;               /* the head is complete */
    size_t used;             /* bytes of the input judged */
    text said, body, evhttp; /* said: the verdict's first line */
} outcome;

/* -- Documents ------------------------------------------------------------ */

static void add(text *t, const char *p, size_t n) {
    if (t->n + n >= sizeof t->p) abort();
    memcpy(t->p + t->n, p, n);
    t->n += n;
    t->p[t->n] = 0;
}

static int hex(char c) {
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Appends `p` with its escapes resolved; false when it ends in a backslash. */
static bool add_escaped(text *t, const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char c = p[i];

        if (c == '\\') {
            if (++i == n) return false;
            c = p[i];
            if (c == 'r') c = '\r';
            if (c == 'n') c = '\n';
            if (c == 't') c = '\t';
            if (c == 'x' && i + 2 < n) {
                c = (char)(hex(p[i + 1]) << 4 | hex(p[i + 2]));
                i += 2;
            }
        }
        add(t, &c, 1);
    }
    return true;
}

static void read_limits(example *e, const char *fence) {
    const char *p;

    e->limits = (ct_wire_limits){ 8192, 65536, 200 };
    if ((p = strstr(fence, "line=")))
        e->limits.max_line_size = (uint32_t)atoi(p + 5);
    if ((p = strstr(fence, "header=")))
        e->limits.max_header_size = (uint32_t)atoi(p + 7);
    if ((p = strstr(fence, "fields=")))
        e->limits.max_fields = (uint32_t)atoi(p + 7);
}

/* Reads the next case; false at the end of the document. */
static bool next_example(example *e, FILE *f, int *line) {
    enum { PROSE, HTTP, VERDICT } in = PROSE;
    char buf[16384];

    e->input.n = e->verdict.n = 0;
    while (fgets(buf, sizeof buf, f)) {
        size_t n = strcspn(buf, "\n");

        ++*line;
        buf[n] = 0;
        if (strncmp(buf, "```", 3) == 0) {
            if (in == VERDICT) return true;
            if (in == PROSE && strncmp(buf, "```http", 7) == 0) {
                in = HTTP;
                e->line = *line;
                read_limits(e, buf);
            } else {
                in = strcmp(buf, "```verdict") == 0 ? VERDICT : PROSE;
            }
        } else if (in == HTTP) {
            if (add_escaped(&e->input, buf, n)) add(&e->input, "\r\n", 2);
        } else if (in == VERDICT) {
            add(&e->verdict, buf, n);
            add(&e->verdict, "\n", 1);
        }
    }
    return false;
}

/* -- Running -------------------------------------------------------------- */

static void say_span(text *t, const char *key, const char *p, ct_wire_span s) {
    add(t, key, strlen(key));
    add(t, p + s.at, s.n);
}

static void say_head(outcome *o, const char *p) {
    const ct_wire *w = &o->wire;
    char buf[128];
    int n;

    say_span(&o->said, " method=", p, w->verb);
    say_span(&o->said, " target=", p, w->target);
    say_span(&o->said, " host=", p, w->host);
    n = snprintf(buf, sizeof buf, " version=1.%d path=%u kind=%u", w->minor,
                 w->path, w->method);
    if (w->has_length)
        n += snprintf(buf + n, sizeof buf - (size_t)n, " length=%llu",
                      (unsigned long long)w->length);
    add(&o->said, buf, (size_t)n);
    if (w->chunked) add(&o->said, " chunked", 8);
    if (w->expect) add(&o->said, " expect", 7);
    if (w->upgrade) add(&o->said, " upgrade", 8);
    if (w->absolute) add(&o->said, " absolute", 9);
    if (!w->canonical) add(&o->said, " rewritten", 10);
    if (!w->keep_alive) add(&o->said, " close", 6);
    o->evhttp.n = ct_wire_canonical(w, p, o->evhttp.p);
}

/* Feeds the body in p[0..n) until all is used or judged. */
static void feed_body(outcome *o, const char *p, size_t n) {
    size_t at = 0;

    do {
        const char *data;
        size_t used, size;

        o->verdict =
            ct_wire_body(&o->wire, p + at, n - at, &used, &data, &size);
        add(&o->body, data, size);
        at += used;
    } while (o->verdict == CT_WIRE_MORE && at < n);
    o->used += at;
}

/* The input's first `n` bytes have come; `p` has no byte more. */
static void feed(outcome *o, const ct_wire_limits *limits, const char *p,
                 size_t n) {
    if (o->verdict != CT_WIRE_MORE) return;
    if (!o->head) {
        o->verdict = ct_wire_head(&o->wire, limits, p, n);
        o->used = o->wire.at;
        if (o->verdict != CT_WIRE_DONE) return;
        o->head = true;
        say_head(o, p);
        if (!ct_wire_has_body(&o->wire)) return;
        o->verdict = CT_WIRE_MORE;
        if (o->used == n) return;
    }
    feed_body(o, p + o->used, n - o->used);
}

static void finish(outcome *o) {
    static const char *const words[] = { "more", "done", "bad" };
    char buf[256];
    int n = snprintf(buf, sizeof buf, "%s", words[o->verdict]);
    text *t = calloc(1, sizeof *t);

    if (o->verdict == CT_WIRE_BAD)
        n = snprintf(buf, sizeof buf, "bad %d %s", o->wire.status,
                     o->wire.reason);
    add(t, buf, (size_t)n);
    if (o->verdict != CT_WIRE_BAD) add(t, o->said.p, o->said.n);
    o->said = *t;
    free(t);
}

static void reset(outcome *o) {
    memset(o, 0, sizeof *o);
    ct_wire_init(&o->wire);
}

/* Feeds bytes up to each of step, 2 * step, .. and all from a fresh copy each,
 * so that a byte read too many is a fault of its own. */
static void run_cut(outcome *o, const example *e, size_t step, bool once) {
    size_t n = e->input.n;

    reset(o);
    for (size_t end = step; end < n; end = once ? n : end + step) {
        char *copy = malloc(end);

        memcpy(copy, e->input.p, end);
        feed(o, &e->limits, copy, end);
        free(copy);
    }
    char *copy = malloc(n + 1);
    memcpy(copy + 1, e->input.p, n);
    feed(o, &e->limits, copy + 1, n);
    free(copy);
    finish(o);
}

static void run_guarded(outcome *o, const example *e) {
    size_t page = (size_t)getpagesize(), n = e->input.n;
    size_t room = (n + page - 1) / page * page;
    char *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || mprotect(p + room, page, PROT_NONE)) abort();
    memcpy(p + room - n, e->input.p, n);
    reset(o);
    feed(o, &e->limits, p + room - n, n);
    finish(o);
    munmap(p, room + page);
}

/* -- Judging -------------------------------------------------------------- */

/* True when the words of `line` have `word` among them. */
static bool has_word(const char *line, const char *word, size_t n) {
    for (; *line; line += strspn(line, " ")) {
        size_t len = strcspn(line, " ");

        if (len == n && memcmp(line, word, n) == 0) return true;
        line += len;
    }
    return false;
}

static bool all_words_in(const char *words, const char *line, bool flags) {
    for (; *words; words += strspn(words, " ")) {
        size_t n = strcspn(words, " ");
        bool loose =
            flags && memchr(words, '=', n) && strncmp(words, "length=", 7) != 0;

        if (!loose && !has_word(line, words, n)) return false;
        words += n;
    }
    return true;
}

static bool said_as_wanted(const outcome *o, const char *want) {
    if (o->verdict == CT_WIRE_BAD)
        return strncmp(o->said.p, want, strlen(want)) == 0;
    return all_words_in(want, o->said.p, false) &&
           all_words_in(o->said.p, want, true);
}

/* True when `bytes` is what `line`, a key and a string in quotes, says. */
static bool is_quoted(const char *line, const char *p, size_t n) {
    const char *begin = strchr(line, '"'), *end = strrchr(line, '"');
    text *t = calloc(1, sizeof *t);
    bool same;

    if (begin && end > begin)
        add_escaped(t, begin + 1, (size_t)(end - begin - 1));
    same = t->n == n && memcmp(t->p, p, n) == 0;
    free(t);
    return same;
}

/* Compares with the verdict; says what is wrong, or NULL. */
static const char *judge(const example *e, const outcome *o) {
    bool bad = o->verdict == CT_WIRE_BAD, body = bad, rest = bad;
    char verdict[sizeof e->verdict.p], *line, *save;
    const char *left = e->input.p + o->used;
    size_t left_n = e->input.n - o->used;

    memcpy(verdict, e->verdict.p, sizeof verdict);
    line = strtok_r(verdict, "\n", &save);
    if (!line || !said_as_wanted(o, line)) return "verdict";
    while ((line = strtok_r(NULL, "\n", &save))) {
        if (strncmp(line, "body ", 5) == 0) {
            body = true;
            if (!is_quoted(line, o->body.p, o->body.n)) return "body";
        } else if (strncmp(line, "rest ", 5) == 0) {
            rest = true;
            if (!is_quoted(line, left, left_n)) return "rest";
        } else if (strncmp(line, "evhttp ", 7) == 0) {
            if (!is_quoted(line, o->evhttp.p, o->evhttp.n)) return "evhttp";
        } else {
            return "unknown line in the verdict";
        }
    }
    if (!body && o->body.n) return "a body nobody wants";
    if (!rest && left_n) return "a rest nobody wants";
    return NULL;
}

static bool same_text(const text *a, const text *b) {
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

static bool same(const outcome *a, const outcome *b) {
    return a->verdict == b->verdict && a->used == b->used &&
           a->wire.at == b->wire.at && a->wire.fields == b->wire.fields &&
           same_text(&a->said, &b->said) && same_text(&a->body, &b->body) &&
           same_text(&a->evhttp, &b->evhttp);
}

static const char *run(const example *e, outcome *whole, outcome *o) {
    const char *wrong;

    run_guarded(whole, e);
    wrong = judge(e, whole);
    if (wrong) return wrong;
    run_cut(o, e, 1, false);
    if (!same(o, whole)) return "differs byte by byte";
    for (size_t i = 1; i < e->input.n; i++) {
        run_cut(o, e, i, true);
        if (!same(o, whole)) return "differs when cut in two";
    }
    return NULL;
}

static void run_file(const char *name) {
    example *e = calloc(1, sizeof *e);
    outcome *whole = calloc(1, sizeof *whole), *o = calloc(1, sizeof *o);
    FILE *f = fopen(name, "r");
    int line = 0;

    e->file = name;
    if (!f) check_that(false, name, 0, "cannot be opened");
    while (f && next_example(e, f, &line)) {
        const char *wrong = run(e, whole, o);

        if (!check_that(!wrong, name, e->line, wrong))
            fprintf(stderr, "    got:  %s\n    want: %s", whole->said.p,
                    e->verdict.p);
    }
    if (f) fclose(f);
    free(e);
    free(whole);
    free(o);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) run_file(argv[i]);
    return check_report();
}
