-- The site that spec/integration/*.py ask. What a test has to wait for is a latch: a
-- name that is set once, here or by /set/NAME, and waited for here or by /await/NAME.
local concurrent = require "tornado.concurrent"
local core = require "tornado.core"
local gen = require "tornado.gen"
local web = require "tornado.web"

local latches = {}

local function latch(name)
    local future = latches[name]
    if not future then
        future = concurrent.Future()
        latches[name] = future
    end
    return future
end

local function set(name)
    local future = latch(name)
    if not future:done() then future:set_result(true) end
end

local function await(name)
    gen.await(latch(name))
end

local Handler = web.RequestHandler:extend "Handler"

function Handler:number(name, default)
    return tonumber(self:get_query_argument(name, default))
end

function Handler:text(...)
    self:set_header("Content-Type", "text/plain")
    self:write(table.concat { ... })
end

-- Latches -------------------------------------------------------------------------

local Set = Handler:extend "Set"

function Set:get(name)
    set(name)
    self:text("set")
end

local Await = Handler:extend "Await"

function Await:get(name)
    await(name)
    self:text("come")
end

-- Says NAME.begun and waits for NAME.go; NAME.gone tells that the client has left, and
-- NAME.done that the handler has returned.
local Wait = Handler:extend "Wait"

function Wait:get(name)
    self.name = name
    set(name .. ".begun")
    await(name .. ".go")
    set(name .. ".done")
    self:text("waited")
end

function Wait:on_connection_close()
    if self.name then set(self.name .. ".gone") end
end

-- What came -----------------------------------------------------------------------

local Root = Handler:extend "Root"

function Root:get()
    self:text("hello")
end

Root.head = Root.get

local Echo = Handler:extend "Echo"

function Echo:post()
    self:set_header("Content-Type", "application/octet-stream")
    self:write(self.request.body)
end

Echo.put, Echo.patch, Echo.delete = Echo.post, Echo.post, Echo.post
Echo.get, Echo.options = Echo.post, Echo.post

local Mirror = Handler:extend "Mirror"

function Mirror:get()
    local request = self.request
    local headers = {}
    for name, value in request.headers:get_all() do
        local key = name:lower()
        headers[key] = headers[key] or {}
        table.insert(headers[key], value)
    end
    self:write {
        method = request.method, uri = request.uri, path = request.path, query = request.query,
        host = request.host, version = request.version, headers = headers,
        body = request.body,
    }
end

Mirror.post, Mirror.put, Mirror.options = Mirror.get, Mirror.get, Mirror.get

-- The bytes of one field.
local Field = Handler:extend "Field"

function Field:get(name)
    self:text("[", self.request.headers:get(name, "none"), "]")
end

-- Replies -------------------------------------------------------------------------

local Status = Handler:extend "Status"

function Status:get(status)
    self:set_status(tonumber(status))
    self:set_header("X-Status", status)
    if status ~= "204" and status ~= "304" then self:text("status ", status) end
end

Status.head, Status.post = Status.get, Status.get

local Big = Handler:extend "Big"

function Big:compute_etag() end

function Big:get()
    self:text(("0123456789abcdef"):rep(self:number("size", 16) / 16))
end

Big.head = Big.get

-- `pieces` pieces of `size` bytes, with Content-Length when there is a `length`; after piece
-- I it waits for KEY.I when there is a `key` and not `free`.
local Stream = Handler:extend "Stream"

function Stream:get()
    local pieces, size = self:number("pieces", 1), self:number("size", 16)
    local length = self:get_query_argument("length", nil)
    local free = self:get_query_argument("free", nil)
    self.key = self:get_query_argument("key", nil)
    if length then self:set_header("Content-Length", length) end
    local piece = ("s"):rep(size)
    for i = 1, pieces do
        self:write(piece)
        self:flush()
        if self.left then break end
        if self.key then
            set(self.key .. ".begun")
            self.next = self.key .. "." .. i
            if not free then await(self.next) end
        end
    end
    if self.key then set(self.key .. ".done") end
end

function Stream:on_connection_close()
    self.left = true
    if self.key then set(self.key .. ".gone") end
    if self.next then set(self.next) end
end

Stream.head = Stream.get

-- Requests piece by piece -----------------------------------------------------------

-- Counts; with `echo` it keeps the bytes, with `hold` it waits for that latch first, with
-- `gone` it sets that latch when the client leaves.
local Upload = web.stream_request_body(Handler:extend "Upload")

Upload.max_body_size = 2 ^ 40

function Upload:prepare()
    self.bytes, self.pieces, self.kept = 0, 0, {}
    self.hold = self:get_query_argument("hold", nil)
    self.echo = self:get_query_argument("echo", nil)
    if self.hold then set(self.hold .. ".begun") end
end

function Upload:data_received(piece)
    if self.hold then await(self.hold) end
    self.bytes = self.bytes + #piece
    self.pieces = self.pieces + 1
    if self.echo then self.kept[#self.kept + 1] = piece end
end

function Upload:post()
    if self.echo then
        self:text(unpack(self.kept))
    else
        self:write { bytes = self.bytes, pieces = self.pieces }
    end
end

function Upload:on_connection_close()
    local gone = self:get_query_argument("gone", nil)
    if gone then set(gone) end
end

-- Streams what comes in back out.
local Pipe = web.stream_request_body(Handler:extend "Pipe")

Pipe.max_body_size = 2 ^ 40

function Pipe:data_received(piece)
    self:write(piece)
    self:flush()
end

function Pipe.post() end

-- Answers before it has looked at the body.
local Early = web.stream_request_body(Handler:extend "Early")

function Early:prepare()
    self:set_status(403)
    self:text("no")
    self:finish()
end

function Early.post() end

local Small = web.stream_request_body(Handler:extend "Small")

Small.max_body_size = 1000

function Small.data_received() end

function Small:post()
    self:text("small")
end

-- Faults --------------------------------------------------------------------------

local Fault = Handler:extend "Fault"

local faults = {}

function faults.raise()
    error("deliberate")
end

function faults.table()
    error({ deliberate = true })
end

faults["nil"] = function()
    error(nil)
end

function faults.stack()
    local function down(n) return 1 + down(n + 1) end
    down(1)
end

function faults.late(self)
    self:write("the beginning")
    self:flush()
    error("too late")
end

function faults.short(self)
    self:set_header("Content-Length", "100")
    self:write("short")
    self:flush()
end

function faults.long(self)
    self:set_header("Content-Length", "3")
    self:write("much too long")
    self:flush()
end

function faults.write_after(self)
    self:finish("done")
    self:write("more")
end

function faults.finish_twice(self)
    self:finish("once")
    self:finish("twice")
end

function faults.write_number(self)
    self:write(42)
end

function faults.write_list(self)
    self:write { 1, 2, 3 }
end

function faults.returns()
    return 42
end

function faults.bad_header(self)
    self:set_header("X-Bad", "a\r\nSet-Cookie: b=c")
end

function faults.bad_name(self)
    self:set_header("X Bad", "a")
end

function faults.bad_status(self)
    self:set_status("teapot")
end

function faults.global()
    getfenv(1).leaked = true
end

function faults.body_204(self)
    self:set_status(204)
    self:write("body")
end

function Fault:get(name)
    return faults[name](self)
end

-- A handler that forgets to finish.
local Forgets = Handler:extend "Forgets"

Forgets._auto_finish = false

function Forgets.get() end

-- Numbers -------------------------------------------------------------------------

local Counts = Handler:extend "Counts"

function Counts:get()
    self:write(core.counts())
end

local Collect = Handler:extend "Collect"

function Collect:get()
    collectgarbage()
    collectgarbage()
    self:write { kilobytes = collectgarbage "count" }
end

local Garbage = Handler:extend "Garbage"

function Garbage:get(megabytes)
    local list = {}
    for i = 1, tonumber(megabytes) do list[i] = ("x"):rep(2 ^ 20 - #list) end
    self:write(#list .. "")
end

return web.Application {
    { "/", Root },
    { "/set/(.+)", Set },
    { "/await/(.+)", Await },
    { "/wait/(.+)", Wait },
    { "/echo", Echo },
    { "/mirror", Mirror },
    { "/mirror/.*", Mirror },
    { "//mirror", Mirror },
    { "/field/(.+)", Field },
    { [[/status/(\d+)]], Status },
    { "/big", Big },
    { "/stream", Stream },
    { "/upload", Upload },
    { "/pipe", Pipe },
    { "/early", Early },
    { "/small", Small },
    { "/fault/(.+)", Fault },
    { "/forgets", Forgets },
    { "/counts", Counts },
    { "/collect", Collect },
    { "/garbage/([0-9]+)", Garbage },
}
