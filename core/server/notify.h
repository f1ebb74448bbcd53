/* Tells systemd how it goes, if it wants to know (sd_notify(3)). */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_NOTIFY_H
#define CT_NOTIFY_H

/* Sends "READY=1", "STOPPING=1" and the like to $NOTIFY_SOCKET; nothing without
 * one. Never blocks. */
void ct_notify(const char *state);

#endif
