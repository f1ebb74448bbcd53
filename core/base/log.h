/* The process log: one line a message, `[I 261122 10:15:00 where] text` or a
 * JSON object, to stderr or a file. Control bytes and newlines in a message are escaped, lines
 * are cut at CT_LOG_LINE bytes, so that a message cannot forge another.
 * Writes never block the loop: when the reader of a pipe stalls, lines are
 * counted and dropped, and the count is logged when it reads again. What goes to
 * systemd's journal has a priority, and no time of its own. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_LOG_H
#define CT_LOG_H

#include "base/journal.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CT_LOG_LINE = 16384, CT_LOG_TIME = 48 };

typedef enum ct_log_level {
    CT_LEVEL_DEBUG,
    CT_LEVEL_INFO,
    CT_LEVEL_WARNING,
    CT_LEVEL_ERROR,
    CT_LEVEL_NONE
} ct_log_level;

/* What bytes are escaped for. */
typedef enum ct_log_form {
    CT_LOG_TEXT,  /* a line of text: UTF-8 stays */
    CT_LOG_JSON,  /* a string of JSON */
    CT_LOG_QUOTED /* between quotes of a line, as nginx does it: ASCII stays */
} ct_log_form;

typedef struct ct_log {
    int fd;
    ct_log_level level; /* messages below it are dropped */
    bool color;         /* colour the prefix: stderr is a terminal */
    bool file;          /* a regular file: writing does not stall */
    bool socket;        /* sent to, not written */
    bool stream;        /* leads to the journal: lines begin with a priority */
    bool json;          /* a line is an object, not text */
    bool torn;          /* the last line lacks its end: the disk was full */
    unsigned dropped;   /* lines lost to a full pipe or disk since the last */
    char *path;         /* of a file that is rotated, or NULL */
    uint64_t most;      /* bytes that it may have */
    unsigned backups;
    ct_journal *journal; /* entries go there, and not to `fd`; or NULL */
} ct_log;

/* A log to stderr at level INFO. */
void ct_log_init(ct_log *log);

/* Sends further lines to the file `path` (created 0640, appended to; "" or
 * "stderr": stderr; "journal" or "journal:PATH": the journal at its socket). Returns
 * false, changing nothing, with errno set. */
bool ct_log_open(ct_log *log, const char *path)
    __attribute__((warn_unused_result));

/* As ct_log_open(); before the file would have more than `most` bytes it is
 * renamed (see rotate.h), and another one begins. Other processes that write to it
 * go on in the new one when they come to the limit. */
bool ct_log_open_rotated(ct_log *log, const char *path, uint64_t most,
                         unsigned backups) __attribute__((warn_unused_result));

/* Closes the file; further lines go to stderr. */
void ct_log_fini(ct_log *log);

/* "debug", "info", "warning", "error", "none" to *out; false for others. */
bool ct_log_level_named(const char *name, ct_log_level *out);

/* Writes one message; `where` is the part that speaks ("http", "app"). A
 * newline in `text` becomes a newline and four spaces when `lines` is true (a
 * traceback), and \n otherwise. */
void ct_log_text(ct_log *log, ct_log_level level, const char *where,
                 const char *text, size_t n, bool lines);

/* What a message is about; "" is none. */
typedef struct ct_log_about {
    const char *where;
    const char *id;    /* of a request */
    const char *trace; /* that the request belongs to: objects have it */
} ct_log_about;

/* As ct_log_text() with `lines`, about a request. */
void ct_log_request(ct_log *log, ct_log_level level, const ct_log_about *about,
                    const char *text, size_t n);

/* The same as ct_log_text() on one line, formatted; at most CT_LOG_LINE bytes. */
void ct_log_line(ct_log *log, ct_log_level level, const char *where,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The time now, UTC, "2026-11-22T10:15:00.123Z". */
void ct_log_time(char out[CT_LOG_TIME]);

/* Escapes `n` bytes to `out`, at most `room` bytes, cut between characters.
 * Returns how many. */
size_t ct_log_escape(char *out, size_t room, const char *p, size_t n,
                     ct_log_form form);

/* Writes `n` bytes of finished lines as they are (the access log's batches); `where`
 * is who says so in a journal. False when not all went out: what was lost is added
 * to log->dropped, errno says why. */
bool ct_log_raw(ct_log *log, const char *where, const char *p, size_t n);

#endif
