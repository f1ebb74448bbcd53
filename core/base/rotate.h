/* Rotation of a log: "log" becomes "log.1", "log.1" becomes "log.2", and so on. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ROTATE_H
#define CT_ROTATE_H

/* Renames the file `path` and those that it became before; the last of `backups`
 * (at least 1) goes. What cannot be renamed stays. */
void ct_rotate(const char *path, unsigned backups);

#endif
