-- The backend of a generation that serves, but is not joined with the other workers yet: the one
-- before it hands over what waits for them (kin.lua). What is published meanwhile waits here.
local ioloop = require "tornado.ioloop"
local Local = require "tornado.pubsub.local"
local Message = require "tornado.pubsub.message"
local util = require "tornado.util"

local PATIENCE = 5 -- seconds
local STEPS = 50   -- turns of the loop, at least: while that stands still, nothing can come
local MAX_BYTES = 16777216

local Waiting = Local:extend "WaitingBackend"

local function wait(self, step, left)
    if left == 0 then return self:take() end
    self._timer = ioloop.call_later(step, wait, self, step, left - 1)
end

--- Takes the store to go on with, join(state), which gives the hub its next backend, and after how
--- many seconds that is called without a state (5).
function Waiting:init(store, join, patience)
    self.store, self._join = store, join
    self._list, self._older, self._bytes = {}, {}, 0
    wait(self, (patience or PATIENCE) / STEPS, STEPS)
end

local function keep(self, list, topic, data)
    self._bytes = self._bytes + #Message(topic, 0, data):text() -- raises for what cannot be JSON
    if self._bytes > MAX_BYTES then
        error(util.Error("publish: %d bytes wait for the other workers", self._bytes), 0)
    end
    list[#list + 1] = { topic, data }
end

function Waiting:publish(topic, data)
    keep(self, self._list, topic, data)
end

--- From the generation before, which had it before what was published here.
function Waiting:publish_older(topic, data)
    keep(self, self._older, topic, data)
end

--- What the generation before has handed over; nil: nothing. Publishes what waited, by the backend
-- that the hub has then.
function Waiting:take(state)
    self._join(state)
    for _, list in ipairs { self:leave() } do
        for _, item in ipairs(list) do
            ioloop.log_errors(self.hub.publish, self.hub, item[1], item[2])
        end
    end
end

--- Gives what waits to who takes its place: a list of { topic, data } from the generation before,
-- and one of this one's own.
function Waiting:leave()
    local older, own = self._older, self._list
    self._older, self._list = {}, {}
    return older, own
end

function Waiting:close()
    ioloop.remove_timeout(self._timer)
end

return Waiting
