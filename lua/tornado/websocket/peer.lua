-- What both sides of a WebSocket have: messages come to hooks one at a time and in order, or are
-- pulled by messages(); what is sent waits, is dropped, or ends the connection when the other side
-- is slow to read.
--
-- An idle connection has no coroutine: a hook runs in the one that takes events. `_busy` is true
-- while a hook (or open()) of the connection is under way; whatever comes meanwhile stays in C.
local core = require "tornado.core"
local concurrent = require "tornado.concurrent"
local errors = require "tornado.websocket.errors"
local escape = require "tornado.escape"
local gen = require "tornado.gen"
local generation = require "tornado.generation"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local util = require "tornado.util"

local barrier, enter, type = core.barrier, ioloop.enter, type
local take, send = core.websocket_take, core.websocket_send
local TEXT, BINARY, PING, PONG = core.FRAME_TEXT, core.FRAME_BINARY, core.FRAME_PING,
    core.FRAME_PONG
local OK, EOF, LIMIT, CLOSED = core.OK, core.EOF, core.LIMIT, core.CLOSED
local ENDPOINT_ERROR, SLOW = 1011, 1008
local WebSocketClosedError = errors.WebSocketClosedError

-- Mixed into the classes of both sides.
local peer = {
    _ws = false,      -- C's handle while it is open
    _busy = false,
    _pulls = false,   -- messages() was called: no hook gets them
    _reader = false,  -- the waiter of messages()
    _writers = false, -- waiters for room, in order
    _slow = "wait",
    _enders = false,  -- key -> function, see _on_end()
    _context = false, -- that hooks run in, see ioloop.lua
}

local METHODS = {
    messages = true, write_message = true, ping = true, close = true, set_nodelay = true,
    on_ping = true, on_pong = true, on_close = true,
}

local live = {} -- handle -> its owner

--- Called for each that has nothing to do, once it is set: see websocket/moving.lua.
peer.rest = false

-- What write_message() returns: Futures that are done.
local function done(result)
    local future = concurrent.Future()
    future:set_result(result)
    return future
end

local SENT, DROPPED = done(true), done(false)

local function wake_writers(self)
    local writers = self._writers
    if not writers then return end
    self._writers = false
    for i = 1, #writers do ioloop.wake(writers[i]) end
end

local function wake_reader(self)
    local reader = self._reader
    if reader then ioloop.wake(reader) end
end

-- The end ----------------------------------------------------------------------------

-- What pubsub has of it ends.
local function run_enders(self)
    for _, fn in pairs(self._enders or {}) do ioloop.log_errors(fn, self) end
    self._enders = false
end

-- C has told the end: gives the handle back and calls on_close(), once.
local function ended(self, code, reason)
    local handle = self._ws
    self._ws = false
    live[handle] = nil
    core.websocket_release(handle)
    self.close_code, self.close_reason = code, reason ~= "" and reason or nil
    wake_writers(self)
    wake_reader(self)
    run_enders(self)
    local result = self:on_close()
    if concurrent.is_future(result) then gen.await(result) end
end

--- For pubsub: has fn(connection) called when it ends, before on_close(), or goes to another
--- generation; it must not wait. `key`
--- is what it is known by; fn nil: it is not to be called any more. False: it has ended already.
function peer:_on_end(key, fn)
    if not self._ws then return false end
    self._enders = self._enders or {}
    self._enders[key] = fn
    return true
end

-- Hooks ------------------------------------------------------------------------------

-- The hooks may wait, or return a Future.
local function run_hook(self, kind, data)
    local result
    if kind == PING then
        result = self:on_ping(data)
    elseif kind == PONG then
        result = self:on_pong(data)
    else
        barrier()
        result = self:on_message(data, kind == BINARY)
    end
    if result ~= nil and concurrent.is_future(result) then gen.await(result) end
end

-- Gives what came next to its hook; false when there was nothing, or the end.
local function step(self)
    local handle = self._ws
    if not handle then return false end
    local kind, data, code, reason = take(handle)
    if kind then
        run_hook(self, kind, data)
        return true
    end
    if data == EOF then ended(self, code, reason) end
    return false
end

-- Gives what has come to the hooks. Mostly that is one message, which is no matter for a loop: the
-- trace of the pump's cannot have another one inside.
local function drain(self)
    self._busy = true
    if step(self) and step(self) then
        while step(self) do end -- luacheck: ignore 542
    end
    self._busy = false
    if peer.rest and self._ws then peer.rest(self) end
end

local function on_event(handle)
    local self = live[handle]
    if not self then return end
    if self._writers then wake_writers(self) end
    if self._reader then
        wake_reader(self)
    elseif not self._busy then
        enter(self._context)
        drain(self)
    end
end

-- A hook raised. That its own connection was lost while it wrote is no fault of its.
-- Tornado: cuts the connection, so that the other side sees 1006; here it gets a Close frame.
local function failed(self, err, traceback)
    if not util.isinstance(err, WebSocketClosedError) or err.connection ~= self then
        self:log_exception(err, traceback)
    end
    if self._ws then core.websocket_close(self._ws, ENDPOINT_ERROR, "") end
end

local function on_failure(handle, err, traceback)
    local self = live[handle]
    if not self then
        log.app_log:error("Uncaught exception in on_close: " .. (traceback or tostring(err)))
        return
    end
    enter(self._context)
    ioloop.leave_scope()
    failed(self, err, traceback)
    drain(self) -- the end may have come already
end

ioloop.on(core.EVENT_WEBSOCKET, on_event, on_failure)

--- From now on `self` gets what comes for the handle, in that context, but not before
--- peer.begin().
function peer.attach(self, handle, context)
    self._ws, self._busy, self._context = handle, true, context
    live[handle] = self
end

--- All that are open and have nothing to do.
function peer.idle()
    local list = {}
    for _, self in pairs(live) do
        if not self._busy then list[#list + 1] = self end
    end
    return list
end

--- Has fn(handle) take the connection away, in the context of its hooks; returns a status. With OK
-- it has none any more, and no hook is called.
function peer.give_away(self, fn, argument)
    local handle = self._ws
    local status = fn(handle, argument)
    if status ~= OK then return status end
    self._ws = false
    live[handle] = nil
    wake_writers(self)
    wake_reader(self)
    run_enders(self)
    return status
end

--- Puts what is here into a class.
function peer.mix_into(class)
    for name, value in pairs(peer) do
        if METHODS[name] or name:find "^_" then class[name] = value end
    end
end

--- Runs open(...) by `call`, a function(self, ...); then hooks get what has come. When open()
--- pulled the messages itself, its end is that of the connection.
function peer.begin(self, call, ...)
    local ok, err, traceback = ioloop.protect(call, self, ...)
    if not ok then
        failed(self, err, traceback)
    elseif self._pulls and self._ws then
        core.websocket_close(self._ws, 1000, "")
    end
    self._pulls = false
    drain(self)
end

-- Pulling ----------------------------------------------------------------------------

local function forget_reader(self)
    self._reader = false
end

-- The next message and whether it is binary; nil when the connection has ended.
local function next_message(self)
    while self._ws do
        local kind, data, code, reason = take(self._ws)
        if kind == TEXT or kind == BINARY then return data, kind == BINARY end
        if kind == PING then
            self:on_ping(data)
        elseif kind == PONG then
            self:on_pong(data)
        elseif data == EOF then
            ended(self, code, reason)
        else
            local waiter = ioloop.waiter()
            self._reader = waiter
            ioloop.wait(waiter, forget_reader, self)
            self._reader = false
        end
    end
    return nil
end

--- For clients: the next message and whether it is binary, or nil.
peer.next_message = next_message

--- Gives what has come to the hooks, if none is under way.
peer.drain = drain

--- For open(): `for message, binary in self:messages() do`. Waits for each; ends with the
--- connection. on_message() is not called then, and when open() returns the connection is closed.
function peer:messages()
    if not self._busy then error("messages() is for open()", 2) end
    if self._reader then error("messages() is waited for already", 2) end
    self._pulls = true
    return next_message, self
end

-- Sending ----------------------------------------------------------------------------

local function closed(self)
    local err = WebSocketClosedError("the WebSocket is closed")
    err.connection = self
    error(err, 0)
end

local function forget_writer(self, waiter)
    local writers = self._writers
    for i = 1, writers and #writers or 0 do
        if writers[i] == waiter then
            table.remove(writers, i)
            return
        end
    end
end

local function wait_for_room(self)
    local waiter = ioloop.waiter()
    self._writers = self._writers or {}
    self._writers[#self._writers + 1] = waiter
    ioloop.wait(waiter, forget_writer, self, waiter)
end

-- The other side does not read: max_queue bytes wait already.
local function send_slowly(self, kind, bytes)
    if self._slow == "drop" then return DROPPED end
    if self._slow == "close" then
        core.websocket_close(self._ws, SLOW, "too slow to read")
        return DROPPED
    end
    local status = LIMIT
    while status == LIMIT do
        wait_for_room(self)
        status = self._ws and send(self._ws, kind, bytes) or CLOSED
    end
    if status ~= OK then closed(self) end
    return SENT
end

local function check_text(message)
    if type(message) == "table" then return escape.json_encode(message) end
    error("bad message: expected string or table, got " .. type(message), 3)
end

--- Sends a message: text that is UTF-8, or any bytes with `binary`; a table is sent as JSON. While
--- the other side is slow to read it waits for room, or does what the policy for slow readers
--- says. Returns a Future that is done, whose result is false when the message was dropped.
--- Raises WebSocketClosedError. May be called from anywhere.
-- Tornado: the Future is done when there is room; here, the call waits for it.
function peer:write_message(message, binary)
    if type(message) ~= "string" then message = check_text(message) end
    local handle = self._ws
    if not handle then closed(self) end
    local kind = binary and BINARY or TEXT
    local status = self._writers and LIMIT or send(handle, kind, message)
    if status == OK then return SENT end
    if status == LIMIT then return send_slowly(self, kind, message) end
    if status == CLOSED then closed(self) end
    error("bad message: a text must be UTF-8 (RFC 6455); write_message(message, true) sends " ..
        "any bytes", 2)
end

peer._write_message = peer.write_message

--- For pubsub: sends a text if it can do so without waiting; else write_message() will say why not.
function peer:_offer(text)
    local handle = self._ws
    return handle and not self._writers and send(handle, TEXT, text) == OK
end

--- Sends a ping with at most 125 bytes; the other side's pong comes to on_pong(). Raises
--- WebSocketClosedError.
function peer:ping(data)
    data = data or ""
    if type(data) ~= "string" or #data > 125 then
        error("bad ping: expected a string of at most 125 bytes, got " ..
            (type(data) == "string" and #data .. " bytes" or type(data)), 2)
    end
    local status = self._ws and send(self._ws, PING, data) or CLOSED
    if status == CLOSED then closed(self) end
end

--- Begins to close the connection, with a code (1000, 1001, 3000 to 4999, ...) and a reason of at
--- most 123 bytes. What still comes is thrown away; on_close() comes when the other side has
--- agreed, after 5 seconds at the latest. Fine when it is closed already.
function peer:close(code, reason)
    if code == nil and reason ~= nil then code = 1000 end
    if not self._ws then return end
    local status = core.websocket_close(self._ws, code or 0, reason or "")
    if status == core.ERROR then
        error(("bad close: expected a code that may be sent and a reason of at most 123 bytes " ..
            "of UTF-8, got %s, %s"):format(tostring(code), util.shown(reason)), 2)
    end
end

--- Sets TCP_NODELAY, which is on from the beginning.
function peer:set_nodelay(on)
    if self._ws then core.websocket_nodelay(self._ws, on) end
end

--- Hooks: a ping or pong has come (a ping is answered already); the connection has ended, with
--- close_code and close_reason set: those of the other side's Close frame (1005 and nil when it
--- had none), or the code that its fault was answered with, or 1006 when there was no such frame.
-- Tornado: close_code is nil unless the other side's frame has one.
function peer:on_ping() end -- luacheck: ignore 212/self
function peer:on_pong() end -- luacheck: ignore 212/self
function peer:on_close() end -- luacheck: ignore 212/self

-- The end of the process, or of this generation of it ----------------------------------

local GOING_AWAY, RESTARTS = 1001, 1012

generation.hold("WebSockets", function() return core.counts().websockets end, function(why)
    local code = why == "stop" and GOING_AWAY or RESTARTS
    for handle in pairs(live) do core.websocket_close(handle, code, "") end
end)

-- Options ------------------------------------------------------------------------------

local POLICIES = { wait = true, drop = true, close = true }

local function number(given, name, default)
    local value = given
    if value == nil then value = default end
    if type(value) ~= "number" or value ~= value or value < 0 then
        error(("bad %s: expected a number that is not negative, got %s"):format(name,
            util.shown(value)), 0)
    end
    return value
end

local warned = false

-- Tornado: a longer ping_timeout than ping_interval is cut with a warning, too.
local function ping_timeout(timeout, interval)
    if interval == 0 then return 0 end
    timeout = number(timeout, "ping_timeout", interval)
    if timeout <= interval then return timeout end
    if not warned then
        warned = true
        log.gen_log:warning("websocket_ping_timeout (%g) cannot be longer than " ..
            "websocket_ping_interval (%g): using that", timeout, interval)
    end
    return interval
end

local options = core.websocket_options()

--- C's options of `self`, from a table with ping_interval, ping_timeout, max_message_size,
--- max_queue, slow_policy, threshold, and the parameters of compression that were agreed on (or
--- nil). Raises for bad ones.
function peer.options(self, given, deflate)
    local interval = number(given.ping_interval or nil, "ping_interval", 0)
    options.ping_interval = interval
    options.ping_timeout = ping_timeout(given.ping_timeout, interval)
    options.max_message = number(given.max_message_size, "max_message_size", 10485760)
    options.max_queue = number(given.max_queue, "max_queue", 262144)
    options.close_timeout = 5
    options.write_timeout, options.write_min_rate = 30, 240
    options.threshold = given.threshold or 0
    options.tell_ping = self.on_ping ~= peer.on_ping and 1 or 0
    options.tell_pong = self.on_pong ~= peer.on_pong and 1 or 0
    options.deflates = deflate and 1 or 0
    if deflate then options.deflate = deflate end
    local policy = given.slow_policy or "wait"
    if not POLICIES[policy] then
        error(('bad slow_policy: expected "wait", "drop" or "close", got %s'):format(
            util.shown(policy)), 0)
    end
    if policy ~= "wait" then self._slow = policy end
    return options
end

local COMPRESSION = {
    compression_level = 6, mem_level = 8, context_takeover = false, max_window_bits = util.NONE,
    threshold = 64,
}

local function between(value, name, least, most)
    if type(value) ~= "number" or value % 1 ~= 0 or value < least or value > most then
        error(("bad %s: expected an integer from %d to %d, got %s"):format(name, least, most,
            util.shown(value)), 0)
    end
    return value
end

--- What a side wants of permessage-deflate, as C has it, and the threshold; from options as
--- get_compression_options() returns them.
function peer.deflate_wanted(given, client)
    given = util.options(given, COMPRESSION, "compression_options", 2)
    local want = core.websocket_deflate()
    local bits = given.max_window_bits
    if bits then between(bits, "max_window_bits", 9, 15) end
    want.own_bits = bits or 15
    want.peer_bits = bits or (client and 15 or 12)
    want.own_takeover = given.context_takeover and 1 or 0
    want.peer_takeover = 1
    want.level = between(given.compression_level, "compression_level", 1, 9)
    want.memory = between(given.mem_level, "mem_level", 1, 9)
    return want, number(given.threshold, "threshold", 0)
end

return peer
