/* Where to listen, and who a peer is: TCP over IPv4 and IPv6, and unix sockets. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CT_ADDRESS_H
#define CT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { CT_ADDRESS_TEXT = 128 };

typedef struct ct_address {
    struct sockaddr_storage sa;
    socklen_t size;
    bool any;   /* "*": IPv4 as well on an IPv6 socket */
    bool share; /* for listeners: SO_REUSEPORT */
} ct_address;

/* Parses "PORT" (127.0.0.1), "IPv4:PORT", "[IPv6]:PORT", "*:PORT" (all, both
 * families), "localhost:PORT", "unix:/PATH" or "unix:@NAME" (abstract). Names are not resolved. On
 * failure returns false and points `*why` at what was expected. */
bool ct_address_parse(ct_address *a, const char *text, const char **why)
    __attribute__((warn_unused_result));

/* The IP alone ("127.0.0.1", "::1"; a v4-mapped v6 address as v4), or "0.0.0.0"
 * for a unix socket, as Tornado has it. `out`: CT_ADDRESS_TEXT bytes. */
void ct_address_ip(const ct_address *a, char *out);

/* "127.0.0.1:8888", "[::1]:8888" or "unix:/path". `out`: CT_ADDRESS_TEXT. */
void ct_address_format(const ct_address *a, char *out);

/* An address without what makes it large: what a connection keeps of its peer. */
typedef struct ct_peer {
    uint8_t ip[16]; /* network order; IPv4 in the first four */
    uint8_t family; /* AF_INET, AF_INET6, AF_UNIX */
} ct_peer;

ct_peer ct_address_peer(const ct_address *a);

/* Parses an IPv4 or IPv6 address without a port; a v4-mapped one becomes IPv4.
 * False when it is none. */
bool ct_peer_parse(ct_peer *p, const char *text, size_t n)
    __attribute__((warn_unused_result));

/* As ct_address_ip(). */
void ct_peer_ip(const ct_peer *p, char *out);

/* The port, or 0 for a unix socket. */
int ct_address_port(const ct_address *a);

#endif
