-- A list whose items are linked by two fields of their own, so that one leaves it without a search.
-- An item is in one chain at most.
local Chain = {}
Chain.__index = Chain

--- Adds an item at the end; it must be in no chain.
function Chain:append(item)
    local last = self.last
    item._before, item._after, item._chain = last or false, false, self
    if last then last._after = item else self.first = item end
    self.last = item
    self.count = self.count + 1
end

--- Takes an item out; fine when it is not in this chain.
function Chain:remove(item)
    if item._chain ~= self then return end
    local before, after = item._before, item._after
    if before then before._after = after else self.first = after end
    if after then after._before = before else self.last = before end
    item._before, item._after, item._chain = false, false, false
    self.count = self.count - 1
end

return {
    --- An empty chain: first, last (false: none), count.
    new = function() return setmetatable({ first = false, last = false, count = 0 }, Chain) end,
}
