-- Coroutines for handlers: calls that wait read like plain ones.
local concurrent = require "tornado.concurrent"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local util = require "tornado.util"

local gen = {}

local Future = concurrent.Future

gen.TimeoutError = util.TimeoutError

--- Waits for `seconds`.
function gen.sleep(seconds)
    if type(seconds) ~= "number" or seconds ~= seconds then
        error("bad seconds: expected number, got " .. tostring(seconds), 2)
    end
    local waiter = ioloop.waiter()
    local timer = ioloop.call_later(seconds, ioloop.wake, waiter)
    ioloop.wait(waiter, ioloop.remove_timeout, timer)
end

--- Waits for one turn of the loop.
function gen.moment()
    local waiter = ioloop.waiter()
    ioloop.add_callback(ioloop.wake, waiter)
    ioloop.wait(waiter)
end

--- Waits for a future; returns its result or raises its error.
function gen.await(future)
    if not concurrent.is_future(future) then
        error("bad future: expected Future, got " .. type(future), 2)
    end
    if not future:done() then
        local waiter = ioloop.waiter()
        future:add_done_callback(function() ioloop.wake(waiter) end)
        ioloop.wait(waiter)
    end
    return future:result()
end

local function task(future, fn, arguments)
    local ok, result, trace =
        ioloop.protect(fn, unpack(arguments, 1, arguments.n))
    if ok then return future:set_result(result) end
    if not future._callbacks then
        log.app_log:error("Exception in spawned task: " .. (trace or tostring(result)))
    end
    future:set_exception(result)
end

--- Runs fn(...) in a coroutine of its own, at once until it first waits; returns a Future. An
-- error that nobody waits for is logged.
function gen.spawn(fn, ...)
    if not util.is_callable(fn) then
        error("bad task: expected function, got " .. type(fn), 2)
    end
    local future = Future()
    ioloop.start(task, future, fn, { n = select("#", ...), ... })
    return future
end

return gen
