-- The loop seen from Lua: it takes C's events and runs callbacks for them, each
-- in a coroutine that may wait.
--
-- The idea: a coroutine (the pump) takes events and calls their handlers itself,
-- so a handler that does not wait costs no switch and no coroutine of its own.
-- When a handler waits, its coroutine stays behind with it, and another one pumps
-- on; once its handler has ended, the coroutine goes back to the pool.
local core = require "tornado.core"
local log = require "tornado.log"
local traces = require "tornado.trace"
local util = require "tornado.util"

local coroutine_create, coroutine_running = coroutine.create, coroutine.running
local resume, yield = coroutine.resume, coroutine.yield
local xpcall, unpack, type, tostring = xpcall, unpack, type, tostring
local next_event = core.next_event

local ioloop = {}

-- LuaJIT's own limits are for programs of a few hundred lines; and a heap that may triple before
-- it is swept halves what the collector costs a request.
jit.opt.start("maxtrace=8000", "maxrecord=16000", "maxirconst=2000", "maxmcode=16384")
collectgarbage("setpause", 300)

local POOL_MAX = 1024

local event = core.new_event()
local handlers = {} -- event type -> function(handle, event)
local failures = {} -- event type -> function(handle, err, traceback)
local pool, pooled = {}, 0
local pumping -- the coroutine that takes events
local waits = {} -- coroutine -> its waiter, while it waits
local waiting = 0
local queue, queue_first, queue_last = {}, 1, 0

-- Errors -----------------------------------------------------------------------

local trace -- of the error that xpcall has just caught
local capture -- function(err, trace, handler), see set_capture()

--- An xpcall handler: keeps the traceback, returns the error as it is. Errors whose class says
-- `expected` (HTTPError, Finish) get none: nobody looks at it.
local function on_error(err)
    trace = nil
    if type(err) ~= "table" or not err.expected then
        trace = traces.take(err) or debug.traceback(tostring(err), 2)
        if capture then capture(err, trace, on_error) end
    end
    return err
end

-- The traceback of the error just caught; nil when there is none, as after a stack overflow,
-- where even the handler does not run.
local function take_trace()
    local taken = trace
    trace = nil
    return taken
end

--- Has fn(err, traceback, handler) called for each unexpected error that is caught, while its stack
-- is still there below the function `handler`; nil: none. It must not raise.
function ioloop.set_capture(fn)
    capture = fn
end

--- Calls fn(...) and returns true and its results, or false, the error and its traceback.
function ioloop.protect(fn, ...)
    local ok, a, b = xpcall(fn, on_error, ...)
    if ok then return ok, a, b end
    return ok, a, take_trace()
end

local function log_failure(_, err, traceback)
    log.app_log:error("Exception in callback: " .. (traceback or tostring(err)))
end

-- Coroutines -------------------------------------------------------------------

local pump

-- A coroutine's whole life: to pump, or to run a task, and then to lie in the pool.
local function work(fn, a, b, c, d)
    while true do
        if fn then fn(a, b, c, d) else pump() end
        if pooled >= POOL_MAX then return end
        pooled = pooled + 1
        pool[pooled] = coroutine_running()
        fn, a, b, c, d = yield()
    end
end

local function take_coroutine()
    if pooled == 0 then return coroutine_create(work) end
    local co = pool[pooled]
    pool[pooled] = nil
    pooled = pooled - 1
    return co
end

local function go(co, ...)
    local ok, err = resume(co, ...)
    if not ok then log.app_log:error(debug.traceback(co, tostring(err))) end
end

--- Runs fn(a, b, c, d), which must not raise, in a coroutine of its own until it first waits.
function ioloop.start(fn, a, b, c, d)
    go(take_coroutine(), fn, a, b, c, d)
end

-- Waiting ----------------------------------------------------------------------

local function add(fn, a, b, c)
    queue_last = queue_last + 1
    queue[queue_last] = { fn, a, b, c }
    core.wake()
end

--- A waiter of the running coroutine, to be given to whoever will wake it.
function ioloop.waiter()
    return { co = coroutine_running(), woken = false }
end

--- Suspends until `waiter` is woken; returns what wake() was given, or raises what cancel() was.
-- In the second case release(a, b), if given, is called first: it gives back what the wait was for.
function ioloop.wait(waiter, release, a, b)
    if not waiter.woken then
        local co = waiter.co
        if co ~= coroutine_running() or not co then
            error("cannot wait here: not in the coroutine that made the waiter", 2)
        end
        waits[co] = waiter
        waiting = waiting + 1
        yield()
        waits[co] = nil
        waiting = waiting - 1
    end
    if waiter.err ~= nil then
        if release then release(a, b) end
        error(waiter.err, 0)
    end
    return waiter.a, waiter.b
end

--- Wakes a waiter with up to two values; nothing happens when it was woken before.
function ioloop.wake(waiter, a, b)
    if waiter.woken then return end
    waiter.woken, waiter.a, waiter.b = true, a, b
    if waits[waiter.co] == waiter then add(go, waiter.co) end
end

--- Raises `err` where the waiter waits.
function ioloop.cancel(waiter, err)
    if waiter.woken then return end
    waiter.err = err
    ioloop.wake(waiter)
end

--- The waiter that a coroutine waits for now, or nil.
function ioloop.waiter_of(co)
    return waits[co]
end

-- The pump ---------------------------------------------------------------------

local function run_event(kind, handle)
    local ok, err = xpcall(handlers[kind], on_error, handle, event)
    if not ok then
        ok, err = xpcall(failures[kind], on_error, handle, err, take_trace())
        if not ok then log_failure(handle, err, take_trace()) end
    end
end

local function run_callback(item)
    local fn = item[1]
    if fn == go then
        go(item[2])
        return
    end
    local ok, err = xpcall(fn, on_error, item[2], item[3], item[4])
    if not ok then log_failure(nil, err, take_trace()) end
end

-- Takes events until none is left, then the callbacks that were there when it began. False when
-- its coroutine has waited in between: another one pumps now.
local function drain(me)
    while next_event(event) do
        run_event(event.type, event.handle)
        if pumping ~= me then return false end
    end
    local last = queue_last
    while queue_first <= last do
        local item = queue[queue_first]
        queue[queue_first] = nil
        queue_first = queue_first + 1
        run_callback(item)
        if pumping ~= me then return false end
    end
    if queue_first <= queue_last then core.wake() end
    return true
end

-- Yields a value when all is done: C resumes it after the next turn that has events.
function pump()
    local me = pumping
    while drain(me) do yield(true) end
end

--- For C: the coroutine that is to take events from now on.
function ioloop.next_pump()
    pumping = take_coroutine()
    return pumping
end

--- The coroutine that takes events now, in which their handlers begin.
function ioloop.pumping()
    return pumping
end

--- Handles events of a type: fn(handle, event), and failed(handle, err, traceback) when it raised.
-- `event` is valid until fn waits.
function ioloop.on(kind, fn, failed)
    handlers[kind] = fn
    failures[kind] = failed or log_failure
end

local function ignore() end

for _, kind in ipairs {
    core.EVENT_REQUEST, core.EVENT_BODY, core.EVENT_DRAIN, core.EVENT_GONE, core.EVENT_TIMEOUT,
    core.EVENT_STOP,
} do
    ioloop.on(kind, ignore)
end

-- Callbacks and timers ------------------------------------------------------------

local timers = {} -- handle -> { fn, count, arguments... }

local function check_function(fn, level)
    if not util.is_callable(fn) then
        error("bad callback: expected function, got " .. type(fn), level + 1)
    end
end

--- Calls fn(...) (at most three arguments) in the next turn of the loop.
function ioloop.add_callback(fn, ...)
    check_function(fn, 2)
    add(fn, ...)
end

--- Calls fn(...) in `delay` seconds; returns a handle for remove_timeout().
function ioloop.call_later(delay, fn, ...)
    if type(delay) ~= "number" or delay ~= delay then
        error("bad delay: expected seconds, got " .. tostring(delay), 2)
    end
    check_function(fn, 2)
    local handle = core.timer(delay < 0 and 0 or delay)
    timers[handle] = { fn, select("#", ...), ... }
    return handle
end

--- Calls fn(...) at `when`, on the scale of ioloop.time().
function ioloop.call_at(when, fn, ...)
    return ioloop.call_later(when - core.now(), fn, ...)
end

--- Ends a timer; fine when it has fired.
function ioloop.remove_timeout(handle)
    timers[handle] = nil
    core.timer_stop(handle)
end

--- As wait(), but raises a TimeoutError when `seconds` pass first; nil: no limit of its own.
function ioloop.wait_for(waiter, seconds, release, a, b)
    if not seconds then return ioloop.wait(waiter, release, a, b) end
    local timer = ioloop.call_later(seconds, ioloop.cancel, waiter, util.TimeoutError("Timeout"))
    local function leave()
        ioloop.remove_timeout(timer)
        if release then release(a, b) end
    end
    local x, y = ioloop.wait(waiter, leave)
    ioloop.remove_timeout(timer)
    return x, y
end

--- A timer has fired: calls its function. For testing.clock(), whose timers are not C's.
function ioloop.fire(handle)
    local timer = timers[handle]
    if not timer then return end
    timers[handle] = nil
    timer[1](unpack(timer, 3, 2 + timer[2]))
end

ioloop.on(core.EVENT_TIMER, ioloop.fire)

--- Seconds since 1970, as of this turn of the loop.
function ioloop.time()
    return core.now()
end

--- How many coroutines wait, and callbacks are queued: for leak checks.
function ioloop.counts()
    return { waiting = waiting, queued = queue_last - queue_first + 1 }
end

--- Tracebacks of all coroutines that wait: for leak checks and status.
function ioloop.waiting()
    local list = {}
    for co in pairs(waits) do list[#list + 1] = debug.traceback(co) end
    return list
end

-- Tornado's object ------------------------------------------------------------------

local IOLoop = util.Object:extend "IOLoop"
ioloop.IOLoop = IOLoop

local current = IOLoop()

--- The loop of this process.
function IOLoop.current()
    return current
end

IOLoop.instance = IOLoop.current

function IOLoop:add_callback(...) return ioloop.add_callback(...) end -- luacheck: ignore 212

IOLoop.spawn_callback = IOLoop.add_callback

function IOLoop:call_later(...) return ioloop.call_later(...) end -- luacheck: ignore 212

function IOLoop:call_at(...) return ioloop.call_at(...) end -- luacheck: ignore 212

function IOLoop:remove_timeout(...) return ioloop.remove_timeout(...) end -- luacheck: ignore 212

function IOLoop:time() return ioloop.time() end -- luacheck: ignore 212

require "tornado.ioloop.descriptors"(ioloop)

return ioloop
