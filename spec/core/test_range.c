/* Conditions, ranges, dates, weights of codings: what is taken, what is ignored. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/range.h"

#include "check.h"

static ct_str str(const char *s) {
    return (ct_str){ s, (uint32_t)strlen(s) };
}

static void test_dates(void) {
    static const char *const same[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT",   "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",        "06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 10:49:37 +0200", "Sun, 06 Nov 1994 03:19:37 -0530",
        " Sun, 06 Nov 1994 08:49:37 UTC ",
    };
    static const char *const none[] = {
        "",
        "x",
        "Sun, 06 Nov 1994",
        "Sun, 06 Nov 1994 08:49:37 +02:00",
        "Sun, 06 Nov 1994 08:49:37 EST",
        "784111777",
        "0",
        "Sun, 06 Nov 1994 08:49:37 GMT and a tail that is longer than all dates",
    };
    time_t at;

    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        CHECK(ct_range_date(str(same[i]), &at) && at == 784111777);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        CHECK(!ct_range_date(str(none[i]), &at));
}

static void test_etags(void) {
    ct_str tag = str("\"a\""), weak = str("W/\"a\"");

    CHECK(ct_range_has_etag(str("\"a\""), tag));
    CHECK(ct_range_has_etag(str("W/\"a\""), tag));
    CHECK(ct_range_has_etag(str("\"b\" , \"a\""), weak));
    CHECK(ct_range_has_etag(str(" *"), tag));
    CHECK(!ct_range_has_etag(str("\"b\",*"), tag));
    CHECK(!ct_range_has_etag(str("a"), tag));
    CHECK(!ct_range_has_etag(str("\"a"), tag));
    CHECK(!ct_range_has_etag(str("\""), tag));
    CHECK(!ct_range_has_etag(str(""), tag));
    CHECK(ct_range_may(str("\"a\""), tag, 0));
    CHECK(!ct_range_may(str("W/\"a\""), weak, 0));
    CHECK(!ct_range_may(str("W/\"a\""), tag, 0));
    CHECK(!ct_range_may(str("\"b\""), tag, 0));
    CHECK(ct_range_may(str("Sun, 06 Nov 1994 08:49:37 GMT"), tag, 784111777));
    CHECK(!ct_range_may(str("Sun, 06 Nov 1994 08:49:37 GMT"), tag, 784111778));
    CHECK(ct_range_may(str("Wed, 07 Jan 1970 00:00:00 GMT"), tag, 518400));
}

static void test_ranges(void) {
    ct_range r[CT_RANGES_MAX];

    CHECK(ct_range_parse(str("bytes=0-0"), 10, r) == 1 && r->size == 1);
    CHECK(ct_range_parse(str("bytes=9-"), 10, r) == 1 && r->from == 9);
    CHECK(ct_range_parse(str("bytes=-3"), 10, r) == 1 && r->from == 7);
    CHECK(ct_range_parse(str("bytes=2-4,6-99,-1"), 10, r) == 3 &&
          r[1].from == 6 && r[1].size == 4 && r[2].from == 9);
    CHECK(ct_range_parse(str("bytes=2-4,10-"), 10, r) == 1);
    CHECK(ct_range_parse(str("bytes=10-,11-12"), 10, r) == -1);
    CHECK(ct_range_parse(str("bytes=0-,1-2"), 10, r) == 0);
    CHECK(ct_range_parse(str("bytes=1-2,,3-4"), 10, r) == 0);
    CHECK(ct_range_parse(str("bytes=1-2-3"), 10, r) == 0);
    CHECK(ct_range_parse(str("bytes=0-0"), 0, r) == -1);
    CHECK(ct_range_parse(str("bytes=-1"), 0, r) == -1);
    CHECK(ct_range_parse(str("bytes=--1"), 10, r) == 0);
    CHECK(ct_range_parse(str("bytes"), 10, r) == 0);
    CHECK(ct_range_parse(str(""), 10, r) == 0);
    CHECK(ct_range_parse(str("bytes=0-18446744073709551616"), 10, r) == 0);
    CHECK(ct_range_parse(str("bytes=4-18446744073709551616"), 10, r) == 1 &&
          r->from == 4 && r->size == 6);
    CHECK(ct_range_parse(str("bytes=18446744073709551616-"), 10, r) == -1);
    CHECK(ct_range_parse(str("bytes=-18446744073709551616"), 10, r) == 0);
    CHECK(ct_range_parse(str("bytes=1844674407370955161x-"), 10, r) == 0);
}

static ct_weights weights(const char *a, const char *b) {
    ct_weights w = { -1, -1, -1, -1 };

    ct_range_weights(str(a), &w);
    ct_range_weights(str(b), &w);
    return w;
}

static int gzip_of(const char *field) {
    return weights(field, "").gzip;
}

static void test_weights(void) {
    ct_weights w = weights("*;q=0.1, gzip;q=0", "br;q=0.5, gzip, *");

    CHECK(w.any == 100 && w.gzip == 0 && w.br == 500 && w.identity == -1);
    CHECK(gzip_of("gzip") == 1000);
    CHECK(gzip_of("X-GZip;q=0.3") == 300);
    CHECK(gzip_of("br, GZIP;q=0.5") == 500);
    CHECK(gzip_of("gzip; a=b ; Q=0.125") == 125);
    CHECK(gzip_of("*;q=0.1") == -1);
    CHECK(gzip_of("gzip;q=2") == 0);
    CHECK(gzip_of("gzip;q=") == 0);
    CHECK(gzip_of("gzip;q=1.001") == 0);
    CHECK(gzip_of("xgzip") == -1);
    CHECK(gzip_of("") == -1);
    CHECK(weights("", "identity;q=0").identity == 0);
}

int main(void) {
    test_dates();
    test_etags();
    test_ranges();
    test_weights();
    return check_report();
}
