/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pass.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

typedef struct room {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
} room;

bool ct_pass_send(int channel, const char *line, int fd) {
    room space = { 0 };
    struct iovec text = { (void *)(uintptr_t)line, strlen(line) };
    struct msghdr message = { .msg_iov = &text,
                              .msg_iovlen = 1,
                              .msg_control = space.bytes,
                              .msg_controllen = sizeof space.bytes };
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    return sendmsg(channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT) ==
           (ssize_t)text.iov_len;
}

ssize_t ct_pass_receive(int channel, char *text, size_t size, int *fd) {
    room space = { 0 };
    struct iovec into = { text, size - 1 };
    struct msghdr message = { .msg_iov = &into,
                              .msg_iovlen = 1,
                              .msg_control = space.bytes,
                              .msg_controllen = sizeof space.bytes };
    ssize_t n = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;

    *fd = -1;
    text[n > 0 ? n : 0] = 0;
    if (head && head->cmsg_level == SOL_SOCKET &&
        head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(head), sizeof *fd);
    return n;
}
