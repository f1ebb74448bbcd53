-- A clock for cases that would wait long: time as Lua sees it (core.now, core.monotonic, and
-- the timers under ioloop.call_later) stands still until it is told to go on. C's own
-- deadlines, those of connections, do not know of it; nor does core.precise.
local case = require "tornado.testing.case"
local core = require "tornado.core"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"

local Clock = util.Object:extend "Clock"

local REPLACED = { "now", "monotonic", "timer", "timer_stop" }
local MAX_TURNS = 1000 -- for the callbacks of one instant
local ROUNDING = 1e-6 -- of a difference of two wall clocks, as in ioloop.call_at

local running -- the clock that is installed

local function install(self)
    local real = {}
    for _, name in ipairs(REPLACED) do real[name] = core[name] end
    self._real = real
    self._wall, self._monotonic = real.now(), real.monotonic()
    function core.now() return self._wall + self._passed end
    function core.monotonic() return self._monotonic + self._passed end
    -- Negative, so none of C's; what is due now needs no time to pass.
    function core.timer(seconds)
        if seconds <= 0 then return real.timer(0) end
        self._last = self._last + 1
        self._due[-self._last] = self._passed + seconds
        return -self._last
    end
    function core.timer_stop(handle)
        if handle > 0 then return real.timer_stop(handle) end
        local was = self._due[handle] ~= nil
        self._due[handle] = nil
        return was
    end
end

--- See testing.clock().
function Clock:init()
    if running then error("there is a clock already", 3) end
    self._passed, self._last, self._due = 0, 0, {}
    install(self)
    running = self
    case.finally(function() self:restore() end)
end

-- Until nothing is queued, so that who was woken has gone on, and waits again or has ended.
local function settle()
    for _ = 1, MAX_TURNS do
        gen.moment()
        if ioloop.counts().queued == 0 then return end
    end
    error(util.TimeoutError("callbacks add callbacks without end"), 0)
end

-- The timer that is due first, the older one of two.
local function first(self)
    local best, at
    for handle, due in pairs(self._due) do
        if not best or due < at or due == at and handle > best then best, at = handle, due end
    end
    return best, at
end

--- Lets time pass: timers fire in their order, each at its time, and what they wake runs before
--- the next one. Waits for that, but not for what sockets have to say.
function Clock:advance(seconds)
    if type(seconds) ~= "number" or not (seconds >= 0 and seconds < math.huge) then
        error("bad seconds: expected a number >= 0, got " .. util.shown(seconds), 2)
    end
    if running ~= self then error("the clock has been restored", 2) end
    local stop = self._passed + seconds
    settle()
    local handle, due = first(self)
    while handle and due <= stop + ROUNDING do
        self._passed = math.max(self._passed, math.min(due, stop))
        self._due[handle] = nil
        ioloop.add_callback(ioloop.fire, handle)
        settle()
        handle, due = first(self)
    end
    self._passed = stop
end

--- How many seconds have passed on this clock.
function Clock:elapsed()
    return self._passed
end

--- How many timers wait for it.
function Clock:pending()
    local count = 0
    for _ in pairs(self._due) do count = count + 1 end
    return count
end

--- Puts the real clock back; the end of a case does. Timers that are left are an error.
function Clock:restore()
    if running ~= self then return end
    local left = self:pending()
    for handle in pairs(self._due) do ioloop.remove_timeout(handle) end
    for _, name in ipairs(REPLACED) do core[name] = self._real[name] end
    running = nil
    if left > 0 then
        error(("leaked %d timer%s of testing.clock()"):format(left, left > 1 and "s" or ""), 0)
    end
end

return Clock
