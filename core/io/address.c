/* Literal addresses only: a name at start would make the server depend on a
 * resolver. The one exception, localhost, is 127.0.0.1. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "io/address.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static const char expected[] =
    "expected PORT, IPv4:PORT, [IPv6]:PORT, *:PORT, localhost:PORT or "
    "unix:/PATH";

/* The address has been zeroed, so that the reserved fields are. */
static void set_v4(ct_address *a, struct in_addr ip, uint16_t port) {
    struct sockaddr_in sa = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr = ip };

    memcpy(&a->sa, &sa, sizeof sa);
    a->size = sizeof sa;
}

static void set_v6(ct_address *a, struct in6_addr ip, uint16_t port) {
    struct sockaddr_in6 sa = { .sin6_family = AF_INET6,
                               .sin6_port = htons(port),
                               .sin6_addr = ip };

    memcpy(&a->sa, &sa, sizeof sa);
    a->size = sizeof sa;
}

static bool parse_unix(ct_address *a, const char *path, const char **why) {
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    size_t n = strlen(path);

    *why =
        "expected an absolute path or @NAME of at most 107 bytes after unix:";
    if (!strchr("/@", path[0]) || n < 2 || n >= sizeof sa.sun_path)
        return false;
    memcpy(sa.sun_path, path, n);
    if (path[0] == '@') sa.sun_path[0] = 0; /* unix(7): abstract */
    memcpy(&a->sa, &sa, sizeof sa);
    a->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n +
                          (path[0] == '/'));
    return true;
}

static bool parse_host(ct_address *a, const char *host, uint16_t port) {
    size_t n = strlen(host);
    struct in_addr v4;
    struct in6_addr v6;

    if (strcmp(host, "*") == 0) {
        a->any = true;
        set_v6(a, in6addr_any, port);
        return true;
    }
    if (n == 0 || strcmp(host, "localhost") == 0) host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &v4) == 1) {
        set_v4(a, v4, port);
        return true;
    }
    char inner[INET6_ADDRSTRLEN];
    if (n < 2 || n - 2 >= sizeof inner) return false;
    if (host[0] != '[' || host[n - 1] != ']') return false;
    memcpy(inner, host + 1, n - 2);
    inner[n - 2] = 0;
    if (inet_pton(AF_INET6, inner, &v6) != 1) return false;
    set_v6(a, v6, port);
    return true;
}

bool ct_address_parse(ct_address *a, const char *text, const char **why) {
    const char *colon = strrchr(text, ':');
    const char *digits = colon ? colon + 1 : text;
    char host[INET6_ADDRSTRLEN + 2];
    size_t n = colon ? (size_t)(colon - text) : 0;
    uint64_t port;

    memset(a, 0, sizeof *a);
    if (strncmp(text, "unix:", 5) == 0) return parse_unix(a, text + 5, why);
    *why = expected;
    if (colon && (n == 0 || n >= sizeof host)) return false;
    memcpy(host, text, n);
    host[n] = 0;
    if (!ct_str_decimal(digits, strlen(digits), &port)) return false;
    if (port > 65535) {
        *why = "expected a port of at most 65535";
        return false;
    }
    return parse_host(a, host, (uint16_t)port);
}

void ct_address_ip(const ct_address *a, char *out) {
    const struct sockaddr_in *v4 = (const void *)&a->sa;
    const struct sockaddr_in6 *v6 = (const void *)&a->sa;
    const void *ip = &v4->sin_addr;
    int family = a->sa.ss_family;

    if (family == AF_INET6) {
        ip = &v6->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
            ip = v6->sin6_addr.s6_addr + 12;
            family = AF_INET;
        }
    }
    if ((family != AF_INET && family != AF_INET6) ||
        !inet_ntop(family, ip, out, CT_ADDRESS_TEXT))
        memcpy(out, "0.0.0.0", sizeof "0.0.0.0");
}

/* The kernel gives paths without a zero byte, when they fill the field. */
static void format_unix(const ct_address *a, char *out) {
    const struct sockaddr_un *sa = (const void *)&a->sa;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    int n = a->size > head ? (int)(a->size - head) : 0;

    if (n && !sa->sun_path[0])
        snprintf(out, CT_ADDRESS_TEXT, "unix:@%.*s", n - 1, sa->sun_path + 1);
    else
        snprintf(out, CT_ADDRESS_TEXT, "unix:%.*s", n, sa->sun_path);
}

void ct_address_format(const ct_address *a, char *out) {
    char ip[CT_ADDRESS_TEXT];
    int port = ct_address_port(a);

    if (a->sa.ss_family == AF_UNIX) {
        format_unix(a, out);
        return;
    }
    ct_address_ip(a, ip);
    if (a->any)
        snprintf(out, CT_ADDRESS_TEXT, "*:%d", port);
    else if (strchr(ip, ':'))
        snprintf(out, CT_ADDRESS_TEXT, "[%.48s]:%d", ip, port);
    else
        snprintf(out, CT_ADDRESS_TEXT, "%.48s:%d", ip, port);
}

int ct_address_port(const ct_address *a) {
    const struct sockaddr_in *v4 = (const void *)&a->sa;
    const struct sockaddr_in6 *v6 = (const void *)&a->sa;

    if (a->sa.ss_family == AF_INET) return ntohs(v4->sin_port);
    if (a->sa.ss_family == AF_INET6) return ntohs(v6->sin6_port);
    return 0;
}

ct_peer ct_address_peer(const ct_address *a) {
    ct_peer p = { .family = (uint8_t)a->sa.ss_family };

    if (p.family == AF_INET)
        memcpy(p.ip, &((const struct sockaddr_in *)&a->sa)->sin_addr, 4);
    else if (p.family == AF_INET6)
        memcpy(p.ip, &((const struct sockaddr_in6 *)&a->sa)->sin6_addr, 16);
    return p;
}

void ct_peer_ip(const ct_peer *p, char *out) {
    ct_address a = { 0 };

    a.sa.ss_family = p->family;
    if (p->family == AF_INET)
        memcpy(&((struct sockaddr_in *)&a.sa)->sin_addr, p->ip, 4);
    else if (p->family == AF_INET6)
        memcpy(&((struct sockaddr_in6 *)&a.sa)->sin6_addr, p->ip, 16);
    ct_address_ip(&a, out);
}

bool ct_peer_parse(ct_peer *p, const char *text, size_t n) {
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    char ip[INET6_ADDRSTRLEN];

    *p = (ct_peer){ .family = AF_INET };
    if (n >= sizeof ip || memchr(text, 0, n)) return false;
    memcpy(ip, text, n);
    ip[n] = 0;
    if (inet_pton(AF_INET, ip, p->ip) == 1) return true;
    if (inet_pton(AF_INET6, ip, p->ip) != 1) return false;
    p->family = AF_INET6;
    if (memcmp(p->ip, mapped, sizeof mapped) != 0) return true;
    memmove(p->ip, p->ip + 12, 4);
    memset(p->ip + 4, 0, 12);
    p->family = AF_INET;
    return true;
}
