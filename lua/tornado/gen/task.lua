-- Tasks: functions that run in a coroutine of their own, as Futures of what they return.
local concurrent = require "tornado.concurrent"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local Scope = require "tornado.ioloop.scope"
local util = require "tornado.util"

local getinfo = debug.getinfo

-- The future of a running function; to cancel it is to cancel the function.
local Task = concurrent.Future:extend "Task"

--- Cancels the function where it waits, and what it has started; the task is done when it has
-- ended. Returns false when it was done before.
function Task:cancel(message)
    if self._done then return false end
    ioloop.cancel_scope(self._scope, util.CancelledError(message or ""))
    return true
end

local function report(self)
    if self._retrieved then return end
    self._retrieved = true
    log.app_log:error("Exception in spawned task: " .. (self._trace or tostring(self._error)))
end

-- The traceback, and who started the task.
local function traceback(self, trace)
    local site = self._site
    if not trace or not site then return trace end
    return ("%s\nspawned at %s:%d"):format(trace, site.short_src, site.currentline)
end

-- An error that nobody has asked for by the end of the next turn is logged.
-- Tornado: when the future is collected, which may be much later or never.
local function fail(self, err, trace)
    self._retrieved = self._retrieved or rawequal(err, self._scope.err)
    self._cancelled = self._retrieved and util.isinstance(err, util.CancelledError)
    local watched = self._retrieved or self._callbacks or self._waiters
    self:_settle(err, traceback(self, trace))
    if not watched then ioloop.add_callback(report, self) end
end

local Return = util.Object:extend "Return"

--- gen.Return(value), raised, is another way to return it.
function Return:init(value)
    self.value = value
    self.expected = true
end

local function run(self, fn, arguments)
    local ok, result, trace = ioloop.protect(fn, unpack(arguments, 1, arguments.n))
    self._scope:leave()
    if not ok and util.isinstance(result, Return) then ok, result = true, result.value end
    if ok then
        self:set_result(result)
    else
        fail(self, result, trace)
    end
    if self._on_end then self._on_end(self) end
end

--- Runs fn(...) in a coroutine of its own, in a scope below `parent` (false: none), at once until
-- it first waits. `level` is where the caller is, for tracebacks; on_end(task), if given, is
-- called in that coroutine at last, and takes care of errors.
local function start(parent, level, on_end, fn, ...)
    if not util.is_callable(fn) then
        error("bad task: expected function, got " .. type(fn), level)
    end
    local self = Task()
    local scope = Scope(parent)
    self._scope, self._on_end = scope, on_end
    self._retrieved = on_end ~= nil
    self._site = getinfo(level, "Sl")
    local ctx = ioloop.context()
    local around = ctx and ctx._values and ctx._values[ioloop.AROUND]
    if around then fn = around.wrap(fn) end
    local before = ioloop.enter(ioloop.derive(ctx and ctx._values or false, scope))
    ioloop.start(run, self, fn, { n = select("#", ...), ... })
    ioloop.enter(before)
    return self
end

return { Return = Return, Task = Task, start = start }
