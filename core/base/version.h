/* The version, as Server fields and `ctornado version` show it. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_VERSION_H
#define CT_VERSION_H

#define CT_VERSION_TEXT "0.1.0"

#endif
