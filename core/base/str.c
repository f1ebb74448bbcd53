/* Tables and plain loops; where long spans without a special byte are usual
 * (pages to escape, arguments to decode), SSE2 looks for the next one. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "base/utf8.h"
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* -- Classes of bytes ------------------------------------------------------ */

enum { TOKEN = 1, UNRESERVED = 2 };

#define T TOKEN
#define U (TOKEN | UNRESERVED)
static const uint8_t classes[256] = {
    ['!'] = T, ['#'] = T, ['$'] = T, ['%'] = T, ['&'] = T, ['\''] = T,
    ['*'] = T, ['+'] = T, ['^'] = T, ['`'] = T, ['|'] = T, ['-'] = U,
    ['.'] = U, ['_'] = U, ['~'] = U, ['0'] = U, ['1'] = U, ['2'] = U,
    ['3'] = U, ['4'] = U, ['5'] = U, ['6'] = U, ['7'] = U, ['8'] = U,
    ['9'] = U, ['A'] = U, ['B'] = U, ['C'] = U, ['D'] = U, ['E'] = U,
    ['F'] = U, ['G'] = U, ['H'] = U, ['I'] = U, ['J'] = U, ['K'] = U,
    ['L'] = U, ['M'] = U, ['N'] = U, ['O'] = U, ['P'] = U, ['Q'] = U,
    ['R'] = U, ['S'] = U, ['T'] = U, ['U'] = U, ['V'] = U, ['W'] = U,
    ['X'] = U, ['Y'] = U, ['Z'] = U, ['a'] = U, ['b'] = U, ['c'] = U,
    ['d'] = U, ['e'] = U, ['f'] = U, ['g'] = U, ['h'] = U, ['i'] = U,
    ['j'] = U, ['k'] = U, ['l'] = U, ['m'] = U, ['n'] = U, ['o'] = U,
    ['p'] = U, ['q'] = U, ['r'] = U, ['s'] = U, ['t'] = U, ['u'] = U,
    ['v'] = U, ['w'] = U, ['x'] = U, ['y'] = U, ['z'] = U,
};
#undef T
#undef U

static unsigned char lower(char c) {
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* Names mostly come as they are asked for: words that are the same need no
 * look at their letters. */
bool ct_str_same(const char *a, size_t an, const char *b, size_t bn) {
    size_t i = 0;

    if (an != bn) return false;
    while (i < an) {
        uint64_t x, y;

        if (an - i >= sizeof x) {
            memcpy(&x, a + i, sizeof x);
            memcpy(&y, b + i, sizeof y);
            if (x == y) {
                i += sizeof x;
                continue;
            }
        }
        if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
        i++;
    }
    return true;
}

bool ct_str_is_token(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(classes[(unsigned char)p[i]] & TOKEN)) return false;
    return n > 0;
}

bool ct_str_is_field_value(const char *p, size_t n) {
    bool bad = false;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        bad |= (c < 0x20 && c != '\t') || c == 0x7f;
    }
    return !bad;
}

/* -- Numbers --------------------------------------------------------------- */

bool ct_str_decimal(const char *p, size_t n, uint64_t *out) {
    uint64_t v = 0;

    if (n == 0) return false;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = (unsigned char)p[i] - (unsigned)'0';
        if (digit > 9 || v > ((uint64_t)INT64_MAX - digit) / 10) return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

size_t ct_str_from_u64(char *out, uint64_t v) {
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

size_t ct_str_from_hex(char *out, uint64_t v) {
    size_t n = 1;

    while (n < 16 && v >> (4 * n)) n++;
    for (size_t i = n; i--; v >>= 4) out[i] = "0123456789abcdef"[v & 15];
    return n;
}

/* -- UTF-8 ----------------------------------------------------------------- */

bool ct_str_is_utf8(const char *p, size_t n) {
    ct_utf8 u = { 0 };

    return ct_utf8_run(&u, p, n) && ct_utf8_is_whole(&u);
}

/* -- URLs ------------------------------------------------------------------ */

static int hex_value(char c) {
    unsigned char l = lower(c);

    if (c >= '0' && c <= '9') return c - '0';
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* Length of the span at `p` without '%' and '+'. */
static size_t plain_url(const char *p, size_t n) {
    size_t i = 0;

#ifdef __SSE2__
    const __m128i percent = _mm_set1_epi8('%'), plus = _mm_set1_epi8('+');
    for (; i + 16 <= n; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        int found = _mm_movemask_epi8(
            _mm_or_si128(_mm_cmpeq_epi8(v, percent), _mm_cmpeq_epi8(v, plus)));
        if (found) return i + (size_t)__builtin_ctz((unsigned)found);
    }
#endif
    while (i < n && p[i] != '%' && p[i] != '+') i++;
    return i;
}

size_t ct_str_url_decode_one(const char *p, size_t n, bool plus, char *out) {
    *out = *p;
    if (*p == '+' && plus) *out = ' ';
    if (*p != '%' || n < 3) return 1;
    int high = hex_value(p[1]), low = hex_value(p[2]);
    if (high < 0 || low < 0) return 1;
    *out = (char)(high << 4 | low);
    return 3;
}

size_t ct_str_url_decode(const char *p, size_t n, bool plus, char *out) {
    const char *end = p + n;
    char *o = out;

    while (p < end) {
        size_t span = plain_url(p, (size_t)(end - p));
        if (o != p) memmove(o, p, span);
        o += span;
        p += span;
        if (p < end)
            p += ct_str_url_decode_one(p, (size_t)(end - p), plus, o++);
    }
    return (size_t)(o - out);
}

size_t ct_str_url_encode(const char *p, size_t n, bool plus, char *out) {
    static const char digits[] = "0123456789ABCDEF";
    char *o = out;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if ((classes[c] & UNRESERVED) || (c == '/' && !plus)) {
            *o++ = (char)c;
        } else if (c == ' ' && plus) {
            *o++ = '+';
        } else {
            *o++ = '%';
            *o++ = digits[c >> 4];
            *o++ = digits[c & 15];
        }
    }
    return (size_t)(o - out);
}

/* -- HTML ------------------------------------------------------------------ */

typedef struct entity {
    char text[8];
    size_t n; /* 0: the byte stands for itself */
} entity;

static const entity entities[256] = { ['&'] = { "&amp;", 5 },
                                      ['<'] = { "&lt;", 4 },
                                      ['>'] = { "&gt;", 4 },
                                      ['"'] = { "&quot;", 6 },
                                      ['\''] = { "&#x27;", 6 } };

#ifdef __SSE2__
/* Which of 16 bytes HTML gives a meaning. Without its lowest bit '&' is as
 * '\'', and without the next '<' is as '>': three comparisons find all five, and
 * no other byte. */
static unsigned markup(__m128i v) {
    __m128i amp = _mm_and_si128(v, _mm_set1_epi8((char)~1)),
            less = _mm_and_si128(v, _mm_set1_epi8((char)~2));
    __m128i hit = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));

    hit = _mm_or_si128(hit, _mm_cmpeq_epi8(amp, _mm_set1_epi8('&')));
    hit = _mm_or_si128(hit, _mm_cmpeq_epi8(less, _mm_set1_epi8('<')));
    return (unsigned)_mm_movemask_epi8(hit);
}

/* Escapes up to the last 15 bytes. Stores whole words, of which what is too much
 * is written over: there is room, 6 bytes for each that is left. */
static size_t escape_blocks(const char **p, const char *end, char *out) {
    const char *in = *p;
    char *o = out;

    while (end - in >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)in);
        unsigned found = markup(v), span = 16;

        _mm_storeu_si128((__m128i *)(void *)o, v);
        if (found) span = (unsigned)__builtin_ctz(found);
        in += span;
        o += span;
        if (!found) continue;
        const entity *e = &entities[(unsigned char)*in++];
        memcpy(o, e->text, sizeof e->text);
        o += e->n;
    }
    *p = in;
    return (size_t)(o - out);
}
#endif

size_t ct_str_html_escape(const char *p, size_t n, char *out) {
    const char *end = p + n;
    char *o = out;

#ifdef __SSE2__
    o += escape_blocks(&p, end, o);
#endif
    for (; p < end; p++) {
        const entity *e = &entities[(unsigned char)*p];

        *o = *p;
        memcpy(o, e->text, e->n);
        o += e->n ? e->n : 1;
    }
    return (size_t)(o - out);
}
