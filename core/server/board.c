/* A memfd: it needs no name, goes with its last process, and is inherited as a
 * descriptor through exec. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/board.h"

#include "base/clock.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static ct_board *map(int fd) {
    int flags = MAP_SHARED | (fd == -1 ? MAP_ANONYMOUS : 0);
    void *p =
        mmap(NULL, sizeof(ct_board), PROT_READ | PROT_WRITE, flags, fd, 0);

    return p == MAP_FAILED ? NULL : p;
}

ct_board *ct_board_new(int *fd) {
    ct_board *b = NULL;

    if (!fd) return map(-1);
    *fd = memfd_create("ctornado board", 0);
    if (*fd == -1) return NULL;
    if (ftruncate(*fd, sizeof *b) == 0) b = map(*fd);
    if (!b) {
        int why = errno;

        close(*fd);
        errno = why;
    }
    return b;
}

ct_board *ct_board_open(int fd) {
    struct stat st;

    if (fstat(fd, &st) == -1 || st.st_size != sizeof(ct_board)) return NULL;
    return map(fd);
}

void ct_board_free(ct_board *b) {
    if (b) (void)munmap(b, sizeof *b);
}

uint64_t ct_board_now(void) {
    return (uint64_t)(ct_clock_precise() * 1000);
}
