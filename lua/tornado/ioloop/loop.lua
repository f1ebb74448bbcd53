-- Tornado's IOLoop object, over the functions of ioloop.lua; and what those programs need beside
-- it: timedelta, PeriodicCallback.
local util = require "tornado.util"

local UNITS = { days = 86400, hours = 3600, minutes = 60, seconds = 1, milliseconds = 0.001 }

--- A span of time: timedelta { minutes = 1, seconds = 30 }.
local timedelta = util.Object:extend "timedelta"

function timedelta:init(parts)
    self.seconds = 0
    for unit, amount in pairs(parts) do
        if not UNITS[unit] or type(amount) ~= "number" then
            error(("bad timedelta: %s = %s"):format(tostring(unit), util.shown(amount)), 3)
        end
        self.seconds = self.seconds + amount * UNITS[unit]
    end
end

--- Returns its length in seconds.
function timedelta:total_seconds()
    return self.seconds
end

-- What has no need to be a method.
local FORWARDED = {
    "add_callback", "spawn_callback", "call_later", "call_at", "remove_timeout", "time",
    "add_timeout", "add_future", "run_sync",
}

local function check_when(when)
    if type(when) == "number" and when == when then return end
    error("bad time: expected a number, got " .. util.shown(when), 3)
end

local function add_functions(ioloop, out)
    --- Calls fn(...) at `when`, on the scale of ioloop.time().
    function out.call_at(when, fn, ...)
        check_when(when)
        return ioloop.call_later(when - ioloop.time(), fn, ...)
    end

    --- Calls fn(...) at `deadline`: a number on the scale of ioloop.time(), or a timedelta from
    -- now. Returns a handle for remove_timeout().
    function out.add_timeout(deadline, fn, ...)
        if util.isinstance(deadline, timedelta) then
            return ioloop.call_later(deadline:total_seconds(), fn, ...)
        end
        if type(deadline) ~= "number" then
            error("Unsupported deadline " .. util.shown(deadline), 2)
        end
        return ioloop.call_at(deadline, fn, ...)
    end

    --- Calls fn(future) in the turn after the one that the future is done in; what it raises is
    -- logged.
    function out.add_future(future, fn)
        if not require("tornado.concurrent").is_future(future) then
            error("bad future: expected Future, got " .. type(future), 2)
        end
        future:add_done_callback(fn)
    end

    --- Calls fn(), which may wait; returns its result, or that of the Future it returns. Raises a
    -- TimeoutError when `timeout` seconds pass first.
    -- Tornado: runs the loop meanwhile; here it runs already, and others go on beside.
    function out.run_sync(fn, timeout)
        if not util.is_callable(fn) then error("bad fn: expected function, got " .. type(fn), 2) end
        if timeout then util.expect(timeout, "number", "timeout") end
        local gen = require "tornado.gen"
        local function call()
            local result = fn()
            if require("tornado.concurrent").is_future(result) then return gen.await(result) end
            return result
        end
        if not timeout then return call() end
        return gen._run_until(timeout, util.TimeoutError("Operation timed out after %g seconds",
            timeout), call)
    end
end

-- start() and stop(), for scripts under `ctornado run` that begin like Tornado's.
local function add_running(ioloop, IOLoop)
    --- Waits until stop() is called; returns at once when that has happened before.
    function IOLoop:start()
        if not self._stopped then
            local waiter = ioloop.waiter()
            self._starter = waiter
            ioloop.wait(waiter)
        end
        self._stopped, self._starter = false, nil
    end

    --- Ends start(). Other coroutines and the server go on.
    function IOLoop:stop()
        self._stopped = true
        if self._starter then ioloop.wake(self._starter) end
    end
end

--- Returns { IOLoop, timedelta, PeriodicCallback, add_timeout, ... } for the ioloop given.
return function(ioloop)
    local out = { timedelta = timedelta }
    ioloop.timedelta = timedelta
    out.PeriodicCallback = require "tornado.ioloop.periodic"(ioloop)
    add_functions(ioloop, out)
    --- Tornado's IOLoop, as an object: its methods are the functions of this module.
    local IOLoop = util.Object:extend "IOLoop"
    out.IOLoop = IOLoop
    for _, name in ipairs(FORWARDED) do
        local fn = ioloop[name] or out[name]
        IOLoop[name] = function(_, ...) return fn(...) end
    end
    --- As add_callback().
    IOLoop.add_callback_from_signal = IOLoop.add_callback
    add_running(ioloop, IOLoop)
    local current = IOLoop()

    --- The loop of this process.
    function IOLoop.current()
        return current
    end

    IOLoop.instance = IOLoop.current
    return out
end
