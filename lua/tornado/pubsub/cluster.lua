-- The backend that joins the workers of one machine, each with each by unix sockets.
--
-- A topic belongs to one worker, by its name. That one gives the topic's messages their ids and
-- passes them to all others, so every worker sees them in the same order, and a client that comes
-- again to another worker goes on where it was. What another worker publishes stays with it until
-- it has come back with an id, and is sent again when the connection was made anew; the owner
-- knows what it had already. A worker that is replaced is told the history of its topics, and
-- tells others what they have missed. Only when an owner dies in the middle of passing a message
-- on may that be delivered twice, with two ids.
local core = require "tornado.core"
local frames = require "tornado.pubsub.frames"
local Inlet = require "tornado.pubsub.inlet"
local ioloop = require "tornado.ioloop"
local Journal = require "tornado.pubsub.journal"
local Link = require "tornado.pubsub.link"
local Local = require "tornado.pubsub.local"
local log = require "tornado.log"
local Message = require "tornado.pubsub.message"
local util = require "tornado.util"

local encode = frames.encode
local byte, max = string.byte, math.max

local Cluster = Local:extend "ClusterBackend"

--- Raised by publish() when as much as may be waits for a worker that cannot be reached.
local Unreachable = util.Error:extend "Unreachable"
Cluster.Unreachable = Unreachable

local function path_of(self, index)
    return ("%s/pubsub-%d.sock"):format(self.path, index)
end

-- Which worker a topic belongs to.
local function owner_of(self, topic)
    local hash = 5381
    for i = 1, #topic do hash = (hash * 33 + byte(topic, i)) % 2147483648 end
    return hash % self.count + 1
end

-- The frames -------------------------------------------------------------------------------

local HELLO, PUBLISH, MESSAGE, SYNC, HERE, ALL_HERE, BEGIN = 1, 2, 3, 4, 5, 6, 7

-- What a peer answers is one number: that of the last message of the journal that it has; -1 when
-- it knows nothing of this instance.
local UNKNOWN = -1

local ACKNOWLEDGE = 0.05 -- seconds until it says so
local GRACE = 1 -- seconds: who is in a worker that is gone for less is not said to have left

-- `number` is that of the journal; 0: it is from the history.
local function message_frame(kind, number, message)
    return encode { kind, number, message.topic, message.id, message.data, message.origin,
        message.serial }
end

local function here_frame(topic, count, joined, left)
    return encode { HERE, topic, count, joined, left }
end

local function broadcast(self, frame)
    for _, link in pairs(self.links) do link:send(frame) end
end

-- To one that has just been connected ----------------------------------------------------------

local function send_presence(self, link)
    local presence = self.hub._presence
    for _, topic in ipairs(presence:topics()) do
        local count, names = presence:own(topic)
        local joined = {}
        for name in pairs(names) do joined[#joined + 1] = name end
        link:send(here_frame(topic, count, joined, {}))
    end
    link:send(encode { ALL_HERE })
end

-- The history of this worker's topics up to a number of the journal, and of the other's own, which
-- may be new; as much as half of the buffer holds.
local function send_history(self, link, index, number)
    for _, topic in ipairs(self.store:topics()) do
        local owner = owner_of(self, topic)
        if owner == self.index or owner == index then
            for _, message in ipairs(self.store:latest(topic, math.huge)) do
                if link:backlog() > link.limit / 2 then return end
                if (message.number or 0) <= number then
                    link:send(message_frame(SYNC, 0, message))
                end
            end
        end
    end
end

-- The journal does not reach back to what it has: the history must do. What was published since a
-- new one said that it is there is news to it all the same.
local function begin(self, link, index)
    local journal, mark = self.journal, self.marks[index]
    self.marks[index] = nil
    link.at = mark and journal:reaches(mark) and mark or journal.last
    journal:has(index, link.at)
    link:send(encode { BEGIN, link.at })
    send_history(self, link, index, link.at)
end

local function greet(self, link, index, number)
    local journal = self.journal
    send_presence(self, link)
    if journal:reaches(number) then
        link.at = number
        journal:has(index, number)
    else
        if number ~= UNKNOWN then
            log.gen_log:warning("pubsub: worker %d was too long away: it gets the history", index)
        end
        begin(self, link, index)
    end
    local pending = self.pending[index]
    for i = pending.first, pending.last do link:send(pending[i].frame) end
end

-- More for it of the journal.
local function pull(self, link, index)
    if link.at < self.journal.first - 1 then
        log.gen_log:warning("pubsub: worker %d is too slow: it gets the history", index)
        begin(self, link, index)
    end
    local bytes, number = self.journal:read(link.at)
    link.at = number or link.at
    return bytes
end

-- Publishing -------------------------------------------------------------------------------

-- By the owner: gives it an id, and to everybody.
local function order(self, topic, data, origin, serial)
    local message = Message(topic, self:next_id(), data, origin, serial)
    self.store:add(message)
    local journal = self.journal
    message.number = journal.last + 1
    journal:add(message_frame(MESSAGE, message.number, message))
    for _, link in pairs(self.links) do link:stir() end
    self.hub:deliver(message)
    return message.id
end

local function keep(self, owner, frame)
    local pending = self.pending[owner]
    if pending.bytes + #frame > self.buffer then
        error(Unreachable("publish: %d bytes wait for worker %d", pending.bytes, owner), 0)
    end
    pending.last = pending.last + 1
    pending.bytes = pending.bytes + #frame
    pending[pending.last] = { serial = self.serial, frame = frame }
end

-- One of this worker's messages has come back with an id.
local function settle(self, message)
    local pending = self.pending[owner_of(self, message.topic)]
    while pending and pending.first <= pending.last and
        pending[pending.first].serial <= message.serial do
        pending.bytes = pending.bytes - #pending[pending.first].frame
        pending[pending.first] = nil
        pending.first = pending.first + 1
    end
end

function Cluster:publish(topic, data)
    local size = #Message(topic, 0, data):text() -- raises for what cannot be JSON
    if size > self.max_message then
        error(util.Error("publish: a message of %d bytes, of at most %d", size,
            self.max_message), 0)
    end
    local owner = owner_of(self, topic)
    if owner == self.index then return order(self, topic, data) end
    local serial = self.serial + 1
    local frame = encode { PUBLISH, topic, data, serial }
    self.serial = serial
    keep(self, owner, frame)
    self.links[owner]:send(frame)
end

-- What comes ---------------------------------------------------------------------------------

local on = {}

-- It is gone, or not there yet: it has a while to come again.
local function lose(self, index)
    if self.lost[index] then return end
    self.lost[index] = ioloop.call_later(GRACE, function()
        self.lost[index] = nil
        self.hub._presence:forget(index)
    end)
end

local function keep_presence(self, index)
    if self.lost[index] then ioloop.remove_timeout(self.lost[index]) end
    self.lost[index] = nil
end

-- Of an instance that is new to this worker: what it tells of topics that are new, too, is no
-- news (see Hub:deliver()). Of one that is known, such as the next generation of a worker, those
-- who are there stay, unless they are not named again.
on[HELLO] = function(self, peer, index, instance, count)
    if count ~= self.count or not self.links[index] then
        error(util.Error("worker %s of %s", tostring(index), tostring(count)), 0)
    end
    local before = self.peers[index]
    if before and before.instance ~= instance then
        self.seen[before.instance], self.got[before.instance] = nil, nil
    end
    peer.index, peer.instance = index, instance
    peer.fresh = self.known[index] ~= instance and {}
    peer.named = {}
    keep_presence(self, index)
    if peer.fresh then
        self.hub._presence:forget(index)
        self.marks[index] = self.journal.last
        self.journal:has(index, self.journal.last)
    end
    self.peers[index], self.known[index] = peer, instance
    self.links[index]:poke()
    peer.answer { self.got[instance] or UNKNOWN }
end

-- From here on come the messages behind that number.
on[BEGIN] = function(self, peer, number)
    self.got[peer.instance] = number
end

-- Says what has come, for all that came meanwhile.
local function acknowledge(self, peer)
    peer.timer = nil
    peer.answer { self.got[peer.instance] }
end

on[PUBLISH] = function(self, peer, topic, data, serial)
    local instance = peer.instance
    if serial <= (self.seen[instance] or 0) then return end
    self.seen[instance] = serial
    order(self, topic, data, instance, serial)
end

local function receive(self, topic, id, data, origin, serial)
    local message = Message(topic, id, data, origin, serial)
    if origin == self.instance then settle(self, message) end
    if origin and owner_of(self, topic) == self.index then
        self.seen[origin] = max(self.seen[origin] or 0, serial)
    end
    return message, self.store:add(message)
end

-- While one connection takes another one's place, a message may come by both.
on[MESSAGE] = function(self, peer, number, ...)
    if number <= (self.got[peer.instance] or 0) then return end
    self.got[peer.instance] = number
    peer.timer = peer.timer or ioloop.call_later(ACKNOWLEDGE, acknowledge, self, peer)
    local message, kind = receive(self, ...)
    if kind == "new" or kind == "first" then self.hub:deliver(message) end
end

on[SYNC] = function(self, peer, _, topic, ...)
    local message, kind = receive(self, topic, ...)
    if kind == "first" and peer.fresh then peer.fresh[topic] = true end
    if kind == "new" or kind == "first" then
        self.hub:deliver(message, peer.fresh and peer.fresh[topic])
    end
end

on[HERE] = function(self, peer, topic, count, joined, left)
    local presence = self.hub._presence
    if not peer.named then return presence:set(topic, peer.index, count, joined, left) end
    peer.named[topic] = true
    presence:replace(topic, peer.index, count, joined)
end

-- All that it has was named.
on[ALL_HERE] = function(self, peer)
    self.hub._presence:forget(peer.index, peer.named)
    peer.named = nil
end

local function on_frame(self, peer, list)
    if not peer.index and list[1] ~= HELLO then error(util.Error("no greeting"), 0) end
    on[list[1]](self, peer, unpack(list, 2, 7))
end

local function on_end(self, peer)
    if peer.timer then ioloop.remove_timeout(peer.timer) end
    if not peer.index or self.peers[peer.index] ~= peer then return end
    self.peers[peer.index], self.marks[peer.index] = nil, nil
    if not self.closed then lose(self, peer.index) end
end

-- Presence -----------------------------------------------------------------------------------

-- All changes of a turn go as one.
local function send_changes(self)
    local dirty = self.dirty
    self.dirty = false
    if self.closed then return end
    for topic, names in pairs(dirty) do
        local count, present = self.hub._presence:own(topic)
        local joined, left = {}, {}
        for name in pairs(names) do
            local list = present[name] and joined or left
            list[#list + 1] = name
        end
        broadcast(self, here_frame(topic, count, joined, left))
    end
end

function Cluster:presence_changed(topic, name, origin, joined, left)
    if self.closed or type(origin) == "number" then return end
    if not self.dirty then
        self.dirty = {}
        ioloop.spawn_callback(send_changes, self)
    end
    local names = self.dirty[topic] or {}
    self.dirty[topic] = names
    if name then names[name] = true end
    for _, list in ipairs { joined or {}, left or {} } do
        for _, other in ipairs(list) do names[other] = true end
    end
end

-- Beginning and end ----------------------------------------------------------------------------

--- Takes { path =, index =, count =, buffer =, max_message = } and the limits of store.lua.
function Cluster:init(options, limits)
    Local.init(self, limits)
    self.path, self.index, self.count = options.path, options.index, options.count
    self.buffer, self.max_message = options.buffer, options.max_message
    self.instance = core.hex(core.random(8))
    self.serial, self.closed, self.dirty = 0, false, false
    self.links, self.pending = {}, {}
    self.peers = {} -- index -> connection from there
    self.known = {} -- index -> the instance last heard of
    self.seen = {}  -- instance -> serial of its last message that has an id
    self.got = {}   -- instance -> number of the last message of its journal
    self.lost = {}  -- index -> timer, while its end is recent
    self.marks = {} -- index -> number of the journal when a new one came
    self.far = {}   -- what another generation has heard of other workers: see Presence:far()
    local others = {}
    for index = 1, self.count do
        if index ~= self.index then others[#others + 1] = index end
    end
    self.others, self.journal = others, Journal(self.buffer, others)
end

local STATE = { "instance", "serial", "pending", "known", "seen", "got", "count" }

--- What the next generation of this worker needs to go on in its place: strings, numbers, tables.
function Cluster:hand_over()
    local state = { far = self.hub._presence:far() }
    for _, name in ipairs(STATE) do state[name] = self[name] end
    state.journal = self.journal:state()
    return state
end

--- Goes on with the messages of `store`, and with what another hand_over() returned, or nil.
--- Before a hub takes it. Returns self.
function Cluster:go_on(store, state)
    self.store = store
    if not state or state.count ~= self.count then return self end
    for _, name in ipairs(STATE) do self[name] = state[name] end
    self.journal:go_on(state.journal)
    self.far = state.far
    return self
end

-- Who was in other workers is there, until those say otherwise, or do not come.
local function go_on_with(self, far)
    for _, part in ipairs(far) do
        local topic, index, count, names = unpack(part)
        self.hub._presence:replace(topic, index, count, names)
        lose(self, index)
    end
end

function Cluster:attach(hub)
    self.hub = hub
    go_on_with(self, self.far)
    self.far = {}
    self.inlet = Inlet(path_of(self, self.index), self.buffer,
        function(peer, list) return on_frame(self, peer, list) end,
        function(peer) on_end(self, peer) end)
    local greeting = encode { HELLO, self.index, self.instance, self.count }
    for _, index in ipairs(self.others) do
        self.pending[index] = self.pending[index] or { first = 1, last = 0, bytes = 0 }
        self.links[index] = Link(path_of(self, index), self.buffer, greeting, {
            connect = function(link, answer) greet(self, link, index, answer[1]) end,
            answer = function(_, answer) self.journal:has(index, answer[1]) end,
            pull = function(link) return pull(self, link, index) end,
        })
    end
    log.gen_log:debug("pubsub: worker %d of %d", self.index, self.count)
end

--- How many other workers it reaches and hears.
function Cluster:connected()
    local n = 0
    for index, link in pairs(self.links) do
        if link.connected and self.peers[index] then n = n + 1 end
    end
    return n
end

function Cluster:close()
    if self.closed then return end
    self.closed = true
    for _, link in pairs(self.links) do link:close() end
    for _, timer in pairs(self.lost) do ioloop.remove_timeout(timer) end
    if self.inlet then self.inlet:close() end
end

return Cluster
