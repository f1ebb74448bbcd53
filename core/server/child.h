/* A worker as its master sees it: a process, a socket to it for lines of text,
 * and listening sockets that outlive it. Lifetime: the master's. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_CHILD_H
#define CT_CHILD_H

#include "data/board.h"
#include "data/shared.h"
#include "io/loop.h"
#include "vm/vm.h"
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { CT_CHILD_SOCKETS = 32, CT_CHILD_ANSWER = 4096 };

typedef struct ct_child ct_child;

/* What a child says: a line, or NULL when its process has ended with `status`
 * (as of waitpid). */
typedef void ct_child_fn(ct_child *c, const char *line, int status, void *arg);

struct ct_child {
    ct_loop *loop;
    ct_board_row *row;
    ct_child_fn *fn;
    void *arg;
    uint32_t index; /* 1 and up */
    pid_t pid;      /* 0: not running */
    int pidfd, channel;
    struct event on_end, on_line;
    uint64_t began; /* monotonic ms */
    bool served;    /* it has said that it serves */
    bool retired;   /* or that it accepts no more, or it has ended since */
    unsigned early; /* deaths in a row before it served for long */
    bool aborted;   /* it hangs, and was told to die */
    unsigned have;
    char line[CT_CHILD_ANSWER];
    int sockets[CT_CHILD_SOCKETS];
    char *addresses; /* "DESCRIPTOR ADDRESS" lines of `sockets` */
    unsigned socket_count;
};

/* Opens its sockets. False, with the reason logged, when one cannot be. */
bool ct_child_listen(ct_child *c, const ct_vm_wishes *wishes,
                     const ct_child *first);

/* Spreads the sockets of these addresses that are left over them: there were more
 * workers before, and clients wait in the queue of each. */
void ct_child_adopt(ct_child *children, uint32_t count,
                    const ct_vm_wishes *wishes);

/* Starts the process. False: errno says why. */
bool ct_child_start(ct_child *c, const ct_vm_wishes *wishes,
                    const ct_shared *shared, char **argv);

/* Sends it a line. */
void ct_child_say(const ct_child *c, const char *line);

/* Sends it a signal, if it runs. */
void ct_child_kill(const ct_child *c, int signal);

/* Closes its sockets. */
void ct_child_fini(ct_child *c);

#endif
