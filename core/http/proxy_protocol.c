/* Both forms are looked at again with each piece: they come in one, or somebody
 * plays, and the limits make that cheap. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/proxy_protocol.h"

#include <stdint.h>
#include <string.h>

enum {
    V1_MOST = 107, /* with its CRLF */
    V2_HEAD = 16,
    TLV_HEAD = 3,
    TLV_SSL = 0x20,
    SSL_SIZE = 5, /* client, verify */
    CLIENT_SSL = 1
};

static ct_proxy_result bad(ct_proxy *out, const char *why) {
    out->why = why;
    return CT_PROXY_BAD;
}

/* -- Version 1: a line of text ------------------------------------------------ */

/* Takes the next word, which must not be empty; false when there is none. */
static bool take_word(const char **at, const char *end, const char **word,
                      size_t *n) {
    const char *space = memchr(*at, ' ', (size_t)(end - *at));

    if (!space) space = end;
    *word = *at;
    *n = (size_t)(space - *at);
    *at = space < end ? space + 1 : end;
    return *n > 0;
}

/* 0 to 65535, without leading zeros. */
static bool is_port(const char *p, size_t n) {
    unsigned value = 0;

    if (n == 0 || n > 5 || (n > 1 && *p == '0')) return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') return false;
        value = value * 10 + (unsigned)(p[i] - '0');
    }
    return value <= 65535;
}

static bool take_ip(const char **at, const char *end, bool v6, ct_peer *peer) {
    const char *word;
    size_t n;

    return take_word(at, end, &word, &n) &&
           (memchr(word, ':', n) != NULL) == v6 && ct_peer_parse(peer, word, n);
}

static bool take_port(const char **at, const char *end) {
    const char *word;
    size_t n;

    return take_word(at, end, &word, &n) && is_port(word, n);
}

/* "TCP4 SOURCE TARGET PORT PORT", or "UNKNOWN" and anything. */
static ct_proxy_result take_line(ct_proxy *out, const char *at,
                                 const char *end) {
    const char *word;
    ct_peer target;
    size_t n;
    bool v6;

    if (!take_word(&at, end, &word, &n)) return bad(out, "no protocol");
    if (n == 7 && memcmp(word, "UNKNOWN", 7) == 0) return CT_PROXY_DONE;
    if (n != 4 || memcmp(word, "TCP", 3) != 0 ||
        (word[3] != '4' && word[3] != '6'))
        return bad(out, "a protocol other than TCP4, TCP6 and UNKNOWN");
    v6 = word[3] == '6';
    if (!take_ip(&at, end, v6, &out->peer) || !take_ip(&at, end, v6, &target))
        return bad(out, "a bad address");
    if (!take_port(&at, end) || at == end || !take_port(&at, end) ||
        at != end || end[-1] == ' ')
        return bad(out, "bad ports");
    out->has_peer = true;
    return CT_PROXY_DONE;
}

static ct_proxy_result parse_v1(ct_proxy *out, const char *p, size_t n) {
    size_t most = n < V1_MOST ? n : V1_MOST;
    const char *lf = memchr(p, '\n', most);

    if (memchr(p, 0, lf ? (size_t)(lf - p) : most)) return bad(out, "a NUL");
    if (!lf)
        return n < V1_MOST ? CT_PROXY_MORE
                           : bad(out, "a line of more than 107 bytes");
    if (lf[-1] != '\r') return bad(out, "a line that does not end in CRLF");
    out->used = (size_t)(lf - p) + 1;
    return take_line(out, p + 6, lf - 1);
}

/* -- Version 2: binary --------------------------------------------------------- */

static size_t be16(const uint8_t *p) {
    return (size_t)p[0] << 8 | p[1];
}

static ct_proxy_result take_tlvs(ct_proxy *out, const uint8_t *p, size_t n) {
    while (n) {
        size_t size;

        if (n < TLV_HEAD) return bad(out, "a TLV that is cut off");
        size = be16(p + 1);
        if (size > n - TLV_HEAD) return bad(out, "a TLV that is cut off");
        if (*p == TLV_SSL) {
            if (size < SSL_SIZE)
                return bad(out, "an SSL TLV that is too short");
            out->tls = p[TLV_HEAD] & CLIENT_SSL;
        }
        p += TLV_HEAD + size;
        n -= TLV_HEAD + size;
    }
    return CT_PROXY_DONE;
}

/* Bytes of the addresses, by family and protocol; -1 for one that no TCP
 * connection has. */
static int address_size(uint8_t family) {
    switch (family) {
    case 0x11: return 12;
    case 0x21: return 36;
    case 0x31: return 216;
    default: return -1;
    }
}

/* A v4-mapped address is IPv4, as everywhere. */
static void take_v6(ct_peer *peer, const uint8_t *p) {
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

    if (memcmp(p, mapped, sizeof mapped) == 0) {
        peer->family = AF_INET;
        memcpy(peer->ip, p + 12, 4);
    } else {
        peer->family = AF_INET6;
        memcpy(peer->ip, p, 16);
    }
}

static ct_proxy_result take_addresses(ct_proxy *out, uint8_t family,
                                      const uint8_t *p, size_t n) {
    int size = address_size(family);

    if (size < 0) return bad(out, "a family or protocol that is not TCP");
    if (n < (size_t)size) return bad(out, "addresses that are cut off");
    if (size == 12) {
        out->peer.family = AF_INET;
        memcpy(out->peer.ip, p, 4);
    } else if (size == 36) {
        take_v6(&out->peer, p);
    }
    out->has_peer = size == 12 || size == 36;
    return take_tlvs(out, p + size, n - (size_t)size);
}

static ct_proxy_result parse_v2(ct_proxy *out, const uint8_t *p, size_t n) {
    size_t size;

    if (n > 12 && p[12] != 0x20 && p[12] != 0x21)
        return bad(out, "a version or command that is not known");
    if (n < V2_HEAD) return CT_PROXY_MORE;
    size = be16(p + 14);
    if (size > CT_PROXY_MOST - V2_HEAD) return bad(out, "too long");
    if (n < V2_HEAD + size) return CT_PROXY_MORE;
    out->used = V2_HEAD + size;
    if (p[12] == 0x20) return CT_PROXY_DONE; /* LOCAL: all of it is skipped */
    if (p[13] == 0x00) return CT_PROXY_DONE; /* UNSPEC: it is, too */
    return take_addresses(out, p[13], p + V2_HEAD, size);
}

/* -- Which one ------------------------------------------------------------------ */

static bool begins(const char *p, size_t n, const char *with, size_t size) {
    return memcmp(p, with, n < size ? n : size) == 0;
}

ct_proxy_result ct_proxy_parse(ct_proxy *out, const char *p, size_t n) {
    static const char v1[] = "PROXY ";
    static const char v2[] = "\r\n\r\n\0\r\nQUIT\n";
    ct_proxy_result result;

    *out = (ct_proxy){ 0 };
    if (!n) return CT_PROXY_MORE;
    if (begins(p, n, v1, 6))
        result = n < 6 ? CT_PROXY_MORE : parse_v1(out, p, n);
    else if (begins(p, n, v2, 12))
        result = parse_v2(out, (const uint8_t *)p, n);
    else
        result = bad(out, "no header of the PROXY protocol");
    if (result != CT_PROXY_DONE) out->has_peer = out->tls = false;
    return result;
}
