-- Server-sent events: what is on the wire, clients that leave, clients that are slow, and the end
-- of the server (WHATWG HTML §9.2).
local core = require "tornado.core"
local frame = require "tornado.web.event_stream.frame"
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local testing = require "tornado.testing"
local web = require "tornado.web"

local HEAD = "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"

-- Serves a handler whose get() is fn(handler, stream); returns the server and what happened.
local function serve(fn, options, settings)
    local seen = { ends = 0 }
    local Handler = web.RequestHandler:extend "Handler"
    function Handler:get()
        seen.handler = self
        local stream = self:event_stream(options)
        seen.stream = stream
        stream:on_close(function() seen.ends = seen.ends + 1 end)
        return fn(self, stream)
    end
    Handler.head = Handler.get
    function Handler:on_finish() seen.finished = true end -- luacheck: ignore 212/self
    function Handler:on_connection_close() seen.gone = true end -- luacheck: ignore 212/self
    return testing.serve(web.Application({ { "/", Handler } }, settings)), seen
end

-- Reads until `mark` has come; returns all that has.
local function read_to(client, mark)
    local got = ""
    while not got:find(mark, 1, true) do got = got .. assert(client:read_some()) end
    return got
end

local function get(server, path, headers)
    local client = server:connect()
    client:send(HEAD:format(path or "/", headers or ""))
    return client
end

local function is_over()
    return httpserver.live_count() == 0
end

describe("frames", function()
    it("have data lines, and fields of one line", function()
        assert.equal("data: hello\n\n", frame.event("hello"))
        assert.equal("data: \n\n", frame.event "")
        assert.equal("data: a\ndata: b\ndata: \ndata: c\ndata: \n\n", frame.event "a\r\nb\n\rc\n")
        assert.equal('event: add\nid: 7\nretry: 10\ndata: {"a":[1]}\n\n',
            frame.event({ a = { 1 } }, { event = "add", id = 7, retry = 10 }))
        assert.equal(": a\n: b\n\n", frame.comment "a\nb")
        assert.equal("data: 1.5\n\n", frame.event(1.5))
    end)

    it("keep big numbers whole as ids", function()
        assert.equal("id: 1795000000123456\ndata: x\n\n", frame.event("x",
            { id = 1795000000123456 }))
    end)

    it("refuse what would be another field", function()
        for _, name in ipairs { "event", "id" } do
            for _, value in ipairs { "a\nb", "a\rb", "a\0b", {} } do
                assert.has_error(function() frame.event("x", { [name] = value }) end)
            end
        end
        for _, retry in ipairs { -1, 1.5, "1", 0 / 0 } do
            assert.error_matches(function() frame.event("x", { retry = retry }) end, "bad retry")
        end
        assert.error_matches(function() frame.event(nil) end, "bad data")
        assert.error_matches(function() frame.event("x", { name = "a" }) end, "name")
    end)
end)

describe("event_stream()", function()
    it("sends head and events at once, and stays open when the verb returns", function()
        local server, seen = serve(function(_, stream)
            stream:send("one", { id = 1 })
        end, nil, { compress_response = true })
        local client = get(server, "/", "Accept-Encoding: gzip\r\n")
        local text = read_to(client, "one\n\n")
        local head = text:lower()
        assert.matches("\r\ncontent%-type: text/event%-stream\r\n", head)
        assert.matches("\r\ncache%-control: no%-store\r\n", head)
        assert.matches("\r\nx%-accel%-buffering: no\r\n", head)
        assert.not_matches("content%-encoding", head)
        assert.not_matches("etag", head)
        assert.matches("retry: 3000\n\n", text)
        assert.is_true(seen.handler._returned)
        assert.is_true(seen.stream:send { two = 2 })
        assert.matches('data: {"two":2}\n\n', read_to(client, "}\n\n"), 1, true)
        seen.stream:comment "hm"
        assert.matches(": hm\n\n", read_to(client, "hm\n\n"))
        assert.is_false(seen.stream:closed())
        seen.stream:close()
        assert.matches("^[\r\n]*0\r\n\r\n$", read_to(client, "0\r\n\r\n"))
        assert.is_true(is_over() and seen.finished and seen.stream:closed())
        assert.is_false(seen.stream:send "three")
        assert.equal(1, seen.ends)
    end)

    it("knows where a client was", function()
        local ids = {}
        local server = serve(function(_, stream)
            ids[#ids + 1] = stream.last_event_id or "none"
            stream:close()
        end)
        server:fetch("/?lastEventId=5")
        server:fetch("/", { headers = { ["Last-Event-ID"] = "7" } })
        server:fetch("/?lastEventId=5", { headers = { ["Last-Event-ID"] = "8" } })
        server:fetch("/?lastEventId=")
        assert.same({ "5", "7", "8", "none" }, ids)
    end)

    it("answers HEAD, and clients of HTTP/1.0", function()
        local server, seen = serve(function(_, stream)
            stream:send "x"
            stream:close()
        end)
        assert.equal("", server:fetch("/", { method = "HEAD" }).body)
        assert.is_true(seen.stream:closed())
        assert.equal("retry: 3000\n\ndata: x\n\n", server:fetch("/", { http10 = true }).body)
    end)

    it("ends when the client leaves, where nobody waits", function()
        local server, seen = serve(function() end)
        local client = get(server)
        read_to(client, "retry")
        client:close()
        testing.wait_until(is_over)
        assert.is_true(seen.gone and seen.finished and seen.stream:closed())
        assert.equal(1, seen.ends)
    end)

    it("lets wait_closed() return then, and cancels other waits", function()
        local after, err
        local server, seen = serve(function(_, stream)
            stream:wait_closed()
            after = stream:closed()
            local _
            _, err = pcall(gen.sleep, 60)
        end)
        local client = get(server)
        read_to(client, "retry")
        client:close()
        testing.wait_until(is_over)
        assert.is_true(after)
        assert.matches("the client has left", tostring(err))
        assert.is_true(seen.finished)
    end)

    it("cancels a handler that waits for something else", function()
        local err
        local server = serve(function()
            local ok
            ok, err = pcall(gen.sleep, 60)
            if not ok then error(err, 0) end
        end)
        local client = get(server)
        read_to(client, "retry")
        client:close(true)
        testing.wait_until(is_over)
        assert.matches("the client has left", tostring(err))
    end)

    it("closes with a handler that fails, so that the client sees it", function()
        local expected = testing.expect_log "oops"
        testing.expect_log "Cannot send error response after headers written"
        local server, seen = serve(function() error "oops" end)
        local client = get(server)
        local _, how = client:read_until_close()
        assert.is_not_nil(how)
        assert.is_true(seen.stream:closed())
        assert.equal(1, seen.ends)
        assert.matches("oops", expected.text)
    end)

    it("is ended by finish()", function()
        local server, seen = serve(function(handler, stream)
            stream:send "x"
            handler:finish()
            stream:wait_closed()
        end)
        assert.equal("retry: 3000\n\ndata: x\n\n", server:fetch("/").body)
        assert.equal(1, seen.ends)
    end)

    it("has no end known beforehand, whatever Content-Length was set", function()
        local Handler = web.RequestHandler:extend "Handler"
        function Handler:get()
            self:set_header("Content-Length", 5)
            self:event_stream():close()
        end
        local response = testing.serve(web.Application { { "/", Handler } }):fetch("/")
        assert.is_false(response.headers:has("Content-Length"))
        assert.equal("retry: 3000\n\n", response.body)
    end)

    it("refuses wrong options, and a reply that has begun", function()
        local errors = {}
        local Handler = web.RequestHandler:extend "Handler"
        function Handler:get()
            local function try(options)
                local _, err = pcall(self.event_stream, self, options)
                errors[#errors + 1] = tostring(err)
            end
            try { beat = 1 }
            try { heartbeat = 0 }
            try { retry = -1 }
            try { slow_reader = "hope" }
            self:flush()
            try()
        end
        testing.serve(web.Application { { "/", Handler } }):fetch("/")
        assert.matches("beat", errors[1])
        assert.matches("bad heartbeat", errors[2])
        assert.matches("bad retry", errors[3])
        assert.matches("bad slow_reader", errors[4])
        assert.matches("before the reply has begun", errors[5])
    end)
end)

describe("heartbeats", function()
    it("come to silent streams, all by one timer", function()
        local clock = testing.clock()
        local streams = {}
        local server = serve(function(_, stream) streams[#streams + 1] = stream end,
            { heartbeat = 10 })
        local before = core.counts().timers
        local clients = {}
        for i = 1, 20 do
            clients[i] = get(server)
            read_to(clients[i], "retry: 3000\n\n")
        end
        assert.equal(1, clock:pending())
        assert.is_true(core.counts().timers <= before)
        clock:advance(6)
        streams[1]:send "busy"
        read_to(clients[1], "busy\n\n")
        clock:advance(6)
        for i = 2, 20 do assert.matches(": \n\n", read_to(clients[i], "\n\n")) end
        clock:advance(11)
        for i = 1, 20 do assert.matches(": \n\n", read_to(clients[i], "\n\n")) end
        for _, client in ipairs(clients) do client:close() end
        testing.wait_until(is_over)
        assert.equal(0, clock:pending())
    end)

    it("can be left out", function()
        local clock = testing.clock()
        local server = serve(function() end, { heartbeat = false })
        local client = get(server)
        read_to(client, "retry")
        assert.equal(0, clock:pending())
    end)
end)

describe("a slow reader", function()
    local EVENT = ("x"):rep(50000)

    -- Sends until the stream says no, or `n` times; returns how often it did.
    local function flood(stream, n)
        for i = 1, n do
            if not stream:send(EVENT .. i) then return i - 1 end
        end
        return n
    end

    it("makes send() wait, and loses nothing", function()
        local sent, done = 0, false
        local server, seen = serve(function(_, stream)
            for i = 1, 300 do
                stream:send(EVENT .. i)
                sent = i
            end
            stream:close()
            done = true
        end)
        local client = get(server)
        testing.wait_until(function() return seen.stream and seen.stream:backlog() > 262144 end)
        local at = sent
        assert.is_true(at < 300)
        gen.sleep(0)
        assert.equal(at, sent)
        assert.is_true(seen.stream:backlog() < 400000)
        local body = client:read_response({ timeout = 20 }).body
        testing.wait_until(function() return done end)
        local n = 0
        for i in body:gmatch("data: x+(%d+)\n\n") do
            n = n + 1
            assert.equal(n, tonumber(i))
        end
        assert.equal(300, n)
    end)

    it("misses events by the policy drop", function()
        local server, seen = serve(function() end, { slow_reader = "drop", limit = 100000 })
        local client = get(server)
        testing.wait_until(function() return seen.stream end)
        local taken = flood(seen.stream, 1000)
        assert.is_true(taken < 1000)
        assert.equal(1, seen.stream.dropped)
        assert.is_true(seen.stream:backlog() <= 100000)
        seen.stream:close()
        local body = client:read_response({ timeout = 20 }).body
        assert.matches("^x+" .. taken .. "\n\n$", body:sub(-1000))
    end)

    it("may lose the oldest", function()
        local server, seen = serve(function() end, { limit = 200000 })
        local client = get(server)
        testing.wait_until(function() return seen.stream end)
        for i = 1, 400 do
            assert.is_true(seen.stream:offer(frame.event(EVENT .. i), "drop_oldest"))
            assert.is_true(seen.stream:backlog() <= 200000)
        end
        assert.is_true(seen.stream.dropped > 0)
        seen.stream:close()
        local numbers = {}
        for i in client:read_response({ timeout = 20 }).body:gmatch("data: x+(%d+)\n\n") do
            numbers[#numbers + 1] = tonumber(i)
        end
        assert.equal(400 - seen.stream.dropped, #numbers)
        assert.same({ 398, 399, 400 }, { unpack(numbers, #numbers - 2) })
    end)

    it("is disconnected by the policy close", function()
        local server, seen = serve(function() end, { slow_reader = "close", limit = 100000 })
        local client = get(server)
        testing.wait_until(function() return seen.stream end)
        flood(seen.stream, 1000)
        assert.is_true(seen.stream:closed())
        testing.wait_until(is_over)
        assert.equal(1, seen.ends)
        client:close()
    end)
end)

describe("the end of the server", function()
    it("ends streams with a retry, and cleanly", function()
        local waited
        local server = serve(function(_, stream)
            stream:wait_closed()
            waited = true
        end)
        local client = get(server)
        read_to(client, "retry: 3000\n\n")
        server.http:stop()
        server.http:close_all_connections(5)
        local rest = client:read_until_close()
        local retry = tonumber(rest:match("retry: (%d+)\n\n\r\n0\r\n\r\n$"))
        assert.is_true(retry >= 500 and retry <= 2500)
        testing.wait_until(function() return waited end)
    end)

    it("leaves streams of other servers open", function()
        local server, seen = serve(function() end)
        local client = get(server)
        read_to(client, "retry: 3000\n\n")
        local other = serve(function() end)
        other.http:close_all_connections(5)
        assert.is_false(seen.stream:closed())
        client:close()
    end)
end)
