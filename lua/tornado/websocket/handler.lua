-- WebSocketHandler: the server's side. A request that asks for it leaves HTTP behind a 101; from
-- then on the handler has a connection (peer.lua) in place of a reply.
local core = require "tornado.core"
local concurrent = require "tornado.concurrent"
local filters = require "tornado.web.filters"
local gen = require "tornado.gen"
local handshake = require "tornado.websocket.handshake"
local httpserver = require "tornado.httpserver"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local modules = require "tornado.web.modules"
local path_args = require "tornado.web.path_args"
local peer = require "tornado.websocket.peer"
local web = require "tornado.web"

local SET = core.FIELD_SET
local RESTARTS = 1012

local WebSocketHandler = web.RequestHandler:extend "WebSocketHandler"

peer.mix_into(WebSocketHandler)

-- Hooks ------------------------------------------------------------------------------

--- Comes when the connection stands, with the groups of the path; may wait: no message is taken
--- before it returns, unless it pulls them with messages().
function WebSocketHandler:open() end -- luacheck: ignore 212/self

--- Gets each message, and whether it is binary. It may wait, or return a Future; the next message
--- comes behind it. Must be replaced, unless open() pulls the messages.
function WebSocketHandler:on_message()
    error(tostring(self.class) .. " must implement on_message()", 0)
end

--- Gets the list of subprotocols that the client offers ({} for none); returns one of them, or nil.
function WebSocketHandler:select_subprotocol() end -- luacheck: ignore 212/self

--- The subprotocol that was chosen, or nil.
WebSocketHandler.selected_subprotocol = nil

--- Returns whether a page of that origin may connect. By default, pages of the host that the
--- request names.
function WebSocketHandler:check_origin(origin)
    local netloc = origin:match("^[%a][%w+.-]*://([^/?#]*)")
    local host = self.request.headers:get("Host")
    return netloc ~= nil and host ~= nil and netloc:lower() == host:lower()
end

--- Nil: no compression. A table: what permessage-deflate (RFC 7692) shall have: compression_level
--- (6), mem_level (8), context_takeover (false: each message of ours is compressed by itself, so
--- that one broadcast is compressed once), max_window_bits (ours 15, the client's 12), threshold
--- (64: shorter messages are sent as they are).
function WebSocketHandler:get_compression_options() end -- luacheck: ignore 212/self

--- Hooks of a reload. on_reload(), if there is one, is called in the old generation when the new
-- one serves and no other hook is under way; it may wait. When it returns anything but nil, the
-- connection goes to the new generation, to a new handler of the route of its path, whose
-- on_handover() gets that (any value that string.buffer takes, of 1 MiB with the request's head)
-- before the next message; neither open() nor on_close() is called for it. Otherwise it stays,
-- until it ends or reload_grace has passed. One whose open() pulls messages stays, too.
WebSocketHandler.on_reload = false

--- See on_reload: gets what that returned in the generation before. To be defined by classes that
-- have on_reload.
function WebSocketHandler:on_handover()
    self:close(RESTARTS) -- the code before had another idea of this path
end

-- From settings, or overridden: numbers, or methods that return them. Two settings more are for
-- what a client is slow to read: websocket_max_queue, the bytes that may wait (262144), and
-- websocket_slow_policy, what write_message() does then: "wait", "drop" the message, or "close" the
-- connection (1008).

--- Seconds between pings; nil or 0: none.
function WebSocketHandler:ping_interval()
    return self.settings.websocket_ping_interval
end

--- Seconds that a pong may take; nil: as long as ping_interval; 0: any time.
function WebSocketHandler:ping_timeout()
    return self.settings.websocket_ping_timeout
end

--- Bytes of a message that is taken, before and after decompression.
function WebSocketHandler:max_message_size()
    return self.settings.websocket_max_message_size
end

-- The handshake ----------------------------------------------------------------------

local VERSIONS = { ["7"] = true, ["8"] = true, ["13"] = true }

local function refuse(self, status, text)
    self:set_status(status)
    log.gen_log:debug(text)
    self:finish(text)
    return false
end

local function check_origin(self, headers)
    local origin = headers:get("Origin") or headers:get("Sec-Websocket-Origin")
    if origin == nil or self:check_origin(origin) then return true end
    return refuse(self, 403, "Cross origin websockets not allowed")
end

local function check_version(self, headers)
    if VERSIONS[headers:get("Sec-WebSocket-Version", "")] then return true end
    self:set_status(426, "Upgrade Required")
    self:set_header("Sec-WebSocket-Version", "7, 8, 13")
    self:finish()
    return false
end

-- 16 bytes in base64.
-- Tornado: takes anything that is not empty.
local function is_key(key)
    local bytes = #key == 24 and core.base64_decode(key)
    return bytes and #bytes == 16
end

-- The checks, in Tornado's order. False: an answer is given.
local function check(self)
    local headers = self.request.headers
    if headers:get("Upgrade", ""):lower() ~= "websocket" then
        return refuse(self, 400, 'Can "Upgrade" only to "WebSocket".')
    end
    if not handshake.has_upgrade(headers:get("Connection", "")) then
        return refuse(self, 400, '"Connection" must be "Upgrade".')
    end
    if not check_origin(self, headers) or not check_version(self, headers) then return false end
    if headers:get("Host", "") == "" or not is_key(headers:get("Sec-WebSocket-Key", "")) or
        self.request.version == "HTTP/1.0" then
        return refuse(self, 400, "Missing/Invalid WebSocket headers")
    end
    return true
end

local function set(self, name, value)
    core.field(self.request.handle, SET, name, value)
end

local function choose_subprotocol(self, headers)
    local offered = {}
    for name in headers:get("Sec-WebSocket-Protocol", ""):gmatch("[^,%s]+") do
        offered[#offered + 1] = name
        offered[name] = true
    end
    local list = { unpack(offered) }
    local chosen = self:select_subprotocol(list)
    if concurrent.is_future(chosen) then chosen = gen.await(chosen) end
    if chosen == nil then return end
    if not offered[chosen] then
        error(("select_subprotocol() returned %q, which was not offered"):format(
            tostring(chosen)), 0)
    end
    self.selected_subprotocol = chosen
    set(self, "Sec-Websocket-Protocol", chosen)
end

local agreed = core.websocket_deflate()

-- Returns the parameters agreed on (or nil) and the threshold.
local function choose_compression(self, headers)
    local given = self:get_compression_options()
    local offers = given and headers:get("Sec-WebSocket-Extensions")
    if not offers then return nil end
    local want, threshold = peer.deflate_wanted(given, false)
    local answer = core.websocket_offers(offers, want, agreed)
    if not answer then return nil end
    set(self, "Sec-Websocket-Extensions", answer)
    return agreed, threshold
end

local function options_of(self, deflate, threshold)
    local settings = self.settings
    return peer.options(self, {
        ping_interval = modules.property(self, "ping_interval"),
        ping_timeout = modules.property(self, "ping_timeout"),
        max_message_size = modules.property(self, "max_message_size"),
        max_queue = settings.websocket_max_queue,
        slow_policy = settings.websocket_slow_policy,
        threshold = threshold,
    }, deflate)
end

-- Open handlers -----------------------------------------------------------------------

local function unsupported()
    error("Method not supported for Web Sockets", 2)
end

local UNSUPPORTED = {
    "write", "redirect", "set_header", "set_cookie", "set_status", "flush", "finish",
}

-- What an open handler looks its methods up in: those of its class (see web/app.lua), but for
-- the ones that make an HTTP reply.
local function open_meta(handler)
    local class = handler.class
    local meta = rawget(class, "_open_meta")
    if meta then return meta end
    meta = {}
    for name, value in pairs(getmetatable(handler)) do meta[name] = value end
    local index = {}
    for name, value in pairs(meta.__index) do index[name] = value end
    for _, name in ipairs(UNSUPPORTED) do index[name] = unsupported end
    meta.__index = index
    class._open_meta = meta
    return meta
end

-- Sends the 101 and takes the connection out of HTTP; false when the client has left.
local function switch(self, deflate, threshold)
    local request = self.request
    if self._filters then filters.after(self) end
    local options = options_of(self, deflate, threshold)
    set(self, "Upgrade", "websocket")
    set(self, "Connection", "Upgrade")
    set(self, "Sec-Websocket-Accept",
        handshake.accept_value(request.headers:get("Sec-WebSocket-Key")))
    self:set_status(101)
    request:keep()
    self._headers_written, self._finished = true, true
    local status = core.reply_start(request.handle, 101, "", "", -1, self._flags)
    local handle = status == core.OK and core.websocket_accept(request.handle, options)
    if handle then peer.attach(self, handle, request) end
    self.application:log_request(self)
    ioloop.log_errors(self.on_finish, self)
    httpserver.release(request)
    setmetatable(self, open_meta(self))
    return handle
end

local function call_open(self, args)
    local result = args and path_args.call(self, self.open, args) or not args and self:open()
    if concurrent.is_future(result) then gen.await(result) end
end

--- The handshake; then open(), and the hooks.
function WebSocketHandler:get()
    if not check(self) then return end
    local headers = self.request.headers
    choose_subprotocol(self, headers)
    local deflate, threshold = choose_compression(self, headers)
    if not switch(self, deflate, threshold) then return end
    local args = self.path_args
    peer.begin(self, call_open, args)
end

-- Moving to the next generation ----------------------------------------------------------

local function begin_again(self, delegate, state)
    local result = self:initialize(delegate.handler_kwargs)
    if concurrent.is_future(result) then gen.await(result) end
    if delegate.path_args then path_args.decode(self, delegate.path_args) end
    result = self:on_handover(state)
    if concurrent.is_future(result) then gen.await(result) end
end

--- For moving.lua: what goes along with the connection.
function WebSocketHandler:_pack(state)
    return { state = state, request = self.request:pack(), slow = self._slow,
        subprotocol = self.selected_subprotocol }
end

--- The handler of a delegate goes on with a connection that came with what _pack() made.
function WebSocketHandler._take_over(delegate, handle, packed)
    local self, request = delegate:new_handler(), delegate.request
    request.delegate = self
    self._headers_written, self._finished, self._slow = true, true, packed.slow
    self.selected_subprotocol = packed.subprotocol
    setmetatable(self, open_meta(self))
    peer.attach(self, handle, request)
    ioloop.enter(request)
    peer.begin(self, begin_again, delegate, packed.state)
end

return { WebSocketHandler = WebSocketHandler }
