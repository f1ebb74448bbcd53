-- A generation that waits for what the one before hands over: for how long, and what was published
-- meanwhile.
local core = require "tornado.core"
local gen = require "tornado.gen"
local pubsub = require "tornado.pubsub"
local testing = require "tornado.testing"
local Waiting = require "tornado.pubsub.waiting"

local PATIENCE = 0.05 -- seconds

describe("Waiting", function()
    local hub, waiting, states

    before_each(function()
        hub, states = pubsub.Hub(), {}
        waiting = Waiting(hub.backend.store, function(state)
            states[#states + 1] = state or "none"
            hub:use(pubsub.Local())
        end, PATIENCE)
        hub:use(waiting)
    end)

    after_each(function() hub:close() end)

    it("gives what was published to the next backend, the older one's first", function()
        local got = {}
        hub:subscribe("t", function(message) got[#got + 1] = message.data end)
        hub:publish("t", "new")
        waiting:publish_older("t", "old")
        waiting:take "state"
        testing.wait_until(function() return #got == 2 end)
        assert.same({ "old", "new" }, got)
        assert.same({ "state" }, states)
    end)

    it("goes on without a state when none comes", function()
        testing.wait_until(function() return #states > 0 end)
        assert.same({ "none" }, states)
    end)

    -- Or what waits for the other workers would be lost, or come twice.
    it("does not count the time in which nothing could come", function()
        local over = core.precise() + 2 * PATIENCE
        while core.precise() < over do end -- as when the whole machine stands still
        for _ = 1, 5 do gen.sleep(0) end
        assert.same({}, states)
        waiting:take "state"
        assert.same({ "state" }, states)
    end)
end)
