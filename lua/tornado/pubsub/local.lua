-- The backend of one worker: a message is delivered when it is published.
local core = require "tornado.core"
local Message = require "tornado.pubsub.message"
local Store = require "tornado.pubsub.store"
local util = require "tornado.util"

local floor, max = math.floor, math.max

local Local = util.Object:extend "LocalBackend"

--- Takes the limits of store.lua.
function Local:init(limits)
    self.store = Store(limits)
end

--- One that goes on with the messages of another backend.
function Local.over(store)
    local backend = Local(store.limits)
    backend.store = store
    return backend
end

--- From the hub.
function Local:attach(hub)
    self.hub = hub
end

--- The next id: microseconds since 1970, or one more than the last. So a later process (or
-- generation of the sites) goes on above those of an earlier one, and clients may keep them.
function Local:next_id()
    local now = core.now() - core.monotonic() + core.precise()
    return max(self.store.top + 1, floor(now * 1e6))
end

function Local:publish(topic, data)
    local message = Message(topic, self:next_id(), data)
    message:text() -- raises for what cannot be JSON
    self.store:add(message)
    self.hub:deliver(message)
    return message.id
end

function Local:latest(topic, limit)
    return self.store:latest(topic, limit)
end

function Local:since(topic, id)
    return self.store:since(topic, id)
end

local function nothing() end

Local.subscribe, Local.unsubscribe = nothing, nothing
Local.presence_changed, Local.close = nothing, nothing

return Local
