-- Locks between coroutines: Condition, Event, Semaphore, BoundedSemaphore, Lock. Who waits is
-- served in order; a wait may have a timeout, in seconds from now (or a timedelta; 0: only if it
-- need not wait), and ends with the scope it is in.
-- Tornado: a timeout that is a number is a time of day.
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"
local waiters = require "tornado.locks.waiters"

local seconds_of = waiters.seconds_of

local locks = {}

-- Condition --------------------------------------------------------------------------------

--- Lets coroutines wait until another one says that something has changed.
local Condition = util.Object:extend "Condition"
locks.Condition = Condition

function Condition:init()
    self._waiters = waiters.new()
end

function Condition:__tostring()
    return ("<Condition waiters[%d]>"):format(self._waiters.count)
end

--- Waits to be notified. Returns true, or false when `timeout` has passed.
function Condition:wait(timeout)
    timeout = seconds_of(timeout)
    local line = self._waiters
    if not timeout then
        line:wait()
        return true
    end
    if timeout <= 0 then return false end
    return line:wait_or_false(timeout)
end

--- Wakes `n` (default 1) of those who wait, in the next turn.
function Condition:notify(n)
    if n ~= nil and type(n) ~= "number" then
        error("bad n: expected number, got " .. type(n), 2)
    end
    for _ = 1, n or 1 do
        local waiter = self._waiters:pop()
        if not waiter then return end
        ioloop.wake(waiter)
    end
end

--- Wakes all who wait.
function Condition:notify_all()
    self._waiters:wake_all()
end

-- Event ------------------------------------------------------------------------------------

--- A flag that coroutines can wait for.
local Event = util.Object:extend "Event"
locks.Event = Event

function Event:init()
    self._set = false
    self._waiters = waiters.new()
end

function Event:__tostring()
    return ("<Event %s>"):format(self._set and "set" or "clear")
end

--- Returns whether it is set.
function Event:is_set()
    return self._set
end

--- Sets it: who waits is woken, even if it is cleared right after, and nobody waits any more.
function Event:set()
    if self._set then return end
    self._set = true
    self._waiters:wake_all()
end

--- Those who come from here on wait for the next set().
function Event:clear()
    self._set = false
end

--- Waits until it is set; raises a TimeoutError when `timeout` passes first.
function Event:wait(timeout)
    timeout = seconds_of(timeout)
    if not self._set then self._waiters:wait(timeout) end
end

-- Semaphores -------------------------------------------------------------------------------

local Semaphore = util.Object:extend "Semaphore"
locks.Semaphore = Semaphore

--- Takes how many may hold it at once (default 1).
function Semaphore:init(value)
    value = value or 1
    if type(value) ~= "number" then
        error("bad value: expected number, got " .. type(value), 3)
    end
    if value < 0 then error("semaphore initial value must be >= 0", 3) end
    self._value = value
    self._waiters = waiters.new()
end

function Semaphore:__tostring()
    local state = self._value > 0 and ("unlocked,value:%d"):format(self._value) or "locked"
    return ("<%s %s,waiters:%d>"):format(self.__name, state, self._waiters.count)
end

--- Takes one, or waits for one to be released to it; raises a TimeoutError when `timeout` passes
-- first.
function Semaphore:acquire(timeout)
    timeout = seconds_of(timeout)
    if self._value > 0 then
        self._value = self._value - 1
    else
        self._waiters:wait(timeout)
    end
end

--- Gives one back: to the first who waits, if any.
function Semaphore:release()
    local waiter = self._waiters:pop()
    if waiter then
        ioloop.wake(waiter)
    else
        self._value = self._value + 1
    end
end

local function released(self, ...)
    self:release()
    return ioloop.unwrap(...)
end

--- Acquires, calls fn(...), releases, whatever happens; returns what fn does.
function Semaphore:with(fn, ...)
    if not util.is_callable(fn) then
        error("bad function: expected function, got " .. type(fn), 2)
    end
    self:acquire()
    return released(self, ioloop.try_in(ioloop.context(), fn, ...))
end

local BoundedSemaphore = Semaphore:extend "BoundedSemaphore"
locks.BoundedSemaphore = BoundedSemaphore

function BoundedSemaphore:init(value)
    Semaphore.init(self, value)
    self._initial = self._value
end

--- As Semaphore's, but raises when more are given back than were taken.
function BoundedSemaphore:release()
    if self._value >= self._initial then error("Semaphore released too many times", 2) end
    Semaphore.release(self)
end

-- Lock -------------------------------------------------------------------------------------

local Lock = BoundedSemaphore:extend "Lock"
locks.Lock = Lock

function Lock:init()
    BoundedSemaphore.init(self, 1)
end

function Lock:__tostring()
    return ("<Lock %s,waiters:%d>"):format(self._value > 0 and "unlocked" or "locked",
        self._waiters.count)
end

--- Gives it back: to the first who waits, if any. Raises when nobody has it.
function Lock:release()
    if self._value >= 1 then error("release unlocked lock", 2) end
    Semaphore.release(self)
end

return locks
