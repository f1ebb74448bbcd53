-- Queues between coroutines: who gets from an empty one waits, and who puts into a full one, both
-- in order. Timeouts are as in locks.lua. An item is never lost: a get() that is cancelled or out
-- of time has taken none.
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"
local waiters = require "tornado.locks.waiters"

local seconds_of = waiters.seconds_of

local queues = {}

--- Raised by get_nowait() and put_nowait().
local QueueEmpty = util.Error:extend "QueueEmpty"
local QueueFull = util.Error:extend "QueueFull"
queues.QueueEmpty, queues.QueueFull = QueueEmpty, QueueFull

local Queue = util.Object:extend "Queue"
queues.Queue = Queue

--- Takes how many items it holds at most (default 0: any number).
function Queue:init(maxsize)
    maxsize = maxsize or 0
    if type(maxsize) ~= "number" then
        error("bad maxsize: expected number, got " .. type(maxsize), 3)
    end
    if maxsize < 0 or maxsize ~= maxsize then error("maxsize can't be negative", 3) end
    self.maxsize = maxsize
    self._getters, self._putters, self._joiners = waiters.new(), waiters.new(), waiters.new()
    self._unfinished = 0
    self:_init()
end

-- What a kind of queue defines: an empty store, how many are in it, to put and to take one.

function Queue:_init()
    self._items, self._first, self._last = {}, 1, 0
end

--- How many items are in it.
function Queue:qsize()
    return self._last - self._first + 1
end

function Queue:_put(item)
    self._last = self._last + 1
    self._items[self._last] = item
end

function Queue:_get()
    local first = self._first
    local item = self._items[first]
    self._items[first] = nil
    if first == self._last then
        self._first, self._last = 1, 0
    else
        self._first = first + 1
    end
    return item
end

--- Returns whether there is nothing in it.
function Queue:empty()
    return self:qsize() == 0
end

--- Returns whether it holds as many as it may.
function Queue:full()
    return self.maxsize > 0 and self:qsize() >= self.maxsize
end

local function check_item(item)
    if item == nil then error("bad item: expected a value, got nil", 3) end
end

local function store(self, item)
    self._unfinished = self._unfinished + 1
    self:_put(item)
end

-- Puts without waiting; false when it is full.
local function try_put(self, item)
    local getter = self._getters:pop()
    if not getter then
        if self:full() then return false end
        store(self, item)
        return true
    end
    store(self, item)
    ioloop.wake(getter, self:_get())
    return true
end

-- Gets without waiting; nil when it is empty.
local function try_get(self)
    local putter = self._putters:pop()
    if putter then
        store(self, putter.item)
        ioloop.wake(putter)
    elseif self:empty() then
        return nil
    end
    local item = self:_get()
    return item
end

--- Puts an item (anything but nil), or raises QueueFull.
function Queue:put_nowait(item)
    check_item(item)
    if not try_put(self, item) then error(QueueFull(), 0) end
end

--- Takes an item, or raises QueueEmpty.
function Queue:get_nowait()
    local item = try_get(self)
    if item == nil then error(QueueEmpty(), 0) end
    return item
end

--- Puts an item; waits for room, and raises a TimeoutError when `timeout` passes first.
function Queue:put(item, timeout)
    check_item(item)
    timeout = seconds_of(timeout)
    if not try_put(self, item) then self._putters:wait(timeout, item) end
end

--- Takes an item; waits for one, and raises a TimeoutError when `timeout` passes first.
function Queue:get(timeout)
    timeout = seconds_of(timeout)
    local item = try_get(self)
    if item == nil then item = self._getters:wait(timeout) end
    return item
end

local function next_item(queue) -- the loop gives its last item, too
    return queue:get()
end

--- For loops without an end: for item in queue:items() do.
function Queue:items()
    return next_item, self
end

--- An item that was taken is done with; raises when there were no more.
function Queue:task_done()
    if self._unfinished <= 0 then error("task_done() called too many times", 2) end
    self._unfinished = self._unfinished - 1
    if self._unfinished == 0 then self._joiners:wake_all() end
end

--- Waits until task_done() was called for each item; raises a TimeoutError when `timeout` passes
-- first.
function Queue:join(timeout)
    timeout = seconds_of(timeout)
    if self._unfinished > 0 then self._joiners:wait(timeout) end
end

function Queue:__tostring()
    local out = { ("<%s maxsize=%s"):format(self.__name, tostring(self.maxsize)) }
    if not self:empty() then out[#out + 1] = ("queue[%d]"):format(self:qsize()) end
    for _, name in ipairs { "getters", "putters" } do
        local count = self["_" .. name].count
        if count > 0 then out[#out + 1] = ("%s[%d]"):format(name, count) end
    end
    if self._unfinished > 0 then out[#out + 1] = "tasks=" .. self._unfinished end
    return table.concat(out, " ") .. ">"
end

-- Other orders -------------------------------------------------------------------------------

local LifoQueue = Queue:extend "LifoQueue"
queues.LifoQueue = LifoQueue

function LifoQueue:_get()
    local item = self._items[self._last]
    self._items[self._last] = nil
    self._last = self._last - 1
    return item
end

local PriorityQueue = Queue:extend "PriorityQueue"
queues.PriorityQueue = PriorityQueue

-- Tables without an order of their own are { priority, ... }.
local function default_less(a, b)
    if type(a) == "table" and type(b) == "table" and not (getmetatable(a) or {}).__lt then
        return a[1] < b[1]
    end
    return a < b
end

--- Takes maxsize as Queue does, and less(a, b), which must not wait: whether `a` comes first
-- (default: a < b, or of tables a[1] < b[1]). Of equal ones the first that was put comes first.
function PriorityQueue:init(maxsize, less)
    if less ~= nil and not util.is_callable(less) then
        error("bad less: expected function, got " .. type(less), 3)
    end
    self._less = less or default_less
    Queue.init(self, maxsize)
end

-- A binary heap: items and, beside each, when it came.
function PriorityQueue:_init()
    self._items, self._order, self._size, self._count = {}, {}, 0, 0
end

--- How many items are in it.
function PriorityQueue:qsize()
    return self._size
end

local function comes_first(self, i, j)
    local items, less = self._items, self._less
    if less(items[i], items[j]) then return true end
    return not less(items[j], items[i]) and self._order[i] < self._order[j]
end

local function swap(self, i, j)
    local items, order = self._items, self._order
    items[i], items[j] = items[j], items[i]
    order[i], order[j] = order[j], order[i]
end

function PriorityQueue:_put(item)
    local at = self._size + 1
    self._size, self._count = at, self._count + 1
    self._items[at], self._order[at] = item, self._count
    while at > 1 do
        local above = (at - at % 2) / 2
        if not comes_first(self, at, above) then return end
        swap(self, at, above)
        at = above
    end
end

function PriorityQueue:_get()
    local size, item = self._size, self._items[1]
    swap(self, 1, size)
    self._items[size], self._order[size] = nil, nil
    size = size - 1
    self._size = size
    local at = 1
    while 2 * at <= size do
        local below = 2 * at
        if below < size and comes_first(self, below + 1, below) then below = below + 1 end
        if not comes_first(self, below, at) then break end
        swap(self, at, below)
        at = below
    end
    return item
end

return queues
