-- A client's side of a connection, as bare as a spec needs it: sends any bytes, reads
-- replies strictly, and never waits without a deadline.
local case = require "tornado.testing.case"
local channels = require "tornado.iostream.channels"
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local reply = require "tornado.testing.reply"
local util = require "tornado.util"

local find, sub = string.find, string.sub

local Connection = util.Object:extend "Connection"

local PIECE = 65536

--- Connects to "HOST:PORT" or "unix:/PATH"; raises why not. `timeout` is that of all calls
--- that wait and are given none (default: the case's). With `channel`, takes that one: `address`
--- is only its name.
function Connection:init(address, timeout, channel)
    local why
    if not channel then
        util.expect(address, "string", "address", 1)
        channel, why = core.connect(address)
    end
    if not channel then error(util.Error("%s", why), 0) end
    self.channel = channel
    self.address = address
    self.timeout = timeout or case.patience()
    self._waiters = {}
    self._data = ""  -- received and not taken
    self._at = 1     -- its first byte that is not taken
    self._end = nil  -- "eof" or "reset"
    channels.set(channel, self)
end

--- C says: look again.
function Connection:on_channel()
    local waiters = self._waiters
    self._waiters = {}
    for _, waiter in ipairs(waiters) do ioloop.wake(waiter) end
end

-- Waiting ---------------------------------------------------------------------------

local function deadline_in(self, seconds)
    return core.precise() + (seconds or self.timeout)
end

local function wait(self, deadline, what)
    local waiter = ioloop.waiter()
    local left = deadline - core.precise()
    local late = util.TimeoutError("%s on %s; not taken so far: %q", what, self.address,
        sub(self._data, self._at, self._at + 500))
    if left <= 0 then error(late, 0) end
    self._waiters[#self._waiters + 1] = waiter
    local timer = case.call_later(left, ioloop.cancel, waiter, late)
    local ok, err = pcall(ioloop.wait, waiter)
    ioloop.remove_timeout(timer)
    if not ok then error(err, 0) end
end

-- Input -------------------------------------------------------------------------------

-- Takes what the socket has: true, false for nothing, or nil at the end.
local function poll(self)
    if self._end then return nil end
    if not self.channel then error("the connection is closed here", 3) end
    local piece, status = core.channel_recv(self.channel, PIECE)
    if piece then
        self._data = sub(self._data, self._at) .. piece
        self._at = 1
        return true
    end
    if status == core.AGAIN then return false end
    self._end = status == core.EOF and "eof" or "reset"
    return nil
end

-- Waits for more input; nil at the end.
local function fill(self, deadline)
    local got = poll(self)
    while got == false do
        wait(self, deadline, "nothing came in time")
        got = poll(self)
    end
    return got
end

local function cut_off(self, what)
    error(reply.BrokenReply("connection %s in %s: %q", self._end == "eof" and "closed" or
        "reset", what, sub(self._data, self._at, self._at + 500)), 0)
end

-- What reply.read() reads from.
local Source = util.Object:extend "Source"

function Source:init(connection, deadline)
    self.connection, self.deadline = connection, deadline
end

function Source:take_until(mark)
    local connection = self.connection
    local _, stop = find(connection._data, mark, connection._at, true)
    while not stop do
        if not fill(connection, self.deadline) then cut_off(connection, "a head") end
        _, stop = find(connection._data, mark, connection._at, true)
    end
    local text = sub(connection._data, connection._at, stop)
    connection._at = stop + 1
    return text
end

function Source:take(size)
    local connection = self.connection
    local pieces, have = {}, 0
    while true do
        local piece = sub(connection._data, connection._at, connection._at + size - have - 1)
        connection._at = connection._at + #piece
        have = have + #piece
        pieces[#pieces + 1] = piece
        if have == size then return table.concat(pieces) end
        if not fill(connection, self.deadline) then
            cut_off(connection, ("a body, after %d of %d bytes"):format(have, size))
        end
    end
end

function Source:take_rest()
    local connection = self.connection
    local pieces = {}
    repeat
        pieces[#pieces + 1] = sub(connection._data, connection._at)
        connection._at = #connection._data + 1
    until not fill(connection, self.deadline)
    if connection._end ~= "eof" then cut_off(connection, "a body that ends with it") end
    return table.concat(pieces)
end

--- Reads one reply; options: method of its request ("GET"), timeout. Raises BrokenReply for one
--- that is malformed or cut off, TimeoutError.
function Connection:read_response(options)
    options = util.options(options, { method = "GET", timeout = util.NONE }, "read_response")
    return reply.read(Source(self, deadline_in(self, options.timeout)), options.method)
end

--- Reads until the server ends; returns the bytes, and "eof" or "reset".
function Connection:read_until_close(timeout)
    local deadline = deadline_in(self, timeout)
    local pieces = {}
    repeat
        pieces[#pieces + 1] = sub(self._data, self._at)
        self._at = #self._data + 1
    until not fill(self, deadline)
    return table.concat(pieces), self._end
end

--- Reads at least one byte; returns what is there, or nil and "eof" or "reset".
function Connection:read_some(timeout)
    if self._at > #self._data and not fill(self, deadline_in(self, timeout)) then
        return nil, self._end
    end
    local piece = sub(self._data, self._at)
    self._at = #self._data + 1
    return piece
end

--- Whether the server has ended its side, as far as is known now: false, "eof" or "reset".
function Connection:is_closed()
    while not self._end and poll(self) do end -- luacheck: ignore 542
    return self._end or false
end

-- Output ---------------------------------------------------------------------------------

--- Sends bytes; waits while more than 1 MiB is unsent. Returns itself.
function Connection:send(bytes, timeout)
    local deadline = deadline_in(self, timeout)
    for from = 1, #bytes, PIECE do
        local piece = sub(bytes, from, from + PIECE - 1)
        local status = core.channel_send(self.channel, piece)
        while status == core.LIMIT do
            local before = core.channel_unsent(self.channel)
            wait(self, deadline, ("the server does not read, %d bytes are unsent"):format(before))
            status = core.channel_send(self.channel, piece)
        end
        if status ~= core.OK then error("the connection is closed here", 2) end
    end
    return self
end

--- Bytes that were given to send() and are still here.
function Connection:unsent()
    return core.channel_unsent(self.channel)
end

--- Ends this side, behind what was sent; replies can still be read.
function Connection:shut()
    core.channel_shut(self.channel)
end

--- Closes; with `reset` so that the server sees an error.
function Connection:close(reset)
    if not self.channel then return end
    core.channel_close(self.channel, reset)
    channels.set(self.channel, nil)
    self.channel = nil
end

return Connection
