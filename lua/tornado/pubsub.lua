-- Publish and subscribe: what one handler publishes to a topic, all its subscribers get, in one
-- order, be they functions, event streams, WebSockets or queues.
-- Tornado: has nothing of the kind.
--
-- Contents: publish, subscribe, history, poll, subscribers, presence, watch (those of the default
-- hub, see pubsub/hub.lua); Hub for hubs apart; Local, the backend of one worker; configure().
local Hub = require "tornado.pubsub.hub"
local Local = require "tornado.pubsub.local"
local util = require "tornado.util"

local pubsub = {}

local LIMITS = { history = 100, history_bytes = 1048576, topics = 10000 }

local function limits_of(options, what)
    local limits = util.options(options, LIMITS, what, 1)
    for name, value in pairs(limits) do
        if type(value) ~= "number" or value < 0 or value ~= value then
            error(("bad %s: expected a number that is not negative, got %s"):format(name,
                util.shown(value)), 3)
        end
    end
    return limits
end

--- A backend for this worker alone. Options: history (messages kept of a topic, 100),
-- history_bytes (of a topic, 1 MiB), topics (with history at a time, 10000).
function pubsub.Local(options)
    local limits = limits_of(options, "Local")
    return Local(limits)
end

--- A hub of its own over a backend (default: Local()).
function pubsub.Hub(backend)
    return Hub(backend or pubsub.Local())
end

local default

local function hub()
    default = default or pubsub.Hub()
    return default
end

--- Gives the functions of this module another backend. Before the first of them is used.
function pubsub.configure(backend)
    if default then error("configure() must come before the first use", 2) end
    default = Hub(backend)
end

for _, name in ipairs {
    "publish", "subscribe", "history", "poll", "subscribers", "presence", "watch",
} do
    pubsub[name] = function(...) return Hub[name](hub(), ...) end
end

return pubsub
