-- A request's body that its sender produces piece by piece, in a coroutine of its own, while the
-- response may come already.
local concurrent = require "tornado.concurrent"
local core = require "tornado.core"
local errors = require "tornado.httpclient.errors"
local ioloop = require "tornado.ioloop"
local traces = require "tornado.trace"
local util = require "tornado.util"

local Upload = util.Object:extend "Upload"

--- `fetch` is started; `size` what Content-Length says, or -1. failed(err) is called when the
--- producer raised.
function Upload:init(fetch, size, failed)
    self.fetch = fetch
    self.size = size
    self.failed = failed
    self.written = 0
end

local function check_size(self, more)
    if self.size >= 0 and self.written + more > self.size then
        error(errors.ValueError("body_producer wrote more than the Content-Length of %d",
            self.size), 0)
    end
end

local function write(self, piece)
    if type(piece) ~= "string" then
        error("bad piece: expected string, got " .. type(piece), 3)
    end
    check_size(self, #piece)
    while not self.ended do
        local status = core.fetch_write(self.fetch, piece)
        if status == core.OK then
            self.written = self.written + #piece
            return
        end
        if status ~= core.LIMIT then break end
        self.waiter = ioloop.waiter()
        ioloop.wait(self.waiter)
    end
    self.over = self.why or errors.HTTPStreamClosedError("Stream closed")
    error(self.over, 0)
end

local function produce(self, producer)
    producer(function(piece)
        write(self, piece)
        local done = concurrent.Future()
        done:set_result(nil)
        return done
    end)
    if self.size >= 0 and self.written < self.size and not self.ended then
        error(errors.ValueError("body_producer wrote %d bytes of a Content-Length of %d",
            self.written, self.size), 0)
    end
    core.fetch_write_end(self.fetch)
end

local function run(self, producer)
    local ok, err, trace = ioloop.protect(produce, self, producer)
    -- When the response was there first, that is what counts.
    if ok or self.ended or rawequal(err, self.over) then return end
    traces.keep(err, trace)
    self.failed(err)
end

--- Runs producer(write), where write(piece) waits while the network is slower.
function Upload:start(producer)
    ioloop.start(run, self, producer)
end

--- There may be room again.
function Upload:wake()
    local waiter = self.waiter
    self.waiter = nil
    if waiter then ioloop.wake(waiter) end
end

--- The fetch is over: what the producer still writes raises `why`, or HTTPStreamClosedError.
function Upload:stop(why)
    self.ended = true
    self.why = why
    self:wake()
end

return Upload
