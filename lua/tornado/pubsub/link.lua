-- A worker's way to another one, made again whenever it ends: it tells, and the other only says
-- what it has. What is sent while there is none is the caller's to repeat when it stands again.
local frames = require "tornado.pubsub.frames"
local ioloop = require "tornado.ioloop"
local IOStream = require("tornado.iostream").IOStream
local util = require "tornado.util"

local FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1 -- seconds
local TIMEOUT = { timeout = 5 } -- of each step until it stands
local MAX_ANSWER = 1024 -- bytes

local Link = util.Object:extend "Link"

Link.connected = false
Link.closed = false
Link._waiter = false
Link._poked = false

-- The link's coroutine waits until something has happened.
local function wake(self)
    self._poked = true
    if self._waiter then ioloop.wake(self._waiter) end
end

local function wait(self, seconds)
    if self._poked then return end
    local waiter = ioloop.waiter()
    self._waiter = waiter
    local timer = seconds and ioloop.call_later(seconds, ioloop.wake, waiter)
    ioloop.wait(waiter)
    self._waiter = false
    if timer then ioloop.remove_timeout(timer) end
end

-- What is to be sent next: what send() was given, then of the journal.
local function next_bytes(self)
    local pulled = self._size == 0 and self.pull(self)
    if pulled or self._size == 0 then return pulled end -- pull() may send()
    local bytes = table.concat(self._outbox)
    self._outbox, self._size = {}, 0
    return bytes
end

local function write_all(self, stream)
    while not stream:closed() and not self.closed do
        self._poked = false
        local bytes = next_bytes(self)
        if not bytes then
            wait(self)
        elseif not pcall(stream.write, stream, bytes) then
            return
        end
    end
end

local function read_answers(self, stream)
    local ok, answer = pcall(frames.read, stream, MAX_ANSWER)
    while ok do
        self.on_answer(self, answer)
        ok, answer = pcall(frames.read, stream, MAX_ANSWER)
    end
end

-- Returns the other's answer to the greeting; nil: there is no way.
local function connect(self, stream)
    local ok, answer = pcall(function()
        stream:connect("unix:" .. self.path, TIMEOUT)
        stream:write(self.greeting, TIMEOUT)
        return frames.read(stream, MAX_ANSWER, TIMEOUT)
    end)
    return ok and not self.closed and answer
end

local function serve(self, stream, answer)
    stream:set_close_callback(function() wake(self) end)
    self._outbox, self._size, self.connected = {}, 0, true
    self.on_connect(self, answer)
    ioloop.spawn_callback(read_answers, self, stream)
    write_all(self, stream)
    self.connected = false
end

local function run(self)
    local pause = FIRST_PAUSE
    while not self.closed do
        local stream = IOStream()
        self._stream = stream
        local answer = connect(self, stream)
        if answer then
            pause = FIRST_PAUSE
            serve(self, stream, answer)
        end
        stream:close()
        if self.closed then return end
        self._poked = false
        wait(self, pause)
        pause = math.min(2 * pause, LONGEST_PAUSE)
    end
end

--- Takes the path of the other's socket, how many bytes may wait to be written, the bytes to begin
-- with, and functions: on_connect(link, answer), when it stands and may send; on_answer(link, list)
-- for what the other says later; pull(link), which returns more bytes to send, or nil.
function Link:init(path, limit, greeting, on)
    self.path, self.limit, self.greeting = path, limit, greeting
    self.on_connect, self.on_answer, self.pull = on.connect, on.answer, on.pull
    self._outbox, self._size = {}, 0
    ioloop.spawn_callback(ioloop.log_errors, run, self)
end

--- Sends bytes, if it stands. When too many wait, the connection ends: the other is given all
-- that matters when it stands again.
function Link:send(bytes)
    if not self.connected then return end
    if self._size + #bytes > self.limit then
        self.connected = false
        self._stream:close()
        return
    end
    self._outbox[#self._outbox + 1] = bytes
    self._size = self._size + #bytes
    if self._size == #bytes then wake(self) end
end

--- There is something to pull.
function Link:stir()
    if self.connected and not self._poked then wake(self) end
end

--- Bytes that wait.
function Link:backlog()
    return self._size
end

--- The other is there: no need to wait with the next try.
function Link:poke()
    if not self.connected then wake(self) end
end

--- Ends it.
function Link:close()
    self.closed, self.connected = true, false
    if self._stream then self._stream:close() end
    wake(self)
end

return Link
