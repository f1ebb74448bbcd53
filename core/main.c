/* The program: one worker, which reads the command line in Lua. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static ct_worker worker;

/* A command whose answer was lost has failed. Who reads no more (`| head`) knows. */
static int flush_output(int code) {
    int error = fflush(stdout) == EOF ? errno : 0;

    if (!error && !ferror(stdout)) return code;
    if (error && error != EPIPE)
        fprintf(stderr, "ctornado: the output cannot be written: %s\n",
                strerror(error));
    return code ? code : 1;
}

int main(int argc, char **argv) {
    int code = ct_worker_run(&worker, argc, argv);

    return worker.serving ? code : flush_output(code);
}
