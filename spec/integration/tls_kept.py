#!/usr/bin/env python3
"""What a server keeps of TLS while it runs: sessions over workers, keys, reloads and upgrades,
stapled OCSP responses, and certificates that are renewed.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import json
import math
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import https
from harness import (LAST, PATIENCE, Connection, Server, Suite, check, same, state_of, until)
from https import GET, Tls, cluster, command, context, files, reload, report, s_client

suite = Suite()


# -- Sessions ----------------------------------------------------------------------------


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
            for client in clients:
                for _ in range(2):
                    until(lambda: one_key_later(other, client, text), "a new key, just one")
            kept_at = other.log().count(text)
            until(lambda: other.log().count(text) > kept_at + 1, "keys that are gone")
            for client, session in kept:
                client.session = session
                check(not client.ask()[1], "a session lives longer than its key")


def one_key_later(server, client, text):
    """Whether the session was resumed with the key of before; where several keys have come
    since, as on a busy machine, nothing can be said."""
    client.ask()
    seen = server.log().count(text)
    until(lambda: server.log().count(text) > seen, "a new key")
    resumed = client.ask()[1]
    if server.log().count(text) > seen + 1:
        return False
    check(resumed, "not resumed after a new key")
    return True


@suite.case("sessions", "they outlive an upgrade of the program", alone=True)
def over_upgrade(server):
    for workers in (1, 2):
        with cluster(server, workers=workers) as other:
            clients = clients_of(other)
            code, _, err = command(other, "upgrade")
            same(code, 0, f"upgrade: {err}")
            other.process.wait(PATIENCE)
            until(lambda: "taken over" in other.log(), "the new process")
            new = int(re.search(r"process (\d+) serves", other.log()).group(1))
            try:
                all_resume(clients, {1, 2} if workers > 1 else {0}, "after an upgrade")
                all_resume(clients_of(other), {1, 2} if workers > 1 else {0}, "a new one")
                same(command(other, "quit")[0], 0, "quit")
                until(lambda: state_of(new) in (None, "Z"), "its end")
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(new, signal.SIGKILL)


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
                check(client.done >= 10, f"only {client.done} requests")


def expiries():
    """What the admin listener has of certificates: file name -> time."""
    with Connection(files / "admin") as c:
        c.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        text = c.reply().body.decode()
    lines = re.findall(r'^ctornado_tls_certificate_not_after_timestamp_seconds'
                       r'\{file=".*/(\w+)\.crt",subject="CN=\w+"\} (\S+)$', text, re.M)
    return {name: float(value) for name, value in lines}


@suite.case("certificates", "one that is over, or soon, is warned of, and is a metric", alone=True)
def late(server):
    for workers in (1, 2):
        files.renew("old", "DNS:a.test", days=-1)
        files.renew("new", "DNS:a.test", days=90)
        more = f'{{ {{ certfile = "{files / "new.crt"}", keyfile = "{files / "new.key"}" }} }}'
        with cluster(server, f"--admin=unix:{files / 'admin'}", workers=workers,
                     certfile="old.crt", keyfile="old.key", certificates=more) as other:
            warning = r"conf-\d+:1: \S+/old\.crt: the certificate of CN=old expired on \d{4}-"
            until(lambda: re.search(warning, other.log()), "the warning")
            same(len(re.findall("the certificate of", other.log())), 1, other.log())
            found = expiries()
            same(set(found), {"old", "new"}, "the metrics")
            check(-100000 < found["old"] - time.time() < 0, found)
            check(abs(found["new"] - time.time() - 90 * 86400) < 1000, found)
            files.renew("old", "DNS:a.test", days=5)
            reload(other)
            until(lambda: expiries()["old"] > time.time(), "the new date")
            same(len(re.findall("the certificate of", other.log())), 1, other.log())
            config = pathlib.Path(next(a for a in other.process.args
                                       if "--config=" in a).split("=", 1)[1])
            config.write_text(config.read_text().replace("/old.", "/new."))
            reload(other)
            until(lambda: math.isnan(expiries()["old"]), "the old one to be gone")
            check(expiries()["new"] > time.time(), "the new one is not shown")


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


if __name__ == "__main__":
    https.run(suite, __doc__)
