-- Futures: a result that is not there yet.
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local util = require "tornado.util"

local concurrent = {}

--- Raised where something waits that was cancelled.
concurrent.CancelledError = util.CancelledError

--- A result or an error that may not be there yet; gen.await() waits for it.
local Future = util.Object:extend "Future"
concurrent.Future = Future

Future._failed = false
Future._cancelled = false
Future._retrieved = false -- somebody has seen the error, or will
Future._callbacks = false -- a list of functions, each with its context behind it
Future._waiters = false -- see gen.await()
Future._watch = false

function Future:init()
    self._done = false
end

--- Returns whether there is a result or an error, or it was cancelled.
function Future:done()
    return self._done
end

--- Returns whether it was cancelled.
function Future:cancelled()
    return self._cancelled
end

local function settle(self)
    local callbacks, waiters = self._callbacks, self._waiters
    self._callbacks, self._waiters = false, false
    self._done = true
    for i = 1, waiters and #waiters or 0 do ioloop.wake(waiters[i]) end
    for i = 1, callbacks and #callbacks or 0, 2 do
        ioloop.add_in(callbacks[i + 1], callbacks[i], self)
    end
end

--- Sets the result; raises when the future is done.
function Future:set_result(value)
    if self._done then error("the future is done already", 2) end
    self._result = value
    settle(self)
end

local function report(watched)
    if watched.seen then return end
    log.app_log:error("Future exception was never retrieved: " .. watched.text)
end

-- A failed future that is collected before anybody has seen its error is logged. The collector
-- runs anywhere, so the loop does that.
local function watch(err)
    local watched = { seen = false, text = tostring(err) }
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = function()
        if not watched.seen then ioloop.add_in(false, report, watched) end
    end
    watched.proxy = proxy
    return watched
end

local function fail(self, err, trace)
    self._error, self._trace = err, trace
    self._failed = true
    if self._callbacks or self._waiters then self._retrieved = true end
    settle(self)
end

-- For tasks, which see to their errors themselves.
Future._settle = fail

--- Sets the error, with its traceback if there is one; raises when the future is done.
function Future:set_exception(err, trace)
    if self._done then error("the future is done already", 2) end
    fail(self, err, trace)
    if not self._retrieved then self._watch = watch(err) end
end

--- Cancels it: who waits gets a CancelledError. Returns false when it was done before.
-- What would have set the result does not know, see future_set_result_unless_cancelled().
function Future:cancel(message)
    if self._done then return false end
    self._cancelled, self._retrieved = true, true
    fail(self, util.CancelledError(message or ""))
    return true
end

local function retrieve(self)
    self._retrieved = true
    local watched = self._watch
    if watched then watched.seen = true end
end

--- Returns the result, or raises the error; raises when it is not done.
function Future:result()
    if not self._done then error("the future is not done", 2) end
    if not self._failed then return self._result end
    retrieve(self)
    return ioloop.unwrap(false, self._error, self._trace)
end

--- Returns the error, or nil; raises when it is not done, and a CancelledError when it was
--- cancelled.
function Future:exception()
    if not self._done then error("the future is not done", 2) end
    if self._cancelled then error(self._error, 0) end
    if not self._failed then return nil end
    retrieve(self)
    return self._error
end

--- Calls `fn(future)` in the turn after the one that it is done in.
function Future:add_done_callback(fn)
    if not util.is_callable(fn) then
        error("bad callback: expected function, got " .. type(fn), 2)
    end
    local ctx
    fn, ctx = ioloop.bind(fn)
    if self._done then
        if self._failed then retrieve(self) end
        return ioloop.add_in(ctx, fn, self)
    end
    local callbacks = self._callbacks or {}
    self._callbacks = callbacks
    callbacks[#callbacks + 1] = fn
    callbacks[#callbacks + 1] = ctx
end

-- Removes what a wait that was cancelled has left.
local function forget(self, waiter)
    local waiters = self._waiters
    for i = 1, waiters and #waiters or 0 do
        if waiters[i] == waiter then
            table.remove(waiters, i)
            break
        end
    end
    if waiters and not waiters[1] then self._waiters = false end
end

--- Waits until it is done, or `seconds` have passed (nil: for ever), which raises a TimeoutError.
-- The result is not looked at.
function Future:_wait(seconds)
    if self._done then return end
    local waiter = ioloop.waiter()
    local waiters = self._waiters or {}
    self._waiters = waiters
    waiters[#waiters + 1] = waiter
    ioloop.wait_for(waiter, seconds, forget, self, waiter)
end

-- Helpers ----------------------------------------------------------------------------

--- Returns whether a value is a future.
function concurrent.is_future(value)
    return util.isinstance(value, Future)
end

local function check_future(future)
    if util.isinstance(future, Future) then return end
    error("bad future: expected Future, got " .. type(future), 3)
end

--- Sets the result unless the future was cancelled.
function concurrent.future_set_result_unless_cancelled(future, value)
    check_future(future)
    if not future._cancelled then future:set_result(value) end
end

--- Sets the error; when the future was cancelled, logs it instead.
function concurrent.future_set_exception_unless_cancelled(future, err, trace)
    check_future(future)
    if not future._cancelled then return future:set_exception(err, trace) end
    log.app_log:error("Exception after Future was cancelled: " .. (trace or tostring(err)))
end

--- The same with { class, err, traceback }, what Python's sys.exc_info() is.
function concurrent.future_set_exc_info(future, info)
    check_future(future)
    if type(info) ~= "table" or info[2] == nil then
        error("future_set_exc_info called with no exception", 2)
    end
    concurrent.future_set_exception_unless_cancelled(future, info[2], info[3])
end

--- Calls fn(future) when it is done; at once when it is.
function concurrent.future_add_done_callback(future, fn)
    check_future(future)
    if not util.is_callable(fn) then
        error("bad callback: expected function, got " .. type(fn), 2)
    end
    if not future._done then return future:add_done_callback(fn) end
    if future._failed then retrieve(future) end
    fn(future)
end

local function copy(a, b)
    if b._done then return end
    if a._cancelled then
        b:cancel(a._error.message)
    elseif a._failed then
        b:set_exception(a._error, a._trace)
    else
        b:set_result(a._result)
    end
end

--- Gives the outcome of future `a` to future `b`, unless that is done when it comes.
function concurrent.chain_future(a, b)
    check_future(a)
    check_future(b)
    concurrent.future_add_done_callback(a, function() copy(a, b) end)
end

return concurrent
