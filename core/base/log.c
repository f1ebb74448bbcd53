/* A line is built in one piece and written with one write(), which keeps the
 * lines of several workers apart. On anything but a file poll() is asked first:
 * a pipe that is writable takes PIPE_BUF bytes without blocking, and O_NONBLOCK
 * on stderr would hit whoever shares it. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/mem.h"
#include "base/rotate.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char priorities[] = "7643"; /* syslog's, by level */
static const char *const names[] = { "debug", "info", "warning", "error",
                                     "none" };

static void use(ct_log *log, int fd) {
    struct stat st;

    log->fd = fd;
    log->color = isatty(fd);
    if (fstat(fd, &st) == -1) st.st_mode = 0;
    log->file = S_ISREG(st.st_mode);
    log->socket = S_ISSOCK(st.st_mode);
    log->stream = ct_journal_is_stream(fd);
}

void ct_log_init(ct_log *log) {
    *log = (ct_log){ .level = CT_LEVEL_INFO };
    use(log, STDERR_FILENO);
}

static int open_file(const char *path) {
    /* O_NONBLOCK: a FIFO without a reader must not hold us */
    int fd = open(
        path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
        0640);

    return fd;
}

/* "journal", "journal:PATH". */
static bool open_journal(ct_log *log, const char *path) {
    ct_journal *j = ct_journal_open(*path ? path + 1 : path);

    if (!j) return false;
    ct_log_fini(log);
    log->journal = j;
    return true;
}

bool ct_log_open(ct_log *log, const char *path) {
    static const char journal[] = "journal";
    size_t n = sizeof journal - 1;
    int fd = STDERR_FILENO;

    if (strncmp(path, journal, n) == 0 && (!path[n] || path[n] == ':'))
        return open_journal(log, path + n);
    if (*path && strcmp(path, "stderr") != 0) {
        fd = open_file(path);
        if (fd == -1) return false;
    }
    ct_log_fini(log);
    use(log, fd);
    return true;
}

bool ct_log_open_rotated(ct_log *log, const char *path, uint64_t most,
                         unsigned backups) {
    if (!ct_log_open(log, path)) return false;
    if (!log->file || !most || !backups) return true;
    log->path = ct_alloc(strlen(path) + 1);
    memcpy(log->path, path, strlen(path) + 1);
    log->most = most;
    log->backups = backups;
    return true;
}

void ct_log_fini(ct_log *log) {
    if (log->fd != STDERR_FILENO) close(log->fd);
    ct_free(log->path);
    log->path = NULL;
    ct_journal_free(log->journal);
    log->journal = NULL;
    use(log, STDERR_FILENO);
}

/* True when `n` bytes more would be too many for the file that we write to. */
static bool is_full(const ct_log *log, size_t n, struct stat *ours) {
    if (fstat(log->fd, ours) == -1 || ours->st_size == 0) return false;
    return (uint64_t)ours->st_size + n > log->most;
}

/* Another process may have renamed that file: then the name has a new one already,
 * which may be full as well. */
static void make_room(ct_log *log, size_t n) {
    struct stat ours, named;

    for (int tries = 0; tries < 2 && is_full(log, n, &ours); tries++) {
        int fd;

        if (stat(log->path, &named) == 0 && named.st_ino == ours.st_ino &&
            named.st_dev == ours.st_dev)
            ct_rotate(log->path, log->backups);
        fd = open_file(log->path);
        if (fd == -1) return; /* rather too much in the old one than nothing */
        close(log->fd);
        use(log, fd);
    }
}

bool ct_log_level_named(const char *name, ct_log_level *out) {
    for (int i = CT_LEVEL_DEBUG; i <= CT_LEVEL_NONE; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (ct_log_level)i;
            return true;
        }
    return false;
}

/* -- Writing --------------------------------------------------------------- */

static bool is_writable(const ct_log *log) {
    struct pollfd p = { .fd = log->fd, .events = POLLOUT };

    return log->file || log->socket || poll(&p, 1, 0) == 1;
}

/* How much to write at once: whole lines that a writable pipe takes. */
static size_t piece(const ct_log *log, const char *p, size_t n) {
    if (log->file || log->socket || n <= PIPE_BUF) return n;
    const char *end = memrchr(p, '\n', PIPE_BUF);
    return end ? (size_t)(end - p) + 1 : PIPE_BUF;
}

static size_t write_some(const ct_log *log, const char *p, size_t n) {
    ssize_t done;

    do {
        if (!is_writable(log)) {
            errno = EAGAIN;
            return 0;
        }
        done = log->socket ? send(log->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL)
                           : write(log->fd, p, piece(log, p, n));
    } while (done == -1 && errno == EINTR);
    return done > 0 ? (size_t)done : 0;
}

static unsigned lines_in(const char *p, size_t n) {
    unsigned lines = 0;

    for (size_t i = 0; i < n; i++) lines += p[i] == '\n';
    return lines ? lines : 1;
}

/* False when not all went out. What was lost is counted. */
static bool put(ct_log *log, const char *p, size_t n) {
    const char *start = p;

    if (log->path) make_room(log, n);
    if (log->torn && write_some(log, "\n", 1) == 0) goto fail;
    log->torn = false;
    while (n) {
        size_t done = write_some(log, p, n);
        if (done == 0) goto fail;
        p += done;
        n -= done;
    }
    return true;

fail:
    if (p > start) log->torn = p[-1] != '\n';
    log->dropped += lines_in(p, n);
    return false;
}

bool ct_log_raw(ct_log *log, const char *where, const char *p, size_t n) {
    const ct_journal_entry e = { 6, where, "", "", NULL, 0 };
    unsigned lost;

    if (!log->journal) return put(log, p, n);
    lost = ct_journal_send_lines(log->journal, &e, p, n);
    log->dropped += lost;
    return lost == 0;
}

/* -- Building a line ------------------------------------------------------- */

/* A line in the making; `at` never passes `end`. */
typedef struct line {
    char *at, *end;
} line;

/* Adds all of it or, at the cut, nothing and no more. */
static void add(line *l, const char *p, size_t n) {
    if ((size_t)(l->end - l->at) < n) {
        l->end = l->at;
        return;
    }
    memcpy(l->at, p, n);
    l->at += n;
}

static void add_escaped(line *l, unsigned char c) {
    static const char digits[] = "0123456789abcdef";
    const char text[] = { '\\', 'x', digits[c >> 4], digits[c & 15] };

    add(l, text, sizeof text);
}

/* A byte that a terminal may take for a command: C0, DEL, and C1 as UTF-8. */
static bool is_control(const unsigned char *p, size_t n) {
    if (p[0] == '\t') return false;
    if (p[0] < 0x20 || p[0] == 0x7f) return true;
    return p[0] == 0xc2 && n > 1 && p[1] < 0xa0;
}

static size_t sequence(unsigned char c) {
    return c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* `newline`: what stands for one. */
static void add_text(line *l, const char *text, size_t n, const char *newline) {
    const unsigned char *p = (const unsigned char *)text;
    bool utf8 = ct_str_is_utf8(text, n);

    for (size_t i = 0; i < n && l->at < l->end;) {
        size_t len = utf8 ? sequence(p[i]) : 1;
        if (p[i] == '\n')
            add(l, newline, strlen(newline));
        else if (is_control(p + i, n - i) || (!utf8 && p[i] >= 0x80))
            for (size_t k = 0; k < len; k++) add_escaped(l, p[i + k]);
        else
            add(l, text + i, len);
        i += len;
    }
}

/* -- Lines ----------------------------------------------------------------- */

typedef struct message {
    ct_log_level level;
    ct_log_about about;
    const char *text;
    size_t n;
    bool lines; /* newlines are kept, in text */
} message;

static void add_prefix(line *l, const ct_log *log, const message *m) {
    static const char colors[] = "4231"; /* as Tornado's log has them */
    char prefix[160];
    struct tm tm;
    time_t now = time(NULL);
    int n;

    if (log->stream) { /* which has the time already */
        n = snprintf(prefix, sizeof prefix, "[%.32s%s%.64s]", m->about.where,
                     *m->about.id ? " " : "", m->about.id);
        add_text(l, prefix, (size_t)n, "\\n");
        add(l, " ", 1);
        return;
    }
    localtime_r(&now, &tm);
    n = snprintf(prefix, sizeof prefix,
                 "[%c %02d%02d%02d %02d:%02d:%02d %.32s%s%.64s]",
                 "DIWE"[m->level], tm.tm_year % 100, tm.tm_mon + 1, tm.tm_mday,
                 tm.tm_hour, tm.tm_min, tm.tm_sec, m->about.where,
                 *m->about.id ? " " : "", m->about.id);
    if (log->color) {
        const char start[] = { '\x1b', '[', '3', colors[m->level], 'm' };
        add(l, start, sizeof start);
    }
    add_text(l, prefix, (size_t)n, "\\n");
    if (log->color) add(l, "\x1b[0m", 4);
    add(l, " ", 1);
}

/* A string of JSON without its quotes. Bytes that are no UTF-8 stand there as
 * they do in text, as \xff; JSON has no way to say them. */
static void add_json(line *l, const char *text, size_t n) {
    const unsigned char *p = (const unsigned char *)text;
    bool utf8 = ct_str_is_utf8(text, n);
    char escape[8];

    for (size_t i = 0; i < n && l->at < l->end;) {
        size_t len = utf8 ? sequence(p[i]) : 1;
        if (p[i] == '"' || p[i] == '\\') {
            add(l, (char[]){ '\\', text[i] }, 2);
        } else if (p[i] == '\n') {
            add(l, "\\n", 2);
        } else if (p[i] == '\t') {
            add(l, "\\t", 2);
        } else if (!utf8 && p[i] >= 0x80) {
            snprintf(escape, sizeof escape, "\\\\x%02x", p[i]);
            add(l, escape, 5);
        } else if (is_control(p + i, n - i)) {
            snprintf(escape, sizeof escape, "\\u%04x", p[i + len - 1]);
            add(l, escape, 6);
        } else {
            add(l, text + i, len);
        }
        i += len;
    }
}

void ct_log_time(char out[CT_LOG_TIME]) {
    struct timespec now;
    struct tm tm;
    size_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = strftime(out, CT_LOG_TIME, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, CT_LOG_TIME - n, ".%03dZ", (int)(now.tv_nsec / 1000000));
}

static void add_member(line *l, const char *name, const char *text) {
    add(l, name, strlen(name));
    add_json(l, text, strnlen(text, 64));
    add(l, "\"", 1);
}

/* The message comes last: it is what may be cut. */
static void add_object(line *l, const message *m) {
    static const char end[] = { '"', '}' };
    char when[CT_LOG_TIME];

    ct_log_time(when);
    add_member(l, "{\"time\":\"", when);
    add_member(l, ",\"level\":\"", names[m->level]);
    add_member(l, ",\"logger\":\"", m->about.where);
    if (*m->about.id) add_member(l, ",\"request\":\"", m->about.id);
    if (*m->about.trace) add_member(l, ",\"trace\":\"", m->about.trace);
    add(l, ",\"message\":\"", 12);
    l->end -= sizeof end;
    add_json(l, m->text, m->n);
    l->end = l->at + sizeof end;
    add(l, end, sizeof end);
}

static bool send_entry(ct_log *log, const message *m) {
    char out[CT_LOG_LINE];
    line l = { out, out + sizeof out };
    ct_journal_entry e = { priorities[m->level] - '0',
                           m->about.where,
                           m->about.id,
                           m->about.trace,
                           out,
                           0 };

    add_text(&l, m->text, m->n, m->lines ? "\n" : "\\n");
    e.n = (size_t)(l.at - out);
    if (ct_journal_send(log->journal, &e)) return true;
    log->dropped++;
    return false;
}

static bool write_line(ct_log *log, const message *m) {
    char out[CT_LOG_LINE], newline[] = "\n<7>    ";
    line l = { out, out + sizeof out - 1 };

    if (log->journal) return send_entry(log, m);
    newline[2] = priorities[m->level];
    if (log->stream) add(&l, newline + 1, 3);
    if (log->json) {
        add_object(&l, m);
    } else {
        add_prefix(&l, log, m);
        add_text(&l, m->text, m->n,
                 !m->lines     ? "\\n"
                 : log->stream ? newline
                               : "\n    ");
    }
    *l.at++ = '\n';
    return put(log, out, (size_t)(l.at - out));
}

/* Says what was lost before; false when that is lost, too. */
static bool report_dropped(ct_log *log) {
    char text[80];
    unsigned dropped = log->dropped;
    int n =
        snprintf(text, sizeof text,
                 "%u log lines lost: the log could not be written", dropped);
    const ct_log_about about = { "log", "", "" };
    const message m = { CT_LEVEL_WARNING, about, text, (size_t)n, false };

    log->dropped = 0;
    if (write_line(log, &m)) return true;
    log->dropped = dropped;
    return false;
}

static void log_message(ct_log *log, message m) {
    if (m.level < log->level || m.level >= CT_LEVEL_NONE) return;
    if (log->dropped && !report_dropped(log)) {
        log->dropped++;
        return;
    }
    while (m.n && m.text[m.n - 1] == '\n') m.n--;
    write_line(log, &m);
}

void ct_log_text(ct_log *log, ct_log_level level, const char *where,
                 const char *text, size_t n, bool lines) {
    log_message(log, (message){ level, { where, "", "" }, text, n, lines });
}

void ct_log_request(ct_log *log, ct_log_level level, const ct_log_about *about,
                    const char *text, size_t n) {
    log_message(log, (message){ level, *about, text, n, true });
}

void ct_log_line(ct_log *log, ct_log_level level, const char *where,
                 const char *format, ...) {
    char text[CT_LOG_LINE];
    va_list args;
    int n;

    if (level < log->level) return;
    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0) return;
    if (n >= CT_LOG_LINE) n = CT_LOG_LINE - 1;
    ct_log_text(log, level, where, text, (size_t)n, false);
}

static void add_quoted(line *l, const char *text, size_t n) {
    for (size_t i = 0; i < n && l->at < l->end; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            add_escaped(l, c);
        else
            add(l, text + i, 1);
    }
}

size_t ct_log_escape(char *out, size_t room, const char *p, size_t n,
                     ct_log_form form) {
    line l = { out, out + room };

    switch (form) {
    case CT_LOG_TEXT: add_text(&l, p, n, "\\n"); break;
    case CT_LOG_JSON: add_json(&l, p, n); break;
    case CT_LOG_QUOTED: add_quoted(&l, p, n); break;
    }
    return (size_t)(l.at - out);
}
