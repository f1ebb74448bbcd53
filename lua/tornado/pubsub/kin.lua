-- The generations of a worker's sites, joined: after a reload the streams that an older one keeps
-- get what is published in the newer one, and the newer one has the history. Each generation has
-- an end of a socket to the next one (its heir) and to the one before (its elder); messages get
-- their ids from the newest, or from its backend. An elder that was joined with other workers hands
-- its place among them over.
local frames = require "tornado.pubsub.frames"
local generation = require "tornado.generation"
local IOStream = require("tornado.iostream").IOStream
local ioloop = require "tornado.ioloop"
local Local = require "tornado.pubsub.local"
local Message = require "tornado.pubsub.message"
local util = require "tornado.util"

local encode = frames.encode

local MESSAGE, PUBLISH, HERE, STATE = 1, 2, 3, 4
local MAX_FRAME = 67108864
local MAX_BACKLOG = 268435456 -- bytes that may wait for another generation

local Kin = util.Object:extend "Kin"

-- The backend of a generation that has an heir. `held`: what was published here while this one
-- waited itself for what the one before hands over; that goes first, then this, then the rest.
local Retired = Local:extend "RetiredBackend"

function Retired:init(store, held)
    self.store, self._held = store, held or false
end

function Retired:publish(topic, data)
    Message(topic, 0, data):text() -- raises for what cannot be JSON
    local held = self._held
    if held then
        held[#held + 1] = { topic, data }
    else
        self:publish_older(topic, data)
    end
end

function Retired:publish_older(topic, data)
    self.hub._kin:send("heir", { PUBLISH, topic, data })
end

-- What the generation before has handed over comes by here.
function Retired:take(state)
    local held = self._held
    if not held then return end
    self._held = false
    for _, item in ipairs(held) do self:publish_older(item[1], item[2]) end
    self.hub._kin:send("heir", { STATE, state or false })
end

--- Takes a hub, whose other generations it will be told of.
function Kin:init(hub)
    self.hub = hub
    self._ends = {} -- role -> { stream =, frames =, size =, writes = }
    self._dirty = false
    self._head, self._body = false, false -- of the frame that is looked at
    generation.hold("kin", function()
        local elder, heir = self._ends.elder, self._ends.heir
        if elder and heir then return 1 end -- it is the way between those two
        return heir and heir.writes and 1 or 0
    end)
end

local function write_all(out)
    while #out.frames > 0 and not out.stream:closed() do
        local bytes = table.concat(out.frames)
        out.frames = {}
        pcall(out.stream.write, out.stream, bytes) -- fails when it is closed
        out.size = out.size - #bytes
    end
    out.writes = false
end

local function send_bytes(self, role, head, body)
    local out = self._ends[role]
    if not out then return end
    local n = #out.frames
    out.frames[n + 1], out.frames[n + 2] = head, body
    out.size = out.size + #head + #body
    if out.size > MAX_BACKLOG then return out.stream:close() end
    if out.writes then return end
    out.writes = true
    ioloop.spawn_callback(write_all, out)
end

--- Sends a frame to the heir or the elder, if there is one.
function Kin:send(role, list)
    if self._ends[role] then send_bytes(self, role, encode(list), "") end
end

local function send_message(self, role, message, synced)
    self:send(role, { MESSAGE, message.topic, message.id, message.data, synced or false,
        message.origin, message.serial })
end

local function send_presence(self, role, topic)
    local count, names = self.hub._presence:for_kin(topic, role)
    local list = {}
    for name in pairs(names) do list[#list + 1] = name end
    self:send(role, { HERE, topic, count, list })
end

--- From the hub: a message is delivered here. What came from the heir goes on as it came.
function Kin:pass_on(message, synced)
    if self._body then return send_bytes(self, "elder", self._head, self._body) end
    send_message(self, "elder", message, synced)
end

local function send_changes(self)
    local dirty = self._dirty
    self._dirty = false
    for topic in pairs(dirty) do
        for role in pairs(self._ends) do send_presence(self, role, topic) end
    end
end

--- From the hub. All changes of a turn go as one.
function Kin:presence_changed(topic)
    if not self._dirty then
        self._dirty = {}
        ioloop.spawn_callback(send_changes, self)
    end
    self._dirty[topic] = true
end

-- What comes -------------------------------------------------------------------------------

local on = {}

-- From the heir it is the next one; from the elder, what was before this generation.
on[MESSAGE] = function(self, role, topic, id, data, synced, origin, serial)
    local message = Message(topic, id, data, origin, serial)
    local kind = self.hub.backend.store:add(message)
    if kind and role == "heir" then
        self.hub:deliver(message, synced)
    elseif kind then
        self.hub:deliver_old(message)
        send_message(self, "heir", message, true) -- which came before this had
    end
end

on[PUBLISH] = function(self, _, topic, data)
    local backend = self.hub.backend
    ioloop.log_errors(backend.publish_older or backend.publish, backend, topic, data)
end

on[HERE] = function(self, role, topic, count, names)
    self.hub._presence:replace(topic, role, count, names)
end

-- From the elder.
on[STATE] = function(self, _, state)
    local backend = self.hub.backend
    if backend.take then backend:take(state or nil) end
end

-- Until the other generation has ended.
local function read(self, role, stream)
    local ok, frame, head, body = pcall(frames.read, stream, MAX_FRAME)
    while ok do
        self._head, self._body = head, role == "heir" and body
        ioloop.log_errors(on[frame[1]], self, role, unpack(frame, 2, 7))
        self._body = false
        ok, frame, head, body = pcall(frames.read, stream, MAX_FRAME)
    end
    stream:close()
    self._ends[role] = nil
    self.hub._presence:forget(role)
    if role == "heir" then return self.hub:use(Local.over(self.hub.backend.store)) end
    on[STATE](self, role, false)
end

local function send_history(self)
    local store = self.hub.backend.store
    for _, topic in ipairs(store:topics()) do
        for _, message in ipairs(store:latest(topic, math.huge)) do
            send_message(self, "heir", message, true)
        end
    end
end

-- Gives up its backend. Returns what the heir needs to go on; nil: that comes from the elder.
local function retire(self)
    local hub, before = self.hub, self.hub.backend
    if not before.leave then
        local state = before.hand_over and before:hand_over() or false
        hub:use(Retired(before.store))
        return state
    end
    local older, own = before:leave()
    hub:use(Retired(before.store, own))
    for _, item in ipairs(older) do hub.backend:publish_older(item[1], item[2]) end
end

-- The elder gives what it has; both tell who is there.
function Kin:join(role, descriptor)
    local stream, hub = IOStream(descriptor), self.hub
    local before = self._ends[role]
    if before then before.stream:close() end
    self._ends[role] = { stream = stream, frames = {}, size = 0, writes = false }
    ioloop.spawn_callback(read, self, role, stream)
    local state
    if role == "heir" then
        send_history(self)
        state = retire(self)
    end
    for _, topic in ipairs(hub._presence:topics()) do send_presence(self, role, topic) end
    if state ~= nil then self:send("heir", { STATE, state }) end
end

return Kin
