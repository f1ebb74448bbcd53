/* systemd's journal: entries in its native protocol, a datagram each, and how to
 * tell that a stream leads there. Lifetime: that of the log that sends. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_JOURNAL_H
#define CT_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ct_journal ct_journal;

/* One entry. "" is none. */
typedef struct ct_journal_entry {
    int priority;      /* syslog's: 7 debug, 6 info, 4 warning, 3 error */
    const char *where; /* LOGGER: the part that speaks */
    const char *id;    /* REQUEST_ID */
    const char *trace; /* TRACE_ID */
    const char *text;  /* MESSAGE: any bytes, newlines too */
    size_t n;
} ct_journal_entry;

/* The socket at `path`; "": the system's. Caller frees with ct_journal_free(). NULL
 * with errno when nobody is there. */
ct_journal *ct_journal_open(const char *path);

/* NULL is fine. */
void ct_journal_free(ct_journal *j);

/* Sends one entry without waiting; false, with errno, when it is lost. */
bool ct_journal_send(const ct_journal *j, const ct_journal_entry *e)
    __attribute__((warn_unused_result));

/* Sends an entry for each line of `p`, with few system calls. What `e` has besides
 * its text holds for all. Returns how many are lost, errno says why. */
unsigned ct_journal_send_lines(const ct_journal *j, const ct_journal_entry *e,
                               const char *p, size_t n)
    __attribute__((warn_unused_result));

/* True when what is written to `fd` goes to the journal, which then takes "<6>"
 * before a line for its priority ($JOURNAL_STREAM, systemd.exec(5)). */
bool ct_journal_is_stream(int fd);

#endif
