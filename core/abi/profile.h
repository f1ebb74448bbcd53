/* Sampling what Lua does. See abi.h. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ABI_PROFILE_H
#define CT_ABI_PROFILE_H
#include "abi/base.h"

typedef struct ct_profile_totals {
    uint32_t samples;     /* of Lua that ran; the sum of the five below */
    uint32_t compiled;    /* N: in compiled code */
    uint32_t interpreted; /* I */
    uint32_t c;           /* C: in C that Lua called */
    uint32_t collecting;  /* G: in the garbage collector */
    uint32_t compiling;   /* J: in the JIT compiler */
    uint32_t idle;        /* Lua did not run: C served, or all waited */
    uint32_t cut; /* samples whose stack is shortened: too many of them */
    uint32_t frames, nodes;
    double seconds; /* sampled */
    double cpu;     /* that the loop's thread used meanwhile, C and Lua */
} ct_profile_totals;

/* A function that was seen. */
typedef struct ct_profile_frame {
    ct_str source; /* as Lua knows it: "@app.lua"; "=[C]" of a C function */
    ct_str name;   /* by which it was called; empty: unknown */
    uint32_t line; /* where it is defined */
} ct_profile_frame;

/* A stack: a frame on top of another stack. Node 0 is empty, and a parent comes
 * before its children. */
typedef struct ct_profile_node {
    uint32_t parent, frame;
    uint32_t count; /* samples with exactly this stack */
} ct_profile_node;

/* Begins to sample this state `hz` (1 to 1000) times a second while Lua holds the
 * loop, for at most `seconds`. LIMIT when it, or another state of the process, is
 * being sampled; ERROR: see ct_abi_why(). */
int ct_abi_profile_start(ct_vm *vm, uint32_t hz, double seconds);

/* Ends sampling, if it has not ended, and says what was found. CLOSED: none was
 * begun. */
int ct_abi_profile_stop(ct_vm *vm, ct_profile_totals *out);

/* What was found, behind profile_stop(): frames and nodes by their index. CLOSED:
 * there is none. Views are valid until profile_free(). */
int ct_abi_profile_frame(ct_vm *vm, uint32_t index, ct_profile_frame *out);
int ct_abi_profile_node(ct_vm *vm, uint32_t index, ct_profile_node *out);

/* Ends sampling and forgets all. */
void ct_abi_profile_free(ct_vm *vm);

#endif
