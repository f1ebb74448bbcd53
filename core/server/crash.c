/* The log's formatting allocates nothing and takes no lock, so it is fit for a
 * handler. Unwinding is not always: through LuaJIT's frames it ends in an abort()
 * of libgcc, which is jumped out of; what was found until then has been logged. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/crash.h"

#include "base/mem.h"
#include "vm/last_words.h"
#include "vm/stall.h"
#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { STACK = 65536, FRAMES = 32, NAME = 256 };

static ct_log *to; /* process-wide: handlers have no argument */
static sigjmp_buf
    out; /* process-wide: likewise; where a fault while unwinding ends */

static void on_abort(int signal) {
    (void)signal;
    siglongjmp(out, 1);
}

static void log_callers(void) {
    void *frames[FRAMES];
    char name[NAME];
    int n;

    if (sigsetjmp(out, 1)) return;
    signal(SIGABRT, on_abort);
    n = backtrace(frames, FRAMES);
    for (int i = 2; i < n; i++) { /* behind this one and the handler */
        ct_stall_name(frames[i], name, sizeof name);
        ct_log_line(to, CT_LEVEL_ERROR, "crash", "  %s", name);
    }
}

/* Where Lua is in disorder, too, it ends there. */
static void log_lua(void) {
    if (sigsetjmp(out, 1)) return;
    signal(SIGSEGV, on_abort);
    signal(SIGBUS, on_abort);
    ct_last_words(to);
}

static void on_crash(int number, siginfo_t *info, void *context) {
    char name[NAME];

    ct_stall_name(ct_stall_place(context), name, sizeof name);
    ct_log_line(to, CT_LEVEL_ERROR, "crash",
                "process %d dies of signal %d (%s, address %p) in %s",
                (int)getpid(), number, strsignal(number),
                info->si_code > 0 ? info->si_addr : NULL, name);
    log_callers();
    log_lua();
    signal(number, SIG_DFL);
    raise(number);
}

void ct_crash_watch(ct_log *log) {
    static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
    struct sigaction action = { .sa_sigaction = on_crash };
    stack_t stack = { .ss_size = STACK };
    void *frame;

#ifdef CT_ASAN
    return;
#endif
    to = log;
    stack.ss_sp = ct_alloc(STACK); /* for as long as the process lives */
    (void)backtrace(&frame, 1);    /* loads what it needs now */
    sigaltstack(&stack, NULL);     /* a stack may be what was used up */
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    action.sa_flags |= (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++)
        sigaction(faults[i], &action, NULL);
}
