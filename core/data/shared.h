/* Memory that the processes of a server share, in pieces with names. A master
 * makes them, its workers inherit them as descriptors, and so does a program that
 * takes its place; a process that runs alone has its own. Lifetime: process; what
 * is in the memory lives as long as the last process that has it. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_SHARED_H
#define CT_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CT_SHARED_PIECES = 16, CT_SHARED_NAME = 24 };

typedef struct ct_shared_piece {
    char name[CT_SHARED_NAME]; /* without a blank */
    void *memory;              /* NULL: nobody has asked for it yet */
    size_t size;
    int fd;
} ct_shared_piece;

typedef struct ct_shared {
    ct_shared_piece pieces[CT_SHARED_PIECES];
    uint32_t count;
} ct_shared;

/* Takes the pieces that the environment names out of it, so that no child sees
 * them. Without any, `s` is empty. */
void ct_shared_take(ct_shared *s);

/* The memory called `name`: that which was inherited, if it has this size, or
 * else new and zeroed. The same one for each call. NULL with errno set when there
 * is none to be had. */
void *ct_shared_get(ct_shared *s, const char *name, size_t size);

/* That which was inherited, if it has this size, and nothing new: NULL. To be read
 * alone. */
const void *ct_shared_find(ct_shared *s, const char *name, size_t size);

/* Unmaps and closes the pieces whose names begin with `prefix`. */
void ct_shared_drop(ct_shared *s, const char *prefix);

/* In a child that is about to exec: leaves all pieces for ct_shared_take(). False:
 * errno says why. */
bool ct_shared_leave(const ct_shared *s);

/* For a program that takes this one's place: the piece `name`, if there is one that
 * can be inherited, is in `heir`, too, as `as`. It is lent: `heir` must not be given
 * to ct_shared_fini(). */
void ct_shared_lend(const ct_shared *s, const char *name, ct_shared *heir,
                    const char *as);

/* All pieces as a string for the environment of a program. Caller frees with
 * free(). */
char *ct_shared_text(const ct_shared *s);

/* In a child that is about to exec: their descriptors go along. False: errno says
 * why. */
bool ct_shared_keep(const ct_shared *s);

/* Unmaps and closes all. */
void ct_shared_fini(ct_shared *s);

#endif
