-- How a message gets to a subscriber without ever waiting for it: each kind of target has a
-- function deliver(subscription, message), a bounded queue behind it, and its own way to make
-- room or to give up when that is full.
local concurrent = require "tornado.concurrent"
local frame = require "tornado.web.event_stream.frame"
local gen = require "tornado.gen"
local generation = require "tornado.generation"
local ioloop = require "tornado.ioloop"
local queues = require "tornado.queues"
local util = require "tornado.util"

local outlets = {}

-- Event streams: the bytes are made once for all streams of a topic. ---------------------------

local function make_event(message, name)
    return frame.event(message.data, { id = message.id, event = name ~= "" and name or nil })
end

local function to_stream(sub, message)
    local stream = sub.target
    local before = stream.dropped
    stream:offer(message:form(sub.event, make_event), sub.overflow)
    sub.dropped = sub.dropped + stream.dropped - before
end

-- Queues of tornado.queues. --------------------------------------------------------------------

local function to_queue(sub, message)
    local queue = sub.target
    if not queue:full() then return queue:put_nowait(message) end
    sub.dropped = sub.dropped + 1
    if sub.overflow == "close" then return sub:close() end
    if sub.overflow == "drop_newest" then return end
    queue:get_nowait()
    queue:task_done()
    queue:put_nowait(message)
end

-- Functions, and objects with write_message(): one coroutine that takes from a queue, while there
-- is something in it. ---------------------------------------------------------------------------

local running = 0 -- such coroutines

generation.hold("what waits for subscribers", function() return running end)

local function run(sub)
    while sub._first <= sub._last do
        local message = sub._mail[sub._first]
        sub._mail[sub._first] = nil
        sub._first = sub._first + 1
        ioloop.log_errors(sub._call, sub, message)
    end
    sub._first, sub._last, sub._running = 1, 0, false
    running = running - 1
end

-- A WebSocket that went on without its messages would not know.
local function close_slow(sub)
    local target = sub.target
    sub:close()
    if type(target) == "table" and target._offer then target:close(1008, "too slow to read") end
end

local function drop_one(sub)
    sub.dropped = sub.dropped + 1
    if sub.overflow == "close" then
        close_slow(sub)
    elseif sub.overflow == "drop_oldest" then
        sub._mail[sub._first] = nil
        sub._first = sub._first + 1
        return true
    end
    return false
end

local function to_mail(sub, message)
    if sub._last - sub._first + 1 >= sub.limit and not drop_one(sub) then return end
    sub._last = sub._last + 1
    sub._mail[sub._last] = message
    if sub._running then return end
    sub._running = true
    running = running + 1
    ioloop.spawn_callback(run, sub)
end

local function with_mail(sub, call)
    sub._mail, sub._first, sub._last, sub._running = {}, 1, 0, false
    sub._call = call
    return to_mail
end

-- A connection that has ended raises (WebSocketClosedError, StreamClosedError), and so does one
-- that ends meanwhile: that is the end of the subscription, and no error.
local function until_closed(sub, fn, ...)
    local ok, err, trace = ioloop.protect(fn, ...)
    if ok then return end
    local class = type(err) == "table" and err.class
    if not tostring(class):find("ClosedError", 1, true) then ioloop.unwrap(ok, err, trace) end
    sub:close()
end

local function call_function(sub, message)
    until_closed(sub, sub.target, message)
end

local function write(target, text)
    local future = target:write_message(text)
    if concurrent.is_future(future) then gen.await(future) end
end

local function close(sub)
    sub:close()
end

-- A WebSocket's end is that of the subscription; that of other things is seen when something is
-- written to them.
local function watch_end(sub)
    local target = sub.target
    if target._on_end and not target:_on_end(sub, function() close(sub) end) then
        ioloop.spawn_callback(close, sub)
    end
end

local function write_message(sub, message)
    until_closed(sub, write, sub.target, message:text())
end

-- A WebSocket that has room needs no coroutine, if its class leaves write_message() as it is.
local function to_websocket(sub, message)
    if not sub._running and sub.target:_offer(message:text()) then return end
    to_mail(sub, message)
end

local function of_writer(sub)
    local target = sub.target
    watch_end(sub)
    local with = with_mail(sub, write_message)
    local direct = target._offer and target.write_message == target._write_message
    return direct and to_websocket or with
end

--- The function deliver(subscription, message) for its target; raises at `level` above the caller
-- for what is none.
function outlets.of(sub, level)
    local target = sub.target
    if util.isinstance(target, queues.Queue) then return to_queue end
    if type(target) == "table" and target.offer and target.on_close then
        target:on_close(function() sub:close() end)
        return to_stream
    end
    if type(target) == "table" and target.write_message then
        return of_writer(sub)
    end
    if util.is_callable(target) then return with_mail(sub, call_function) end
    error("bad subscriber: expected a function, event stream, WebSocket or Queue, got " ..
        util.shown(target), level + 1)
end

--- Forgets a subscriber that has left.
function outlets.leave(sub)
    outlets.drop(sub)
    local target = sub.target
    if type(target) == "table" and target._on_end then target:_on_end(sub, nil) end
end

--- Throws away what waits for a subscriber of its own queue.
function outlets.drop(sub)
    if sub._mail then sub._mail, sub._first, sub._last = {}, 1, 0 end
end

return outlets
