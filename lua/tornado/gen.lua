-- Coroutines for handlers: calls that wait read like plain ones.
local concurrent = require "tornado.concurrent"
local ioloop = require "tornado.ioloop"
local scopes = require "tornado.gen.scope"
local tasks = require "tornado.gen.task"
local util = require "tornado.util"

local gen = {}

local Future, is_future = concurrent.Future, concurrent.is_future

gen.TimeoutError = util.TimeoutError
gen.CancelledError = util.CancelledError
gen.BadYieldError = util.Error:extend "BadYieldError"
gen.Return = tasks.Return

gen.scope, gen.shield = scopes.scope, scopes.shield
gen.time_left, gen.check_cancelled = scopes.time_left, scopes.check_cancelled
gen._run_until = scopes.run_until

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
    if not is_future(future) then
        error("bad future: expected Future, got " .. type(future), 2)
    end
    future:_wait()
    return future:result()
end

--- Runs fn(...) in a coroutine of its own, at once until it first waits; returns a Future, whose
-- cancel() cancels the function. It is cancelled with the scope that it was started in, too, but
-- goes on when that has ended. An error that nobody waits for is logged.
function gen.spawn(fn, ...)
    local task = tasks.start(ioloop.scope(), 3, nil, fn, ...)
    return task
end

-- Timeouts ---------------------------------------------------------------------------

local function is_quiet(err, quiet)
    for _, class in ipairs(quiet or {}) do
        if util.isinstance(err, class) then return true end
    end
    return false
end

-- Sees to the error of a future that is given up: errors of classes in `quiet` are not logged.
local function abandon(future, quiet)
    if future:done() or not quiet then return end
    future:add_done_callback(function()
        if future:cancelled() then return end
        local err = future:exception()
        if err ~= nil and not is_quiet(err, quiet) then
            require("tornado.log").app_log:error("Future " .. tostring(future) ..
                " failed after its timeout: " .. (future._trace or tostring(err)))
        end
    end)
end

local QUIET = { quiet_exceptions = util.NONE }

-- One class or a list of them.
local function quiet_of(options, what)
    local quiet = util.options(options, QUIET, what, 1).quiet_exceptions
    return quiet and quiet.is_subclass and { quiet } or quiet
end

local function await_until(seconds, future, quiet)
    local ok, err, trace = ioloop.protect(future._wait, future, seconds)
    if ok then return future:result() end
    abandon(future, quiet)
    return ioloop.unwrap(false, err, trace)
end

--- Waits for a Future at most `seconds` (or a timedelta), then raises a TimeoutError; the future
-- goes on, and its later error is logged unless its class is in options.quiet_exceptions. Or calls
-- fn(...): every wait below it, in tasks started there, too, raises the TimeoutError when the time
-- has passed; of nested ones the earliest holds.
-- Tornado: takes a deadline or a timedelta, and a Future only.
function gen.with_timeout(seconds, what, ...)
    seconds = scopes.check_seconds(seconds, 2)
    if is_future(what) then
        local quiet = quiet_of((...), "with_timeout")
        return await_until(seconds, what, quiet)
    end
    if not util.is_callable(what) then
        error("bad future: expected Future or function, got " .. type(what), 2)
    end
    return scopes.run_until(seconds, util.TimeoutError("Timeout"), what, ...)
end

--- As with_timeout() of a function.
function gen.deadline(seconds, fn, ...)
    if is_future(fn) then error("bad function: expected function, got Future", 2) end
    return gen.with_timeout(seconds, fn, ...)
end

-- Values and futures --------------------------------------------------------------------

--- Returns `value` if it is a Future, else a Future whose result it is.
function gen.maybe_future(value)
    if is_future(value) then return value end
    local future = Future()
    future:set_result(value)
    return future
end

local converters = {} -- list of functions(value) that return a Future or nil

--- Adds a function that makes a Future of values of a kind, and returns nil for others.
function gen.register_converter(fn)
    converters[#converters + 1] = fn
end

--- Makes a Future of a Future, a function (which is spawned), a table of these (see gen.all), or
-- what register_converter() was told of; raises BadYieldError for anything else.
function gen.convert_yielded(value)
    if is_future(value) then return value end
    for _, convert in ipairs(converters) do
        local future = convert(value)
        if future then return future end
    end
    if type(value) == "table" and getmetatable(value) == nil then return gen.multi_future(value) end
    if util.is_callable(value) then return gen.spawn(value) end
    error(gen.BadYieldError("yielded unknown object %s", util.shown(value)), 2)
end

--- Makes of a function one that runs in a coroutine of its own and returns a Future.
function gen.coroutine(fn)
    if not util.is_callable(fn) then
        error("bad function: expected function, got " .. type(fn), 2)
    end
    local function started(...)
        local task = tasks.start(ioloop.scope(), 3, nil, fn, ...)
        return task
    end
    gen._coroutines[started] = true
    return started
end

gen._coroutines = setmetatable({}, { __mode = "k" })

--- Returns whether gen.coroutine() made a function.
function gen.is_coroutine_function(fn)
    return gen._coroutines[fn] == true
end

--- Calls fn(..., callback) and waits until it calls back; returns what it gave. For libraries
-- with callbacks.
function gen.Task(fn, ...)
    local future, arguments = Future(), { n = select("#", ...), ... }
    arguments[arguments.n + 1] = function(...)
        if not future:done() then future:set_result({ n = select("#", ...), ... }) end
    end
    fn(unpack(arguments, 1, arguments.n + 1))
    local values = gen.await(future)
    return unpack(values, 1, values.n)
end

for name, value in pairs(require "tornado.gen.multi"(gen, quiet_of)) do gen[name] = value end

return gen
