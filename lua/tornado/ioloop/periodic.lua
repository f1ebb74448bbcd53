-- PeriodicCallback: calls a function at regular times.
local util = require "tornado.util"

local floor, random = math.floor, math.random

local ioloop -- given by itself: it requires this file

local PeriodicCallback = util.Object:extend "PeriodicCallback"

--- Takes a function, which may wait, how often to call it (milliseconds, or a timedelta), and
-- how far each period may randomly differ from that (`jitter`: 0.1 is 5 % up or down).
function PeriodicCallback:init(callback, callback_time, jitter)
    if not util.is_callable(callback) then
        error("bad callback: expected function, got " .. type(callback), 3)
    end
    if util.isinstance(callback_time, ioloop.timedelta) then
        callback_time = callback_time:total_seconds() * 1000
    end
    if type(callback_time) ~= "number" or callback_time <= 0
        or callback_time ~= callback_time then
        error("Periodic callback must have a positive callback_time", 3)
    end
    self.callback, self.callback_time, self.jitter = callback, callback_time, jitter or 0
    self._running, self._timeout, self._round = false, false, 0
end

-- When it comes next: one period behind the last time it should have come, whole periods that
-- were missed left out; after a clock that went back, one period behind, too.
function PeriodicCallback:_update_next(now)
    local period = self.callback_time / 1000
    if self.jitter > 0 then period = period * (1 + self.jitter * (random() - 0.5)) end
    local missed = 0
    if self._next_timeout <= now then missed = floor((now - self._next_timeout) / period) end
    self._next_timeout = self._next_timeout + (missed + 1) * period
end

local function run(self, round)
    if round ~= self._round then return end
    self._timeout = false
    ioloop.log_errors(self.callback)
    if round == self._round then self:_schedule_next() end
end

function PeriodicCallback:_schedule_next()
    self:_update_next(ioloop.time())
    self._timeout = ioloop.call_at(self._next_timeout, run, self, self._round)
end

--- Begins; the first call comes after one period.
function PeriodicCallback:start()
    if self._running then return end
    self._running = true
    self._round = self._round + 1
    self._next_timeout = ioloop.time()
    self:_schedule_next()
end

--- No call begins from here on; one that waits goes on.
function PeriodicCallback:stop()
    self._running = false
    self._round = self._round + 1
    if self._timeout then ioloop.remove_timeout(self._timeout) end
    self._timeout = false
end

--- Returns whether it was started, and not stopped.
function PeriodicCallback:is_running()
    return self._running
end

--- Returns the class, for the ioloop given.
return function(given)
    ioloop = given
    return PeriodicCallback
end
