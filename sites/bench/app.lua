-- What `make bench` and the conformance runs measure ctornado with: each route does
-- the same work as its namesake in spec/bench/peers, which run nginx's lua module and
-- Python's Tornado. Two kinds of routes:
--   /plaintext /json /page /browser /form /proxy /user/N/post/SLUG /static   for speed
--   / /echo /headers /slow                                            for conformance
--   /ws                                                               for both
local escape = require "tornado.escape"
local gen = require "tornado.gen"
local httpclient = require "tornado.httpclient"
local web = require "tornado.web"
local websocket = require "tornado.websocket"

-- No ETags, as in the peers: hashing bodies is not what is compared.
local Plain = web.RequestHandler:extend "Plain"

function Plain:compute_etag() end -- luacheck: ignore 212

local Plaintext = Plain:extend "Plaintext"

function Plaintext:get()
    self:set_header("Content-Type", "text/plain")
    self:write("Hello, World!")
end

local Json = Plain:extend "Json"

function Json:get()
    self:write { message = "Hello, World!" }
end

local fortunes = {}
for i = 1, 12 do
    fortunes[i] = {
        id = i,
        message = ("Fortune %d: <script>alert('x%d');</script> & \"quotes\" フレームワーク"):format(
            i, i),
    }
end

local function by_message(a, b)
    return a.message < b.message
end

local Page = Plain:extend "Page"

function Page:get()
    local rows = { unpack(fortunes) }
    rows[#rows + 1] = { id = 0, message = "Additional fortune added at request time." }
    table.sort(rows, by_message)
    self:write("<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table>" ..
        "<tr><th>id</th><th>message</th></tr>")
    for _, row in ipairs(rows) do
        self:write("<tr><td>" .. row.id .. "</td><td>" .. escape.xhtml_escape(row.message) ..
            "</td></tr>")
    end
    self:write("</table></body></html>")
end

local Browser = Plain:extend "Browser"

function Browser:get()
    self:set_header("Content-Type", "text/plain; charset=UTF-8")
    self:set_header("X-Session", self:get_cookie("session", ""))
    self:set_header("Cache-Control", "no-store")
    self:set_cookie("seen", "1", { path = "/", httponly = true })
    self:write("q=" .. self:get_argument("q", "") .. " lang=" ..
        self.request.headers:get("Accept-Language", ""))
end

local Form = Plain:extend "Form"

function Form:post()
    self:write(self:form())
end

-- As many connections as the nginx peer keeps.
local client = httpclient.AsyncHTTPClient { max_clients = 128 }

local Proxy = Plain:extend "Proxy"

function Proxy:get()
    local response = client:fetch("http://" .. self.request.host .. "/plaintext")
    self:set_header("Content-Type", "text/plain; charset=UTF-8")
    self:write(response.body)
end

local Post = Plain:extend "Post"

function Post:get(user, slug)
    self:set_header("Content-Type", "text/plain; charset=UTF-8")
    self:write(user .. " " .. slug)
end

-- /static: two files as large as those of the peers, made here when they are missing.
local static = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") .. "/../../build/bench/static"

local function make(name, content)
    local path = static .. "/" .. name
    local file = io.open(path, "rb")
    local size = file and file:seek("end")
    if file then file:close() end
    if size == #content then return end
    assert(os.execute("mkdir -p '" .. static .. "'") == 0)
    file = assert(io.open(path, "wb"))
    file:write(content)
    file:close()
end

make("1k.txt", ("0123456789abcdef"):rep(64))
make("1m.bin", ("0123456789abcdef"):rep(65536))

local Root = web.RequestHandler:extend "Root"

function Root:get()
    self:write("Hello, world")
end

Root.head = Root.get

local Echo = web.RequestHandler:extend "Echo"

function Echo:post()
    self:set_header("Content-Type", "application/octet-stream")
    self:write(self.request.body)
end

local Headers = web.RequestHandler:extend "Headers"

function Headers:get()
    local out = {}
    for name, value in self.request.headers:get_all() do
        local known = out[name]
        if type(known) == "table" then
            known[#known + 1] = value
        elseif known then
            out[name] = { known, value }
        else
            out[name] = value
        end
    end
    self:write(out)
end

local Slow = web.RequestHandler:extend "Slow"

function Slow:get()
    gen.sleep(0.3)
    self:write("slow")
end

local WebSocket = websocket.WebSocketHandler:extend "WebSocket"

function WebSocket:get_compression_options() -- luacheck: ignore 212/self
    return {}
end

function WebSocket:on_message(message, binary)
    self:write_message(message, binary)
end

return web.Application({
    { "/plaintext", Plaintext },
    { "/json", Json },
    { "/page", Page },
    { "/browser", Browser },
    { "/form", Form },
    { "/proxy", Proxy },
    { [[/user/(\d+)/post/([a-z0-9-]+)]], Post },
    { "/static/(.*)", web.StaticFileHandler, { path = static } },
    { "/", Root },
    { "/echo", Echo },
    { "/headers", Headers },
    { "/slow", Slow },
    { "/ws", WebSocket },
}, { websocket_max_message_size = 4194304 })
