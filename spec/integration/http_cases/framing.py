"""Where a request ends: lengths, chunks, and what would be smuggled in between."""
# SPDX-License-Identifier: Apache-2.0
import re
import time

from asking import (CHUNKED, HALF, HIDDEN, MEGABYTE, SUITE, case, chunked, get, head, length,
                    post, refuse, serve)
from harness import LAST, check, same

# -- Framing --------------------------------------------------------------------

ALL_BYTES = bytes(range(256)) * 3 + b"\r\n\r\n\0" + HIDDEN


def framing():
    g = "framing"
    serve(g, "GET", get(), b"hello")
    serve(g, "two GETs", get() + get(), b"hello", b"hello")
    for size in (0, 1, 5, 4096, 70000):
        body = MEGABYTE[:size]
        serve(g, f"POST of {size} bytes", length(body), body)
        pieces = [body] if body else []
        serve(g, f"POST of {size} bytes, chunked", post(CHUNKED, chunked(*pieces)), body)
    serve(g, "POST of half a megabyte, spooled to disk", length(HALF), HALF)
    serve(g, "POST of a megabyte, the limit", length(MEGABYTE), MEGABYTE)
    serve(g, "POST of half a megabyte in 512 chunks",
          post(CHUNKED, chunked(*[HALF[i:i + 1024] for i in range(0, len(HALF), 1024)])),
          HALF)
    serve(g, "POST without a length has no body", post(b""), b"")
    serve(g, "any bytes", length(ALL_BYTES), ALL_BYTES)
    serve(g, "any bytes, chunked", post(CHUNKED, chunked(ALL_BYTES, ALL_BYTES)),
          ALL_BYTES * 2)
    for verb in (b"PUT", b"PATCH", b"DELETE", b"GET", b"OPTIONS"):
        text = verb.decode()
        serve(g, f"{text} with a body", head(verb, b"/echo", b"Content-Length: 5\r\n")
              + b"abcde", b"abcde")
        serve(g, f"{text} with a chunked body", head(verb, b"/echo", CHUNKED)
              + chunked(b"abc", b"de"), b"abcde")
    for title, line in (
            ("no blank", b"Content-Length:5\r\n"),
            ("tabs around", b"Content-Length:\t5\t\r\n"),
            ("blanks around", b"Content-Length:   5  \r\n"),
            ("odd case", b"cOnTeNt-LENGTH: 5\r\n"),
            ("leading zeros", b"Content-Length: 0005\r\n"),
            ("twice the same", b"Content-Length: 5\r\nContent-Length: 5\r\n"),
            ("a list of the same", b"Content-Length: 5, 5\r\n")):
        serve(g, f"length, {title}", post(line, b"abcde"), b"abcde")
    serve(g, "a zero before the length does not make it octal",
          post(b"Content-Length: 010\r\n", b"0123456789"), b"0123456789")
    serve(g, "odd case of the coding", post(b"tRANSFER-eNCODING: ChunkeD\r\n",
                                            chunked(b"abc")), b"abc")
    serve(g, "CRLF after a body", [length(b"abc") + b"\r\n" + get()], b"abc", b"hello")
    serve(g, "CRLF before a request", b"\r\n" + get(), b"hello")
    serve(g, "two CRLF before a request", b"\r\n\r\n" + get(), b"hello")
    serve(g, "a 404 goes on", get(b"/nowhere") + get(), 404, b"hello")
    for title, request in (("GET", get()), ("POST", length(b"abcde")),
                           ("chunked", post(CHUNKED, chunked(b"abc", b"de")))):
        want = b"hello" if title == "GET" else b"abcde"
        serve(g, f"{title} byte by byte", [bytes([b]) for b in request], want)
    bodies_that_nobody_wants(g)
    fragments(g)


def bodies_that_nobody_wants(g):
    """What no handler reads is thrown away, not taken for a request."""
    for verb, status in ((b"HEAD", 200), (b"TRACE", 405), (b"PURGE", 405),
                         (b"PUT", 405), (b"GET", 200)):
        method = verb.decode()
        fields = b"Content-Length: %d\r\n" % len(HIDDEN)
        serve(g, f"{method} /, its body is no request",
              head(verb, b"/", fields) + HIDDEN + get(), status, b"hello",
              methods=[method])
        serve(g, f"{method} /, its chunked body is no request",
              head(verb, b"/", CHUNKED) + chunked(HIDDEN) + get(), status, b"hello",
              methods=[method])
    serve(g, "404, its body is no request",
          length(HIDDEN, target=b"/nowhere") + get(), 404, b"hello")


def fragments(g):
    """What is not complete is not answered."""
    whole = post(CHUNKED, b"5;a=b\r\nhello\r\n0\r\nX-T: v\r\n\r\n")
    cuts = (1, 4, 5, 10, 11, 20, 21, 22, 23, 30, len(whole) - 39, len(whole) - 29,
            len(whole) - 28, len(whole) - 14, len(whole) - 3, len(whole) - 2,
            len(whole) - 1)

    def run(site, cut):
        with site.main.connect() as c:
            c.send(whole[:cut])
            site.main.get("/")
            check(c.quiet(), f"answered after {whole[:cut][-20:]!r}")
            c.send(whole[cut:] + LAST)
            same(c.reply().body, b"hello", "body")
            same(c.reply().status, 200, "status of the last")
            c.end()
    for cut in cuts:
        SUITE.add(g, f"waits after {cut} of {len(whole)} bytes",
                  lambda site, cut=cut: run(site, cut))


@case("framing", "a reply has an exact Date, Server and length")
def _(site):
    reply = site.main.get("/")
    date = reply.get("date")
    check(re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date), date)
    then = time.mktime(time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone
    check(abs(time.time() - then) < 5, f"Date is off by {time.time() - then} s")
    check(reply.get("server").startswith("ctornado/"), reply.fields)
    same((reply.get("content-length"), reply.reason), ("5", b"OK"), "length, reason")


# -- Smuggling --------------------------------------------------------------------


def smuggling():
    g = "smuggling"
    tail = b"0\r\n\r\n" + HIDDEN
    both = b"Content-Length: %d\r\n" % len(tail) + CHUNKED
    refuse(g, "length, then coding", post(both, tail))
    refuse(g, "coding, then length", post(CHUNKED + b"Content-Length: 4\r\n",
                                          chunked(HIDDEN)))
    for verb in (b"GET", b"HEAD", b"BREW"):
        refuse(g, f"length and coding of {verb.decode()}", head(verb, b"/", both) + tail)
    refuse(g, "coding in HTTP/1.0", post(CHUNKED, tail, version=b"HTTP/1.0"))
    refuse(g, "coding and length in HTTP/1.0",
           post(both + b"Connection: keep-alive\r\n", tail, version=b"HTTP/1.0"))
    lengths = {
        "two": b"5\r\nContent-Length: 6", "zero and another": b"0\r\nContent-Length: 41",
        "two, the first empty": b"\r\nContent-Length: 5", "empty": b"",
        "a list of two": b"5, 6", "a list with an empty element": b",5",
        "a list with an empty end": b"5,", "minus": b"-5", "minus zero": b"-0",
        "plus": b"+5", "hexadecimal": b"0x5", "exponent": b"5e0", "fraction": b"5.0",
        "letters behind": b"5abc", "a blank inside": b"0 5", "an underscore": b"0_5",
        "vertical tab": b"\x0b5", "NUL behind": b"5\0", "NUL inside": b"5\x006",
        "a no-break space": b"\xa05", "Arabic digit": b"\xd9\xa5", "quoted": b'"5"',
        "folded": b"0\r\n 5", "folded to another field": b"5\r\n Content-Length: 999"}
    for title, value in lengths.items():
        refuse(g, f"length, {title}",
               post(b"Content-Length: " + value + b"\r\n", b"0" * 5) + HIDDEN)
    for title, value in {"10^15": b"1" + b"0" * 15, "2^63": b"9223372036854775808",
                         "2^64 + 5": b"18446744073709551621",
                         "10^30": b"1" + b"0" * 30}.items():
        refuse(g, f"length of {title}",
               post(b"Content-Length: " + value + b"\r\n", b"x") + HIDDEN, 413)
    codings = {
        "xchunked": 501, "chunkedx": 501, "gzip": 501, "identity": 501,
        "gzip, chunked": 400, "chunked, gzip": 400, "chunked, chunked": 400, "": 400,
        '"chunked"': 400, "\x0bchunked": 400, "\xa0chunked": 400, "chunked\xa0": 400,
        "chunked\0": 400, "chunked\0x": 400, "chunked;q=1": 400, "chunked;": 400,
        "chunked foo": 400, "foo chunked": 400, ": chunked": 400, ",chunked": 400,
        "chunked,": 400, "\rchunked": 400, "\nchunked": 400, "\r\n chunked": 400,
        "chunked\r\nTransfer-Encoding: chunked": 400,
        "chunked\r\nTransfer-Encoding: identity": 400,
        "identity\r\nTransfer-Encoding: chunked": 501}
    for value, status in codings.items():
        refuse(g, f"coding {value!r}", post(
            b"Transfer-Encoding: " + value.encode("latin-1") + b"\r\n",
            chunked(b"abc")) + HIDDEN, status)
    for line in (b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked",
                 b"Transfer\0-Encoding: chunked", b"Transfer-\r\nEncoding: chunked",
                 b"Transfer-Encoding\n: chunked", b"Transfer-Encoding\r: chunked",
                 b"Transfer-Encoding\xa0: chunked", b" Transfer-Encoding: chunked",
                 b"Content-Length : 5", b"Content-Length\x0b: 5", b"Content-Length",
                 b"X: y\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked",
                 b"\tContent-Length: 5", b": chunked", b"\0: y"):
        refuse(g, f"line {line!r}", post(line + b"\r\n", chunked(b"abc")) + HIDDEN)
    for name in (b"Transfer_Encoding", b"X-Transfer-Encoding", b"Content_Length"):
        serve(g, f"{name.decode()} is another field",
              post(name + b": chunked\r\nContent-Length: %d\r\n" % len(tail), tail), tail)

    @case(g, "nothing is served after Connection: close")
    def _(site):
        with site.main.connect() as c:
            c.send(get(fields=b"Connection: close\r\n") + HIDDEN)
            check(c.reply().closes, "no Connection: close")
            c.end()


# -- Chunked --------------------------------------------------------------------


def chunks():
    g = "chunked"
    good = {
        "one": (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        "none": (b"0\r\n\r\n", b""),
        "either case": (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
        "leading zeros": (b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
        "an extension": (b"5;a\r\nhello\r\n0\r\n\r\n", b"hello"),
        "extensions": (b'5;a;b=c;d="e;f\\""\r\nhello\r\n0;g=h\r\n\r\n', b"hello"),
        "blanks in an extension": (b"5 ; a = b\r\nhello\r\n0\r\n\r\n", b"hello"),
        "a trailer": (b"5\r\nhello\r\n0\r\nX-T: v\r\n\r\n", b"hello"),
        "two trailers": (b"5\r\nhello\r\n0\r\nX-T: v\r\nX-U:\r\n\r\n", b"hello"),
        "300 chunks": (chunked(*[b"%d," % i for i in range(300)]),
                       b"".join(b"%d," % i for i in range(300))),
    }
    for title, (body, want) in good.items():
        serve(g, title, post(CHUNKED, body), want)
    whole = post(CHUNKED, b"5;x=y\r\nhello\r\n3\r\nyou\r\n0\r\nX: y\r\n\r\n")
    start = len(post(CHUNKED))
    for cut in range(start, len(whole), 3):
        serve(g, f"cut at byte {cut - start} of the body", [whole[:cut], whole[cut:]],
              b"helloyou")
    for size in (b"0x5", b"+5", b"-0", b"-5", b" 5", b"\t5", b"g", b";a=b", b"0_5", b"5.0",
                 b"5 junk", b"5,", b"5h", b"\x0b5", b"", b"5\0", b"5 ", b"5;\n", b"5;a\rb",
                 b'5;a="b', b"5;=b", b"5;a=\x01", b"5\r", b"5\r\r;ABCD", b"F" * 17,
                 b"8000000000000000", b"0" * 33, b"5;a=b c", b"5\x80"):
        refuse(g, f"size line {size!r}", post(CHUNKED, size + b"\r\nhello\r\n0\r\n\r\n"))
    for body in (b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhell\r\n0\r\n\r\nxx",
                 b"5\r\nhelloXX0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\rhello\r\n0\r\n\r\n",
                 b"5\r\nhello\r\n\r\n0\r\n\r\n", b"5\r\nhello\r\n0\n\r\n",
                 b"5\r\nhello\r\n0 0\r\n\r\n", b"0\r\nX y\r\n\r\n", b"0\r\n X: y\r\n\r\n",
                 b"0\r\nX: a\0b\r\n\r\n", b"0\r\n: y\r\n\r\n", b"0\r\nX: y\n\r\n",
                 b"0\r\nX: y\rz\r\n\r\n", b"0\r\n\rX", b"5\r\nhello\r\nzz\r\n"):
        refuse(g, f"body {body!r}", post(CHUNKED, body))
    refuse(g, "a chunk of 2^63 - 1", post(CHUNKED, b"7fffffffffffffff\r\nx"), 413)
    refuse(g, "a chunk over max_body_size", post(CHUNKED, b"100001\r\nx"), 413)
    refuse(g, "chunks that add up to more than max_body_size",
           post(CHUNKED, chunked(MEGABYTE, b"x")), 413)
    refuse(g, "extensions over 4 KiB in sum",
           post(CHUNKED, (b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 5))
    refuse(g, "trailers over 8 KiB",
           post(CHUNKED, b"0\r\n" + b"X-A: bbbbbbbbbbb\r\n" * 600 + b"\r\n"), 431)
    for line in (b"X-Trailer: evil", b"Host: evil", b"Cookie: evil", b"Content-Length: 3",
                 b"Authorization: evil"):
        def run(site, line=line):
            with site.main.connect() as c:
                c.send(post(CHUNKED, b"3\r\nabc\r\n0\r\n" + line + b"\r\n\r\n",
                            target=b"/mirror") + LAST)
                reply = c.reply().json()
                same(reply["body"], "abc", "body")
                check("evil" not in str(reply) and line.split(b":")[0].lower().decode()
                      not in set(reply["headers"]) - {"host"}, reply)
                same(c.reply().status, 200, "status of the last")
        SUITE.add(g, f"trailer {line.decode()} is dropped", run)
