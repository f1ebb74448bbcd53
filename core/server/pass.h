/* Giving an open socket to another process, together with a line of text. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_PASS_H
#define CT_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Sends `line` with the descriptor, which stays open here, too. False: errno says
 * why. */
bool ct_pass_send(int channel, const char *line, int fd);

/* Receives text, to `text` with a zero byte behind, and a descriptor, or -1 when
 * none came. Does not wait. As recv(2); the descriptor is the caller's. */
ssize_t ct_pass_receive(int channel, char *text, size_t size, int *fd);

#endif
