/* How many CPUs this process may keep busy. Pure but for the files of the kernel
 * that say so. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_CPUS_H
#define CT_CPUS_H

#include <stdint.h>

/* Those it may run on (sched_getaffinity(2)), but no more than its control group
 * has time for, a part of one counted as one: at least 1. */
uint32_t ct_cpus(void);

/* The time that the control groups of the process have for it, in CPUs: the least
 * of its own group (version 2 or 1) and those above, as far as they are seen. 0: no
 * limit. `root` comes before "/proc" and before the mount points: "". */
double ct_cpus_quota(const char *root);

#endif
