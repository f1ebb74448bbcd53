/* https://systemd.io/JOURNAL_NATIVE_PROTOCOL: lines NAME=VALUE, or a name alone and
 * the value behind its size, which takes any bytes. The socket is not connected, so
 * that a journal that was started anew is found. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/journal.h"

#include "base/mem.h"
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    HEAD = 384, /* bytes of all fields but the message */
    BATCH = 64, /* entries at once */
    PARTS = 4   /* of an entry: fields, size, message, end */
};

struct ct_journal {
    int fd;
    struct sockaddr_un to;
};

ct_journal *ct_journal_open(const char *path) {
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    ct_journal *j;
    int fd;

    if (!*path) path = "/run/systemd/journal/socket";
    if (strlen(path) >= sizeof to.sun_path) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    memcpy(to.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) return NULL;
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == -1) {
        int error = errno;

        close(fd);
        errno = error;
        return NULL;
    }
    (void)connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC },
                  sizeof(struct sockaddr)); /* it was only to look */
    j = ct_new(ct_journal);
    *j = (ct_journal){ fd, to };
    return j;
}

void ct_journal_free(ct_journal *j) {
    if (!j) return;
    close(j->fd);
    ct_free(j);
}

/* "NAME=VALUE\n" to `at`, without a value nothing; the value ends at a newline, which
 * would begin another field. */
static char *put_field(char *at, const char *name, const char *value) {
    int n = (int)strcspn(value, "\n");

    if (!n) return at;
    return at + sprintf(at, "%s=%.*s\n", name, n < 80 ? n : 80, value);
}

static size_t put_head(char out[HEAD], const ct_journal_entry *e) {
    char *at = out + sprintf(out, "SYSLOG_IDENTIFIER=ctornado\nPRIORITY=%d\n",
                             e->priority);

    at = put_field(at, "LOGGER", e->where);
    at = put_field(at, "REQUEST_ID", e->id);
    at = put_field(at, "TRACE_ID", e->trace);
    at += sprintf(at, "MESSAGE\n");
    return (size_t)(at - out);
}

/* What one entry is composed of. */
typedef struct entry {
    uint64_t size;
    struct iovec parts[PARTS];
} entry;

/* To sendmsg() nothing of it is to be changed. */
static struct iovec part(const void *p, size_t n) {
    return (struct iovec){ (void *)(uintptr_t)p, n };
}

static struct msghdr compose(const ct_journal *j, entry *e, struct iovec head,
                             struct iovec text) {
    e->size = htole64(text.iov_len);
    e->parts[0] = head;
    e->parts[1] = part(&e->size, sizeof e->size);
    e->parts[2] = text;
    e->parts[3] = part("\n", 1);
    return (struct msghdr){ .msg_name = (void *)(uintptr_t)&j->to,
                            .msg_namelen = sizeof j->to,
                            .msg_iov = e->parts,
                            .msg_iovlen = PARTS };
}

bool ct_journal_send(const ct_journal *j, const ct_journal_entry *e) {
    char head[HEAD];
    entry one;
    struct msghdr m =
        compose(j, &one, part(head, put_head(head, e)), part(e->text, e->n));

    return sendmsg(j->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

/* Takes the next lines of *p, at most BATCH, and sends them; *count has how many
 * there were. Returns how many went out. */
static unsigned send_batch(const ct_journal *j, struct iovec head,
                           const char **p, const char *end, unsigned *count) {
    struct mmsghdr messages[BATCH] = { 0 };
    entry entries[BATCH];
    unsigned n = 0;
    int sent;

    for (; *p < end && n < BATCH; n++) {
        const char *stop = memchr(*p, '\n', (size_t)(end - *p));

        if (!stop) stop = end;
        messages[n].msg_hdr =
            compose(j, &entries[n], head, part(*p, (size_t)(stop - *p)));
        *p = stop + 1;
    }
    *count = n;
    sent = sendmmsg(j->fd, messages, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? (unsigned)sent : 0;
}

unsigned ct_journal_send_lines(const ct_journal *j, const ct_journal_entry *e,
                               const char *p, size_t n) {
    const char *end = p + n;
    unsigned lost = 0;
    char head[HEAD];
    struct iovec fields = part(head, put_head(head, e));

    while (p < end) {
        unsigned count;
        unsigned sent = send_batch(j, fields, &p, end, &count);

        lost += count - sent;
    }
    return lost;
}

bool ct_journal_is_stream(int fd) {
    const char *named = getenv("JOURNAL_STREAM");
    char text[64];
    struct stat st;

    if (!named || fstat(fd, &st) == -1) return false;
    snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return strcmp(text, named) == 0;
}
