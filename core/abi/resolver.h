/* Names to addresses. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_RESOLVER_H
#define CT_ABI_RESOLVER_H
#include "abi/base.h"

/* -- The resolver ------------------------------------------------------------ */

/* For further questions: servers "127.0.0.1:53,[::1]:53" ("": those of the file
 * `conf`), seconds for the first try of a server and for all together, seconds
 * that an answer is kept at most (0: never). ERROR: see ct_abi_why(). */
int ct_abi_resolver_set(ct_vm *vm, const char *servers, const char *conf,
                        double timeout, uint32_t tries, double deadline,
                        double max_ttl);

/* Asks for a name's addresses of the family 4, 6, or 0 for both; 0: too many
 * names are being asked for. CT_EVENT_RESOLVED comes with the returned handle,
 * unless ct_abi_resolved() answers OK at once. */
uint32_t ct_abi_resolve(ct_vm *vm, const char *name, uint32_t size,
                        uint32_t family);

typedef struct ct_resolved {
    ct_str code;    /* "OK", "NXDOMAIN", "NODATA", "TIMEOUT", ... */
    ct_str text;    /* the same for people */
    uint32_t count; /* of addresses; 0 unless OK */
} ct_resolved;

/* OK with *out filled, AGAIN while there is no answer, CLOSED. */
int ct_abi_resolved(ct_vm *vm, uint32_t resolve, ct_resolved *out);

/* The address number `index` (0 on) as text: its family 4 or 6, 0 for none. */
int ct_abi_resolved_address(ct_vm *vm, uint32_t resolve, uint32_t index,
                            ct_str *out);

/* Gives the handle back; the question ends if nobody else waits for it. */
int ct_abi_resolve_close(ct_vm *vm, uint32_t resolve);

/* What an IP address is in its usual form: its family 4 or 6, 0 for no address. */
int ct_abi_ip(ct_vm *vm, const char *text, ct_str *out);

#endif
