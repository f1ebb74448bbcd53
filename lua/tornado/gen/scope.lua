-- Structured concurrency: a scope ends what was started in it, and a deadline holds for
-- everything below it, without each call taking a timeout.
--
-- Cancelled means: a wait in the scope raises, and so does every later one, until the scope is
-- left; what the wait was for is given back. Nothing is interrupted where it does not wait.
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local Scope = require "tornado.ioloop.scope"
local tasks = require "tornado.gen.task"
local util = require "tornado.util"

local CancelledError, TimeoutError = util.CancelledError, util.TimeoutError

local scopes = {}

-- What gen.scope() gives its function.
local TaskScope = Scope:extend "Scope"

TaskScope._children = 0
TaskScope._own = false -- the error of scope:cancel(), which ends here
TaskScope._failure = false -- { error, traceback } of the first that failed
TaskScope._ended = false

local function check_seconds(seconds, level)
    if util.isinstance(seconds, ioloop.timedelta) then return seconds:total_seconds() end
    if type(seconds) ~= "number" or seconds ~= seconds then
        error("bad timeout: expected seconds, got " .. util.shown(seconds), level + 1)
    end
    -- A time of day, as Tornado's timeouts are, would be a wait of fifty years here.
    if seconds >= 1e9 and seconds < math.huge then
        error(("bad timeout: %.0f s is a time of day; expected seconds from now"):format(seconds),
            level + 1)
    end
    return seconds
end

scopes.check_seconds = check_seconds

-- The scope's one timer; none when a scope around it ends earlier.
local function set_deadline(scope, seconds, err)
    local due = core.monotonic() + seconds
    if seconds == math.huge or scope.deadline and scope.deadline <= due then return end
    scope.deadline = due
    if seconds <= 0 then return ioloop.cancel_scope(scope, err) end
    scope.timer = ioloop.call_later(seconds, ioloop.cancel_scope, scope, err)
end

local function context_of(scope)
    local ctx = ioloop.context()
    return ioloop.derive(ctx and ctx._values or false, scope)
end

local function close(scope)
    if scope.timer then ioloop.remove_timeout(scope.timer) end
    scope:leave()
end

local function finish(scope, ...)
    close(scope)
    return ioloop.unwrap(...)
end

--- Calls fn(...), below which every wait raises `err` when `seconds` have passed; returns what fn
-- does.
function scopes.run_until(seconds, err, fn, ...)
    local scope = Scope(ioloop.scope())
    set_deadline(scope, seconds, err)
    return finish(scope, ioloop.try_in(context_of(scope), fn, ...))
end

--- Calls fn(...) and returns what it does, out of reach of cancellation and deadlines around it:
-- for what must be done to its end.
function scopes.shield(fn, ...)
    if not util.is_callable(fn) then
        error("bad function: expected function, got " .. type(fn), 2)
    end
    local scope = Scope(ioloop.scope(), true)
    return finish(scope, ioloop.try_in(context_of(scope), fn, ...))
end

--- Seconds that are left of the deadline that the caller is under (0 when it has passed), or nil.
function scopes.time_left()
    local scope = ioloop.scope()
    local deadline = scope and scope.deadline
    return deadline and math.max(0, deadline - core.monotonic()) or nil
end

--- Raises what the next wait would, if the caller's scope is cancelled: for loops that do not
-- wait.
function scopes.check_cancelled()
    local scope = ioloop.scope()
    if scope and scope.err then error(scope.err, 0) end
end

-- A child or the body has failed: that ends the others. What the cancellation itself raises is
-- no failure.
local function note_failure(self, err, trace)
    if rawequal(err, self.err) then return end
    if not self._failure then self._failure = { err, trace } end
    ioloop.cancel_scope(self, CancelledError("another task of the scope has failed"))
end

local function child_ended(self, task)
    self._children = self._children - 1
    if task._failed and not (task._cancelled and rawequal(task._error, task._scope.err)) then
        note_failure(self, task._error, task._trace)
    end
    if self._children == 0 and self.joiner then ioloop.wake(self.joiner) end
end

--- Runs fn(...) as a child of the scope; returns its Future. When it fails, the scope does.
function TaskScope:spawn(fn, ...)
    if self._ended then error("the scope has ended", 2) end
    self._children = self._children + 1
    local ok, task = pcall(tasks.start, self, 4, self._on_child, fn, ...)
    if ok then return task end
    self._children = self._children - 1
    error(task, 0)
end

--- Cancels the body, if it is under way, and all children. gen.scope() then returns as if they
-- had ended.
function TaskScope:cancel(reason)
    if self.err then return end
    self._own = util.isinstance(reason, util.Error) and reason or CancelledError(reason or "")
    ioloop.cancel_scope(self, self._own)
end

--- Returns whether it was cancelled, by whom- or whatever.
function TaskScope:cancelled()
    return self.err ~= false
end

-- Waits until all children have ended. They are cancelled with the scope, this wait is not.
local function join(self)
    while self._children > 0 do
        local waiter = ioloop.waiter()
        self.joiner = waiter
        local ok, err = pcall(ioloop.wait, waiter)
        self.joiner = false
        if not ok then note_failure(self, err) end
    end
    self._ended = true
end

-- What the scope raises: { error, traceback }, or nil.
local function outcome(self)
    if self._failure then return self._failure end
    if self.err and self.err ~= self._own then return { self.err } end
end

local function conclude(self, ok, ...)
    if not ok then note_failure(self, ...) end
    local ctx = ioloop.context()
    ioloop.run_in(ioloop.derive(ctx and ctx._values or false, false), join, self)
    close(self)
    local failed = outcome(self)
    if failed then return ioloop.unwrap(false, failed[1], failed[2]) end
    if ok then return ... end
end

local OPTIONS = { timeout = util.NONE, shield = false }

--- Calls fn(scope), and returns what it does when it and all that it started by scope:spawn() have
-- ended. When one of them fails, the others are cancelled, and its error is raised. Options:
-- `timeout` (seconds: then TimeoutError), `shield` (true: out of reach of what is around it).
function scopes.scope(fn, options)
    if not util.is_callable(fn) then
        error("bad function: expected function, got " .. type(fn), 2)
    end
    options = util.options(options, OPTIONS, "scope")
    local self = TaskScope(ioloop.scope(), options.shield)
    self._on_child = function(task) child_ended(self, task) end
    if options.timeout then
        set_deadline(self, check_seconds(options.timeout, 2), TimeoutError("Timeout"))
    end
    return conclude(self, ioloop.try_in(context_of(self), fn, self))
end

return scopes
