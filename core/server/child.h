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
    bool has_kin;   /* it is joined to an elder's worker */
    bool retired;   /* or that it accepts no more, or it has ended since */
    unsigned early; /* deaths in a row before it served for long */
    bool lost;      /* it has died before it served: others get its clients */
    bool behind;    /* it began to load before a reload: it needs one, too */
    bool asked;     /* for a reload, and has not answered */
    bool aborted;   /* it hangs, and was told to die */
    uint64_t leave_at; /* ms, when it is told to leave; or 0 */
    uint64_t kill_at;  /* ms, when patience with that is over; or 0 */
    unsigned have;
    char line[CT_CHILD_ANSWER];
    int sockets[CT_CHILD_SOCKETS];
    ino_t files
        [CT_CHILD_SOCKETS]; /* of unix sockets, the first child's alone; or 0 */
    char *addresses;        /* lines of `sockets`, see ct_listen_list() */
    unsigned socket_count;
    unsigned own_count; /* the first of them; those behind are an elder's */
};

/* Opens its sockets. False, with the reason logged, when one cannot be. */
bool ct_child_listen(ct_child *c, const ct_vm_wishes *wishes,
                     const ct_child *first);

/* Opens sockets for the addresses that another one has now. False as above. */
bool ct_child_join(ct_child *c, const ct_vm_wishes *wishes,
                   const ct_child *other);

/* Closes those whose address is not wanted any more, and removes their files. */
void ct_child_keep(ct_child *c, const ct_vm_wishes *wishes);

/* Removes the files of its unix sockets, unless somebody has replaced them. */
void ct_child_remove_files(const ct_child *c);

/* Spreads the sockets of these addresses that are left over them: there were more
 * workers before, and clients wait in the queue of each. False: none are left. */
bool ct_child_adopt(ct_child *children, uint32_t count,
                    const ct_vm_wishes *wishes);

/* Closes those that it was given so. */
void ct_child_trim(ct_child *c);

/* Gives this process the name of that worker (in `top`). */
void ct_child_name(uint32_t index);

/* Starts the process. False: errno says why. */
bool ct_child_start(ct_child *c, const ct_vm_wishes *wishes,
                    const ct_shared *shared, char **argv);

/* How it has ended, as text: `status` is that of waitpid. */
void ct_child_describe(int status, char *out, size_t size);

/* Milliseconds from its last start to the next one: more, the more often it has died
 * early. */
uint64_t ct_child_pause(const ct_child *c);

/* Sends it a line. */
void ct_child_say(const ct_child *c, const char *line);

/* Sends it a signal, if it runs. */
void ct_child_kill(const ct_child *c, int signal);

/* Closes its sockets. */
void ct_child_fini(ct_child *c);

#endif
