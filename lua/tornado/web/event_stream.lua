-- Server-sent events (WHATWG HTML §9.2): RequestHandler:event_stream().
-- Tornado: has nothing of the kind.
--
-- What the client is slow to take waits here, not in C: as references to strings that all streams
-- with the same event share. So a thousand slow readers of one topic cost little more than one.
-- An idle stream has no coroutine (when the verb has returned) and no timer of its own.
local core = require "tornado.core"
local frame = require "tornado.web.event_stream.frame"
local heartbeats = require "tornado.web.event_stream.heartbeats"
local httpserver = require "tornado.httpserver"
local ioloop = require "tornado.ioloop"
local metrics = require "tornado.metrics"
local RequestHandler = require "tornado.web.handler"
local util = require "tornado.util"
local waiters = require "tornado.locks.waiters"

local concat = table.concat
local AGAIN, OK = core.AGAIN, core.OK
local reply_write, reply_flushed = core.reply_write, core.reply_flushed
local monotonic = core.monotonic

local PIECE = 65536 -- of what waited, sent at once
local HEARTBEAT = frame.comment ""

local EventStream = util.Object:extend "EventStream"

EventStream._closed = false
EventStream._blocked = false -- C has bytes that the client does not take
EventStream._bytes = 0       -- that wait here
EventStream._group = false   -- see heartbeats.lua
EventStream._closers = false -- what on_close() was given
EventStream._senders = false
EventStream._waiting = false -- in wait_closed()
EventStream.dropped = 0      -- events that the client was too slow for

local open = {} -- set of streams
local count = metrics.of_server("ctornado_event_streams_open", "Event streams.")

-- Ending -----------------------------------------------------------------------------

-- Everything but the reply itself.
local function shut(self)
    self._closed = true
    if open[self] then count:dec() end
    open[self] = nil
    heartbeats.remove(self)
    self._queue, self._first, self._last, self._bytes = {}, 1, 0, 0
    if self._senders then self._senders:wake_all() end
    if self._waiting then self._waiting:wake_all() end
    local closers = self._closers
    self._closers = false
    for _, fn in ipairs(closers or {}) do ioloop.log_errors(fn, self) end
end

-- Takes what waits here, at least `least` bytes of it if there are so many.
local function take(self, least)
    local pieces, size = {}, 0
    local queue, first, last = self._queue, self._first, self._last
    while first <= last and size < least do
        local piece = queue[first]
        queue[first] = nil
        first = first + 1
        size = size + #piece
        pieces[#pieces + 1] = piece
    end
    if first > last then first, last = 1, 0 end
    self._first, self._last = first, last
    self._bytes = self._bytes - size
    return concat(pieces)
end

--- Ends the stream behind what was sent. Browsers connect again, unless their page closes its
-- side or the next reply is a 204. Nothing happens when it is closed.
function EventStream:close()
    if self._closed then return end
    if self._bytes > 0 then reply_write(self._handle, take(self, math.huge)) end
    shut(self)
    local handler = self.handler
    if not handler._finished then handler.class.finish(handler) end
end

--- Cuts the connection: what waits is dropped.
function EventStream:abort()
    if self._closed then return end
    shut(self)
    core.reply_abort(self._handle) -- EVENT_GONE ends the request
end

--- From the handler: its request is over.
function EventStream:_over()
    if not self._closed then shut(self) end
end

--- Whether it has ended, by whomsoever.
function EventStream:closed()
    return self._closed
end

--- Waits until it has ended. It need not be called: the stream stays open when the verb returns.
-- Behind it, when the client has left, all that waits raises a CancelledError.
function EventStream:wait_closed()
    if self._closed then return end
    self._waiting = self._waiting or waiters.new()
    self._waiting:wait()
end

--- Has fn(stream) called once when it ends; it must not wait. At once when it has ended.
function EventStream:on_close(fn)
    if self._closed then
        fn(self)
        return
    end
    self._closers = self._closers or {}
    self._closers[#self._closers + 1] = fn
end

-- Sending ----------------------------------------------------------------------------

-- To C, which has sent all before: it tries at once.
local function write(self, bytes)
    local handle = self._handle
    self._sent = monotonic()
    local status = reply_write(handle, bytes)
    if status == OK or status == AGAIN then status = reply_flushed(handle) end
    if status == AGAIN then
        self._blocked = true
    elseif status ~= OK then
        shut(self)
    end
end

--- From the request: the client has taken all that C had.
function EventStream:_drained()
    self._blocked = false
    while self._bytes > 0 and not self._blocked do write(self, take(self, PIECE)) end
    if self._senders and self._bytes <= self._limit / 2 then self._senders:wake_all() end
end

local function push(self, bytes)
    self._last = self._last + 1
    self._queue[self._last] = bytes
    self._bytes = self._bytes + #bytes
end

-- Makes room for `size` bytes, or closes; false when they are to be dropped.
local function make_room(self, size, overflow)
    if overflow == "close" then
        self:abort()
        return false
    end
    if overflow ~= "drop_oldest" then
        self.dropped = self.dropped + 1
        return false
    end
    while self._bytes > 0 and self._bytes + size > self._limit do
        take(self, 1)
        self.dropped = self.dropped + 1
    end
    return true
end

--- Sends bytes (of frame.event()) without waiting. When more than the limit would wait for the
-- client then, `overflow` decides: "drop_oldest", "drop_newest" or "close". Returns whether they
-- will be sent, as far as is known.
function EventStream:offer(bytes, overflow)
    if self._closed then return false end
    if not self._blocked then
        write(self, bytes)
        return not self._closed
    end
    if self._bytes + #bytes > self._limit and not make_room(self, #bytes, overflow) then
        return false
    end
    push(self, bytes)
    return true
end

-- What was given is in its place in the line, whatever becomes of the wait.
local function wait_for_room(self, bytes)
    push(self, bytes)
    if self._bytes <= self._limit then return true end
    self._senders = self._senders or waiters.new()
    self._senders:wait()
    return not self._closed
end

local function put(self, bytes)
    if self._blocked and not self._closed and self._policy == "wait" then
        return wait_for_room(self, bytes)
    end
    return self:offer(bytes, self._policy)
end

--- Sends an event: data is a string of any number of lines, or a table, which becomes JSON.
-- Options: event (its type), id (what the client tells when it comes again), retry (milliseconds
-- until it does). When more than the stream's limit waits for the client, what slow_reader says
-- happens. Returns false when the client has left or the event was dropped, else true.
function EventStream:send(data, options)
    local good = put(self, frame.event(data, options, 2))
    return good
end

--- Sends a line that clients pass over.
function EventStream:comment(text)
    if type(text) ~= "string" then
        error("bad comment: expected string, got " .. type(text), 2)
    end
    local good = put(self, frame.comment(text))
    return good
end

--- From heartbeats.lua. Who is slow has bytes on the way already.
function EventStream:_heartbeat()
    if not self._blocked then write(self, HEARTBEAT) end
end

--- Bytes that wait here for a slow client; those that the system holds come on top.
function EventStream:backlog()
    return self._bytes
end

-- The end of the server ----------------------------------------------------------------

-- Clients come again at different times, so that they do not all come at once.
httpserver.on_closing(function(server)
    local list = {}
    for stream in pairs(open) do
        if stream.handler.request.server == server then list[#list + 1] = stream end
    end
    for _, stream in ipairs(list) do
        stream:offer(frame.retry(math.random(500, 2500), 1) .. "\n", "drop_oldest")
        ioloop.log_errors(stream.close, stream)
    end
end)

-- Beginning --------------------------------------------------------------------------

local POLICIES = { wait = "wait", drop = "drop_newest", close = "close" }

local OPTIONS = {
    heartbeat = 15, retry = 3000, limit = 262144, slow_reader = "wait",
}

local function check_number(options, name, least, level)
    local value = options[name]
    if type(value) ~= "number" or value ~= value or value < least then
        error(("bad %s: expected a number from %g on, got %s"):format(name, least,
            util.shown(value)), level + 1)
    end
end

local function check(options)
    if options.heartbeat then check_number(options, "heartbeat", 0.01, 3) end
    check_number(options, "limit", 0, 3)
    if not POLICIES[options.slow_reader] then
        error('bad slow_reader: expected "wait", "drop" or "close", got ' ..
            util.shown(options.slow_reader), 3)
    end
end

-- The header is what browsers send when they connect again; who begins with a page that has
-- events already can say it in the address.
local function last_event_id(handler)
    local id = handler.request.headers:get("Last-Event-ID")
    if id == nil then id = handler.request:last_query_argument("lastEventId") end
    return id ~= "" and id or nil
end

function EventStream:init(handler, options)
    self.handler = handler
    self.last_event_id = last_event_id(handler)
    self._handle = handler.request.handle
    self._queue, self._first, self._last = {}, 1, 0
    self._limit = options.limit
    self._policy = POLICIES[options.slow_reader]
    self._sent = monotonic()
end

-- The handler's finish().
local function finish(handler, chunk)
    if chunk ~= nil then error("finish() of an event stream takes no chunk", 2) end
    handler._events:close()
end

local HEADERS = {
    "Content-Type", "text/event-stream", "Cache-Control", "no-store", "X-Accel-Buffering", "no",
}

--- Begins a reply that is a stream of events, and returns the stream: send(), comment(),
-- close(), abort(), closed(), wait_closed(), on_close(fn), backlog(), last_event_id (of a client
-- that comes again; or nil), dropped (a count). The head is sent at once, as it is: neither
-- compressed nor with an ETag. When the client leaves, the handler is cancelled where it waits;
-- when the verb returns, the stream stays open. Options: heartbeat (seconds of silence until a
-- comment is sent, 15; false: none), retry (milliseconds until the client comes again, 3000),
-- limit (bytes that may wait for a slow client, 256 KiB), slow_reader (what send() does then:
-- "wait", "drop" the event, or "close" the connection). Raises when the reply has begun.
function RequestHandler:event_stream(options)
    options = util.options(options, OPTIONS, "event_stream")
    check(options)
    local retry = frame.retry(options.retry, 2) .. "\n"
    if self._headers_written or self._finished then
        error("event_stream() must come before the reply has begun", 2)
    end
    for i = 1, #HEADERS, 2 do self:set_header(HEADERS[i], HEADERS[i + 1]) end
    local stream = EventStream(self, options)
    self._body, self._more, self._content_length = false, false, false
    self._auto_finish, self.cancel_on_disconnect = false, true
    self._events, self.finish = stream, finish
    self.request._events = stream
    open[stream] = true
    count:inc()
    self:_start_reply()
    write(stream, retry)
    if stream._closed then return stream end
    if self.request.method == "HEAD" then stream:close() end
    if options.heartbeat and not stream._closed then
        heartbeats.add(stream, options.heartbeat)
    end
    return stream
end

return EventStream
