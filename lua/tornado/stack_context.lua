-- Values that follow a coroutine: through its waits, into what it spawns, into callbacks, timers
-- and futures' callbacks. What a task sets, those that it starts later see; whoever started it
-- does not.
--
-- Tornado: has contexts alone (StackContext and its kin, until 5.1), which are entered around
-- each callback; later contextvars, which run(), get() and set() are like.
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"

local stack_context = {}

local AROUND = ioloop.AROUND

-- Known of each request, without being set.
local OF_REQUEST = {
    request = function(request) return request end,
    request_id = function(request) return request.id end,
    trace = function(request) return request.trace or nil end,
    handler = function(request) return request.delegate or nil end,
}

--- The value of a key, or nil. "request", "handler", "request_id" and, if it has one, "trace" (see
-- tracing.lua) are there in all that a request's handler does and starts, unless they were set to
-- something else.
function stack_context.get(key)
    local ctx = ioloop.context()
    if not ctx then return nil end
    local values, value = ctx._values, nil
    if values then value = values[key] end
    if value == nil and OF_REQUEST[key] then
        local request = ioloop.root_of(ctx)
        value = request and OF_REQUEST[key](request)
    end
    return value
end

local function check_key(key)
    if key == nil or key ~= key then
        error("bad key: expected a value, got " .. tostring(key), 3)
    end
end

-- A context with these values over those there are.
local function extended(values)
    local ctx = ioloop.context()
    local all = {}
    for key, value in pairs(ctx and ctx._values or {}) do all[key] = value end
    for key, value in pairs(values) do all[key] = value end
    return ioloop.derive(all, ioloop.scope())
end

--- Sets a value for the running coroutine and what it starts from here on, to the end of the
-- function that was given to run(), gen.scope(), gen.with_timeout() or gen.spawn().
function stack_context.set(key, value)
    check_key(key)
    local ctx = extended {}
    ctx._values[key] = value
    ioloop.enter(ctx)
end

--- Calls fn(...) with a table of values set, and returns what it does.
function stack_context.run(values, fn, ...)
    if type(values) ~= "table" then
        error("bad values: expected table, got " .. type(values), 2)
    end
    if not util.is_callable(fn) then
        error("bad function: expected function, got " .. type(fn), 2)
    end
    return ioloop.run_in(extended(values), fn, ...)
end

-- Contexts ---------------------------------------------------------------------------------

-- Contexts that are active are a chain of { context, outer }, in the values under AROUND: a table
-- whose wrap(fn) the loop calls for each callback that is made. Deactivated ones do nothing.

local function call_inside(node, fn, ...)
    if not node then return fn(...) end
    local arguments = { n = select("#", ...), ... }
    return call_inside(node.outer, function()
        if not node.context.active then return fn(unpack(arguments, 1, arguments.n)) end
        return node.context:_run(fn, unpack(arguments, 1, arguments.n))
    end)
end

local wrapped = setmetatable({}, { __mode = "k" })

local function wrap_in(node, fn)
    local function inside(...)
        return call_inside(node, fn, ...)
    end
    wrapped[inside] = true
    return inside
end

local function prune(node)
    while node and not node.context.active do node = node.outer end
    return node
end

local function chain()
    local ctx = ioloop.context()
    return prune(ctx and ctx._values and ctx._values[AROUND] or nil)
end

local function node_of(context, outer)
    local node = { context = context, outer = outer }
    function node.wrap(fn)
        local inner = prune(node)
        return inner and not wrapped[fn] and wrap_in(inner, fn) or fn
    end
    return node
end

local StackContext = util.Object:extend "StackContext"
stack_context.StackContext = StackContext

--- Takes a function that is called before each callback that is made inside, and may return one
-- that is called behind it.
function StackContext:init(factory)
    if not util.is_callable(factory) then
        error("bad factory: expected function, got " .. type(factory), 3)
    end
    self.factory, self.active = factory, true
end

local function left(exit, ...)
    if exit then exit() end
    return ioloop.unwrap(...)
end

function StackContext:_run(fn, ...)
    local exit = self.factory()
    return left(exit, ioloop.try_in(ioloop.context(), fn, ...))
end

local ExceptionStackContext = util.Object:extend "ExceptionStackContext"
stack_context.ExceptionStackContext = ExceptionStackContext

--- Takes a handler(class, error, traceback) for what is raised inside, in callbacks too: true from
-- it ends the matter, otherwise the contexts around it get the error. `class` is nil for errors
-- that are no objects.
function ExceptionStackContext:init(handler)
    if not util.is_callable(handler) then
        error("bad handler: expected function, got " .. type(handler), 3)
    end
    self.handler, self.active = handler, true
end

local function judged(self, ok, ...)
    if ok then return ... end
    local err, trace = ...
    local class = util.isinstance(err, util.Object) and err.class or nil
    if self.handler(class, err, trace) then return end
    return ioloop.unwrap(false, err, trace)
end

function ExceptionStackContext:_run(fn, ...)
    return judged(self, ioloop.try_in(ioloop.context(), fn, ...))
end

--- Without values, contexts or request: for what shall not belong to who starts it.
local NullContext = util.Object:extend "NullContext"
stack_context.NullContext = NullContext

--- Calls fn(deactivate, ...) inside a context and returns what it does; callbacks that are made
-- and tasks that are spawned there run inside it as well, until deactivate() is called.
-- Tornado: a with statement, which must not be left behind a yield; here it may.
function stack_context.with(context, fn, ...)
    if not util.is_callable(fn) then
        error("bad function: expected function, got " .. type(fn), 2)
    end
    local function deactivate() context.active = false end
    if util.isinstance(context, NullContext) then
        local empty = { _values = false, _scope = ioloop.scope(), _root = false, _free = false }
        return ioloop.run_in(empty, fn, deactivate, ...)
    end
    local node = node_of(context, chain())
    return ioloop.run_in(extended { [AROUND] = node }, function(...)
        return context:_run(fn, ...)
    end, deactivate, ...)
end

--- As with(context, fn), without deactivate.
function stack_context.run_with_stack_context(context, fn)
    return stack_context.with(context, function() return fn() end)
end

--- Makes of fn a function that runs with the values and in the contexts of here, wherever it is
-- called. What was made so is returned as it is.
function stack_context.wrap(fn)
    if fn == nil or wrapped[fn] then return fn end
    local ctx, node = ioloop.context(), chain()
    local function bound(...)
        local here = { _values = ctx and ctx._values, _scope = ioloop.scope(),
            _root = ioloop.root_of(ctx) or false, _free = false }
        return ioloop.run_in(here, call_inside, node, fn, ...)
    end
    wrapped[bound] = true
    return bound
end

return stack_context
