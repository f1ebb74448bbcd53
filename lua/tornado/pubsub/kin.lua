-- The generations of a worker's sites, joined: after a reload the streams that an older one keeps
-- get what is published in the newer one, and the newer one has the history. Each generation has
-- an end of a socket to the next one (its heir) and to the one before (its elder); messages get
-- their ids from the newest, or from its backend. An elder that was joined with other workers hands
-- its place among them over.
--
-- One in the middle that has nothing left but to be the way between those two leaves, so that many
-- reloads leave no chain: it asks both to LEAVE it alone, each answers LEFT behind all that it has
-- sent and keeps the rest back; then the heir ADOPTs the end of the elder's socket and has it
-- RESUME. Of two that want to leave, the older one goes first: it does not answer the other one,
-- which asks again when it has another elder. One whose heir is in another process, after an
-- upgrade, cannot leave so, as an end of a socket is told by its descriptor: it stays as long as
-- the elder has subscribers, or those before it. What is on its way between two processes may be
-- overtaken by what is published in the newer one.
--
-- What is said here is said to other programs, too: other frames are another CT_KIN_FRAMES
-- (server/elder.h), and then nothing goes over an upgrade.
local core = require "tornado.core"
local frames = require "tornado.pubsub.frames"
local generation = require "tornado.generation"
local IOStream = require("tornado.iostream").IOStream
local ioloop = require "tornado.ioloop"
local Local = require "tornado.pubsub.local"
local log = require "tornado.log"
local Message = require "tornado.pubsub.message"
local util = require "tornado.util"

local encode = frames.encode

local MESSAGE, PUBLISH, HERE, STATE = 1, 2, 3, 4
local LEAVE, LEFT, ADOPT, RESUME = 5, 6, 7, 8
local TAKEN = 9
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
    self._ends = {} -- role -> see new_end()
    self._dirty = false
    self._leaving = false -- role -> true of who has answered LEFT
    self._head, self._body = false, false -- of the frame that is looked at
    generation.hold("kin", function()
        local elder, heir = self._ends.elder, self._ends.heir
        if elder and heir and (not heir.far or hub._presence:has "elder") then
            return 1 -- it is the way between those two
        end
        return heir and (heir.writes or heir.held) and 1 or 0
    end, nil, function() self:leave() end)
end

-- `frames` wait to be written; `held`, when it is a table, those behind a LEFT.
local function new_end(descriptor, waiting, size)
    return {
        stream = IOStream(descriptor), frames = waiting or {}, size = size or 0, writes = false,
        held = false, waiter = false, far = false,
    }
end

local function write_all(out)
    while #out.frames > 0 and not out.stream:closed() do
        local bytes = table.concat(out.frames)
        out.frames = {}
        pcall(out.stream.write, out.stream, bytes) -- fails when it is closed
        out.size = out.size - #bytes
    end
    out.writes = false
    if out.waiter then ioloop.wake(out.waiter) end
    out.waiter = false
end

local function start_writing(out)
    if out.writes then return end
    out.writes = true
    ioloop.spawn_callback(write_all, out)
end

local function send_bytes(self, role, head, body)
    local out = self._ends[role]
    if not out then return end
    local list = out.held or out.frames
    local n = #list
    list[n + 1], list[n + 2] = head, body
    out.size = out.size + #head + #body
    if out.size > MAX_BACKLOG then return out.stream:close() end
    if not out.held then start_writing(out) end
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

-- Goes behind what is told of who is there.
local function tell_taken(self)
    ioloop.spawn_callback(self.send, self, "elder", { TAKEN })
end

-- From the elder.
on[STATE] = function(self, _, state)
    local backend = self.hub.backend
    if backend.take then backend:take(state or nil) end
    if not util.isinstance(self.hub.backend, Retired) then tell_taken(self) end
end

-- From the heir, or its heir: who is in other workers comes from there from now on.
on[TAKEN] = function(self)
    self.hub._presence:forget_far()
    tell_taken(self)
end

-- One in the middle leaves ----------------------------------------------------------------

-- Once, however often it is asked: one that began to leave after it had been asked itself says
-- LEAVE to its next elder by what it has kept back, and then again.
local function keep_back(self, role)
    if self._ends[role].held then return end
    self:send(role, { LEFT })
    self._ends[role].held = {}
end

local function let_go(out)
    local held = out.held
    out.held = false
    if not held then return end
    for i = 1, #held do out.frames[#out.frames + 1] = held[i] end
    start_writing(out)
end

on[LEAVE] = function(self, role)
    if role == "elder" or not self._leaving then keep_back(self, role) end
end

on[RESUME] = function(self, role)
    if self._ends[role] then let_go(self._ends[role]) end
end

local function flushed(out)
    if not out.writes then return end
    out.waiter = ioloop.waiter()
    ioloop.wait(out.waiter)
end

-- Both have answered, and what they have sent before has gone on.
local function introduce(self)
    local elder, heir = self._ends.elder, self._ends.heir
    if not elder or not heir then return end
    local copy, why = core.descriptor_copy(elder.stream:fileno())
    if not copy then
        log.gen_log:error("pubsub: this generation has to stay: %s", why)
        self._leaving = false
        self:send("heir", { RESUME })
        return self:send("elder", { RESUME })
    end
    flushed(elder)
    self:send("heir", { ADOPT, copy })
    flushed(heir)
    self._ends = {}
    elder.stream:close()
    heir.stream:close()
end

on[LEFT] = function(self, role)
    local leaving = self._leaving
    if not leaving then return end
    leaving[role] = true
    if leaving.elder and leaving.heir then ioloop.spawn_callback(introduce, self) end
end

--- Begins to leave: there is nothing here but the way between the elder and the heir.
function Kin:leave()
    local elder, heir = self._ends.elder, self._ends.heir
    if self._leaving or self.hub.backend._held or not (elder and heir) or heir.far then return end
    self._leaving = {}
    self:send("elder", { LEAVE })
    self:send("heir", { LEAVE })
end

-- Until the other generation has ended, or has been replaced.
local function read(self, role, stream)
    local ok, frame, head, body = pcall(frames.read, stream, MAX_FRAME)
    while ok do
        self._head, self._body = head, role == "heir" and body
        ioloop.log_errors(on[frame[1]], self, role, unpack(frame, 2, 7))
        self._body = false
        ok, frame, head, body = pcall(frames.read, stream, MAX_FRAME)
    end
    stream:close()
    if not self._ends[role] or self._ends[role].stream ~= stream then return end
    self._ends[role] = nil
    self.hub._presence:forget(role)
    if role == "heir" then
        self.hub._presence:forget_far()
        return self.hub:use(Local.over(self.hub.backend.store))
    end
    on[STATE](self, role, false)
end

on[ADOPT] = function(self, role, descriptor)
    local before = self._ends[role]
    local list = { encode { RESUME }, "" }
    for _, bytes in ipairs(before.held or {}) do list[#list + 1] = bytes end
    local one = new_end(descriptor, list, before.size + #list[1])
    self._ends[role] = one
    before.stream:close()
    start_writing(one)
    ioloop.spawn_callback(read, self, role, one.stream)
    if self._leaving then self:send(role, { LEAVE }) end
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
function Kin:join(role, descriptor, is_far)
    local one, hub = new_end(descriptor), self.hub
    one.far = is_far or false
    local before = self._ends[role]
    self._ends[role] = one
    if before then before.stream:close() end
    ioloop.spawn_callback(read, self, role, one.stream)
    local state
    if role == "heir" then
        send_history(self)
        state = retire(self)
    end
    for _, topic in ipairs(hub._presence:topics()) do send_presence(self, role, topic) end
    if state ~= nil then self:send("heir", { STATE, state }) end
end

return Kin
