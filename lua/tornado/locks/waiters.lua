-- Who waits in line: first come, first served. Whoever is cancelled or out of time is passed over,
-- so that what is handed on is never handed to nobody; and who has been handed something gets it,
-- even if a cancellation comes before it runs again (see ioloop.cancel).
local ioloop = require "tornado.ioloop"
local scopes = require "tornado.gen.scope"
local util = require "tornado.util"

local Waiters = {}
Waiters.__index = Waiters

--- Takes a waiter out of the line; fine when it is not there.
function Waiters:remove(waiter)
    if not waiter.listed then return end
    waiter.listed = false
    self.count = self.count - 1
    local before, after = waiter.before, waiter.after
    if before then before.after = after else self.first = after end
    if after then after.before = before else self.last = before end
    waiter.before, waiter.after = nil, nil
end

local function append(self, waiter)
    local last = self.last
    waiter.listed, waiter.before = true, last
    if last then last.after = waiter else self.first = waiter end
    self.last = waiter
    self.count = self.count + 1
end

--- Returns the first who still waits, or nil, and takes those away who do not any more.
function Waiters:peek()
    local first = self.first
    while first and first.woken do
        self:remove(first)
        first = self.first
    end
    return first
end

--- As peek(), but takes the one it returns out of the line, too.
function Waiters:pop()
    local first = self:peek()
    if first then self:remove(first) end
    return first
end

--- Wakes all who wait now.
function Waiters:wake_all()
    local waiter = self:pop()
    while waiter do
        ioloop.wake(waiter)
        waiter = self:pop()
    end
end

--- Waits in line, `seconds` at most (nil: no limit, 0: not at all), then raises a TimeoutError;
-- returns what it is woken with. `item` is kept in the waiter for who takes it.
function Waiters:wait(seconds, item)
    if seconds and seconds <= 0 then error(util.TimeoutError("Timeout"), 0) end
    local waiter = ioloop.waiter()
    waiter.item = item
    append(self, waiter)
    return ioloop.wait_for(waiter, seconds, self.remove, self, waiter)
end

-- Of a wait that raises, or is over.
local function clean(self, waiter)
    self:remove(waiter)
    ioloop.remove_timeout(waiter.timer)
end

--- Waits in line; returns true, or false when `seconds` have passed. An outer deadline's
-- TimeoutError is raised.
function Waiters:wait_or_false(seconds)
    local waiter = ioloop.waiter()
    append(self, waiter)
    waiter.timer = ioloop.call_later(seconds, ioloop.wake, waiter, false)
    local value = ioloop.wait(waiter, clean, self, waiter)
    clean(self, waiter)
    return value ~= false
end

--- A timeout in seconds, as it was given (nil, seconds, timedelta); raises at the caller's caller.
local function seconds_of(timeout)
    if timeout == nil then return nil end
    local seconds = scopes.check_seconds(timeout, 3)
    return seconds
end

return {
    new = function() return setmetatable({ first = nil, last = nil, count = 0 }, Waiters) end,
    seconds_of = seconds_of,
}
