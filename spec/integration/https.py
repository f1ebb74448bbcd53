"""HTTPS servers with certificates that are made here, by openssl, in a temporary folder, for
the programs that look at TLS.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import datetime
import pathlib
import shutil
import ssl
import subprocess
import tempfile

from harness import (HOST, PATIENCE, Connection, Server, Tally, arguments, binaries, finish, same,
                     until)

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
    """An authority and what it has signed, as files of a folder that is made when make() is
    called. `files / NAME` is the path of one."""

    def make(self):
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

    def _sign(self, name, names, days=9):
        self._run("req", *self._new(name), "-subj", f"/CN={name}")
        (self / "ext").write_text(f"subjectAltName={names}\n")
        self._run("x509", "-req", "-in", self / f"{name}.crt", "-out", self / f"{name}.crt",
                  "-CA", self / "ca.crt", "-CAkey", self / "ca.key", "-days", days,
                  "-extfile", self / "ext")

    def _chain(self, name):
        (self / f"{name}-chain.crt").write_text(
            (self / f"{name}.crt").read_text() + (self / "ca.crt").read_text())

    def renew(self, name, names, days=9):
        """Another certificate in the place of one, for so many days."""
        self._sign(name, names, days)

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


files = Certificates()


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


def s_client(port, *options, text="", host="127.0.0.1", host_name="a.test"):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile",
         str(files / "ca.crt"), "-servername", host_name, *options],
        input=text, capture_output=True, text=True, timeout=PATIENCE)
    return done.stdout + done.stderr


@contextlib.contextmanager
def cluster(server, *options, workers=2, **names):
    """A server with workers and a control socket."""
    control = files / "control"
    with serve(server.binary, f"--workers={workers}", f"--control={control}", *options,
               **names) as other:
        if workers > 1:
            other.await_line("workers? serve")
        until(control.exists, "the control socket")
        yield other


def command(server, word):
    done = subprocess.run([str(server.binary), *word.split(), f"--control={files / 'control'}"],
                          capture_output=True, text=True, timeout=PATIENCE + 60)
    return done.returncode, done.stdout, done.stderr


def reload(server):
    code, _, err = command(server, "reload")
    same(code, 0, f"reload: {err}")


def run(suite, text):
    """The main program of a script: its cases get a server of each binary."""
    options = arguments(text).parse_args()
    tally = Tally()
    try:
        files.make()
        for binary in binaries():
            with serve(binary) as server:
                tally.run_all([case for case in suite.cases if options.only in case[0]], server)
    finally:
        files.remove()
    finish(tally)
