/* The part of abi.h that is the terminal. Its settings belong to all who have it
 * open, so it is raw only while a line is being typed. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static const tcflag_t LINES = ICANON | ECHO | ISIG | IEXTEN;

int ct_abi_terminal_raw(int descriptor, int on) {
    struct termios t;

    if (tcgetattr(descriptor, &t) != 0) return CT_ERROR;
    t.c_lflag = on ? t.c_lflag & ~LINES : t.c_lflag | LINES;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    return tcsetattr(descriptor, TCSADRAIN, &t) == 0 ? CT_OK : CT_ERROR;
}

uint32_t ct_abi_terminal_columns(int descriptor) {
    struct winsize size = { 0 };

    if (!isatty(descriptor)) return 0;
    if (ioctl(descriptor, TIOCGWINSZ, &size) != 0 || !size.ws_col) return 80;
    return size.ws_col;
}

int ct_abi_read_ready(int descriptor, char *out, uint32_t size) {
    ssize_t n;

    do n = read(descriptor, out, size);
    while (n == -1 && errno == EINTR);
    return (int)n;
}
