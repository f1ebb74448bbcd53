"""The site of app.lua, for Tornado: what passes here shows that a check is right.
Values that HTTP could not carry come in hex."""
# SPDX-License-Identifier: Apache-2.0
import asyncio

import tornado.web
import tornado.websocket
from tornado.httpserver import HTTPServer
from tornado.web import HTTPError
from tornado_thread import TornadoThread


class Handler(tornado.web.RequestHandler):
    def hex(self, name):
        """A query argument in hex, or None."""
        value = self.get_query_argument(name, None)
        return value if value is None else bytes.fromhex(value).decode()

    def number(self, name):
        return int(self.get_query_argument(name))


class Hello(Handler):
    def get(self):
        self.write("hello")

    def post(self):
        self.write("hello")


class Head(Hello):
    head = Hello.get


# -- What came ----------------------------------------------------------------------


class Echo(Handler):
    def post(self):
        self.set_header("Content-Type", "text/plain")
        self.write(self.request.body)

    put = post

    def get(self):
        self.write(self.request.body)


class Args(Handler):
    def get(self, name):
        self.write({"one": self.get_argument(name), "all": self.get_arguments(name),
                    "query": self.get_query_arguments(name),
                    "body": self.get_body_arguments(name)})

    post = get


class Path(Handler):
    def get(self, arg, _=None):
        self.set_header("X-Path", self.request.path)
        self.write({"arg": arg})


class Optional(Handler):
    def get(self, arg):
        self.write("null" if arg is None else arg)


class Named(Handler):
    def get(self, y, x):
        self.write({"x": x, "y": y})


class Reverse(Handler):
    def get(self):
        self.write(self.reverse_url("n", "x y", 1))


class Cookies(Handler):
    def get(self):
        self.write({"cookies": {name: cookie.value
                                for name, cookie in self.request.cookies.items()}})


class Upload(Handler):
    def post(self):
        files = {name: [[f.filename, f.content_type, f.body.hex()] for f in found]
                 for name, found in self.request.files.items()}
        arguments = {name: [value.decode() for value in values]
                     for name, values in self.request.body_arguments.items()}
        self.write({"arguments": arguments, "files": files})


# -- What goes out ------------------------------------------------------------------


class Dict(Handler):
    def get(self):
        self.write({"a": "</b>"})


class List(Handler):
    def get(self):
        self.write([1, 2])


class Flush(Handler):
    async def get(self):
        for i in range(1, 4):
            self.write(f"piece{i}")
            await self.flush()

    head = get


class Status(Handler):
    def get(self, status):
        self.set_status(int(status))
        self.set_header("Content-Language", "en")
        self.set_header("X-Kept", "yes")
        body = self.get_query_argument("body", None)
        if body is not None:
            self.write(body)


class Raise(Handler):
    def get(self):
        raise HTTPError(self.number("status"), reason=self.hex("reason"))


class Boom(Handler):
    def get(self):
        raise ValueError("the secret of the handler")


class Late(Handler):
    async def get(self):
        self.write("begun")
        await self.flush()
        raise ValueError("the secret of the handler")


class Auth(Handler):
    def get(self):
        self.set_status(401)
        self.write("auth")
        raise tornado.web.Finish()


class Redirect(Handler):
    def get(self):
        self.redirect(self.hex("to"), self.get_query_argument("permanent", "") != "")


class Length(Handler):
    def get(self):
        self.set_header("Content-Length", self.get_query_argument("announce"))
        self.write("hello")


class Login(Handler):
    @tornado.web.authenticated
    def get(self):
        self.write("in")

    post = get


class AbsoluteLogin(Login):
    def get_login_url(self):
        return "http://example.com/login"


class AddSlash(Handler):
    @tornado.web.addslash
    def get(self):
        self.write("slash")

    post = get


class RemoveSlash(Handler):
    @tornado.web.removeslash
    def get(self):
        self.write("no slash")

    post = get


# -- Cookies ------------------------------------------------------------------------


class SetCookies(Handler):
    def get(self):
        self.set_cookie("a", "1")
        self.set_cookie("a", "2")
        self.set_cookie("b", 'q"x;y')
        self.clear_cookie("z", path="/p")


class CookieWith(Handler):
    def get(self):
        options = {name: self.hex(name) for name in ("domain", "path", "samesite")
                   if self.hex(name) is not None}
        self.set_cookie(self.hex("name") or "n", self.hex("value") or "v", **options)


class Sign(Handler):
    def get(self):
        self.set_secure_cookie("key", "a value", version=self.number("version"))


class Unsign(Handler):
    def get(self):
        self.write(self.get_secure_cookie(self.get_query_argument("name")) or "nil")


class Golden(Handler):
    def get(self):
        self.write(tornado.web.decode_signed_value(
            "It's a secret to everybody", "key", self.get_query_argument("value"),
            clock=lambda: 1300000000) or "nil")


class Form(Handler):
    def get(self):
        self.write(self.xsrf_token)

    def post(self):
        self.write("ok")

    def options(self):
        self.write("ok")


class Sized(Handler):
    def get(self, size):
        self.set_header("Content-Type", self.get_query_argument("type", "text/plain"))
        for vary in self.get_query_argument("vary", ""):
            self.add_header("Vary", vary)
        self.write("x" * int(size))


# -- Streams and waits ----------------------------------------------------------------


@tornado.web.stream_request_body
class Stream(Handler):
    def prepare(self):
        self.seen, self.busy, self.total = ["prepare"], False, 0
        most = self.get_query_argument("max", None)
        if most:
            self.request.connection.set_max_body_size(int(most))
        if self.get_query_argument("refuse", None):
            raise HTTPError(401)

    async def data_received(self, chunk):
        assert not self.busy, "data_received() is concurrent"
        self.busy = True
        self.total += len(chunk)
        if len(self.seen) < 10:
            self.seen.append(chunk[:100].decode())
        await asyncio.sleep(0.001)
        self.busy = False

    def post(self):
        self.write({"seen": self.seen, "total": self.total})


COUNTS = {"waiting": 0, "gone": 0}


class Wait(Handler):
    async def get(self):
        COUNTS["waiting"] += 1
        await asyncio.sleep(0.3)
        self.write("waited")

    def on_connection_close(self):
        COUNTS["gone"] += 1


class Leave(Wait):
    has_left = False

    async def get(self):
        COUNTS["waiting"] += 1
        while not self.has_left:
            await asyncio.sleep(0.01)

    def on_connection_close(self):
        self.has_left = True
        super().on_connection_close()


class Talk(tornado.websocket.WebSocketHandler):
    def select_subprotocol(self, subprotocols):
        chosen = self.get_query_argument("choose", None)
        return chosen if chosen in subprotocols else None

    def get_compression_options(self):
        return {} if self.get_query_argument("deflate", None) else None

    async def on_message(self, message):
        if message == "close":
            return self.close(1001, "goodbye")
        if message == "raise":
            raise ValueError("the secret of the handler")
        if message == "slow":
            await asyncio.sleep(0.3)
        self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self):
        COUNTS[self.get_query_argument("name", "")] = self.close_code


class Counts(Handler):
    def get(self):
        self.write(COUNTS)


# -- The application ------------------------------------------------------------------


class NotThere(Handler):
    def prepare(self):
        self.set_status(404)
        self.finish("not there")


class On(Handler):
    def initialize(self, host):
        self.host = host

    def get(self):
        self.write(self.host)


class Who(Handler):
    def get(self):
        self.write({"ip": self.request.remote_ip, "protocol": self.request.protocol})


RULES = [
    ("/", Hello), ("/hello", Hello), ("/head", Head), ("/echo", Echo),
    (r"/args/(\w+)", Args), ("/path/(.*)", Path), (r"/optional/(\d+)?", Optional),
    (r"/named/(?P<x>\w+)/(?P<y>\w+)", Named),
    tornado.web.url("/n/([^/]+)/([0-9]+)", Path, name="n"), ("/reverse", Reverse),
    ("//doubleslash", Hello), ("/cookies", Cookies), ("/upload", Upload),
    ("/dict", Dict), ("/list", List), ("/flush", Flush), (r"/status/(\d+)", Status),
    ("/raise", Raise), ("/boom", Boom), ("/late", Late), ("/finish", Auth),
    ("/redirect", Redirect), ("/length", Length), ("/auth", Login),
    ("/authabs", AbsoluteLogin), ("/as/?", AddSlash), ("/rs/*", RemoveSlash),
    ("/rh/(.*?)/(.*)", tornado.web.RedirectHandler, {"url": "/{1}/{0}?x=1"}),
    ("/setcookies", SetCookies), ("/cookie", CookieWith), ("/sign", Sign),
    ("/unsign", Unsign), ("/golden", Golden), ("/form", Form),
    (r"/sized/(\d+)", Sized), ("/stream", Stream),
    ("/who", Who), ("/wait", Wait), ("/leave", Leave), ("/counts", Counts),
    ("/ws", Talk),
]
SETTINGS = {
    "main": {"cookie_secret": "It's a secret to everybody", "login_url": "/login"},
    "xsrf": {"xsrf_cookies": True},
    "debug": {"serve_traceback": True},
    "compress": {"compress_response": True},
    "hosts": {"default_handler_class": NotThere, "default_host": "default.example"},
    "root": {"static_url_prefix": "/",
             "static_handler_args": {"default_filename": "index.html"}},
    "short": {}, "once": {}, "pieces": {}, "proxied": {},
    "pinged": {"websocket_ping_interval": 0.2, "websocket_ping_timeout": 0.2},
}
SERVERS = {
    "short": {"body_timeout": 0.3, "idle_connection_timeout": 0.3},
    "once": {"no_keep_alive": True},
    "proxied": {"xheaders": True, "trusted_downstream": ["5.5.5.5"]},
    "compress": {"decompress_request": True},
    "pieces": {"chunk_size": 10},
}


class Tornado(TornadoThread):
    """All variants on a free port each, in a thread of this process."""

    name = "Tornado"

    def __init__(self, static):
        self.static = static

    def listen(self):
        for name, settings in SETTINGS.items():
            app = tornado.web.Application(RULES, static_path=str(self.static),
                                          websocket_max_message_size=10000, **settings)
            app.add_handlers(r"ex\.com", [("/host", On, {"host": "ex.com"})])
            app.add_handlers(r"default\.example", [("/host", On, {"host": "default"})])
            server = HTTPServer(app, max_body_size=1 << 20, **SERVERS.get(name, {}))
            server.listen(0, "127.0.0.1")
            yield name, server
