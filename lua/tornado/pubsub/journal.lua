-- What a worker has told all others, in order and with numbers, until each of them has said that
-- it has it: so a connection that ends, and a generation that takes another one's place, go on
-- where it was. Bounded by bytes; who is further behind misses something, and is told so.
local util = require "tornado.util"

local max, min = math.max, math.min

local Journal = util.Object:extend "Journal"

local PIECE = 262144 -- bytes that are sent at once

--- Takes how many bytes are kept, and the numbers of the other workers (a list).
function Journal:init(limit, others)
    self.limit = limit
    self.first, self.last, self.bytes = 1, 0, 0
    self._frames = {} -- number -> bytes
    self._has = {}    -- worker -> the last number that it has
    for _, index in ipairs(others) do self._has[index] = 0 end
end

local function drop_to(self, number)
    while self.first <= number and self.first <= self.last do
        self.bytes = self.bytes - #self._frames[self.first]
        self._frames[self.first] = nil
        self.first = self.first + 1
    end
end

--- Adds a frame, whose number is last + 1.
function Journal:add(frame)
    self.last = self.last + 1
    self._frames[self.last] = frame
    self.bytes = self.bytes + #frame
    while self.bytes > self.limit do drop_to(self, self.first) end
end

--- A worker has everything up to that number.
function Journal:has(index, number)
    local before = self._has[index]
    if not before or number <= before then return end
    self._has[index] = number
    if before >= self.first then return end -- others are behind it
    local least = number
    for _, n in pairs(self._has) do least = min(least, n) end
    drop_to(self, least)
end

--- Whether a worker that has everything up to `number` can go on behind it.
function Journal:reaches(number)
    return number >= self.first - 1 and number <= self.last
end

--- The bytes of some frames behind `number`, and the number of the last of them; nil: there are
--- none. What is not kept any more is left out.
function Journal:read(number)
    local from = max(number + 1, self.first)
    if from > self.last then return nil end
    local list, size, at = {}, 0, from
    while at <= self.last and size < PIECE do
        list[#list + 1] = self._frames[at]
        size = size + #self._frames[at]
        at = at + 1
    end
    return table.concat(list), at - 1
end

--- All of it, as a table that can be encoded.
function Journal:state()
    return { first = self.first, last = self.last, bytes = self.bytes, frames = self._frames,
        has = self._has }
end

--- Goes on with what another's state() was, of the same workers.
function Journal:go_on(state)
    self.first, self.last, self.bytes = state.first, state.last, state.bytes
    self._frames, self._has = state.frames, state.has
end

return Journal
