-- The client's side: connect(), and the connection it returns.
local core = require "tornado.core"
local handshake = require "tornado.websocket.handshake"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local peer = require "tornado.websocket.peer"
local tcpclient = require "tornado.tcpclient"
local urls = require "tornado.httpclient.urls"
local util = require "tornado.util"
local WebSocketError = require("tornado.websocket.errors").WebSocketError

local client = {}

--- The client's side of a connection: made by connect().
local WebSocketClientConnection = util.Object:extend "WebSocketClientConnection"
client.WebSocketClientConnection = WebSocketClientConnection
peer.mix_into(WebSocketClientConnection)

WebSocketClientConnection.selected_subprotocol = nil

-- The connection ---------------------------------------------------------------------

--- Waits for the next message; returns it and whether it is binary, or nil when the connection has
--- ended: close_code and close_reason say how. What comes while nobody reads waits: 64 KiB here,
--- the rest with the server. One coroutine may wait at a time.
function WebSocketClientConnection:read_message()
    if self._callback then error("on_message_callback gets the messages", 2) end
    if self._reader then error("read_message() is waited for already", 2) end
    return peer.next_message(self)
end

--- `for message, binary in connection:messages() do`.
function WebSocketClientConnection:messages()
    if self._callback then error("on_message_callback gets the messages", 2) end
    return self.read_message, self
end

--- As a handler's close(). Nothing more can be read.
function WebSocketClientConnection:close(code, reason)
    peer.close(self, code, reason)
    if not self._callback and not self._reader then
        self._callback = false
        self._busy = false -- whoever does not read any more need not see the end
        peer.drain(self)
    end
end

function WebSocketClientConnection:on_message(message, binary)
    if self._callback then self._callback(message, binary) end
end

--- Calls the options on_message_callback(nil) and on_close(connection).
function WebSocketClientConnection:on_close()
    if self._callback then self._callback(nil) end
    if self._on_close then self._on_close(self) end
end

--- Logs what a callback raised.
function WebSocketClientConnection:log_exception(err, traceback) -- luacheck: ignore 212/self
    log.app_log:error("Uncaught exception in a WebSocket client: " .. (traceback or tostring(err)))
end

-- Connecting ---------------------------------------------------------------------------

local NONE = util.NONE
local OPTIONS = {
    headers = NONE, subprotocols = NONE, compression_options = NONE, connect_timeout = 20,
    ping_interval = NONE, ping_timeout = NONE, max_message_size = NONE, max_queue = NONE,
    slow_policy = NONE, on_message_callback = NONE, on_ping = NONE, on_pong = NONE,
    on_close = NONE, resolver = NONE, proxy_host = NONE, proxy_port = NONE,
    proxy_username = NONE, proxy_password = NONE, ssl_options = NONE, trace = true,
    request_id = false,
}

local HOOKS = { "on_message_callback", "on_ping", "on_pong", "on_close" }

local function check_types(seconds, protocols)
    if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then
        error("bad connect_timeout: expected seconds, got " .. util.shown(seconds), 4)
    elseif protocols ~= nil and type(protocols) ~= "table" then
        error("bad subprotocols: expected a list, got " .. type(protocols), 4)
    end
end

local function check_options(options)
    check_types(options.connect_timeout, options.subprotocols)
    for _, name in ipairs(HOOKS) do
        if options[name] ~= nil and not util.is_callable(options[name]) then
            error(("bad %s: expected function, got %s"):format(name, type(options[name])), 3)
        end
    end
    for _, name in ipairs(options.subprotocols or {}) do
        if type(name) ~= "string" or not core.is_token(name) then
            error("bad subprotocol: expected a token, got " .. util.shown(name), 3)
        end
    end
    if options.proxy_host and not options.proxy_port then
        error("proxy_host needs proxy_port", 3)
    end
    if options.compression_options then peer.deflate_wanted(options.compression_options, true) end
end

local SCHEMES = { ws = "http", wss = "https" }

local function parse(url)
    if type(url) ~= "string" then error("bad URL: expected string, got " .. type(url), 3) end
    local scheme, rest = url:match("^(%a+)(://.*)$")
    local known = SCHEMES[scheme and scheme:lower()]
    if not known then
        error(("bad URL: expected ws://... or wss://..., got %s"):format(util.shown(url)), 3)
    end
    local to, why = urls.parse(known .. rest)
    return to or error(why, 3)
end

-- A stream to the server, through the proxy if there is one.
local function open(to, options, left)
    local tcp = tcpclient.TCPClient(options.resolver)
    local ok, stream = pcall(tcp.connect, tcp, options.proxy_host or to.host,
        options.proxy_port or to.port, { timeout = left() })
    tcp:close()
    return ok and stream or error(stream, 0)
end

local function shake_hands(stream, to, options, left)
    local key = core.base64_encode(core.random(16))
    stream:write(handshake.request(to, key, options), { timeout = left() })
    local start, headers = handshake.read_response(stream, left)
    return headers, handshake.check(start, headers, key, options)
end

local function bound(self, fn)
    if not fn then return nil end
    local ctx
    fn, ctx = ioloop.bind(fn)
    if ctx then self._context = ctx end
    return fn
end

-- The object over a stream whose handshake is over.
local function make(stream, options, headers, subprotocol, deflate, threshold)
    local self = WebSocketClientConnection()
    self.headers, self.selected_subprotocol = headers, subprotocol
    self._callback = bound(self, options.on_message_callback)
    self._on_close = bound(self, options.on_close)
    self.on_ping, self.on_pong = bound(self, options.on_ping), bound(self, options.on_pong)
    options.threshold = threshold
    local ours = peer.options(self, options, deflate)
    local handle = core.websocket_connect(stream:_leave(), ours)
    if not handle then error(WebSocketError("the server has left behind the handshake"), 0) end
    peer.attach(self, handle, self._context)
    if self._callback then ioloop.add_callback(peer.drain, self) end
    return self
end

--- Connects to ws://... or wss://...; returns a WebSocketClientConnection. Options: headers (a map
--- or list of pairs), subprotocols (a list), compression_options (as a handler's
--- get_compression_options() returns them), connect_timeout (20 seconds, for all of it),
--- ping_interval, ping_timeout, max_message_size (10 MiB), max_queue, slow_policy (see the settings
--- of a handler), on_message_callback(message or nil, binary), on_ping(connection, data), on_pong,
--- on_close(connection), resolver, proxy_host, proxy_port, proxy_username, proxy_password,
--- ssl_options (as IOStream:start_tls()'s), trace (true) and request_id (false), as those of
--- httpclient.fetch(). Raises WebSocketError, HTTPClientError for a status
--- other than 101, TimeoutError, and what TCPClient and start_tls() raise. Follows no redirects.
-- Tornado: takes an HTTPRequest, too; here its parts are options.
function client.connect(url, options)
    local to = parse(url)
    options = util.options(options, OPTIONS, "connect")
    check_options(options)
    local deadline = core.precise() + options.connect_timeout
    local function left()
        return math.max(0, deadline - core.precise())
    end
    local stream = open(to, options, left)
    local ok, result = ioloop.protect(function()
        if options.proxy_host then handshake.tunnel(stream, to, options, left) end
        if to.scheme == "https" then
            stream = stream:start_tls(false, options.ssl_options, to.host, { timeout = left() })
        end
        return make(stream, options, shake_hands(stream, to, options, left))
    end)
    if ok then return result end
    stream:close()
    error(result, 0)
end

return client
