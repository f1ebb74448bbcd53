-- What all streams have: reading what is asked for, writing in order, the end.
--
-- The bytes are with C (core/io/channel.h), which reads when somebody asks. A call that has to
-- wait is repeated when C says so, and C goes on where it stopped: a read that is given up loses
-- nothing.
local channels = require "tornado.iostream.channels"
local concurrent = require "tornado.concurrent"
local core = require "tornado.core"
local errors = require "tornado.iostream.errors"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local patterns = require "tornado.iostream.patterns"
local util = require "tornado.util"

local OK, AGAIN, LIMIT = core.OK, core.AGAIN, core.LIMIT
local StreamClosedError = errors.StreamClosedError
local channel_write, waiter, wait_for = core.channel_write, ioloop.waiter, ioloop.wait_for
local type = type

local MAX_BUFFER, CHUNK = 104857600, 65536

-- What write() returns: there is nothing left to wait for.
local DONE = concurrent.Future()
DONE:set_result(nil)

local BaseIOStream = util.Object:extend "BaseIOStream"

local OPTIONS = {
    max_buffer_size = MAX_BUFFER, read_chunk_size = CHUNK, max_write_buffer_size = util.NONE,
}
BaseIOStream.OPTIONS = OPTIONS

--- For those who open something for a stream: its options with all defaults. Raises at the line
-- that called who calls this, or `level` - 1 frames further up.
function BaseIOStream._check(options, level)
    options = util.options(options, OPTIONS, "IOStream", level)
    for name, value in pairs(options) do
        if type(value) ~= "number" or value ~= value or value < 1 then
            error(("bad %s: expected bytes, got %s"):format(name, util.shown(value)), level + 2)
        end
    end
    return options
end

--- Takes options: max_buffer_size (bytes read ahead, 100 MiB), read_chunk_size (bytes read at
--- once, 64 KiB at most), max_write_buffer_size (bytes that may wait to be written; none).
function BaseIOStream:init(options)
    options = BaseIOStream._check(options, 2)
    self.max_buffer_size = options.max_buffer_size
    self.read_chunk_size = math.max(1, math.min(options.read_chunk_size, CHUNK,
        math.floor(options.max_buffer_size / 2)))
    self.max_write_buffer_size = options.max_write_buffer_size
    self.error = nil
    self._channel = nil -- its handle, while it is open
    self._closed = false
    self._rest = ""     -- what was read ahead when it closed
    self._reader = nil  -- the waiter of a read
    self._first, self._last = nil, nil -- writes that wait: { data, at, waiter, next }
    self._unsent = 0
end

--- Makes `channel` this stream's: for those who make streams.
function BaseIOStream:_open(channel)
    self._channel = channel
    core.channel_limit(channel, self.max_buffer_size, self.read_chunk_size)
    channels.set(channel, self)
end

--- Gives its channel to `other`, with the callbacks: it is closed from here on.
function BaseIOStream:_give(other)
    other._close_callback, other._on_closed = self._close_callback, self._on_closed
    other._watched, other._channel = self._watched, self._channel
    self._close_callback, self._on_closed = nil, nil
    self._closed, self._channel = true, nil
    channels.set(other._channel, other)
end

-- The end -----------------------------------------------------------------------------

local function run_close_callback(self)
    local fn = self._close_callback
    self._close_callback = nil
    if fn then fn() end
end

local function fail_writes(self)
    local item = self._first
    self._first, self._last, self._unsent = nil, nil, 0
    while item do
        if item.waiter then ioloop.cancel(item.waiter, StreamClosedError(self.error)) end
        item = item.next
    end
end

--- Closes; does nothing when it is closed. What waits to be written is dropped and those who wait
--- get a StreamClosedError, whose real_error is `err`, but a read that what was read ahead suffices
--- for gets that. The close callback is called in the next turn.
function BaseIOStream:close(err)
    if self._closed then return end
    local channel = self._channel
    self._closed, self._channel = true, nil
    if err ~= nil then self.error = err end
    if channel then
        self._rest = core.channel_rest(channel)
        channels.set(channel, nil)
        core.channel_close(channel)
    end
    if self._connector then ioloop.wake(self._connector) end
    if self._reader then ioloop.wake(self._reader) end
    fail_writes(self)
    if self._on_closed then ioloop.add_callback(self._on_closed, self) end
    if self._close_callback then ioloop.add_callback(run_close_callback, self) end
end

--- For those who take over the connection: its channel, which is theirs; the stream is closed.
function BaseIOStream:_leave()
    local channel = self._channel
    self._closed, self._channel = true, nil
    channels.set(channel, nil)
    return channel
end

-- Closes because of what C says: the peer has ended its side, or the connection is broken.
local function close_for(self, channel)
    self:close(errors.of_channel(channel))
end

-- Sees whether the peer has left, while nobody reads and somebody wants to know. What waits to be
-- written comes first: the peer may have ended its own side only.
local function check_end(self)
    local channel = self._channel
    if not channel or self._reader or self._first or self._connector then return end
    if not (self._close_callback or self._watched) then return end
    local status = core.channel_poll(channel)
    if status ~= OK and status ~= AGAIN then close_for(self, channel) end
end

--- Has `fn` called once when the stream has closed, for whatever reason; nil: nothing any more.
--- While it is set the peer's end is seen when nobody reads, unless bytes are in front of it.
-- Tornado: set on a closed stream it is never called; here it is.
function BaseIOStream:set_close_callback(fn)
    if fn ~= nil and not util.is_callable(fn) then
        error("bad callback: expected function, got " .. type(fn), 2)
    end
    self._close_callback = fn
    if not fn then return end
    if self._closed then
        ioloop.add_callback(run_close_callback, self)
    else
        check_end(self)
    end
end

--- For servers: closes when the peer has left and nobody reads, from now on.
function BaseIOStream:_watch()
    self._watched = true
    check_end(self)
end

--- Returns whether it is closed.
function BaseIOStream:closed()
    return self._closed
end

--- Returns whether somebody waits to read.
function BaseIOStream:reading()
    return self._reader ~= nil
end

--- Returns whether bytes wait to be written.
function BaseIOStream:writing()
    return self._first ~= nil
end

--- The descriptor, which stays the stream's; nil when it has none.
function BaseIOStream:fileno()
    local descriptor = self._channel and core.channel_descriptor(self._channel) or -1
    return descriptor >= 0 and descriptor or nil
end

-- Reading -----------------------------------------------------------------------------

local function leave(self)
    self._reader = nil
end

-- Waits until C says that there may be more, or the stream has closed.
local function await_input(self, deadline)
    local me = waiter()
    self._reader = me
    wait_for(me, deadline and math.max(0, deadline - core.precise()), leave, self)
    self._reader = nil
end

local function raise_closed(self)
    error(StreamClosedError(self.error), 0)
end

-- An answer is too large: of the call's own limit, or of the buffer.
local function raise_limit(self, own, what, max)
    if own then
        local err = errors.UnsatisfiableReadError("%s not found within %d bytes", what, max)
        log.gen_log:info("Unsatisfiable read, closing connection: " .. tostring(err))
        self:close(err)
        raise_closed(self)
    end
    local err = errors.StreamBufferFullError("Reached maximum read buffer size")
    log.gen_log:error(err.message)
    self:close(err)
    error(err, 0)
end

-- Takes what the closed stream still had: `count` says how many bytes the answer has, or nil, and
-- whether that is because of a limit.
local function take_rest(self, count, a, b)
    local n, own = count(self._rest, a, b)
    if own then raise_limit(self, true, "delimiter", b) end
    if not n then raise_closed(self) end
    local data = self._rest:sub(1, n)
    self._rest = self._rest:sub(n + 1)
    return data
end

-- What attempt(channel, first, a, b) answers, or nil: there is nothing yet.
local function try(self, attempt, first, a, b)
    local channel = self._channel
    local data, status, own = attempt(channel, first, a, b)
    if data then
        if self._close_callback or self._watched then check_end(self) end
        return data
    end
    if status == AGAIN then return nil end
    if status == LIMIT then raise_limit(self, own, "delimiter", b) end
    close_for(self, channel)
    raise_closed(self)
end

-- Waits, and repeats that until it answers; count(rest, a, b) is its stand-in for a closed stream.
-- Tail calls, not a loop: most reads wait once, and LuaJIT compiles no loop that does not go round.
local function await(self, attempt, count, a, b, deadline)
    await_input(self, deadline)
    if not self._channel then return take_rest(self, count, a, b) end
    local data = try(self, attempt, 0, a, b)
    if data then return data end
    return await(self, attempt, count, a, b, deadline)
end

-- Reads with attempt and count, see above.
local function read(self, attempt, count, a, b, timeout)
    if self._reader then
        if self._closed then raise_closed(self) end
        error("Already reading", 3)
    end
    if not self._channel then
        if self._closed then return take_rest(self, count, a, b) end
        error("the stream is not connected", 3)
    end
    local data = try(self, attempt, 1, a, b)
    if data then return data end
    return await(self, attempt, count, a, b, timeout and core.precise() + timeout)
end

local function check_size(n, what, least)
    if type(n) ~= "number" or n < least or n % 1 ~= 0 or n > 2 ^ 31 then
        error(("bad %s: expected a number of bytes, got %s"):format(what, util.shown(n)), 3)
    end
end

local function limits(options, what)
    if not options then return 0, nil end
    options = util.options(options, { max_bytes = util.NONE, timeout = util.NONE }, what, 1)
    if options.max_bytes then check_size(options.max_bytes, "max_bytes", 1) end
    return options.max_bytes or 0, options.timeout
end

local function count_until(rest, mark, max)
    local _, stop = rest:find(mark, 1, true)
    return stop, stop and max > 0 and stop > max
end

--- Reads up to the delimiter and returns the bytes with it. Options: max_bytes, within which it
--- must be, or the stream closes and the StreamClosedError's real_error is an
--- UnsatisfiableReadError; timeout (seconds: TimeoutError, and what has come stays to be read).
function BaseIOStream:read_until(delimiter, options)
    if type(delimiter) ~= "string" or delimiter == "" then
        error("bad delimiter: expected bytes, got " .. util.shown(delimiter), 2)
    end
    local max, timeout = limits(options, "read_until")
    return (read(self, core.channel_until, count_until, delimiter, max, timeout))
end

local function match(channel, first, pattern, max)
    return core.channel_match(channel, first, patterns.get(pattern), max)
end

local function count_match(rest, pattern, max)
    local stop = core.regex_find(patterns.get(pattern), rest)
    return stop, stop and max > 0 and stop > max
end

--- Reads up to the end of the first match of a PCRE2 pattern. Options as read_until()'s.
function BaseIOStream:read_until_regex(pattern, options)
    if type(pattern) ~= "string" then
        error("bad pattern: expected string, got " .. type(pattern), 2)
    end
    local regex, why = patterns.get(pattern)
    if not regex then error(("bad pattern %s: %s"):format(util.shown(pattern), why), 2) end
    local max, timeout = limits(options, "read_until_regex")
    return (read(self, match, count_match, pattern, max, timeout))
end

local function all_bytes(channel, _, n) return core.channel_bytes(channel, false, n) end

local function some_bytes(channel, _, n) return core.channel_bytes(channel, true, n) end

local function count_all(rest, n) return #rest >= n and n or nil end

local function count_some(rest, n) return (n == 0 or #rest > 0) and math.min(n, #rest) or nil end

--- Reads `n` bytes. Options: partial (as soon as there are any, at most n), timeout.
function BaseIOStream:read_bytes(n, options)
    check_size(n, "size", 0)
    local partial, timeout = false, nil
    if options then
        options = util.options(options, { partial = false, timeout = util.NONE }, "read_bytes")
        partial, timeout = options.partial, options.timeout
    end
    if partial then return (read(self, some_bytes, count_some, n, nil, timeout)) end
    return (read(self, all_bytes, count_all, n, nil, timeout))
end

local function count_rest(rest) return #rest end

--- Reads all up to the peer's end, and closes. Takes a closed stream, too. Option: timeout.
--- A TLS session that ends without the peer's word is cut off: StreamClosedError, whose real_error
--- is an SSLError; what had come is still there for a second call.
-- Tornado: does not notice.
function BaseIOStream:read_until_close(options)
    local timeout
    if options then
        timeout = util.options(options, { timeout = util.NONE }, "read_until_close").timeout
    end
    local data = read(self, core.channel_all, count_rest, nil, nil, timeout)
    if self._channel then close_for(self, self._channel) end
    return data
end

local function unread(self, buffer, have)
    if have > 0 and self._channel then core.channel_unread(self._channel, buffer, have) end
end

--- Fills `buffer`, an FFI array of bytes, and returns how many that are. Options: size (of the
--- buffer's beginning; of a pointer it must be said), partial (any number, at least one), timeout.
function BaseIOStream:read_into(buffer, options)
    if type(buffer) ~= "cdata" then
        error("bad buffer: expected an array of bytes, got " .. type(buffer), 2)
    end
    local whole = core.size_of(buffer)
    options = util.options(options, { size = whole or util.NONE, partial = false,
        timeout = util.NONE }, "read_into")
    check_size(options.size, "size", 0)
    if whole and options.size > whole then
        error(("bad size: the buffer has %d bytes, got %d"):format(whole, options.size), 2)
    end
    local size, have = options.size, 0
    local function attempt(channel)
        while have < size do
            local n, status = core.channel_into(channel, buffer, have, size - have)
            if not n then
                if options.partial and have > 0 then return have end
                if status ~= AGAIN then unread(self, buffer, have) end
                return nil, status
            end
            have = have + n
        end
        return have
    end
    local function count(rest)
        local n = options.partial and count_some(rest, size) or count_all(rest, size - have)
        if n then core.copy(buffer, have, rest, n) end
        return n
    end
    local ok, got = pcall(read, self, attempt, count, nil, nil, options.timeout)
    if ok then return type(got) == "string" and have + #got or got end
    if not self._closed then unread(self, buffer, have) end
    error(got, 0)
end

-- Writing -----------------------------------------------------------------------------

-- Gives C what waits, in order, as far as it takes it.
local function feed(self)
    local item = self._first
    while item do
        local n = channel_write(self._channel, item.data, item.at)
        if n < 0 then return close_for(self, self._channel) end
        item.at = item.at + n
        self._unsent = self._unsent - n
        if item.at < #item.data then return end
        if item.waiter then ioloop.wake(item.waiter) end
        item = item.next
        self._first = item
    end
    self._last = nil
end

-- Who waited has given up: the bytes leave nevertheless, for others are behind them.
local function forget(item)
    item.waiter = nil
end

local function queue(self, data, at, timeout)
    local item = { data = data, at = at, waiter = waiter(), next = nil }
    self._unsent = self._unsent + #data - at
    if self._last then self._last.next = item else self._first = item end
    self._last = item
    wait_for(item.waiter, timeout, forget, item)
    return DONE
end

--- Writes bytes: returns when the system has taken all of them, at once if it has room, in the
--- order of the calls. Raises StreamClosedError; StreamBufferFullError, with nothing written, when
--- more than max_write_buffer_size would wait. Option: timeout (TimeoutError; the bytes still
--- leave). Returns a future that is done.
-- Tornado: returns at once, with a future to await.
function BaseIOStream:write(data, options)
    if type(data) ~= "string" then
        error("bad data: expected string, got " .. type(data), 2)
    end
    local timeout
    if options then
        timeout = util.options(options, { timeout = util.NONE }, "write").timeout
    end
    local channel = self._channel
    if not channel then
        if self._closed then raise_closed(self) end
        error("the stream is not connected", 2)
    end
    local max = self.max_write_buffer_size
    if max and self._unsent + #data > max then
        error(errors.StreamBufferFullError("Reached maximum write buffer size"), 0)
    end
    if self._first then return queue(self, data, 0, timeout) end
    local n = channel_write(channel, data, 0)
    if n == #data then return DONE end
    if n >= 0 then return queue(self, data, n, timeout) end
    close_for(self, channel)
    raise_closed(self)
end

--- C says that a call may be repeated, or that the peer has left.
function BaseIOStream:on_channel()
    if self._connector then ioloop.wake(self._connector) end
    if self._first then feed(self) end
    if self._reader then
        ioloop.wake(self._reader)
    else
        check_end(self)
    end
end

return BaseIOStream
