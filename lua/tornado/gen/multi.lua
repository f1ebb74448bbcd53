-- Several futures at once: all of them, the first of them, or one after the other as they come.
local concurrent = require "tornado.concurrent"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local util = require "tornado.util"

local Future = concurrent.Future

-- The keys of a list or table, in an order that does not change; what a failure is picked by.
local function keys_of(children)
    local keys = {}
    for key in pairs(children) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b)
        if type(a) == "number" and type(b) == "number" then return a < b end
        return tostring(a) < tostring(b)
    end)
    return keys
end

-- key -> Future, the keys, and the tasks that were started for functions.
local function futures_of(gen, children, what)
    if type(children) ~= "table" or concurrent.is_future(children) then
        error(("%s: expected a table of futures, got %s"):format(what, type(children)), 3)
    end
    local keys, futures, started = keys_of(children), {}, {}
    for _, key in ipairs(keys) do
        local child = children[key]
        futures[key] = gen.convert_yielded(child)
        if futures[key] ~= child then started[#started + 1] = futures[key] end
    end
    return futures, keys, started
end

-- The results by key; raises the first error in the order of the keys, and logs the others.
local function collect(futures, keys, is_quiet)
    local results, failed = {}, nil
    for _, key in ipairs(keys) do
        local future = futures[key]
        local ok, value, trace = ioloop.protect(future.result, future)
        if ok then
            results[key] = value
        elseif not failed then
            failed = { value, trace }
        elseif not rawequal(failed[1], value) and not is_quiet(value) then
            log.app_log:error("Multiple exceptions in yield list: " .. (trace or tostring(value)))
        end
    end
    if failed then return ioloop.unwrap(false, failed[1], failed[2]) end
    return results
end

-- A future that waits for one of several: called with each that is done.
local function watch(futures, keys, fn)
    local seen = {}
    for _, key in ipairs(keys) do
        local future = futures[key]
        if not seen[future] then
            seen[future] = true
            future:add_done_callback(function() fn(future, key) end)
        end
    end
end

local function cancel_all(started)
    for _, task in ipairs(started) do task:cancel() end
end

local function add_all(gen, quiet_of, out)
    --- Waits for all of a list or table of Futures and functions (which are started, beside each
    -- other), even if one fails. Returns their results under the same keys, or raises the first
    -- error, in the order of the list; the others are logged unless their class is in
    -- options.quiet_exceptions. To cancel this wait does not cancel the futures, but the functions.
    function out.all(children, options)
        local quiet = quiet_of(options, "all")
        local futures, keys, started = futures_of(gen, children, "all")
        for _, future in pairs(futures) do future._retrieved = true end
        for _, key in ipairs(keys) do
            local ok, err, trace = ioloop.protect(futures[key]._wait, futures[key])
            if not ok then
                cancel_all(started)
                return ioloop.unwrap(false, err, trace)
            end
        end
        return collect(futures, keys, function(err)
            for _, class in ipairs(quiet or {}) do
                if util.isinstance(err, class) then return true end
            end
            return false
        end)
    end

    out.multi = out.all

    --- As all(), but returns a Future.
    function out.multi_future(children, options)
        local futures = futures_of(gen, children, "multi_future")
        return gen.spawn(out.all, futures, options)
    end

    out.Multi = out.multi_future
end

local function add_any(gen, out)
    -- Settles `first` with the first key whose future succeeds, or with nil when none does.
    local function race(futures, keys)
        local first, left, seen = Future(), 0, {}
        for _, key in ipairs(keys) do
            if not seen[futures[key]] then left = left + 1 end
            seen[futures[key]] = true
        end
        watch(futures, keys, function(future, key)
            left = left - 1
            if first:done() then
                if not future:cancelled() then future:exception() end
            elseif not future:cancelled() and not future._failed then
                first:set_result(key)
            elseif left == 0 then
                first:set_result(nil)
            end
        end)
        return first
    end

    --- Waits for the first of a list or table of Futures and functions to succeed; returns its
    -- result and its key. When all fail, raises the error of the first in the list. The functions
    -- that it started and that go on then are cancelled; Futures are left alone.
    function out.any(children)
        local futures, keys, started = futures_of(gen, children, "any")
        if #keys == 0 then error("any: expected at least one future", 2) end
        local ok, key, trace = ioloop.protect(gen.await, race(futures, keys))
        cancel_all(started)
        if not ok then return ioloop.unwrap(false, key, trace) end
        if key == nil then return futures[keys[1]]:result() end
        return futures[key]:result(), key
    end
end

-- WaitIterator ---------------------------------------------------------------------------

local function add_iterator(gen, out)
    local WaitIterator = util.Object:extend "WaitIterator"
    out.WaitIterator = WaitIterator

    --- Takes futures, or one table of them by name.
    function WaitIterator:init(...)
        local children = { ... }
        if select("#", ...) == 1 and not concurrent.is_future((...)) then children = (...) end
        local futures, keys = futures_of(gen, children, "WaitIterator")
        self._left, self._queue, self._first, self._last = #keys, {}, 1, 0
        for _, key in ipairs(keys) do
            futures[key]:add_done_callback(function(future)
                self._last = self._last + 1
                self._queue[self._last] = { future, key }
                if self._waiter then ioloop.wake(self._waiter) end
            end)
        end
    end

    --- Returns whether all have been returned by next().
    function WaitIterator:done()
        if self._left > 0 then return false end
        self.current_index, self.current_future = nil, nil
        return true
    end

    --- Waits for the next future that is done; returns its result or raises its error. Then
    -- current_index is its key, and current_future the future.
    function WaitIterator:next()
        if self._left == 0 then error("WaitIterator: no future is left", 2) end
        if not self._queue[self._first] then
            self._waiter = ioloop.waiter()
            ioloop.wait(self._waiter)
        end
        local entry = self._queue[self._first]
        self._queue[self._first] = nil
        self._first, self._left = self._first + 1, self._left - 1
        self._waiter = nil
        self.current_future, self.current_index = entry[1], entry[2]
        return entry[1]:result()
    end

    local function step(self)
        if self:done() then return nil end
        local result = self:next()
        return self.current_index, result
    end

    --- For loops: for key, result in iterator:each() do.
    function WaitIterator:each()
        return step, self
    end
end

--- Returns the functions, for the gen given.
return function(gen, quiet_of)
    local out = {}
    add_all(gen, quiet_of, out)
    add_any(gen, out)
    add_iterator(gen, out)
    return out
end
