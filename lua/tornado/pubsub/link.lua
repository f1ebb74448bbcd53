-- A worker's way to another one: a connection on which it only writes, made again whenever it
-- ends. What is sent while there is none is the caller's to repeat when it stands again.
local ioloop = require "tornado.ioloop"
local IOStream = require("tornado.iostream").IOStream
local util = require "tornado.util"

local FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1 -- seconds
local CONNECT_TIMEOUT = 5

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

local function write_all(self, stream)
    while not stream:closed() and not self.closed do
        self._poked = false
        if self._size == 0 then
            wait(self)
        else
            local bytes = table.concat(self._outbox)
            self._outbox = {}
            local ok = pcall(stream.write, stream, bytes)
            self._size = self._size - #bytes
            if not ok then return end
        end
    end
end

local function connect(self, stream)
    return (pcall(stream.connect, stream, "unix:" .. self.path, { timeout = CONNECT_TIMEOUT }))
end

local function run(self)
    local pause = FIRST_PAUSE
    while not self.closed do
        local stream = IOStream()
        self._stream = stream
        if connect(self, stream) and not self.closed then
            pause = FIRST_PAUSE
            stream:set_close_callback(function() wake(self) end)
            self._outbox, self._size, self.connected = {}, 0, true
            self.on_connect(self)
            write_all(self, stream)
            self.connected = false
        end
        stream:close()
        if self.closed then return end
        self._poked = false
        wait(self, pause)
        pause = math.min(2 * pause, LONGEST_PAUSE)
    end
end

--- Takes the path of the other's socket, how many bytes may wait to be written, and
-- on_connect(link), which is called each time that it stands and may send.
function Link:init(path, limit, on_connect)
    self.path, self.limit, self.on_connect = path, limit, on_connect
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
