"""The bench's routes on Tornado, in one process: tornado_app.py PORT STATIC [HTTPS-PORT PEM]."""
# SPDX-License-Identifier: Apache-2.0
import operator
import sys

from tornado.httpclient import AsyncHTTPClient
from tornado.ioloop import IOLoop
from tornado.template import Template
from tornado.web import Application, RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketHandler

PORT, STATIC, HTTPS = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
TEXT = "text/plain; charset=UTF-8"
STOCK = [(i, f"Fortune {i}: <script>alert('x{i}');</script> & \"quotes\" フレームワーク")
         for i in range(1, 13)]
PAGE = Template(
    "<!DOCTYPE html><html><head><title>Fortunes</title></head><body>"
    "<table><tr><th>id</th><th>message</th></tr>"
    "{% for id, message in rows %}<tr><td>{{ id }}</td><td>{{ message }}</td></tr>{% end %}"
    "</table></body></html>")


class Handler(RequestHandler):
    """No route has an ETag: the peers compute none for what Lua writes."""

    def compute_etag(self):
        return None


class Plaintext(Handler):
    def get(self):
        self.set_header("Content-Type", "text/plain")
        self.write("Hello, World!")


class Json(Handler):
    def get(self):
        self.write({"message": "Hello, World!"})


class Page(Handler):
    def get(self):
        rows = STOCK + [(0, "Additional fortune added at request time.")]
        self.write(PAGE.generate(rows=sorted(rows, key=operator.itemgetter(1))))


class Browser(Handler):
    def get(self):
        language = self.request.headers.get("Accept-Language", "")
        self.set_header("Content-Type", TEXT)
        self.set_header("X-Session", self.get_cookie("session", ""))
        self.set_cookie("seen", "1", path="/", httponly=True)
        self.write(f"q={self.get_argument('q', '')} lang={language}")


class Form(Handler):
    def post(self):
        fields = self.request.body_arguments
        self.write({name: values[0].decode() for name, values in fields.items()})


class Route(Handler):
    def get(self, user, post):
        self.set_header("Content-Type", TEXT)
        self.write(user + " " + post)


class Proxy(Handler):
    async def get(self):
        reply = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{PORT}/plaintext")
        self.set_header("Content-Type", TEXT)
        self.write(reply.body)


class Echo(WebSocketHandler):
    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))


application = Application([
    ("/plaintext", Plaintext),
    ("/json", Json),
    ("/page", Page),
    ("/browser", Browser),
    ("/form", Form),
    ("/proxy", Proxy),
    (r"/user/(\d+)/post/([a-z0-9-]+)", Route),
    ("/ws", Echo),
    (r"/static/(.*)", StaticFileHandler, {"path": STATIC}),
])
application.listen(PORT, address="127.0.0.1", backlog=4096)
if HTTPS:
    application.listen(int(HTTPS[0]), address="127.0.0.1", backlog=4096,
                       ssl_options={"certfile": HTTPS[1]})
IOLoop.current().start()
