/* libcurl's sockets, watched by the loop. A socket stays watched for input while
 * it is idle, so that the next transfer on it costs no epoll_ctl. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_CLIENT_SOCKETS_H
#define CT_CLIENT_SOCKETS_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

struct ct_client;
struct sockaddr;

typedef struct ct_client_socket ct_client_socket;

typedef struct ct_client_sockets {
    ct_client_socket **by_fd; /* NULL: not libcurl's, or not known yet */
    uint32_t size;
    uint32_t open; /* that were opened and not closed yet */
} ct_client_sockets;

/* CURLMOPT_SOCKETFUNCTION, for the client `arg`. */
int ct_client_sockets_watch(CURL *easy, curl_socket_t fd, int what, void *arg,
                            void *unused);

/* CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION. */
curl_socket_t ct_client_sockets_open(struct ct_client *c,
                                     const struct curl_sockaddr *to);
int ct_client_sockets_close(void *client, curl_socket_t fd);

/* True for an address that everybody can reach: not loopback, private
 * (RFC 1918, 4193), link-local, shared (RFC 6598), multicast, unspecified, or for
 * protocols and documents (RFC 6890). */
bool ct_client_is_public(const struct sockaddr *sa);

/* Frees the table. */
void ct_client_sockets_fini(ct_client_sockets *s);

#endif
