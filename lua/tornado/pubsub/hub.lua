-- Topics, who is subscribed to them in this worker, and a backend, which gives messages their ids
-- and order and takes them to other workers.
--
-- A backend has: attach(hub), called once; publish(topic, data), which returns the message's id or
-- nil, and has hub:deliver(message, synced) called for it here and in all other workers, in one
-- order for each topic; subscribe(topic) and unsubscribe(topic), for the first and the last
-- subscriber here; latest(topic, n) and since(topic, id), the history (see store.lua);
-- presence_changed(topic, name); close(). local.lua, cluster.lua are such.
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local outlets = require "tornado.pubsub.outlets"
local Presence = require "tornado.pubsub.presence"
local util = require "tornado.util"

local Hub = util.Object:extend "Hub"

--- Takes a backend, which is the hub's from here on.
function Hub:init(backend)
    self.backend = backend
    self._topics = {} -- topic -> list of subscriptions
    self._kin = false -- see kin.lua
    self._presence = Presence(function(topic, ...)
        self.backend:presence_changed(topic, ...)
        if self._kin then self._kin:presence_changed(topic) end
    end)
    backend:attach(self)
end

local function check_topic(topic)
    if type(topic) ~= "string" or topic == "" then
        error("bad topic: expected a string that is not empty, got " .. util.shown(topic), 3)
    end
end

-- Publishing -------------------------------------------------------------------------------

local DATA = { string = true, number = true, boolean = true, table = true }

--- Gives a message (a string, or what can become JSON) to all subscribers of a topic. Never waits.
-- Returns its id, or nil when another worker will give it one.
function Hub:publish(topic, data)
    check_topic(topic)
    if not DATA[type(data)] then
        error("bad message: expected a string, number, boolean or table, got " .. type(data), 2)
    end
    return self.backend:publish(topic, data)
end

local SLICE = 500       -- subscribers that get a message in one turn of the loop
local MOST_PENDING = 100 -- messages of a topic that wait for turns

-- Gives a message to those from number `last` down to `first`. The order in which subscribers get
-- it is not theirs to know: so the last may take the place of one that leaves. Each remembers
-- which message it had last, so it never gets one twice.
local function deliver_to(list, message, last, first)
    local id = message.id
    for i = last, first, -1 do
        local sub = list[i]
        if sub and sub._last_id < id then
            sub._last_id = id
            sub._deliver(sub, message)
        end
    end
end

-- Thousands of subscribers are served in slices, so that one message does not stop the loop.
local function run_slice(list)
    local pending = list.pending
    local first = math.max(1, list.cursor - SLICE + 1)
    deliver_to(list, pending[pending.first], list.cursor, first)
    list.cursor = first - 1
    if list.cursor < 1 then
        pending[pending.first] = nil
        pending.first = pending.first + 1
        list.cursor = #list
    end
    if pending.first <= pending.last then
        ioloop.spawn_callback(run_slice, list)
    else
        list.pending = false
    end
end

local function deliver(list, message)
    local pending = list.pending
    if not pending then
        if #list <= SLICE then return deliver_to(list, message, #list, 1) end
        list.pending = { first = 1, last = 1, message }
        list.cursor = #list
        return run_slice(list)
    end
    pending.last = pending.last + 1
    pending[pending.last] = message
    if pending.last - pending.first < MOST_PENDING then return end
    for i = pending.first, pending.last do deliver_to(list, pending[i], #list, 1) end
    list.cursor = 0 -- the callback under way finds one that everybody has
    pending.first = pending.last
end

local function deliver_synced(list, message)
    for i = #list, 1, -1 do
        local sub = list[i]
        if sub and sub._since and message.id > math.max(sub._since, sub._last_id) then
            sub._last_id = message.id
            sub._deliver(sub, message)
        end
    end
end

--- From the backend: the next message of a topic. `synced`: it is not new, but this worker hears
-- of it only now, and of its topic for the first time: only who asked for what was gets it.
function Hub:deliver(message, synced)
    if self._kin then self._kin:pass_on(message, synced) end
    local list = self._topics[message.topic]
    if not list then return end
    if synced then deliver_synced(list, message) else deliver(list, message) end
end

--- From kin.lua: a message from before this generation.
function Hub:deliver_old(message)
    local list = self._topics[message.topic]
    if list then deliver_synced(list, message) end
end

--- Goes on with another backend; subscriptions stay.
function Hub:use(backend)
    self.backend:close()
    self.backend = backend
    backend:attach(self)
    for topic in pairs(self._topics) do backend:subscribe(topic) end
end

-- Subscribing ------------------------------------------------------------------------------

local Subscription = util.Object:extend "Subscription"

Subscription.closed = false
Subscription.missed = false -- with `since`: whether there may have been more than is kept
Subscription.dropped = 0
Subscription._last_id = 0
Subscription._since = false

--- Ends it. What waits for a function or WebSocket is dropped.
function Subscription:close()
    if self.closed then return end
    self.closed = true
    local hub, topic = self.hub, self.topic
    local list = hub._topics[topic]
    local last = list[#list]
    list[self._at], last._at = last, self._at
    list[#list] = nil
    outlets.leave(self)
    if #list == 0 then
        hub._topics[topic] = nil
        hub.backend:unsubscribe(topic)
    end
    hub._presence:change(topic, self.name, -1)
end

local OVERFLOWS = { drop_oldest = true, drop_newest = true, close = true }

local OPTIONS = {
    history = 0, since = util.NONE, name = util.NONE, limit = 1000, overflow = "drop_oldest",
    event = "",
}

local function check(options)
    if not OVERFLOWS[options.overflow] then
        error('bad overflow: expected "drop_oldest", "drop_newest" or "close", got ' ..
            util.shown(options.overflow), 3)
    end
    for _, name in ipairs { "history", "limit" } do
        if type(options[name]) ~= "number" or options[name] < 0 then
            error(("bad %s: expected a number of messages, got %s"):format(name,
                util.shown(options[name])), 3)
        end
    end
    if options.name ~= nil and type(options.name) ~= "string" then
        error("bad name: expected string, got " .. type(options.name), 3)
    end
end

local AHEAD = 60e6 -- microseconds that another worker's clock may go before ours

-- An id as clients give it back (see Local:next_id()); what cannot be one counts as not given.
local function to_id(since)
    local id = tonumber(since)
    return id and id >= 0 and id < core.now() * 1e6 + AHEAD and id or nil
end

local function replay(sub, options)
    local backend, since = sub.hub.backend, to_id(options.since)
    local list
    if since then
        sub._since = since
        list, sub.missed = backend:since(sub.topic, since)
    elseif options.history > 0 then
        sub._since = 0
        list = backend:latest(sub.topic, options.history)
    end
    for _, message in ipairs(list or {}) do
        sub._last_id = message.id
        sub:_deliver(message)
    end
    -- Others may still be on their way to those who came before; and this worker may be behind
    -- the one that had this subscriber.
    local last = backend:latest(sub.topic, 1)[1]
    sub._last_id = math.max(sub._last_id, last and last.id or 0, since or 0)
end

--- Subscribes a function(message), an event stream, a WebSocket (anything with write_message()) or
-- a Queue to a topic. The function and write_message() are called in one coroutine, in order, and
-- may wait; when they raise that something is closed, the subscription ends.
-- Options: since (the id of the last message known: those behind it come first) or
-- history (that many of the last come first), name (for presence), event (of event streams: their
-- type), limit (messages that may wait for a function or WebSocket, 1000; streams and Queues have
-- their own), overflow (what happens above: "drop_oldest", "drop_newest", or "close", which ends
-- the subscription and the event stream or WebSocket that it is for). Returns the
-- subscription: close(), closed, dropped, missed. It ends with its event stream by itself.
function Hub:subscribe(topic, target, options)
    check_topic(topic)
    options = util.options(options, OPTIONS, "subscribe")
    check(options)
    local sub = Subscription()
    sub.hub, sub.topic, sub.target, sub.name = self, topic, target, options.name
    sub.limit, sub.overflow, sub.event = options.limit, options.overflow, options.event
    local list = self._topics[topic]
    if not list then
        list = {}
        self._topics[topic] = list
        self.backend:subscribe(topic)
    end
    sub._at = #list + 1
    list[sub._at] = sub
    self._presence:change(topic, sub.name, 1)
    local ok, outlet = pcall(outlets.of, sub, 0)
    if not ok then
        sub:close()
        error(outlet, 2)
    end
    sub._deliver = outlet
    if not sub.closed then replay(sub, options) end
    return sub
end

-- Asking -------------------------------------------------------------------------------------

local HISTORY = { since = util.NONE, limit = math.huge }

--- Messages that are kept of a topic, oldest first, and with `since` (an id) whether there may have
-- been more behind it. Options: since, limit (the last so many).
function Hub:history(topic, options)
    check_topic(topic)
    options = util.options(options, HISTORY, "history")
    local since = to_id(options.since)
    if not since then return self.backend:latest(topic, options.limit) end
    local list, missed = self.backend:since(topic, since)
    while #list > options.limit do
        table.remove(list, 1)
        missed = true
    end
    return list, missed
end

--- How many are subscribed to a topic, in all workers.
function Hub:subscribers(topic)
    check_topic(topic)
    return self._presence:count(topic)
end

--- The names of those who subscribed with one, in all workers: sorted, each once.
function Hub:presence(topic)
    check_topic(topic)
    return self._presence:names(topic)
end

--- Has fn("join" or "leave", name) called when a name comes to a topic or is there no more. Returns
-- an object with close().
function Hub:watch(topic, fn)
    check_topic(topic)
    if not util.is_callable(fn) then
        error("bad function: expected function, got " .. type(fn), 2)
    end
    local watcher = self._presence:watch(topic, fn)
    return watcher
end

local POLL = { since = util.NONE, timeout = 30 }

--- For long polling: waits until there are messages of a topic behind the one with the id `since`
-- (without it: until the next one), and returns a list of them; an empty one when `timeout` (30)
-- seconds have passed. A handler whose client leaves stops to wait if it has
-- cancel_on_disconnect.
function Hub:poll(topic, options)
    check_topic(topic)
    options = util.options(options, POLL, "poll")
    local list, waiter = {}, ioloop.waiter()
    local sub = self:subscribe(topic, function() end, { since = options.since })
    if sub._last >= sub._first then list = { unpack(sub._mail, sub._first, sub._last) } end
    outlets.drop(sub)
    if #list == 0 then
        function sub._deliver(_, message)
            list[#list + 1] = message
            ioloop.wake(waiter)
        end
        local timer = ioloop.call_later(options.timeout, ioloop.wake, waiter)
        local function give_back()
            ioloop.remove_timeout(timer)
            sub:close()
        end
        ioloop.wait(waiter, give_back)
        give_back()
    end
    sub:close()
    return list
end

--- Ends it and its backend; subscriptions are closed.
function Hub:close()
    for _, list in pairs(self._topics) do
        for i = #list, 1, -1 do list[i]:close() end
    end
    self.backend:close()
end

return Hub
