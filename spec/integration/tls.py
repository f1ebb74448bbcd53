#!/usr/bin/env python3
"""HTTPS from outside, with Python's ssl, curl and openssl s_client: what is agreed
on, what is refused, certificates by name and of clients, and ends of connections.
Certificates are made here, by openssl, in a temporary folder.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True
from harness import (HOST, LAST, PATIENCE, Connection, Reset, Server, Skip, Suite,
                     Tally, arguments, binaries, check, finish, same, until)

GET = b"GET /tls HTTP/1.1\r\n" + HOST + b"\r\n"
SITE = """
local core = require "tornado.core"
local web = require "tornado.web"

local Tls = web.RequestHandler:extend "Tls"

function Tls:get()
    local request = self.request
    self:set_cookie("a", "b")
    self:write { protocol = request.protocol, worker = core.worker(), tls = request.tls or nil,
        certificate = request:get_ssl_certificate(),
        der = #(request:get_ssl_certificate(true) or "") }
end

function Tls:post()
    self:write(self.request.body)
end

local Slow = web.RequestHandler:extend "Slow"

function Slow:get()
    for _ = 1, tonumber(self:get_argument("n")) do
        self:write(("x"):rep(10000))
        self:flush()
    end
end

return web.Application({ { "/tls", Tls }, { "/slow", Slow } },
    { static_path = "%s" })
"""


class Certificates:
    """An authority and what it has signed, as files."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ctornado-tls-"))
        self._run("req", "-x509", *self._new("ca"), "-days", "9", "-subj", "/CN=CA",
                  "-addext", "basicConstraints=critical,CA:TRUE")
        for name, names in (("a", "DNS:a.test,IP:127.0.0.1"), ("b", "DNS:*.b.test"),
                            ("c", "DNS:c.test")):
            self._sign(name, names)
        self._sign("me", "email:me@a.test")
        self._chain("a")
        (self / "index.txt").write_text("")
        (self.folder / "big").write_bytes(bytes(range(256)) * 12000)
        (self.folder / "app.lua").write_text(SITE % self.folder)

    def _run(self, *words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

    def _new(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self / f"{name}.key", "-out", self / f"{name}.crt")

    def _sign(self, name, names):
        self._run("req", *self._new(name), "-subj", f"/CN={name}")
        (self / "ext").write_text(f"subjectAltName={names}\n")
        self._run("x509", "-req", "-in", self / f"{name}.crt", "-out", self / f"{name}.crt",
                  "-CA", self / "ca.crt", "-CAkey", self / "ca.key", "-days", "9",
                  "-extfile", self / "ext")

    def _chain(self, name):
        (self / f"{name}-chain.crt").write_text(
            (self / f"{name}.crt").read_text() + (self / "ca.crt").read_text())

    def renew(self, name, names):
        """Another certificate in the place of one."""
        self._sign(name, names)

    def serial(self, name):
        done = subprocess.run(["openssl", "x509", "-in", self / f"{name}.crt", "-noout",
                               "-serial", "-enddate"], check=True, capture_output=True, text=True)
        serial, end = done.stdout.split("\n")[:2]
        moment = datetime.datetime.strptime(end, "notAfter=%b %d %H:%M:%S %Y GMT")
        return serial.removeprefix("serial="), moment.strftime("%y%m%d%H%M%SZ")

    def ocsp(self, file, name, state="V"):
        """What the authority says of a certificate: V (good) or R (revoked)."""
        serial, end = self.serial(name)
        revoked = "200101000000Z" if state == "R" else ""
        (self / "index.txt").write_text(f"{state}\t{end}\t{revoked}\t{serial}\tunknown\t/CN=x\n")
        self._run("ocsp", "-index", self / "index.txt", "-CA", self / "ca.crt", "-rsigner",
                  self / "ca.crt", "-rkey", self / "ca.key", "-issuer", self / "ca.crt", "-cert",
                  self / f"{name}.crt", "-no_nonce", "-reqout", self / "request")
        self._run("ocsp", "-index", self / "index.txt", "-CA", self / "ca.crt", "-rsigner",
                  self / "ca.crt", "-rkey", self / "ca.key", "-reqin", self / "request",
                  "-respout", self / file, "-nmin", "60")

    def __truediv__(self, name):
        return self.folder / name

    def remove(self):
        shutil.rmtree(self.folder)


files = None
suite = Suite()


def serve(binary, *options, certfile="a.crt", keyfile="a.key", **names):
    """A server with the certificate of a.test, and `names` as further ssl_options."""
    rest = "".join(f", {name} = {value}" for name, value in names.items())
    config = files / f"conf-{abs(hash(rest + certfile + keyfile))}"
    config.write_text(f'listen = {{ {{ "127.0.0.1:0", certfile = "{files / certfile}", '
                      f'keyfile = "{files / keyfile}"{rest} }} }}\n')
    return Server(binary, f"--config={config}", *options, site=files.folder)


def context(**options):
    made = ssl.create_default_context(cafile=files / "ca.crt")
    for name, value in options.items():
        setattr(made, name, value)
    return made


class Tls(Connection):
    """A Connection whose socket has TLS."""

    def __init__(self, port, tls=None, host="a.test", session=None):
        super().__init__(port)
        self.socket = (tls or context()).wrap_socket(
            self.socket, server_hostname=host, session=session)


def report(port, *arguments, **options):
    with Tls(port, *arguments, **options) as c:
        c.send(GET)
        return c.reply().json()


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


def s_client(port, *options, text="", host="127.0.0.1", host_name="a.test"):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile",
         str(files / "ca.crt"), "-servername", host_name, *options],
        input=text, capture_output=True, text=True, timeout=PATIENCE)
    return done.stdout + done.stderr


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
    with serve(server.binary, "--header-timeout=0.3") as other:
        with Connection(other.port) as c:
            c.send(b"\x16\x03\x01")
            c.to_end()


@suite.case("tls", "curl")
def curl(server):
    if not shutil.which("curl"):
        raise Skip("no curl")
    done = subprocess.run(
        ["curl", "-sS", "--cacert", str(files / "ca.crt"), "--resolve",
         f"a.test:{server.port}:127.0.0.1", f"https://a.test:{server.port}/tls"],
        capture_output=True, text=True, timeout=PATIENCE)
    check('"https"' in done.stdout, "curl says", done.stdout, done.stderr)


# -- Sessions over workers, keys and reloads ---------------------------------------------


class Client:
    """Connects again and again, and offers the session that it was last given."""

    def __init__(self, server, version):
        self.server, self.context = server, context(maximum_version=version)
        self.session = None

    def ask(self):
        """(which worker, whether the session was resumed)"""
        with Tls(self.server.port, self.context, session=self.session) as c:
            c.send(GET)
            got = c.reply().json()
            same(got["tls"]["resumed"], c.socket.session_reused, "what both sides say")
            self.session = c.socket.session
        return got["worker"], got["tls"]["resumed"]

    def resumes_everywhere(self, workers, what):
        """Until each worker has resumed the session."""
        seen = set()

        def look():
            worker, resumed = self.ask()
            check(resumed, f"worker {worker} has not resumed the session {what}")
            seen.add(worker)
            return seen == workers
        until(look, f"workers {workers} to resume the session {what}")


VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def clients_of(server):
    made = [Client(server, version) for version in VERSIONS]
    for client in made:
        check(not client.ask()[1], "the first one is resumed")
    return made


@contextlib.contextmanager
def cluster(server, *options, workers=2, **names):
    """A server with workers and a control socket."""
    control = files / "control"
    with serve(server.binary, f"--workers={workers}", f"--control={control}", *options,
               **names) as other:
        if workers > 1:
            other.await_line("workers serve")
        until(control.exists, "the control socket")
        yield other


def command(server, word):
    done = subprocess.run([str(server.binary), *word.split(), f"--control={files / 'control'}"],
                          capture_output=True, text=True, timeout=PATIENCE + 60)
    return done.returncode, done.stdout, done.stderr


def reload(server):
    code, _, err = command(server, "reload")
    same(code, 0, f"reload: {err}")


def all_resume(clients, workers, what):
    for client in clients:
        client.resumes_everywhere(workers, what)


@suite.case("sessions", "each worker resumes them, after a reload and a death, too", alone=True)
def over_workers(server):
    with cluster(server) as other:
        clients = clients_of(other)
        all_resume(clients, {1, 2}, "at first")
        reload(other)
        all_resume(clients, {1, 2}, "after a reload")
        pids = [w["pid"] for w in json.loads(command(other, "status json")[1])["workers"]]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

            def replaced():
                code, out, _ = command(other, "status json")
                return code == 0 and all(w["state"] == "serving" and w["pid"] != pid
                                         for w in json.loads(out)["workers"])
            until(replaced, "the worker to be replaced")
        all_resume(clients, {1, 2}, "after two deaths")


@suite.case("sessions", "a process alone keeps them over reloads", alone=True)
def over_reloads(server):
    with cluster(server, workers=1) as other:
        clients = clients_of(other)
        for i in range(3):
            reload(other)
            all_resume(clients, {0}, f"after reload {i}")


@suite.case("sessions", "keys change; that of before is taken, and the session renewed", alone=True)
def rotation(server):
    text = "a new key for session tickets"
    for workers in (1, 2):
        with cluster(server, "--tls-ticket-rotation=2", workers=workers) as other:
            clients = clients_of(other)
            kept = [(client, client.session) for client in clients]
            all_resume(clients, set(range(workers > 1, workers + (workers > 1))), "at first")
            for i in range(2):
                until(lambda: other.log().count(text) > i, "a new key")
                for client in clients:
                    check(client.ask()[1], "not resumed after a new key")
            until(lambda: other.log().count(text) > 3, "keys that are gone")
            for client, session in kept:
                client.session = session
                check(not client.ask()[1], "a session lives longer than its key")


@suite.case("sessions", "they outlive an upgrade of the program", alone=True)
def over_upgrade(server):
    for workers in (1, 2):
        with cluster(server, workers=workers) as other:
            clients = clients_of(other)
            code, _, err = command(other, "upgrade")
            same(code, 0, f"upgrade: {err}")
            other.process.wait(PATIENCE)
            new = int(re.search(r"process (\d+) serves", other.log()).group(1))
            try:
                until(lambda: "taken over" in other.log(), "the new process")
                all_resume(clients, {1, 2} if workers > 1 else {0}, "after an upgrade")
                all_resume(clients_of(other), {1, 2} if workers > 1 else {0}, "a new one")
                same(command(other, "quit")[0], 0, "quit")
                until(lambda: not (files / "control").exists(), "its end")
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(new, signal.SIGTERM)


@suite.case("sessions", "of a port without client certificates are none with them", alone=True)
def scope(server):
    config = files / "two.conf"
    one = f'certfile = "{files / "a.crt"}", keyfile = "{files / "a.key"}"'
    config.write_text(f'listen = {{ {{ "127.0.0.1:0", {one} }}, {{ "[::1]:0", {one}, cert_reqs = '
                      f'"optional", ca_certs = "{files / "ca.crt"}" }} }}\n')
    with Server(server.binary, f"--config={config}", site=files.folder) as other:
        port = int(other.await_line(r"https://\[::1\]:(\d+)").group(1))
        for version in VERSIONS:
            client = Client(other, version)
            client.ask()
            check(client.ask()[1], "not resumed where it was made")
            path = files / "session"
            s_client(other.port, "-sess_out", str(path), *only(version), text=LAST.decode())
            got = s_client(port, "-sess_in", str(path), *only(version), text=LAST.decode(),
                           host="[::1]")
            check("New, TLSv1" in got and "Reused" not in got, "it was resumed:", got[-900:])


def only(version):
    return ["-tls1_2" if version == ssl.TLSVersion.TLSv1_2 else "-tls1_3"]


# -- OCSP -----------------------------------------------------------------------------------


STAPLED = "OCSP Response Status: successful"


def status(server, host="a.test"):
    return s_client(server.port, "-status", host_name=host)


@suite.case("ocsp", "a response is stapled; others are not, with the reason", alone=True)
def ocsp(server):
    path = files / "a.ocsp"
    files.ocsp("a.ocsp", "a")
    with cluster(server, certfile="a-chain.crt", ocsp_file=f'"{path}"') as other:
        got = status(other)
        check(STAPLED in got and "Cert Status: good" in got, got[:1500])
        check("not stapled" not in other.log(), other.log())
        for name, state, why in (("b", "V", "it is of another certificate"),
                                 ("a", "R", "it says that the certificate is revoked")):
            files.ocsp("a.ocsp", name, state)
            reload(other)
            warning = f"a.ocsp: the response is not stapled: {why}"
            until(lambda: warning in other.log(), f"{warning!r} in the log")
            check("OCSP response: no response sent" in status(other), "it is stapled:", why)
            same(report(other.port)["protocol"], "https", "a request")
        files.ocsp("a.ocsp", "a")
        reload(other)
        check(STAPLED in status(other), "the mended one is not stapled")
        path.write_text("garbage")
        code, _, err = command(other, "reload")
        check(code == 1 and "a.ocsp: not a successful OCSP response" in err, code, err)
        check(STAPLED in status(other), "the one of before is gone")


# -- New certificates ------------------------------------------------------------------------


class Load(threading.Thread):
    """A client that never gives up its connection, or (`fresh`) has a new one for each
    request."""

    def __init__(self, port, fresh):
        super().__init__(daemon=True)
        self.port, self.fresh, self.enough = port, fresh, threading.Event()
        self.done, self.wrong = 0, None

    def run(self):
        try:
            while not self.enough.is_set():
                with Tls(self.port) as c:
                    while not self.enough.is_set():
                        c.send(GET)
                        reply = c.reply()
                        check(reply.status == 200 and not reply.closes, reply.status)
                        self.done += 1
                        if self.fresh:
                            break
        except Exception as err:  # whatever it is, the case shows it
            self.wrong = err


def shown(server):
    """The serial number that clients see."""
    got = s_client(server.port, "-showcerts")
    pem = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", got, re.S)
    done = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=pem.group(0), text=True,
                          capture_output=True, check=True)
    return done.stdout.strip().removeprefix("serial=")


@suite.case("certificates", "ten new ones under load: no request and no connection is lost",
            alone=True)
def renewed(server):
    for workers in (1, 2):
        files.renew("n", "DNS:a.test,IP:127.0.0.1")
        with cluster(server, "--max-keepalive-requests=1000000000", workers=workers,
                     certfile="n.crt", keyfile="n.key") as other:
            clients = [Load(other.port, fresh) for fresh in (False, False, True, True)]
            for client in clients:
                client.start()
            for _ in range(10):
                files.renew("n", "DNS:a.test,IP:127.0.0.1")
                reload(other)
                for _ in range(4):
                    same(shown(other), files.serial("n")[0], "the certificate")
                before = [client.done for client in clients]
                until(lambda: all(c.wrong or c.done > n for c, n in zip(clients, before)),
                      "a request of each client")
            broken(other)
            for client in clients:
                client.enough.set()
                client.join(PATIENCE)
                check(not client.wrong, "a client saw:", client.wrong)
                check(client.done > 10, f"only {client.done} requests")


def broken(server):
    """What cannot be used changes nothing, and is named."""
    serial = shown(server)
    good = {name: (files / name).read_bytes() for name in ("n.crt", "n.key")}
    for name, data, why in (("n.crt", b"garbage", "n.crt: no certificate (PEM) in it"),
                            ("n.key", (files / "b.key").read_bytes(), "n.key: the key does not"),
                            ("n.crt", None, "n.crt: No such file")):
        (files / name).unlink()
        if data is not None:
            (files / name).write_bytes(data)
        code, _, err = command(server, "reload")
        check(code == 1 and why in err, why, "is not in", err)
        same(shown(server), serial, "the certificate")
        (files / name).write_bytes(good[name])


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


def main():
    global files
    options = arguments(__doc__).parse_args()
    tally = Tally()
    files = Certificates()
    try:
        for binary in binaries():
            with serve(binary) as server:
                tally.run_all([case for case in suite.cases if options.only in case[0]],
                              server)
    finally:
        files.remove()
    finish(tally)


if __name__ == "__main__":
    main()
