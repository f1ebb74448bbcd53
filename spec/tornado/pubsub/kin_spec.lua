-- The way between generations, from the other end of the socket. Reloads of a whole server are in
-- spec/integration/pubsub_reload.py.
local core = require "tornado.core"
local frames = require "tornado.pubsub.frames"
local generation = require "tornado.generation"
local IOStream = require("tornado.iostream").IOStream
local Kin = require "tornado.pubsub.kin"
local pubsub = require "tornado.pubsub"
local testing = require "tornado.testing"

local PUBLISH, HERE, STATE, LEAVE, LEFT, ADOPT, RESUME = 2, 3, 4, 5, 6, 7, 8

describe("the generations of a worker", function()
    local kin

    before_each(function()
        local hub = pubsub.Hub()
        kin = Kin(hub)
        hub._kin = kin
    end)
    teardown(function() generation.hold("kin", function() return 0 end) end)

    -- The other end of a socket, with read() and write(); and the descriptor of this one's.
    local function pair()
        local fd, other = core.pair()
        local stream = IOStream(other)
        finally(function() stream:close() end)
        return {
            read = function() return (frames.read(stream, 1e6, { timeout = 60 })) end,
            write = function(list) stream:write(frames.encode(list)) end,
            close = function() stream:close() end,
        }, fd
    end

    local function joined(role, is_far)
        local peer, fd = pair()
        kin:join(role, fd, is_far)
        return peer
    end

    local function ended(...)
        for _, peer in ipairs { ... } do peer.close() end
        testing.wait_until(function() return not (kin._ends.elder or kin._ends.heir) end)
    end

    it("keep back what comes behind LEFT, however often they are asked to leave one alone",
        function()
            local heir = joined "heir"
            assert.same({ STATE, false }, heir.read())
            heir.write { LEAVE }
            assert.same({ LEFT }, heir.read())
            kin.hub:publish("topic", "one")
            heir.write { LEAVE }
            heir.write { PUBLISH, "topic", "two" }
            heir.write { RESUME }
            assert.same({ PUBLISH, "topic", "one" }, heir.read())
            assert.same({ PUBLISH, "topic", "two" }, heir.read())
            ended(heir)
        end)

    -- Between two that leave, it is asked to leave by the older one before it wants to, and says so
    -- to the next one twice.
    it("ask the elder of an elder that has left", function()
        local elder, heir = joined "elder", joined "heir"
        assert.same({ STATE, false }, heir.read())
        elder.write { LEAVE }
        assert.same({ LEFT }, elder.read())
        kin:leave()
        assert.same({ LEAVE }, heir.read())
        local next_one, fd = pair()
        elder.write { ADOPT, fd }
        assert.same({ RESUME }, next_one.read())
        assert.same({ LEAVE }, next_one.read())
        assert.same({ LEAVE }, next_one.read())
        ended(elder, next_one, heir)
    end)

    it("stay for subscribers before an upgrade, and leave no process to another one", function()
        local elder, heir = joined "elder", joined("heir", true)
        assert.same({ STATE, false }, heir.read())
        assert.equal(0, generation.count())
        elder.write { HERE, "topic", 1, {} }
        assert.same({ HERE, "topic", 1, {} }, heir.read())
        assert.equal(1, generation.count())
        kin:leave()
        kin:send("heir", { RESUME })
        assert.same({ RESUME }, heir.read())
        elder.write { HERE, "topic", 0, {} }
        assert.same({ HERE, "topic", 0, {} }, heir.read())
        testing.wait_until(function() return generation.count() == 0 end)
        ended(elder, heir)
    end)
end)
