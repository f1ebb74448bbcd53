-- The loop seen from Lua: it takes C's events and runs callbacks for them, each
-- in a coroutine that may wait.
--
-- The idea: a coroutine (the pump) takes events and calls their handlers itself,
-- so a handler that does not wait costs no switch and no coroutine of its own.
-- When a handler waits, its coroutine stays behind with it, and another one pumps
-- on; once its handler has ended, the coroutine goes back to the pool.
local core = require "tornado.core"
local log = require "tornado.log"
local Scope = require "tornado.ioloop.scope"
local barred = require "tornado.ioloop.barred"
local errors = require "tornado.ioloop.errors"
local nested = require "tornado.ioloop.nested"
local util = require "tornado.util"

local coroutine_create, coroutine_running = coroutine.create, coroutine.running
local resume, yield, isyieldable = coroutine.resume, coroutine.yield, coroutine.isyieldable
local suspend_all = nested.suspend
local xpcall, unpack, type, tostring = xpcall, unpack, type, tostring
local next_event, pulse = core.next_event, core.pulse

local on_error, take_trace, log_failure = errors.on_error, errors.take_trace, errors.log_failure

local ioloop = {
    protect = errors.protect, unwrap = errors.unwrap, log_errors = errors.log_errors,
    set_capture = errors.set_capture,
}

-- LuaJIT's own limits are for programs of a few hundred lines; and a heap that may triple before
-- it is swept halves what the collector costs a request.
jit.opt.start("maxtrace=8000", "maxrecord=16000", "maxirconst=2000", "maxmcode=16384")
collectgarbage("setpause", 300)

local POOL_MAX = 1024

local event = core.new_event()
local handlers = {} -- event type -> function(handle, event)
local failures = { [0] = log_failure } -- event type, 0: a callback -> function(handle, err, trace)
local pool, pooled = {}, 0
local pumping -- the coroutine that takes events
local running = false -- the loop's coroutine that runs; one of a program's own may run inside
local waits = {} -- coroutine -> its waiter, while it waits
local waiting = 0
local queue, queue_first, queue_last = {}, 1, 0

-- Contexts ---------------------------------------------------------------------

-- What belongs to the running coroutine, or false: a table that is never changed, only replaced.
-- It comes back with the coroutine when a wait is over, and a task begins with that of whoever
-- started it. Its fields: _scope, what its waits are cancelled by (see gen/scope.lua); _values
-- (see stack_context.lua); _root, the request that it is about; _free, see without_scope(). A
-- request is a context itself, whose _root is true, so that a handler needs none of its own.
local context = false

--- In _values: { wrap = }, what is called with each function that is made a callback.
ioloop.AROUND = setmetatable({}, { __tostring = function() return "ioloop.AROUND" end })
local AROUND = ioloop.AROUND

--- The context of the running coroutine, or false.
function ioloop.context()
    return context
end

--- Gives the running coroutine another context; returns the one before.
function ioloop.enter(new)
    local before = context
    context = new
    return before
end

--- The request that a context is about, or nil.
function ioloop.root_of(ctx)
    if not ctx then return nil end
    local root = ctx._root
    return root == true and ctx or root or nil
end

local root_of = ioloop.root_of

--- A context like the running one but for its values and its scope.
function ioloop.derive(values, scope)
    return { _values = values, _scope = scope, _root = root_of(context) or false, _free = false }
end

-- A request's id and its trace are made now, while C still knows its fields.
local function known(request)
    local _ = request.trace
    return request.id
end

-- A request's scope is made when first needed.
local function scope_of(ctx)
    local scope = ctx and ctx._scope
    if scope or not ctx or ctx._root ~= true then return scope end
    scope = Scope(false)
    ctx._scope = scope
    return known(ctx) and scope
end

--- The scope of the running coroutine, or false.
function ioloop.scope()
    return scope_of(context)
end

-- What callbacks begin with: their values and request, but they are not cancelled with anything.
local function without_scope(ctx)
    if not ctx or not ctx._scope and ctx._root ~= true then return ctx end
    local root = root_of(ctx)
    if not root and not ctx._values then return false end
    local free = ctx._free
    if free then return free end
    free = { _values = ctx._values, _scope = false, _root = root and known(root) and root or false,
        _free = false }
    ctx._free = free
    return free
end

local own = {} -- set of the loop's own functions, which run nothing of others

--- What a function that is called later shall be called as, and in which context.
function ioloop.bind(fn)
    local ctx = without_scope(context)
    local around = ctx and ctx._values and ctx._values[AROUND]
    if around and not own[fn] then fn = around.wrap(fn) end
    return fn, ctx
end

--- The running coroutine goes on without its scope: nothing cancels it from here on.
function ioloop.leave_scope()
    context = without_scope(context)
end

local function leave(before, ok, ...)
    context = before
    if ok then return true, ... end
    return false, (...), take_trace()
end

--- Calls fn(...) with that context; returns true and its results, or false, the error and its
-- traceback.
function ioloop.try_in(ctx, fn, ...)
    local before = context
    context = ctx
    return leave(before, xpcall(fn, on_error, ...))
end

--- Calls fn(...) with that context and returns its results.
function ioloop.run_in(ctx, fn, ...)
    return ioloop.unwrap(ioloop.try_in(ctx, fn, ...))
end

log.set_request_source(function()
    return root_of(context)
end)

-- Coroutines -------------------------------------------------------------------

local pump

local function run_task(fn, a, b, c, d)
    local scope = context and context._scope
    fn(a, b, c, d)
    if scope then scope:drop_task() end
end

-- A coroutine's whole life: to pump, or to run a task, and then to lie in the pool.
local function work(fn, a, b, c, d)
    while true do
        if fn then run_task(fn, a, b, c, d) else pump() end
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
    local before, outer = context, running
    running = co
    local ok, err = resume(co, ...)
    context, running = before, outer
    if not ok then log.app_log:error(debug.traceback(co, tostring(err))) end
end

--- Runs fn(a, b, c, d), which must not raise, in a coroutine of its own until it first waits. It
-- shares the context of the running one.
function ioloop.start(fn, a, b, c, d)
    local scope = scope_of(context)
    if scope then scope.tasks = scope.tasks + 1 end
    go(take_coroutine(), fn, a, b, c, d)
end

-- Waiting ----------------------------------------------------------------------

local function add(fn, a, b, c, ctx)
    queue[queue_last + 1] = { fn, a, b, c, ctx or false }
    queue_last = queue_last + 1
    core.wake()
end

--- A waiter of the running coroutine, to be given to whoever will wake it.
function ioloop.waiter()
    return { co = running, woken = false, context = false, a = nil, b = nil, err = nil }
end

-- The wait itself. The scope's set is how a cancellation finds the waiter; a context whose scope
-- comes later is a request's, see ioloop.cancel_root().
local function suspend(waiter, scope)
    local co, ctx, handle = waiter.co, context, pulse.handle
    if co ~= running or not co then
        error("cannot wait here: not in the coroutine that made the waiter", 3)
    end
    if not isyieldable() then barred(4) end
    waits[co] = waiter
    waiter.context = ctx
    waiting = waiting + 1
    if scope then scope.waiting[waiter] = true end
    suspend_all()
    context = ctx
    pulse.handle = handle -- whose stall it is, if it is one
    if scope then scope.waiting[waiter] = nil end
    waits[co] = nil
    waiting = waiting - 1
end

--- Suspends until `waiter` is woken; returns what wake() was given, or raises what cancel() was.
-- In the second case release(a, b), if given, is called first: it gives back what the wait was for.
-- In a scope that was cancelled it raises at once, unless the waiter was woken before.
function ioloop.wait(waiter, release, a, b)
    if not waiter.woken then
        local scope = context and context._scope
        if scope and scope.err then
            waiter.woken, waiter.err = true, scope.err
        else
            suspend(waiter, scope)
        end
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
    if waits[waiter.co] == waiter then
        queue[queue_last + 1] = waiter.co -- a callback, too; first what may raise
        queue_last = queue_last + 1
        core.wake()
    end
    waiter.woken, waiter.a, waiter.b = true, a, b
end

--- Raises `err` where the waiter waits.
function ioloop.cancel(waiter, err)
    if waiter.woken then return end
    waiter.err = err
    ioloop.wake(waiter)
end

--- Cancels a scope and those below it: every wait in them raises `err`, from now on, again and
-- again. Nothing happens when it was cancelled before.
function ioloop.cancel_scope(scope, err)
    if scope.err then return end
    scope.err = err
    for waiter in pairs(scope.waiting) do ioloop.cancel(waiter, err) end
    for below in pairs(scope.scopes or {}) do
        if not below.shielded then ioloop.cancel_scope(below, err) end
    end
end

own[ioloop.wake], own[ioloop.cancel], own[ioloop.cancel_scope] = true, true, true

--- Cancels all that a request's handler, whose coroutine is `co`, and the tasks it started do.
-- Returns whether the handler itself waits there.
function ioloop.cancel_root(root, co, err)
    local waiter = waits[co]
    local found = waiter ~= nil and root_of(waiter.context) == root
    ioloop.cancel_scope(scope_of(root), err)
    if found and waiter.context == root then ioloop.cancel(waiter, err) end
    return found
end

--- The waiter that a coroutine waits for now, or nil.
function ioloop.waiter_of(co)
    return waits[co]
end

-- The pump ---------------------------------------------------------------------

local function run_callback(item)
    pulse.beat = pulse.beat + 1
    pulse.handle = 0
    if type(item) == "thread" then return go(item) end
    local ctx = item[5]
    local root = root_of(ctx)
    if root then pulse.handle = root.handle end
    context = ctx
    local ok, err = xpcall(item[1], on_error, item[2], item[3], item[4])
    if not ok then log_failure(nil, err, take_trace()) end
end

-- Takes events until none is left, then the callbacks that were there when it began. False when
-- its coroutine has waited in between: another one pumps now.
local function drain(me, at)
    running = me
    while next_event(event) do
        local kind, handle = event.type, event.handle
        context = false
        at.kind, at.handle = kind, handle
        handlers[kind](handle, event)
        if pumping ~= me then return false end
    end
    local last = queue_last
    at.kind = 0
    while queue_first <= last do
        local item = queue[queue_first]
        queue[queue_first] = nil
        queue_first = queue_first + 1
        run_callback(item)
        if pumping ~= me then return false end
    end
    if queue_first <= queue_last then
        core.wake()
    else
        queue_first, queue_last = 1, 0
    end
    return true
end

-- Yields a value when all is done: C resumes it after the next turn that has events.
local function pump_on(me, at)
    while drain(me, at) do yield(true) end
end

local function event_failed(at, err)
    pulse.beat = pulse.beat + 1 -- who answers has all the time again
    local ok, again = xpcall(failures[at.kind], on_error, at.handle, err, take_trace())
    if not ok then pcall(log_failure, at.handle, again, take_trace()) end -- memory may be used up
end

-- What a handler of events raises is caught outside of all loops, so that a trace that begins in it
-- can return into them; `at` tells which one it was.
function pump()
    local me, at = pumping, { kind = 0, handle = 0 }
    repeat
        local ok, err = xpcall(pump_on, on_error, me, at)
        if not ok then event_failed(at, err) end
    until ok or pumping ~= me
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
    core.EVENT_ENDED, core.EVENT_STOP,
} do
    ioloop.on(kind, ignore)
end

-- Callbacks and timers ------------------------------------------------------------

local timers = {} -- handle -> { fn, count, context, arguments... }

local function check_function(fn, level)
    if not util.is_callable(fn) then
        error("bad callback: expected function, got " .. type(fn), level + 1)
    end
end

-- An item of the queue has room for three arguments.
local function pack(fn, ...)
    local arguments, n = { ... }, select("#", ...)
    return function() fn(unpack(arguments, 1, n)) end
end

--- Calls fn(...) in the next turn of the loop, with the values of stack_context as they are now.
-- It may wait; what it raises is logged.
function ioloop.add_callback(fn, a, b, c, ...)
    check_function(fn, 2)
    if select("#", ...) > 0 then fn = pack(fn, a, b, c, ...) end
    local ctx
    fn, ctx = ioloop.bind(fn)
    add(fn, a, b, c, ctx)
end

--- Calls fn(a, b, c) in the next turn, in a context that bind() gave.
function ioloop.add_in(ctx, fn, a, b, c)
    add(fn, a, b, c, ctx)
end

--- As add_callback(), without the values.
function ioloop.spawn_callback(fn, a, b, c, ...)
    check_function(fn, 2)
    if select("#", ...) > 0 then fn = pack(fn, a, b, c, ...) end
    add(fn, a, b, c, false)
end

--- Calls fn(...) in `delay` seconds; returns a handle for remove_timeout().
function ioloop.call_later(delay, fn, ...)
    if type(delay) ~= "number" or delay ~= delay then
        error("bad delay: expected seconds, got " .. tostring(delay), 2)
    end
    check_function(fn, 2)
    local handle = core.timer(delay < 0 and 0 or delay)
    local ctx
    fn, ctx = ioloop.bind(fn)
    timers[handle] = { fn, select("#", ...), ctx, ... }
    return handle
end

--- Ends a timer; fine when it has fired.
function ioloop.remove_timeout(handle)
    if type(handle) ~= "number" or handle ~= handle then
        error("bad handle: expected what call_later() returns, got " .. type(handle), 2)
    end
    timers[handle] = nil
    core.timer_stop(handle)
end

-- Apart, since LuaJIT compiles no function that has made a closure.
local function wait_until(waiter, seconds, release, a, b)
    local timer = ioloop.call_later(seconds, ioloop.cancel, waiter, util.TimeoutError("Timeout"))
    local function give_back()
        ioloop.remove_timeout(timer)
        if release then release(a, b) end
    end
    local x, y = ioloop.wait(waiter, give_back)
    ioloop.remove_timeout(timer)
    return x, y
end

--- As wait(), but raises a TimeoutError when `seconds` pass first; nil: no limit of its own.
function ioloop.wait_for(waiter, seconds, release, a, b)
    if seconds then return wait_until(waiter, seconds, release, a, b) end
    return ioloop.wait(waiter, release, a, b)
end

--- A timer has fired: calls its function. For testing.clock(), whose timers are not C's.
function ioloop.fire(handle)
    local timer = timers[handle]
    if not timer then return end
    timers[handle] = nil
    context = timer[3]
    timer[1](unpack(timer, 4, 3 + timer[2]))
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

nested.install(function() return running end)
for name, value in pairs(require "tornado.ioloop.loop"(ioloop)) do ioloop[name] = value end

require "tornado.ioloop.descriptors"(ioloop)

return ioloop
