-- The part of ioloop that watches descriptors which others read and write: add_handler() and its
-- like. It extends the table of ioloop.lua.
local core = require "tornado.core"
local util = require "tornado.util"

local READ, WRITE, ERROR = core.READY_READ, core.READY_WRITE, core.READY_ERROR
local ALL = READ + WRITE + ERROR

local handlers = {}
local by_watch = {} -- handle -> { fd, fn, watch, target }
local by_fd = {}    -- descriptor -> the same

local function descriptor_of(fd, level)
    local number = fd
    if type(fd) == "table" and util.is_callable(fd.fileno) then number = fd:fileno() end
    if type(number) == "number" and number >= 0 then return number end
    error("bad descriptor: expected a number or an object with fileno(), got " ..
        util.shown(number), level + 1)
end

local function check_events(events, level)
    if type(events) == "number" and events >= 0 and bit.band(events, ALL) == events then
        return
    end
    error("bad events: expected a sum of READ, WRITE and ERROR, got " .. util.shown(events),
        level + 1)
end

--- Calls fn(fd, events) in each turn in which the descriptor is ready for one of `events`
--- (READ, WRITE; ERROR always), as long as it is. `fd` is a number or an object with fileno();
--- it stays its owner's, who calls remove_handler() before closing it.
function handlers.add_handler(fd, fn, events)
    local number = descriptor_of(fd, 2)
    if not util.is_callable(fn) then
        error("bad handler: expected function, got " .. type(fn), 2)
    end
    check_events(events, 2)
    if by_fd[number] then error(("fd %d added twice"):format(number), 2) end
    local watch, why = core.watch(number, events)
    if not watch then error(("cannot watch fd %d: %s"):format(number, why), 2) end
    local entry = { fd = fd, fn = fn, watch = watch }
    by_fd[number], by_watch[watch] = entry, entry
end

--- Changes what a descriptor's handler is called for.
function handlers.update_handler(fd, events)
    local number = descriptor_of(fd, 2)
    check_events(events, 2)
    local entry = by_fd[number]
    if not entry then error(("fd %d has no handler"):format(number), 2) end
    local ok, why = core.watch_update(entry.watch, events)
    if not ok then error(("cannot watch fd %d: %s"):format(number, why), 2) end
end

--- Stops watching a descriptor; fine when it was not watched.
function handlers.remove_handler(fd)
    local number = descriptor_of(fd, 2)
    local entry = by_fd[number]
    if not entry then return end
    core.watch_close(entry.watch)
    by_fd[number], by_watch[entry.watch] = nil, nil
end

-- What was registered is closed, by itself if it can.
local function close_object(fd)
    if type(fd) == "table" and util.is_callable(fd.close) then return fd:close() end
    core.close_descriptor(type(fd) == "number" and fd or fd:fileno())
end

--- Stops watching all descriptors, and with `all_fds` closes what was registered. The loop itself
--- is the process's, and goes on.
-- Tornado: it cannot be started again.
local function close(_, all_fds)
    local list = {}
    for _, entry in pairs(by_fd) do list[#list + 1] = entry.fd end
    for _, fd in ipairs(list) do
        handlers.remove_handler(fd)
        if all_fds then close_object(fd) end
    end
end

--- Puts them into the table of ioloop.lua, and into its class.
return function(ioloop)
    local IOLoop = ioloop.IOLoop
    for _, target in ipairs { ioloop, IOLoop } do
        target.READ, target.WRITE, target.ERROR, target.NONE = READ, WRITE, ERROR, 0
    end
    for name, fn in pairs(handlers) do
        ioloop[name] = fn
        IOLoop[name] = function(_, ...) return fn(...) end
    end
    IOLoop.close = close
    ioloop.on(core.EVENT_WATCH, function(handle)
        local events = core.watch_ready(handle)
        local entry = by_watch[handle]
        if entry and events ~= 0 then entry.fn(entry.fd, events) end
    end)
end
