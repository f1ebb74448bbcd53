-- Publish and subscribe in one worker: order, history, presence, and subscribers that are slow.
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local pubsub = require "tornado.pubsub"
local queues = require "tornado.queues"
local testing = require "tornado.testing"
local util = require "tornado.util"
local web = require "tornado.web"
local websocket = require "tornado.websocket"
local frames = dofile "spec/tornado/websocket/frames.lua"

local TEXT, CLOSE = 1, 8

-- A function that keeps the data of what it gets, and the list.
local function collector()
    local got = {}
    return function(message) got[#got + 1] = message.data end, got
end

local Closed = util.Error:extend "WebSocketClosedError"

local function settle(got, n)
    testing.wait_until(function() return #got >= n end)
    gen.sleep(0)
    assert.equal(n, #got)
end

local function data_of(messages)
    local list = {}
    for i, message in ipairs(messages) do list[i] = message.data end
    return list
end

describe("a hub", function()
    local hub

    before_each(function() hub = pubsub.Hub(pubsub.Local { history = 5, topics = 3 }) end)

    it("gives each message to all subscribers of its topic, in order", function()
        local a, got_a = collector()
        local b, got_b = collector()
        local c, got_c = collector()
        hub:subscribe("x", a)
        local sub = hub:subscribe("x", b)
        hub:subscribe("y", c)
        local ids = {}
        for i = 1, 100 do ids[i] = hub:publish("x", i) end
        settle(got_a, 100)
        settle(got_b, 100)
        for i = 1, 100 do
            assert.equal(i, got_a[i])
            assert.equal(i, got_b[i])
            assert.is_true(i == 1 or ids[i] > ids[i - 1])
        end
        assert.same({}, got_c)
        sub:close()
        hub:publish("x", "last")
        settle(got_a, 101)
        assert.equal(100, #got_b)
        assert.equal(1, hub:subscribers "x")
    end)

    it("serves thousands in slices, in order, each once", function()
        local counts, subs = {}, {}
        for i = 1, 1800 do
            local queue = queues.Queue()
            counts[i] = queue
            subs[i] = hub:subscribe("x", queue)
        end
        hub:publish("x", 1)
        hub:publish("x", 2)
        local late = queues.Queue()
        hub:subscribe("x", late) -- while both are on their way
        for i = 1, 1800, 7 do subs[i]:close() end
        hub:publish("x", 3)
        testing.wait_until(function() return late:qsize() == 1 end)
        for _ = 1, 10 do gen.sleep(0) end
        assert.equal(3, late:get().data)
        for i = 1, 1800 do
            local got = {}
            while not counts[i]:empty() do got[#got + 1] = counts[i]:get().data end
            for n = 1, #got do assert.equal(n, got[n]) end
            assert.is_true(#got == 3 or i % 7 == 1)
        end
        for n = 1, 350 do hub:publish("x", n) end
        testing.wait_until(function() return counts[2]:qsize() == 350 end)
        testing.wait_until(function() return counts[1799]:qsize() == 350 end)
        for i = 2, 1800, 600 do
            for n = 1, 350 do assert.equal(n, counts[i]:get().data) end
        end
        for _ = 1, 10 do gen.sleep(0) end
        assert.equal(350, late:qsize())
    end)

    it("lets functions wait, and logs what they raise", function()
        testing.expect_log "bad apple"
        local got = {}
        hub:subscribe("x", function(message)
            gen.sleep(0)
            if message.data == 2 then error "bad apple" end
            got[#got + 1] = message.data
        end)
        for i = 1, 4 do hub:publish("x", i) end
        settle(got, 3)
        assert.same({ 1, 3, 4 }, got)
    end)

    it("may be changed by who is called", function()
        local got = {}
        local subs = {}
        for i = 1, 5 do
            local queue = queues.Queue(1)
            subs[i] = hub:subscribe("x", queue, { overflow = "close" })
        end
        hub:publish("x", 1)
        hub:publish("x", 2) -- closes all, in the middle of the delivery
        assert.equal(0, hub:subscribers "x")
        hub:subscribe("x", function(message)
            got[#got + 1] = message.data
            if message.data == 3 then hub:publish("x", 4) end
        end)
        hub:publish("x", 3)
        settle(got, 2)
        assert.same({ 3, 4 }, got)
        assert.is_true(subs[1].closed)
    end)

    it("keeps the last messages", function()
        local ids = {}
        for i = 1, 8 do ids[i] = hub:publish("x", i) end
        assert.same({ 4, 5, 6, 7, 8 }, data_of(hub:history "x"))
        assert.same({ 7, 8 }, data_of(hub:history("x", { limit = 2 })))
        local list, missed = hub:history("x", { since = ids[6] })
        assert.same({ 7, 8 }, data_of(list))
        assert.is_false(missed)
        list, missed = hub:history("x", { since = ids[2] })
        assert.same({ 4, 5, 6, 7, 8 }, data_of(list))
        assert.is_true(missed)
        assert.same({}, (hub:history("x", { since = ids[8] })))
        assert.same({}, hub:history "unknown")
    end)

    it("bounds it by bytes and by topics", function()
        local small = pubsub.Hub(pubsub.Local { history_bytes = 100, topics = 2 })
        for i = 1, 4 do small:publish("x", ("%d"):format(i):rep(40)) end
        assert.equal(2, #small:history "x")
        small:publish("y", 1)
        small:publish("x", 1)
        small:publish("z", 1)
        assert.equal(0, #small:history "y")
        assert.equal(3, #small:history "x")
    end)

    it("replays what a subscriber has missed, then goes on", function()
        local ids = {}
        for i = 1, 4 do ids[i] = hub:publish("x", i) end
        local a, got_a = collector()
        local b, got_b = collector()
        local c, got_c = collector()
        local sub = hub:subscribe("x", a, { since = ("%d"):format(ids[2]) })
        hub:subscribe("x", b, { history = 3 })
        hub:subscribe("x", c, { since = "nonsense" })
        hub:publish("x", 5)
        settle(got_a, 3)
        settle(got_b, 4)
        settle(got_c, 1)
        assert.same({ 3, 4, 5 }, got_a)
        assert.same({ 2, 3, 4, 5 }, got_b)
        assert.is_false(sub.missed)
    end)

    it("counts subscribers and knows their names", function()
        local seen = {}
        local watcher = hub:watch("x", function(what, name) seen[#seen + 1] = what .. name end)
        local function nothing() end
        local ann = hub:subscribe("x", nothing, { name = "ann" })
        local again = hub:subscribe("x", nothing, { name = "ann" })
        local bob = hub:subscribe("x", nothing, { name = "bob" })
        hub:subscribe("x", nothing)
        assert.equal(4, hub:subscribers "x")
        assert.same({ "ann", "bob" }, hub:presence "x")
        ann:close()
        ann:close()
        assert.same({ "ann", "bob" }, hub:presence "x")
        again:close()
        settle(seen, 3)
        watcher:close()
        bob:close()
        assert.same({ "joinann", "joinbob", "leaveann" }, seen)
        assert.same({}, hub:presence "x")
        assert.equal(1, hub:subscribers "x")
    end)

    it("drops for slow functions by their policy", function()
        local blocked = require("tornado.locks").Event()
        local function slow()
            local got = {}
            return function(message)
                blocked:wait()
                got[#got + 1] = message.data
            end, got
        end
        local oldest, got_oldest = slow()
        local newest, got_newest = slow()
        local closing, got_closing = slow()
        local a = hub:subscribe("x", oldest, { limit = 3 })
        local b = hub:subscribe("x", newest, { limit = 3, overflow = "drop_newest" })
        local c = hub:subscribe("x", closing, { limit = 3, overflow = "close" })
        hub:publish("x", 0)
        gen.sleep(0)
        for i = 1, 10 do hub:publish("x", i) end
        blocked:set()
        settle(got_oldest, 4)
        settle(got_newest, 4)
        assert.same({ 0, 8, 9, 10 }, got_oldest)
        assert.same({ 0, 1, 2, 3 }, got_newest)
        assert.same({ 0 }, got_closing)
        assert.same({ 7, 7, 1 }, { a.dropped, b.dropped, c.dropped })
        assert.is_true(c.closed)
    end)

    it("drops for full queues by their policy", function()
        local oldest, newest = queues.Queue(2), queues.Queue(2)
        hub:subscribe("x", oldest)
        hub:subscribe("x", newest, { overflow = "drop_newest" })
        for i = 1, 4 do hub:publish("x", i) end
        assert.same({ 3, 4 }, { oldest:get().data, oldest:get().data })
        assert.same({ 1, 2 }, { newest:get().data, newest:get().data })
        oldest:task_done()
        oldest:task_done()
        oldest:join(1)
    end)

    it("writes to what is like a WebSocket, until that has closed", function()
        local socket = { got = {} }
        function socket:write_message(text)
            if #self.got == 2 then error(Closed(), 0) end
            self.got[#self.got + 1] = text
        end
        local sub = hub:subscribe("x", socket)
        hub:publish("x", { a = 1 })
        hub:publish("x", "text")
        hub:publish("x", "too late")
        testing.wait_until(function() return sub.closed end)
        assert.same({ '{"a":1}', "text" }, socket.got)
        sub = hub:subscribe("x", function(message) socket:write_message(message.data) end)
        hub:publish("x", "too late, too")
        testing.wait_until(function() return sub.closed end)
    end)

    it("ends with its WebSocket, without a message", function()
        local Member = websocket.WebSocketHandler:extend "Member"
        local subs = {}
        function Member:open()
            subs[1] = hub:subscribe("x", self, { name = "ann" })
            subs[2] = hub:subscribe("y", self)
            subs[2]:close()
            self:write_message "open"
        end
        function Member:on_message() self:write_message "here" end
        function Member:on_close()
            subs.late = hub:subscribe("x", self)
        end
        local server = frames.serve(Member)
        for _, how in ipairs { "close", "cut" } do
            local member = frames.connect(server, "/")
            assert.equal("open", select(2, member:read()))
            assert.same({ "ann" }, hub:presence "x")
            member:send(TEXT, "?")
            assert.equal("here", select(2, member:read()))
            if how == "close" then member:send(CLOSE, "") else member.connection:close(true) end
            testing.wait_until(function() return subs.late and subs.late.closed end)
            assert.is_true(subs[1].closed)
            assert.equal(0, hub:subscribers "x")
            subs.late = nil
            if how == "close" then member:read_close() end
        end
    end)

    it("closes a WebSocket that is too slow, as it does a stream", function()
        local Member = websocket.WebSocketHandler:extend "Member"
        local sub
        function Member:open()
            sub = hub:subscribe("x", self, { limit = 3, overflow = "close" })
        end
        local member = frames.connect(frames.serve(Member), "/")
        testing.wait_until(function() return sub end)
        while not sub.closed do
            hub:publish("x", ("x"):rep(100000))
            gen.moment()
        end
        assert.equal(0, hub:subscribers "x")
        local opcode, payload
        repeat opcode, payload = member:read() until opcode == CLOSE
        assert.equal(frames.close(1008, "too slow to read"), payload)
        member:send(CLOSE, frames.close(1008))
    end)

    it("refuses what it cannot use", function()
        local function nothing() end
        assert.error_matches(function() hub:publish("", 1) end, "bad topic")
        assert.error_matches(function() hub:publish("x", nil) end, "bad message")
        assert.error_matches(function() hub:subscribe("x", 5) end, "bad subscriber")
        assert.error_matches(function() hub:subscribe("x", nothing, { overflow = "wait" }) end,
            "bad overflow")
        assert.error_matches(function() hub:subscribe("x", nothing, { name = 1 }) end, "bad name")
        assert.error_matches(function() hub:subscribe("x", nothing, { histroy = 1 }) end,
            "histroy")
        assert.equal(0, hub:subscribers "x")
        assert.error_matches(function() pubsub.Local { history = -1 } end, "bad history")
    end)
end)

describe("poll()", function()
    it("returns what is there, or waits for the next", function()
        local hub = pubsub.Hub()
        local id = hub:publish("x", 1)
        hub:publish("x", 2)
        assert.same({ 2 }, data_of(hub:poll("x", { since = id })))
        local task = gen.spawn(function() return hub:poll "x" end)
        assert.equal(1, hub:subscribers "x")
        hub:publish("x", 3)
        assert.same({ 3 }, data_of(gen.await(task)))
        assert.equal(0, hub:subscribers "x")
    end)

    it("ends with its time, and with its client", function()
        local clock = testing.clock()
        local hub = pubsub.Hub()
        local Poll = web.RequestHandler:extend "Poll"
        Poll.cancel_on_disconnect = true
        function Poll:get() self:write { n = #hub:poll("x", { timeout = 5 }) } end
        local server = testing.serve(web.Application { { "/", Poll } })
        local client = server:connect()
        client:send "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        testing.wait_until(function() return hub:subscribers "x" == 1 end)
        clock:advance(6)
        assert.same({ n = 0 }, client:read_response():json())
        client:send "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        testing.wait_until(function() return hub:subscribers "x" == 1 end)
        client:close()
        testing.wait_until(function() return hub:subscribers "x" == 0 end)
        testing.wait_until(function() return httpserver.live_count() == 0 end)
        assert.equal(0, clock:pending())
    end)
end)

describe("event streams", function()
    local hub, server, streams

    local function start()
        hub = pubsub.Hub()
        streams = {}
        local Stream = web.RequestHandler:extend "Stream"
        function Stream:get()
            local stream = self:event_stream { limit = 50000 }
            hub:subscribe("x", stream, { since = stream.last_event_id,
                name = self:get_query_argument("name", nil) })
            streams[#streams + 1] = stream
        end
        server = testing.serve(web.Application { { "/", Stream } })
    end

    local function connect(path, more)
        local client = server:connect()
        local n = #streams
        client:send(("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(path, more or ""))
        testing.wait_until(function() return #streams > n end)
        return client
    end

    local function read_to(client, mark)
        local got = ""
        while not got:find(mark, 1, true) do got = got .. assert(client:read_some()) end
        return got
    end

    it("get messages with ids, and go on where they were", function()
        start()
        local client = connect "/?name=ann"
        assert.same({ "ann" }, hub:presence "x")
        local id = hub:publish("x", { n = 1 })
        local text = read_to(client, "}\n\n")
        assert.matches(("id: %d\ndata: {\"n\":1}\n\n"):format(id), text, 1, true)
        client:close()
        testing.wait_until(function() return hub:subscribers "x" == 0 end)
        hub:publish("x", "two\nlines")
        client = connect("/", ("Last-Event-ID: %d\r\n"):format(id))
        assert.matches("data: two\ndata: lines\n\n", read_to(client, "lines\n\n"))
    end)

    it("share the bytes of a message", function()
        start()
        for _ = 1, 3 do connect "/" end
        local made = 0
        local frame = require "tornado.web.event_stream.frame"
        local event = frame.event
        frame.event = function(...)
            made = made + 1
            return event(...)
        end
        hub:publish("x", "y")
        frame.event = event
        assert.equal(1, made)
    end)

    it("do not hold up others when they are slow, nor grow", function()
        start()
        local slow, quick = connect "/", connect "/"
        local text = ("x"):rep(20000)
        local got = 0
        for i = 1, 400 do
            hub:publish("x", text .. i)
            local piece = read_to(quick, "x" .. i .. "\n\n")
            got = got + select(2, piece:gsub("id: ", ""))
            assert.is_true(streams[1]:backlog() <= 50000)
        end
        assert.equal(400, got)
        assert.is_true(streams[1].dropped > 0)
        assert.equal(0, streams[2].dropped)
        slow:close()
    end)
end)
