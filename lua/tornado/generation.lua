-- What keeps a generation of the sites alive when it is to end: requests, streams,
-- WebSockets. Whoever has such things says how to count and how to end them.
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"

local generation = {}

local holders = {}
local takers = {} -- role -> function
local leaving = {}

--- Registers a kind of thing: count() returns how many there are, and finish(why), if given, has
-- them end: why is "stop" (the server ends) or "reload" (a newer generation has waited long
-- enough). settle(), if given, is called from time to time while such things are all that is left
-- of a generation that is to end.
function generation.hold(name, count, finish, settle)
    holders[name] = { count = count, finish = finish, settle = settle }
end

--- How many things keep this generation alive, those of the kind `without` not counted.
function generation.count(without)
    local n = 0
    for name, holder in pairs(holders) do
        if name ~= without then n = n + holder.count() end
    end
    return n
end

--- Lets the last kind of thing that is left come to its end.
function generation.settle()
    local last
    for _, holder in pairs(holders) do
        if holder.count() > 0 then
            if last then return end
            last = holder
        end
    end
    if last and last.settle then last.settle() end
end

--- Has all of them end.
function generation.finish(why)
    for _, holder in pairs(holders) do
        if holder.finish then holder.finish(why) end
    end
end

--- Has fn() called, which must not wait, as soon as this generation is to end, be it by a reload or
-- with the process.
function generation.on_leave(fn)
    leaving[#leaving + 1] = fn
end

--- Calls them, once.
function generation.leave()
    local list = leaving
    leaving = {}
    for _, fn in ipairs(list) do fn() end
end

-- Two generations that follow each other are joined by a pair of sockets. -------------------------

local function give(role, is_far)
    return function(descriptor)
        local take = takers[role]
        if take and take(descriptor, is_far) then return end
        local channel = core.adopt(descriptor)
        if channel then core.channel_close(channel) end
    end
end

ioloop.on(core.EVENT_HEIR, give("heir", false))
ioloop.on(core.EVENT_FAR_HEIR, give("heir", true))
ioloop.on(core.EVENT_ELDER, give("elder", false))

--- Has take(descriptor, is_far) called with this generation's end of what joins it to the next one
-- (role "heir"; is_far: that is in the process after an upgrade) or to the one before (role
-- "elder"). It returns whether it keeps it; what nobody keeps is closed.
function generation.join(role, take)
    takers[role] = take
end

return generation
