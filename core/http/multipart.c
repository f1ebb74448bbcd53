/* A boundary has no CR, so its delimiter CR LF "--" boundary has one in front
 * only: where a match fails, none can have begun inside it but at the CR behind
 * it. That makes the search linear without tables, and what was held back over
 * the end of an input can be given from the delimiter itself. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/multipart.h"

#include <string.h>

enum state { HEADER, DATA, END, COMPLETE, REFUSED };

/* Of a header: where in a line the next byte is. */
enum line { FIRST, START, INSIDE, LINE_LF, LAST_LF };

typedef enum verdict { GOING, FAILED, PART, LAST } verdict;

bool ct_multipart_init(ct_multipart *m, const char *boundary, size_t n,
                       uint32_t parts, uint32_t header) {
    memset(m, 0, sizeof *m);
    m->state = REFUSED;
    m->reason = "bad boundary";
    if (n == 0 || n > CT_MULTIPART_BOUNDARY) return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)boundary[i] < 0x20 || boundary[i] == 0x7f)
            return false;
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary, n);
    m->delimiter[4 + n] = '-'; /* to be given with the delimiter */
    m->size = (uint32_t)n + 4;
    m->max_parts = parts;
    m->max_header = header;
    m->state = DATA;
    m->matched = m->skip = 2; /* the body begins as if behind a line's end */
    return true;
}

static ct_multipart_event refuse(ct_multipart *m, const char *reason) {
    m->state = REFUSED;
    m->reason = reason;
    return CT_MULTIPART_BAD;
}

/* -- Headers of parts ----------------------------------------------------- */

static bool is_text(char c) {
    return ((unsigned char)c >= 0x20 && c != 0x7f) || c == '\t';
}

/* Takes a byte of a header; false for one that may not stand there. */
static bool step_line(ct_multipart *m, char c) {
    switch (m->line) {
    case LINE_LF: m->line = START; return c == '\n';
    case LAST_LF: m->state = DATA; return c == '\n';
    case START:
        if (c == '\r') {
            m->line = LAST_LF;
            return true;
        }
        break;
    default:
        if (c == '\r') {
            m->line = LINE_LF;
            return m->header > 1;
        }
    }
    m->line = INSIDE;
    return is_text(c);
}

static ct_multipart_event take_header(ct_multipart *m, const char *p, size_t n,
                                      size_t *used, ct_str *out) {
    for (size_t i = 0; i < n; i++) {
        m->looked++;
        if (++m->header > m->max_header + 4)
            return refuse(m, "part header too large");
        if (!step_line(m, p[i]))
            return refuse(m, m->header == 1 ? "missing headers"
                                            : "bad part header");
        if (m->state == HEADER) continue;
        m->matched = m->skip = 2; /* its end may be that of an empty part */
        *used = i + 1;
        *out = (ct_str){ p, (uint32_t)*used };
        return CT_MULTIPART_BEGIN;
    }
    *used = n;
    *out = (ct_str){ p, (uint32_t)n };
    return n ? CT_MULTIPART_HEADER : CT_MULTIPART_MORE;
}

/* -- Content, and the delimiter behind it --------------------------------- */

static verdict step(ct_multipart *m, char c) {
    m->looked++;
    if (m->matched < m->size) {
        if (c != m->delimiter[m->matched]) return FAILED;
        m->matched++;
        return GOING;
    }
    if (m->tail == '\r') return c == '\n' ? PART : FAILED;
    if (m->tail == '-') return c == '-' ? LAST : FAILED;
    if (c != '\r' && c != '-') return FAILED;
    m->tail = c;
    return GOING;
}

/* Forgets a match that failed, but for a CR at its end. */
static void rematch(ct_multipart *m) {
    m->matched = m->tail == '\r';
    m->tail = 0;
    m->skip = 0;
}

/* What was held back from inputs before, and is content. */
static ct_str take_held(ct_multipart *m) {
    uint32_t n = m->matched + (m->tail == '-') - m->skip;
    ct_str held = { m->delimiter + m->skip, n };

    rematch(m);
    return held;
}

static ct_multipart_event begin_part(ct_multipart *m) {
    if (++m->parts > m->max_parts) return refuse(m, "too many parts");
    m->state = HEADER;
    m->line = FIRST;
    m->header = 0;
    m->inside = true;
    return CT_MULTIPART_MORE;
}

/* Behind a delimiter: END of the part before it; what comes is in m->last. */
static ct_multipart_event end_part(ct_multipart *m) {
    bool inside = m->inside;

    m->matched = m->skip = 0;
    m->tail = 0;
    if (m->last)
        m->state = COMPLETE;
    else if (begin_part(m) == CT_MULTIPART_BAD)
        return CT_MULTIPART_BAD;
    if (inside) return CT_MULTIPART_END;
    return m->last ? CT_MULTIPART_DONE : CT_MULTIPART_MORE;
}

/* The content p[0..n), of which there may be none. */
static ct_multipart_event give(const char *p, size_t n, ct_str *out) {
    *out = (ct_str){ p, (uint32_t)n };
    return n ? CT_MULTIPART_DATA : CT_MULTIPART_MORE;
}

/* p[*used] does not go on with the delimiter, which began in an input before.
 * Returns MORE when nothing was held back for it. */
static ct_multipart_event fail_held(ct_multipart *m, ct_str *out) {
    if (!m->inside) return refuse(m, "missing headers");
    *out = take_held(m);
    return out->n ? CT_MULTIPART_DATA : CT_MULTIPART_MORE;
}

/* Goes through p until a delimiter is complete (PART, LAST), one from an input
 * before fails (FAILED), or p ends (GOING). The content is p[0..*content), the
 * bytes judged are *at. */
static verdict find(ct_multipart *m, const char *p, size_t n, size_t *content,
                    size_t *at) {
    bool held = m->matched;
    size_t i = 0, from = 0;

    while (i < n) {
        if (!m->matched) {
            const char *cr = memchr(p + i, '\r', n - i);

            from = cr ? (size_t)(cr - p) : n;
            m->looked += (uint32_t)(from - i);
            i = from;
            if (!cr) break;
        }
        verdict v = step(m, p[i]);

        *at = i + (v != FAILED);
        *content = held ? 0 : from;
        if (v == PART || v == LAST || (v == FAILED && held)) return v;
        if (v == GOING) {
            i++;
            continue;
        }
        rematch(m);
        from = i - m->matched;
    }
    *at = n;
    *content = held ? 0 : from;
    return GOING;
}

static ct_multipart_event take_data(ct_multipart *m, const char *p, size_t n,
                                    size_t *used, ct_str *out) {
    size_t content = 0;
    verdict v = find(m, p, n, &content, used);
    ct_multipart_event e;

    if (v == FAILED) {
        e = fail_held(m, out);
        if (e != CT_MULTIPART_MORE) return e;
        v = find(m, p, n, &content, used);
    }
    if (v == GOING) return give(p, content, out);
    m->last = v == LAST;
    m->state = END;
    return give(p, content, out);
}

ct_multipart_event ct_multipart_next(ct_multipart *m, const char *p, size_t n,
                                     size_t *used, ct_str *out) {
    ct_multipart_event e = CT_MULTIPART_MORE;
    size_t at = 0;

    *out = (ct_str){ p, 0 };
    *used = 0;
    while (e == CT_MULTIPART_MORE && (at < n || m->state >= END)) {
        size_t k = 0;

        switch (m->state) {
        case HEADER: e = take_header(m, p + at, n - at, &k, out); break;
        case DATA: e = take_data(m, p + at, n - at, &k, out); break;
        case END: e = end_part(m); break;
        case COMPLETE:
            k = n - at; /* the epilogue means nothing */
            e = CT_MULTIPART_DONE;
            break;
        default: return CT_MULTIPART_BAD;
        }
        at += k;
    }
    *used = at;
    return e;
}
