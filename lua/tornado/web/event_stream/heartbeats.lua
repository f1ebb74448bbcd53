-- Heartbeats of all event streams with one timer for each interval, which nearly always is the
-- same: the streams of an interval stand in the order in which their next heartbeat is due. What
-- a stream sends puts its heartbeat off; that is looked at when its turn comes.
local chains = require "tornado.util.chain"
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"

local heartbeats = {}

local SLACK = 0.1 -- share of the interval by which several come together

local groups = {} -- interval -> { chain =, timer =, interval = }

local tick

local function set_timer(group)
    local first = group.chain.first
    if not first then return end
    local delay = first._beat + group.interval * (1 + SLACK) - core.monotonic()
    local before = ioloop.enter(false) -- it is no request's
    group.timer = ioloop.call_later(delay, tick, group)
    ioloop.enter(before)
end

-- Those at the front who have been silent for the interval get their heartbeat. Whoever sent
-- something since goes to the end with the rest of its time, which is less than the others have:
-- so its heartbeat may come up to one interval late, and never twice.
function tick(group)
    group.timer = false
    local chain, now = group.chain, core.monotonic()
    local stream = chain.first
    while stream and stream._beat + group.interval <= now do
        chain:remove(stream)
        stream._beat = now
        chain:append(stream)
        if now - stream._sent >= group.interval then stream:_heartbeat() end
        stream = chain.first
    end
    if not group.timer then set_timer(group) end
end

--- Has stream:_heartbeat() called when it has sent nothing for `interval` seconds, by its _sent on
--- the scale of core.monotonic().
function heartbeats.add(stream, interval)
    local group = groups[interval]
    if not group then
        group = { chain = chains.new(), timer = false, interval = interval }
        groups[interval] = group
    end
    stream._beat = core.monotonic()
    group.chain:append(stream)
    stream._group = group
    if not group.timer then set_timer(group) end
end

--- No more heartbeats for a stream.
function heartbeats.remove(stream)
    local group = stream._group
    if not group then return end
    stream._group = false
    group.chain:remove(stream)
    if group.chain.first then return end
    if group.timer then ioloop.remove_timeout(group.timer) end
    group.timer = false
    if groups[group.interval] == group then groups[group.interval] = nil end
end

return heartbeats
