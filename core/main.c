/* The program: one worker, which reads the command line in Lua. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/worker.h"

static ct_worker worker;

int main(int argc, char **argv) {
    return ct_worker_run(&worker, argc, argv);
}
