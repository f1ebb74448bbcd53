/* A memfd: it needs no name in a folder, goes with its last process, and is
 * inherited as a descriptor through exec. A page that nobody has touched takes no
 * memory, so a piece may be made for the most that there can be. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "data/shared.h"

#include "base/assert.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const PIECES =
    "CTORNADO_SHARED"; /* "NAME DESCRIPTOR " ... */

static void close_piece(ct_shared_piece *p) {
    if (p->memory) (void)munmap(p->memory, p->size);
    if (p->fd != -1) (void)close(p->fd);
    *p = (ct_shared_piece){ 0 };
}

/* -- Inheriting ------------------------------------------------------------ */

static ct_shared_piece *add(ct_shared *s, const char *name, int fd) {
    ct_shared_piece *p;

    if (s->count == CT_SHARED_PIECES || strlen(name) >= CT_SHARED_NAME) {
        errno = ENOSPC;
        return NULL;
    }
    p = &s->pieces[s->count++];
    *p = (ct_shared_piece){ .fd = fd };
    memcpy(p->name, name, strlen(name));
    return p;
}

/* The one that `text` begins with; returns what is behind it, or NULL. */
static const char *take_piece(ct_shared *s, const char *text) {
    size_t n = strcspn(text, " ");
    char name[CT_SHARED_NAME] = "", *end;
    long fd = strtol(text + n, &end, 10);

    if (end == text + n || n >= sizeof name) return NULL;
    memcpy(name, text, n);
    if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0) (void)add(s, name, (int)fd);
    return end + (*end == ' ');
}

void ct_shared_take(ct_shared *s) {
    const char *text = getenv(PIECES);

    *s = (ct_shared){ 0 };
    while (text) text = take_piece(s, text);
    unsetenv(PIECES);
}

/* -- Leaving --------------------------------------------------------------- */

enum { TEXT = CT_SHARED_PIECES * (CT_SHARED_NAME + 12) + 1 };

static void put_names(const ct_shared *s, char text[TEXT]) {
    char *at = text;

    *at = 0;
    for (uint32_t i = 0; i < s->count; i++)
        at += sprintf(at, "%s %d ", s->pieces[i].name, s->pieces[i].fd);
}

bool ct_shared_keep(const ct_shared *s) {
    for (uint32_t i = 0; i < s->count; i++) /* -1: EBADF */
        if (fcntl(s->pieces[i].fd, F_SETFD, 0) == -1) return false;
    return true;
}

bool ct_shared_leave(const ct_shared *s) {
    char text[TEXT];

    put_names(s, text);
    return ct_shared_keep(s) && setenv(PIECES, text, 1) == 0;
}

char *ct_shared_text(const ct_shared *s) {
    char names[TEXT];

    put_names(s, names);
    return ct_mem_print("%s=%s", PIECES, names);
}

static ct_shared_piece *find(const ct_shared *s, const char *name) {
    for (uint32_t i = 0; i < s->count; i++)
        if (strcmp(s->pieces[i].name, name) == 0)
            return (ct_shared_piece *)(uintptr_t)&s->pieces[i];
    return NULL;
}

void ct_shared_lend(const ct_shared *s, const char *name, ct_shared *heir,
                    const char *as) {
    const ct_shared_piece *p = find(s, name);

    if (p && p->fd != -1) (void)add(heir, as, p->fd);
}

/* -- Memory ---------------------------------------------------------------- */

/* `ulimit -f` holds for a memfd, too: below that it is memory of this process and
 * its forks alone, which no master can give to workers. */
static ct_shared_piece *make(ct_shared *s, const char *name, size_t size) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    ct_shared_piece *p = NULL;

    if (fd == -1) return NULL;
    if (ftruncate(fd, (off_t)size) == 0) {
        p = add(s, name, fd);
    } else if (errno == EFBIG) {
        p = add(s, name, -1);
        if (p) close(fd);
    }
    if (!p) {
        int why = errno;

        close(fd);
        errno = why;
    }
    return p;
}

static bool map(ct_shared_piece *p, size_t size) {
    int own = p->fd == -1 ? MAP_ANONYMOUS : 0;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_NORESERVE | own, p->fd, 0);

    if (memory == MAP_FAILED) return false;
    p->memory = memory;
    p->size = size;
    return true;
}

/* Whether what was inherited is of this program's version. */
static bool fits(const ct_shared_piece *p, size_t size) {
    struct stat st;

    if (p->memory) return p->size == size;
    return fstat(p->fd, &st) == 0 && (size_t)st.st_size == size;
}

static void forget(ct_shared *s, ct_shared_piece *p) {
    close_piece(p);
    *p = s->pieces[--s->count];
}

void *ct_shared_get(ct_shared *s, const char *name, size_t size) {
    ct_shared_piece *p = find(s, name);

    if (p && !fits(p, size)) {
        forget(s, p);
        p = NULL;
    }
    if (!p) p = make(s, name, size);
    if (!p || (!p->memory && !map(p, size))) return NULL;
    return p->memory;
}

const void *ct_shared_find(ct_shared *s, const char *name, size_t size) {
    ct_shared_piece *p = find(s, name);

    if (!p || !fits(p, size) || (!p->memory && !map(p, size))) return NULL;
    return p->memory;
}

void ct_shared_drop(ct_shared *s, const char *prefix) {
    for (uint32_t i = s->count; i--;)
        if (strncmp(s->pieces[i].name, prefix, strlen(prefix)) == 0)
            forget(s, &s->pieces[i]);
}

void ct_shared_fini(ct_shared *s) {
    for (uint32_t i = 0; i < s->count; i++) close_piece(&s->pieces[i]);
    s->count = 0;
}
