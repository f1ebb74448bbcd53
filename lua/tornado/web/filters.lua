-- Filters: functions around the handlers of an application or a group. `before` filters come
-- in front of prepare(), `after` filters before the reply's head goes out; both may wait.
-- A handler without filters has `_filters` false, and costs nothing here.
local concurrent = require "tornado.concurrent"
local gen = require "tornado.gen"
local util = require "tornado.util"

local filters = {}

local function to_list(given, what)
    if given == nil then return {} end
    if type(given) == "function" then return { given } end
    if type(given) ~= "table" then
        util.app_error(("bad %s: expected a list of functions, got %s"):format(what,
            type(given)))
    end
    for i, fn in ipairs(given) do
        if not util.is_callable(fn) then
            util.app_error(("bad %s %d: expected a function, got %s"):format(what, i, type(fn)))
        end
    end
    return given
end

local function concat(a, b)
    local out = {}
    for _, fn in ipairs(a) do out[#out + 1] = fn end
    for _, fn in ipairs(b) do out[#out + 1] = fn end
    return out
end

--- Takes { before = , after = } and the filters outside of these (or nil). Returns the filters
-- of both, before from the outside in and after from the inside out; nil when there are none.
function filters.nest(outer, given)
    local before, after = to_list(given.before, "before"), to_list(given.after, "after")
    if #before == 0 and #after == 0 then return outer end
    outer = outer or { before = {}, after = {} }
    return { before = concat(outer.before, before), after = concat(after, outer.after) }
end

local function call(fn, handler)
    local result = fn(handler)
    if concurrent.is_future(result) then gen.await(result) end
end

--- Runs the before filters until one finishes the request.
function filters.before(handler)
    local list = handler._filters.before
    for i = 1, #list do
        if handler._finished then return end
        call(list[i], handler)
    end
end

--- Runs the after filters, once for a request: when one raises, its error page has to do
-- without them.
function filters.after(handler)
    local list = handler._filters.after
    handler._filters = false
    for i = 1, #list do call(list[i], handler) end
end

return filters
