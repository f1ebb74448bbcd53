-- Workers that are joined: three backends in one process, and two processes; one order, history
-- and presence of all, and workers that are replaced.
local gen = require "tornado.gen"
local pubsub = require "tornado.pubsub"
local testing = require "tornado.testing"

local function new_folder()
    local pipe = assert(io.popen("mktemp -d"))
    local path = pipe:read("*l")
    pipe:close()
    finally(function() os.execute("rm -r " .. path) end)
    return path
end

local open -- hubs of a case

local function start(path, index, count, options)
    options = options or {}
    options.path, options.index, options.count = path, index, count
    local hub = pubsub.Hub(pubsub.cluster(options))
    open[hub] = true
    return hub
end

local function stop(hub)
    hub:close()
    open[hub] = nil
end

local function meet(hubs)
    for _, hub in ipairs(hubs) do
        testing.wait_until(function() return hub.backend:connected() == #hubs - 1 end)
    end
    return hubs
end

local function cluster(path, count, options)
    open = {}
    finally(function()
        for hub in pairs(open) do hub:close() end
    end)
    local hubs = {}
    for i = 1, count do
        local copy = {}
        for name, value in pairs(options or {}) do copy[name] = value end
        hubs[i] = start(path, i, count, copy)
    end
    return meet(hubs)
end

local function collect(hub, topic, options)
    local got = {}
    hub:subscribe(topic, function(message) got[#got + 1] = message.data end, options)
    return got
end

local function settle(got, n)
    testing.wait_until(function() return #got >= n end)
    for _ = 1, 3 do gen.sleep(0) end
    assert.equal(n, #got)
end

describe("a cluster", function()
    it("delivers to all workers, in one order", function()
        local hubs = cluster(new_folder(), 3)
        local topics = { "a", "b", "c", "d" } -- owned by different workers
        for _, topic in ipairs(topics) do
            local got = {}
            for i = 1, 3 do got[i] = collect(hubs[i], topic) end
            for n = 1, 50 do
                for i = 1, 3 do hubs[i]:publish(topic, i .. ":" .. n) end
                if n % 10 == 0 then gen.sleep(0) end
            end
            for i = 1, 3 do settle(got[i], 150) end
            assert.same(got[1], got[2])
            assert.same(got[1], got[3])
            for i = 1, 3 do
                local n = 0
                for _, text in ipairs(got[i]) do
                    local from, number = text:match("(%d):(%d+)")
                    if from == "2" then
                        n = n + 1
                        assert.equal(n, tonumber(number))
                    end
                end
                assert.equal(50, n)
            end
        end
    end)

    it("has one history: who comes again to another worker misses nothing", function()
        local hubs = cluster(new_folder(), 2)
        for _, topic in ipairs { "a", "b" } do
            for n = 1, 5 do hubs[1 + n % 2]:publish(topic, { n = n }) end
            local function complete(hub)
                return function() return #hub:history(topic) == 5 end
            end
            testing.wait_until(complete(hubs[1]))
            testing.wait_until(complete(hubs[2]))
            local one, two = hubs[1]:history(topic), hubs[2]:history(topic)
            for i = 1, 5 do assert.equal(one[i].id, two[i].id) end
            local rest = {}
            hubs[2]:subscribe(topic, function(m) rest[#rest + 1] = m.id end,
                { since = one[3]:key() })
            settle(rest, 2)
            assert.same({ one[4].id, one[5].id }, rest)
        end
    end)

    it("adds up subscribers and names", function()
        local hubs = cluster(new_folder(), 2)
        local seen = {}
        local function nothing() end
        local watcher = hubs[2]:watch("a", function(what, name)
            seen[#seen + 1] = what .. " " .. name
        end)
        local ann = hubs[1]:subscribe("a", nothing, { name = "ann" })
        local other = hubs[2]:subscribe("a", nothing, { name = "ann" })
        hubs[1]:subscribe("a", nothing, { name = "bob" })
        for i = 1, 2 do
            testing.wait_until(function() return hubs[i]:subscribers "a" == 3 end)
            testing.wait_until(function() return #hubs[i]:presence "a" == 2 end)
        end
        ann:close()
        testing.wait_until(function() return hubs[2]:subscribers "a" == 2 end)
        assert.same({ "ann", "bob" }, hubs[2]:presence "a")
        other:close()
        stop(hubs[1])
        testing.wait_until(function() return hubs[2]:subscribers "a" == 0 end)
        settle(seen, 4)
        assert.same({ "join ann", "join bob", "leave ann", "leave bob" }, seen)
        watcher:close()
    end)

    -- Worker 2's place goes to a next generation, whose hub this returns.
    local function hand_over(hubs, path)
        local state = hubs[2].backend:hand_over()
        stop(hubs[2])
        local backend = pubsub.cluster { path = path, index = 2, count = 2 }
        local heir = pubsub.Hub(backend:go_on(hubs[2].backend.store, state))
        open[heir] = true
        assert.same({ "ann" }, heir:presence "a")
        return heir
    end

    it("has the next generation know at once who is in other workers", function()
        local path = new_folder()
        local hubs = cluster(path, 2)
        local ann = hubs[1]:subscribe("a", function() end, { name = "ann" })
        testing.wait_until(function() return #hubs[2]:presence "a" == 1 end)
        local heir = hand_over(hubs, path)
        meet { hubs[1], heir }
        assert.same({ "ann" }, heir:presence "a")
        ann:close()
        testing.wait_until(function() return heir:subscribers "a" == 0 end)
        hubs[1]:subscribe("a", function() end, { name = "ann" })
        testing.wait_until(function() return #heir:presence "a" == 1 end)
        stop(hubs[1])
        testing.wait_until(function() return heir.backend:connected() == 0 end)
        heir = hand_over({ hubs[1], heir }, path)
        testing.wait_until(function() return heir:subscribers "a" == 0 end)
    end)

    it("goes on when a worker is replaced", function()
        local path = new_folder()
        local hubs = cluster(path, 2)
        local got = { a = collect(hubs[1], "a"), b = collect(hubs[1], "b") }
        for _, topic in ipairs { "a", "b" } do
            hubs[1]:publish(topic, 1)
            settle(got[topic], 1)
            testing.wait_until(function() return #hubs[2]:history(topic) == 1 end)
        end
        stop(hubs[2])
        testing.wait_until(function() return hubs[1].backend:connected() == 0 end)
        for _, topic in ipairs { "a", "b" } do -- one of them belongs to who is not there
            hubs[1]:publish(topic, 2)
            hubs[1]:publish(topic, 3)
        end
        local new = start(path, 2, 2)
        local late = { a = collect(new, "a", { history = 9 }), b = collect(new, "b",
            { history = 9 }) }
        meet { hubs[1], new }
        for _, topic in ipairs { "a", "b" } do
            settle(got[topic], 3)
            new:publish(topic, 4)
            settle(got[topic], 4)
            assert.same({ 1, 2, 3, 4 }, got[topic])
            settle(late[topic], 4)
            assert.same({ 1, 2, 3, 4 }, late[topic])
            assert.equal(4, #new:history(topic))
        end
    end)

    it("repeats what a broken connection has lost, once", function()
        local hubs = cluster(new_folder(), 2)
        local got = { a = collect(hubs[2], "a"), b = collect(hubs[2], "b") }
        for n = 1, 60 do
            for _, topic in ipairs { "a", "b" } do hubs[1]:publish(topic, n) end
            if n % 20 == 10 then
                gen.sleep(0)
                hubs[1].backend.links[2]._stream:close()
                for stream in pairs(hubs[1].backend.inlet._streams) do stream:close() end
            end
        end
        for _, topic in ipairs { "a", "b" } do
            settle(got[topic], 60)
            for n = 1, 60 do assert.equal(n, got[topic][n]) end
        end
    end)

    it("bounds what waits for a worker that is not there", function()
        open = {}
        local hub = start(new_folder(), 1, 2, { buffer = 10000 })
        finally(function() hub:close() end)
        local failure
        for _, topic in ipairs { "a", "b" } do
            for _ = 1, 30 do
                local ok, err = pcall(hub.publish, hub, topic, ("x"):rep(1000))
                if not ok then failure = err end
            end
        end
        assert.is_true(failure:is(pubsub.Unreachable))
        assert.error_matches(function() hub:publish("a", ("x"):rep(2000000)) end, "at most 1048576")
    end)

    it("refuses what is no worker of it", function()
        local path = new_folder()
        local hubs = cluster(path, 2)
        local expected = testing.expect_log "bad input from another worker"
        local client = testing.connect("unix:" .. path .. "/pubsub-1.sock")
        client:send "\0\0\0\1x"
        assert.equal("", (client:read_until_close()))
        client:close()
        testing.wait_until(function() return #expected.lines == 1 end)
        assert.equal(1, hubs[1].backend:connected())
        assert.error_matches(function() pubsub.cluster { path = path, index = 3, count = 2 } end,
            "bad index")
        assert.error_matches(function() pubsub.cluster { index = 1, count = 2 } end, "bad path")
    end)

    it("joins processes", function()
        testing.set_timeout(300) -- a process must start, perhaps a slow one
        local path = new_folder()
        local script = path .. "/worker.lua"
        local file = assert(io.open(script, "w"))
        file:write(([[
            local pubsub = require "tornado.pubsub"
            local hub = pubsub.Hub(pubsub.cluster { path = %q, index = 2, count = 2 })
            hub:subscribe("up", function(message)
                hub:publish("down", { was = message.data })
            end, { name = "child" })
            require("tornado.locks").Event():wait() -- until it is stopped
        ]]):format(path))
        file:close()
        open = {}
        local hub = start(path, 1, 2)
        finally(function() hub:close() end)
        local got = collect(hub, "down")
        local command = testing.start_command { "run", script }
        finally(function()
            if command.pipe and testing.is_running(command) then
                os.execute("kill -KILL " .. command.pid)
            end
        end)
        testing.wait_until(function() return hub:presence("up")[1] == "child" end)
        for i = 1, 20 do hub:publish("up", i) end
        settle(got, 20)
        for i = 1, 20 do assert.equal(i, got[i].was) end
        testing.stop_command(command)
        testing.wait_until(function() return hub:subscribers "up" == 0 end)
    end)
end)
