/* A broken invariant ends the process with its place, in release builds too. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ASSERT_H
#define CT_ASSERT_H

#define ct_assert(x) ((x) ? (void)0 : ct_assert_failed(#x, __FILE__, __LINE__))

_Noreturn void ct_assert_failed(const char *what, const char *file, int line);

#endif
