#!/usr/bin/env python3
"""HTTPS from outside, with Python's ssl, curl and openssl s_client: what is agreed
on, what is refused, certificates by name and of clients, and ends of connections.
"""
# SPDX-License-Identifier: Apache-2.0
import shutil
import ssl
import subprocess
import sys

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import https
from harness import (HOST, LAST, PATIENCE, Connection, Reset, Server, Skip, Suite, check, on_time,
                     same)
from https import GET, Tls, context, files, report, s_client, serve

suite = Suite()


@suite.case("tls", "what is agreed on reaches the handler")
def agreed(server):
    tls = context()
    tls.set_alpn_protocols(["h2", "http/1.1"])
    with Tls(server.port, tls) as c:
        c.send(GET)
        reply = c.reply()
        same(reply.get("set-cookie"), "a=b; Path=/; Secure", "the cookie")
        got = reply.json()
        same(got["protocol"], "https", "protocol")
        same(got["tls"], {"version": "TLSv1.3", "cipher": c.socket.cipher()[0],
                          "server_name": "a.test", "protocol": "http/1.1",
                          "resumed": False}, "tls")
        same(got["der"], 0, "the client's certificate")
        for _ in range(50):
            c.send(GET)
            same(c.reply().status, 200, "a further request")


@suite.case("tls", "pipelined requests and bodies of all sizes")
def bodies(server):
    with Tls(server.port) as c:
        c.send(GET * 20)
        for _ in range(20):
            same(c.reply().status, 200, "a pipelined request")
        for size in (0, 1, 16383, 16384, 16385, 70000, 900000):
            body = bytes(i % 251 for i in range(size))
            c.send(b"POST /tls HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % size + body)
            check(c.reply().body == body, "a body of", size, "bytes is not the same")


@suite.case("tls", "files and streamed replies larger than all buffers")
def large(server):
    want = (files / "big").read_bytes()
    with Tls(server.port) as c:
        for _ in range(2):
            c.send(b"GET /static/big HTTP/1.1\r\n" + HOST + b"\r\n")
            check(c.reply().body == want, "the file is not the same")
        c.send(b"GET /static/big HTTP/1.1\r\n" + HOST + b"Range: bytes=5-1500000\r\n\r\n")
        check(c.reply().body == want[5:1500001], "the range is not the same")
        c.send(b"GET /slow?n=200 HTTP/1.1\r\n" + HOST + b"\r\n")
        same(len(c.reply().body), 2000000, "a streamed reply")


@suite.case("tls", "a byte at a time")
def trickle(server):
    with Tls(server.port) as c:
        for i in range(len(GET)):
            c.send(GET[i:i + 1])
        same(c.reply().status, 200, "the request")


@suite.case("tls", "the session is ended before the connection")
def ends(server):
    with Tls(server.port) as c:
        c.socket.suppress_ragged_eofs = False
        c.send(LAST)
        c.reply()
        same(c.socket.recv(10), b"", "the end, without SSLEOFError")


@suite.case("tls", "TLS 1.2, with strong ciphers only")
def version12(server):
    tls = context(maximum_version=ssl.TLSVersion.TLSv1_2)
    same(report(server.port, tls)["tls"]["version"], "TLSv1.2", "version")
    for weak in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384",
                 "NULL", "aNULL", "DES-CBC3-SHA", "AES128-GCM-SHA256"):
        tls = context(maximum_version=ssl.TLSVersion.TLSv1_2)
        try:
            tls.set_ciphers(f"{weak}:@SECLEVEL=0")
        except ssl.SSLError:
            continue  # this OpenSSL has not even heard of it
        try:
            Tls(server.port, tls).close()
        except (ssl.SSLError, OSError):
            continue
        check(False, weak, "was accepted")


WEAK = ("AES128-SHA:AES256-SHA:AES128-SHA256:AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-CCM8",
        "ADH:AECDH", "PSK", "SRP", "DHE", "NULL", "CAMELLIA", "ARIA")


@suite.case("tls", "no cipher without forward secrecy or authenticated encryption")
def ciphers(server):
    for list_ in WEAK:
        got = s_client(server.port, "-tls1_2", "-cipher", f"{list_}:@SECLEVEL=0")
        check("Cipher is (NONE)" in got or "no cipher match" in got, list_, "is taken:", got[-600:])
    for cipher in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"):
        check(f"Cipher is {cipher}" in s_client(server.port, "-tls1_2", "-cipher", cipher),
              cipher, "is not taken")
    for cipher in ("TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"):
        got = s_client(server.port, "-tls1_3", "-ciphersuites", cipher)
        check("Cipher is (NONE)" in got, cipher, "is taken")


@suite.case("tls", "no TLS 1.0 and 1.1, no renegotiation")
def old(server):
    for version in ("-tls1", "-tls1_1"):
        got = s_client(server.port, version, "-cipher", "ALL:@SECLEVEL=0")
        check("Cipher is (NONE)" in got, version, "was accepted")
    got = s_client(server.port, "-tls1_2", text="R\n")
    check("no renegotiation" in got or "handshake failure" in got,
          "renegotiation was accepted:", got[-500:])
    check("Compression: NONE" in got, "there is compression")


@suite.case("tls", "an unknown protocol of ALPN only is refused")
def alpn(server):
    got = s_client(server.port, "-alpn", "h3")
    check("no application protocol" in got, "no alert:", got[-500:])
    check("ALPN protocol: http/1.1" in s_client(server.port, "-alpn", "h3,http/1.1"),
          "http/1.1 was not taken")


@suite.case("tls", "sessions are resumed by tickets")
def resume(server):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        tls = context(maximum_version=version)
        with Tls(server.port, tls) as c:
            c.send(GET)
            check(not c.reply().json()["tls"]["resumed"], "the first one is resumed")
            session = c.socket.session
        check(report(server.port, tls, session=session)["tls"]["resumed"],
              version, "is not resumed")


@suite.case("tls", "plain HTTP is told that it is wrong here")
def plain(server):
    with Connection(server.port) as c:
        c.send(b"OPTIONS / HTTP/1.1\r\n" + HOST + b"\r\n")
        reply = c.reply()
        same(reply.status, 400, "status")
        same(reply.get("content-type"), "text/plain", "type")
        check(b"plain HTTP" in reply.body, "the text is", reply.body)
        c.end()


@suite.case("tls", "garbage, and clients that leave, harm nobody")
def garbage(server):
    for data in (b"", b"\x16", b"\x16\x03\x01\x00\xff" + b"\x01" * 255, b"\x00" * 500,
                 b"\x80\x2e\x01\x00\x02", b"\x15\x03\x03\x00\x02\x02\x28"):
        with Connection(server.port) as c:
            try:
                c.send(data)
                c.half_close()
                c.to_end()
            except (Reset, OSError):
                pass
    same(report(server.port)["protocol"], "https", "a request after them")


@suite.case("tls", "a handshake has header_timeout", alone=True)
def deadline(server):
    def silent(step):
        step()
        with Connection(other.port) as c:
            c.send(b"\x16\x03\x01")
            step()
            c.to_end()
    with serve(server.binary, "--header-timeout=0.5") as other:
        on_time(0.4, silent)


@suite.case("tls", "curl")
def curl(server):
    if not shutil.which("curl"):
        raise Skip("no curl")
    done = subprocess.run(
        ["curl", "-sS", "--cacert", str(files / "ca.crt"), "--resolve",
         f"a.test:{server.port}:127.0.0.1", f"https://a.test:{server.port}/tls"],
        capture_output=True, text=True, timeout=PATIENCE)
    check('"https"' in done.stdout, "curl says", done.stdout, done.stderr)


def one_more(name):
    return f'{{ certfile = "{files / name}.crt", keyfile = "{files / name}.key" }}'


@suite.case("names", "the certificate is that of the host", alone=True)
def by_name(server):
    with serve(server.binary, certificates=f"{{ {one_more('b')}, {one_more('c')} }}") as other:
        for host in ("a.test", "x.b.test", "c.test", "127.0.0.1"):
            report(other.port, host=host)
        for host in ("b.test", "x.y.b.test"):
            try:
                report(other.port, host=host)
            except ssl.SSLCertVerificationError:
                continue
            check(False, host, "got a certificate that fits")


@suite.case("clients", "a certificate that is wanted", alone=True)
def optional(server):
    with serve(server.binary, cert_reqs='"optional"', ca_certs=f'"{files / "ca.crt"}"') as other:
        same(report(other.port)["der"], 0, "without one")
        tls = context()
        tls.load_cert_chain(files / "me.crt", files / "me.key")
        got = report(other.port, tls)
        check(got["der"] > 200, "no DER")
        same(got["certificate"]["subject"], [[["commonName", "me"]]], "subject")
        same(got["certificate"]["issuer"], [[["commonName", "CA"]]], "issuer")
        same(got["certificate"]["subjectAltName"], [["email", "me@a.test"]], "names")


@suite.case("clients", "a certificate that is needed", alone=True)
def required(server):
    with serve(server.binary, cert_reqs='"required"', ca_certs=f'"{files / "ca.crt"}"') as other:
        tls = context()
        tls.load_cert_chain(files / "me.crt", files / "me.key")
        check(report(other.port, tls)["der"] > 200, "no DER")
        try:
            report(other.port)
        except (ssl.SSLError, OSError):
            return
        check(False, "a client without one was served")


def told(connection, request):
    """Sends a request with the last of the handshake; returns what the server says of it."""
    come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context().wrap_bio(come, go, server_hostname="a.test")
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            connection.send(go.read())
            data = connection.socket.recv(65536)
            check(data, "the server ended the handshake")
            come.write(data)
    tls.write(request)
    connection.send(go.read())
    while data := connection.socket.recv(65536):  # to its end: a reset raises
        come.write(data)
    come.write_eof()
    try:
        tls.read()
    except ssl.SSLError as error:
        return error.reason
    return None


@suite.case("clients", "one whose certificate is missing is told so, and not cut off", alone=True)
def alert(server):
    with serve(server.binary, cert_reqs='"required"', ca_certs=f'"{files / "ca.crt"}"') as other:
        for size in (0, 200000):  # more than is received before it is judged
            with other.connect() as c:
                said = told(c, b"POST / HTTP/1.1\r\n" + HOST + b"\r\n" + bytes(size))
                same(said, "TLSV13_ALERT_CERTIFICATE_REQUIRED", "what the server says")


@suite.case("start", "what cannot be used is said", alone=True)
def start(server):
    for config, want in (
            ('listen = { { "127.0.0.1:0", certfile = "/none" } }', "/none: No such file"),
            ('listen = { { "127.0.0.1:0", certfile = "self-signed" } }', "is for debug"),
            ('listen = { { "127.0.0.1:0", redirect = "x" } }', "redirect: expected the port"),
            ('listen = { { "127.0.0.1:0", cretfile = "x" } }', 'did you mean "certfile"')):
        path = files / "bad.conf"
        path.write_text(config)
        done = subprocess.run(
            [str(server.binary), f"--config={path}", f"--site={files.folder}"],
            capture_output=True, text=True, timeout=PATIENCE)
        check(done.returncode == 1 and want in done.stderr, config, "says", done.stderr)


@suite.case("start", "a certificate made for debug", alone=True)
def made(server):
    with Server(server.binary, "--certfile=self-signed", "--debug", site=files.folder) as other:
        with Tls(other.port, ssl._create_unverified_context(), host="localhost") as c:
            c.send(GET)
            same(c.reply().json()["protocol"], "https", "protocol")


@suite.case("start", "plain clients are sent to HTTPS", alone=True)
def redirect(server):
    path = files / "redirect.conf"
    path.write_text('listen = { { "127.0.0.1:0", redirect = 443 } }')
    with Server(server.binary, f"--config={path}", site=files.folder) as other:
        with Connection(other.port) as c:
            c.send(b"GET /a?b HTTP/1.1\r\nHost: a.test:80\r\n\r\n")
            reply = c.reply()
            same((reply.status, reply.get("location")), (301, "https://a.test/a?b"), "GET")
            c.send(b"POST /a HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 1\r\n\r\nx")
            reply = c.reply()
            same((reply.status, reply.get("location")), (308, "https://[::1]/a"), "POST")


if __name__ == "__main__":
    https.run(suite, __doc__)
