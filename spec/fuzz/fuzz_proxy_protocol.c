/* Fuzzes the PROXY protocol: what is complete must be so only with all of its
 * bytes, and what is refused stays refused. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/proxy_protocol.h"

#include "pieces.h"

static ct_proxy_result parse(ct_proxy *out, const uint8_t *data, size_t n) {
    char *copy = malloc(n ? n : 1);
    ct_proxy_result result;

    if (!copy) abort();
    memcpy(copy, data, n);
    result = ct_proxy_parse(out, copy, n);
    free(copy);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ct_proxy whole, part;
    ct_proxy_result result = parse(&whole, data, size);
    bool refused = false;

    if (result == CT_PROXY_DONE)
        expect(whole.used <= size && whole.used <= CT_PROXY_MOST, "used");
    else
        expect(!whole.has_peer && !whole.tls, "nothing said");
    if (result == CT_PROXY_BAD) expect(whole.why != NULL, "why");
    if (result == CT_PROXY_MORE) expect(size < CT_PROXY_MOST, "an end");
    for (size_t n = 0; n <= size && n <= CT_PROXY_MOST; n++) {
        ct_proxy_result now = parse(&part, data, n);

        expect(!refused || now == CT_PROXY_BAD, "refused for ever");
        refused = now == CT_PROXY_BAD;
        if (result == CT_PROXY_DONE)
            expect(now == (n < whole.used ? CT_PROXY_MORE : CT_PROXY_DONE),
                   "complete with its last byte");
    }
    return 0;
}
