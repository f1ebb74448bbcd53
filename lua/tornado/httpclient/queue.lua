-- At most so many at once: the others wait in line, in a line of limited length.
local errors = require "tornado.httpclient.errors"
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"

local Queue = util.Object:extend "Queue"

--- `most` at once, `length` in line.
function Queue:init(most, length)
    self.most, self.length = most, length
    self.active, self.waiting = 0, 0
    self._line, self._first, self._last = {}, 1, 0
end

-- The next one's turn, if one waits; else there is one less.
function Queue:leave()
    while self._first <= self._last do
        local entry = self._line[self._first]
        self._line[self._first] = nil
        self._first = self._first + 1
        if not entry.gone then
            self.waiting = self.waiting - 1
            entry.granted = true
            ioloop.wake(entry.waiter)
            return
        end
    end
    self.active = self.active - 1
end

-- The wait of `entry` ended without its turn, or with a turn that it cannot take.
local function give_up(self, entry)
    if entry.timer then ioloop.remove_timeout(entry.timer) end
    if entry.granted then return self:leave() end
    entry.gone = true
    self.waiting = self.waiting - 1
end

local function wait_in_line(self, seconds)
    local entry = { waiter = ioloop.waiter() }
    if seconds > 0 then
        entry.timer = ioloop.call_later(seconds, ioloop.cancel, entry.waiter,
            errors.HTTPTimeoutError("Timeout in request queue"))
    end
    self._last = self._last + 1
    self._line[self._last] = entry
    self.waiting = self.waiting + 1
    ioloop.wait(entry.waiter, give_up, self, entry)
    if entry.timer then ioloop.remove_timeout(entry.timer) end
end

--- Waits for its turn, at most `seconds` (0: any time); leave() must follow. Raises
--- HTTPTimeoutError, and HTTPClientError when the line is full.
function Queue:enter(seconds)
    if self.active < self.most then
        self.active = self.active + 1
        return
    end
    if self.waiting >= self.length then
        error(errors.HTTPClientError(599, "the request queue is full"), 0)
    end
    wait_in_line(self, seconds)
end

--- Raises `err` where they wait in line.
function Queue:clear(err)
    for i = self._first, self._last do
        local entry = self._line[i]
        if not entry.gone then ioloop.cancel(entry.waiter, err) end
    end
end

return Queue
