-- tornado.httpserver: listeners, and applications that are no web.Application. PARITY §2; checks
-- 7 to 9, 14, 16 to 18 of §29, as far as they show through sockets (spec/wire has the rest).
local core = require "tornado.core"
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local ioloop = require "tornado.ioloop"
local testing = require "tornado.testing"
local web = require "tornado.web"

local Hello = web.RequestHandler:extend "Hello"
function Hello:get() self:write("hello " .. self.request.remote_ip) end
function Hello:post() self:write(self.request.body) end

local app = web.Application { { "/.*", Hello } }

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

describe("tornado.httpserver", function()
    it("takes a function, which answers itself", function()
        local server = testing.serve(function(request)
            core.reply(request.handle, 201, "", "text/x-mine", request.method, -1, 0)
            httpserver.release(request)
        end)
        local response = server:fetch("/")
        assert.equal(201, response.code)
        assert.equal("text/x-mine", response.headers:get("Content-Type"))
        assert.equal("GET", response.body)
    end)

    it("sends clients to HTTPS, but not those that ask about the server itself", function()
        local server = testing.serve(httpserver.redirect_to_https(8443))
        local connection = testing.connect(server.address)
        connection:send("GET /a?b HTTP/1.1\r\nHost: h:80\r\n\r\n" ..
            "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n" ..
            "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\nOPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n")
        for _, expected in ipairs { { 301, "https://h:8443/a?b" }, { 308, "https://h:8443/a" },
            { 204 }, { 204 } } do
            local response = connection:read_response()
            assert.equal(expected[1], response.code)
            assert.equal(expected[2], response.headers:get("Location"))
        end
        connection:close()
    end)

    it("ends the function where it waits when its time is over", function()
        testing.expect_log("Uncaught exception: TimeoutError: handler_timeout")
        core.set_option("handler_timeout", 0.2)
        finally(function() core.set_option("handler_timeout", 60) end)
        local ended = false
        local server = testing.serve(function()
            local ok, err = pcall(gen.sleep, 60)
            ended = not ok
            error(err, 0)
        end)
        assert.equal(503, server:fetch("/").code)
        testing.wait_until(function() return ended end)
    end)

    it("answers 500 and closes when the function raises", function()
        local logged = testing.expect_log("Uncaught exception .*httpserver_spec.lua:%d+: broken")
        local server = testing.serve(function() error("broken") end)
        local connection = server:connect()
        connection:send(GET)
        local response = connection:read_response()
        assert.equal(500, response.code)
        assert.equal("close", response.headers:get("Connection"))
        assert.equal("", (connection:read_until_close()))
        assert.equal(1, #logged.lines)
    end)

    it("refuses what is no application", function()
        for _, value in ipairs { 5, "x", {}, true } do
            local ok, err = pcall(httpserver.HTTPServer, value)
            assert.is_false(ok)
            assert.matches("bad application: expected web.Application or function, got " ..
                type(value), err)
        end
    end)

    it("listens on ports, IPv6 and unix sockets", function()
        local path = os.tmpname()
        os.remove(path)
        local server = httpserver.HTTPServer(app)
        finally(function()
            server:stop(true)
            os.remove(path)
        end)
        local addresses = { server:listen(0), server:listen_on("127.0.0.1:0"),
            server:listen_on("unix:" .. path) }
        local has_v6, v6 = pcall(server.listen_on, server, "[::1]:0")
        if has_v6 then addresses[4] = v6 end
        for i, address in ipairs(addresses) do
            local connection = testing.connect(address)
            connection:send(GET)
            assert.equal("hello " .. (i == 3 and "0.0.0.0" or i == 4 and "::1" or "127.0.0.1"),
                connection:read_response().body)
            connection:close()
        end
    end)

    it("raises for an address that cannot be listened on", function()
        local server = httpserver.HTTPServer(app)
        for _, address in ipairs { "nonsense", "127.0.0.1:99999", "1.2.3.4:0", "unix:",
            "unix:/no/such/folder/s", "[::1", "" } do
            local ok, err = pcall(server.listen_on, server, address)
            assert.is_false(ok, address)
            assert.equal("string", type(err))
        end
        local taken = testing.serve(app)
        local ok, err = pcall(server.listen, server, taken.port)
        assert.is_false(ok)
        assert.matches("in use", err)
    end)

    it("stops listening, and keeps connections unless it drops them", function()
        local server = testing.serve(app)
        local connection = server:connect()
        connection:send(GET)
        connection:read_response()
        server.http:stop()
        connection:send(GET)
        assert.equal(200, connection:read_response().code)
        local refused = testing.connect(server.address)
        assert.equal("reset", select(2, refused:read_until_close()))
        refused:close()
        connection:close()
        server = testing.serve(app)
        connection = server:connect()
        connection:send(GET)
        connection:read_response()
        server.http:stop(true)
        assert.truthy(select(2, connection:read_until_close()))
        server.http:stop(true)
    end)

    it("counts what it holds", function()
        local Slow = web.RequestHandler:extend "Slow"
        function Slow:get() gen.sleep(0.02) end
        local server = testing.serve(web.Application { { "/", Slow } })
        local before, handled = httpserver.live_count(), core.counts().handled
        local connections = {}
        for i = 1, 10 do
            connections[i] = server:connect()
            connections[i]:send(GET)
        end
        testing.wait_until(function() return httpserver.live_count() == before + 10 end)
        for i = 1, 10 do connections[i]:read_response() end
        assert.equal(before, httpserver.live_count())
        assert.equal(handled + 10, core.counts().handled)
    end)

    it("serves many connections at once", function()
        testing.set_timeout(300)
        local server = testing.serve(app)
        local connections = {}
        for i = 1, 400 do
            connections[i] = server:connect()
            connections[i]:send(GET)
        end
        for i = 1, 400 do assert.equal("hello 127.0.0.1", connections[i]:read_response().body) end
        assert.truthy(core.counts().connections >= 400)
    end)

    it("ignores an empty line between requests", function()
        local connection = testing.serve(app):connect()
        connection:send("\r\n" .. GET .. "\r\n" .. GET)
        assert.equal(200, connection:read_response().code)
        assert.equal(200, connection:read_response().code)
    end)

    it("takes heads byte by byte", function()
        local connection = testing.serve(app):connect()
        for char in GET:gmatch(".") do
            connection:send(char)
            gen.moment()
        end
        assert.equal(200, connection:read_response().code)
    end)

    it("answers what is malformed with the right status, and closes", function()
        local server = testing.serve(app)
        for bytes, code in pairs {
            ["garbage\r\n\r\n"] = 400, ["GET / HTTP/1.1\r\n\r\n"] = 400,
            ["GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"] = 400,
            ["GET / HTTP/2.0\r\nHost: a\r\n\r\n"] = 505,
            ["GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n"] = 400,
            ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"] = 400,
            ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked" ..
                "\r\n\r\n0\r\n\r\n"] = 400,
            ["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"] = 501,
            ["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\n"] = 400,
            ["GET /" .. ("x"):rep(8200) .. " HTTP/1.1\r\nHost: a\r\n\r\n"] = 414,
            ["GET / HTTP/1.1\r\nHost: a\r\nA: " .. ("x"):rep(66000) .. "\r\n\r\n"] = 431,
            ["GET / HTTP/1.1\r\nHost: a\r\n" .. ("A: b\r\n"):rep(201) .. "\r\n"] = 431,
        } do
            local connection = server:connect()
            connection:send(bytes)
            local response = connection:read_response()
            assert.equal(code, response.code, bytes:sub(1, 80))
            assert.equal("close", response.headers:get("Connection"))
            connection:shut()
            assert.equal("", (connection:read_until_close()))
        end
    end)

    it("closes idle and slow connections in their time", function()
        finally(function()
            core.set_option("header_timeout", 10)
            core.set_option("idle_timeout", 65)
            core.set_option("body_timeout", 30)
            core.set_option("body_min_rate", 240)
        end)
        core.set_option("header_timeout", 0.1)
        core.set_option("idle_timeout", 0.1)
        core.set_option("body_timeout", 0.1)
        core.set_option("body_min_rate", 240)
        local server = testing.serve(app)
        local silent, half, idle, body =
            server:connect(), server:connect(), server:connect(), server:connect()
        half:send("GET / HT")
        idle:send(GET)
        assert.equal(200, idle:read_response().code)
        body:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert.equal("", (silent:read_until_close()))
        assert.equal("", (idle:read_until_close()))
        assert.equal(408, half:read_response().code)
        assert.equal(408, body:read_response().code)
    end)

    describe("under disorder", function()
        local Echo = web.RequestHandler:extend "Echo"
        function Echo:post()
            local how = self:get_query_argument("how", "")
            if how == "wait" then gen.sleep(0.0005) end
            if how == "flush" then self:flush() end
            self:write(self.request.body)
            if how == "flush" then self:flush() end
            self:write("|" .. self:get_query_argument("n"))
        end
        Echo.get, Echo.put = Echo.post, Echo.post

        local Stream = web.stream_request_body(Echo:extend "Stream")
        function Stream:data_received(chunk)
            if self:get_query_argument("how", "") == "wait" then gen.moment() end
            self.pieces = (self.pieces or "") .. chunk
        end
        function Stream:post() self:write((self.pieces or "") .. "|" .. self:get_argument("n")) end

        local routes = web.Application { { "/echo", Echo }, { "/stream", Stream } }
        local HOW = { "", "wait", "flush" }

        local function frame(body, random)
            if random(2) == 1 then
                return ("Content-Length: %d\r\n\r\n%s"):format(#body, body)
            end
            local out, at = { "Transfer-Encoding: chunked\r\n\r\n" }, 1
            while at <= #body do
                local piece = body:sub(at, at + random(2000))
                out[#out + 1] = ("%x\r\n%s\r\n"):format(#piece, piece)
                at = at + #piece
            end
            out[#out + 1] = "0\r\n\r\n"
            return table.concat(out)
        end

        local function request(n, random)
            local how = HOW[random(#HOW)]
            if random(3) == 1 then
                return ("GET /echo?n=%d&how=%s HTTP/1.1\r\nHost: a\r\n\r\n"):format(n, how), ""
            end
            local body = (tostring(n) .. "."):rep(random(1500) - 1)
            return ("POST /%s?n=%d&how=%s HTTP/1.1\r\nHost: a\r\n%s"):format(
                random(2) == 1 and "echo" or "stream", n, how, frame(body, random)), body
        end

        it("answers pipelined requests of all kinds, however they are cut", function()
            testing.set_timeout(300)
            core.set_option("body_buffer_size", 2000)
            finally(function() core.set_option("body_buffer_size", 262144) end)
            local server = testing.serve(routes)
            for seed = 1, 20 do
                math.randomseed(seed)
                local random = math.random
                local texts, bodies = {}, {}
                for n = 1, 30 do texts[n], bodies[n] = request(n, random) end
                local all, connection = table.concat(texts), server:connect(20)
                local sending = gen.spawn(function()
                    local at = 1
                    while at <= #all do
                        local size = random(3) == 1 and random(20) or random(20000)
                        connection:send(all:sub(at, at + size - 1))
                        at = at + size
                        if random(2) == 1 then gen.moment() end
                    end
                end)
                for n = 1, 30 do
                    local response = connection:read_response()
                    assert.equal(200, response.code)
                    assert.is_true(response.body == bodies[n] .. "|" .. n,
                        ("seed %d, request %d"):format(seed, n))
                end
                gen.await(sending)
                connection:close()
            end
        end)

        it("sees a reset that comes together with the beginning of a body", function()
            local server = testing.serve(routes)
            local connection = server:connect()
            local handled = core.counts().handled
            connection:send("POST /echo?n=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
            connection:close(true)
            testing.wait_until(function() return core.counts().handled > handled end)
            testing.wait_until(function() return core.counts().requests == 0 end)
        end)

        it("survives clients that leave at any moment", function()
            testing.set_timeout(300)
            local server = testing.serve(routes)
            for seed = 1, 300 do
                math.randomseed(seed)
                local random = math.random
                local texts = {}
                for n = 1, random(4) do texts[n] = request(n, random) end
                local all = table.concat(texts)
                local connection = server:connect()
                connection:send(all:sub(1, random(#all)))
                for _ = 1, random(4) - 1 do gen.moment() end
                local how = random(4)
                if how == 1 then connection:shut() end
                if how < 4 then connection:close(how == 3) end
            end
            for _, connection in ipairs(server.connections) do connection:close() end
            testing.wait_until(function() return core.counts().requests == 0 end)
            assert.equal("|1", server:fetch("/echo?n=1").body)
        end)

        it("keeps its memory over ten thousand requests, good and bad", function()
            testing.set_timeout(300)
            testing.expect_log("broken")
            local Mixed = web.RequestHandler:extend "Mixed"
            function Mixed:get()
                local n = tonumber(self:get_argument("n"))
                if n % 50 == 0 then error("broken") end
                if n % 7 == 0 then gen.moment() end
                if n % 5 == 0 then error(web.HTTPError(404), 0) end
                if n % 3 == 0 then self:set_cookie("a", "b") end
                self:set_header("X-N", n)
                self:write("x")
            end
            local connection = testing.serve(web.Application { { "/", Mixed } }):connect(20)
            local function run(count)
                for first = 1, count, 100 do
                    local texts = {}
                    for i = 1, 100 do
                        texts[i] = ("GET /?n=%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(first + i)
                    end
                    connection:send(table.concat(texts))
                    for _ = 1, 100 do connection:read_response() end
                end
                collectgarbage()
                collectgarbage()
                return collectgarbage("count")
            end
            run(3000) -- and the compiler is done
            local before = run(1000)
            assert.truthy(run(6000) < before + 256)
        end)
    end)

    it("has options, and refuses others", function()
        for name, pattern in pairs {
            nonsense = 'HTTPServer: unknown option "nonsense"',
            max_connections = 'unknown option "max_connections"',
            ssl_options = "bad ssl_options: expected table or SSLContext, got",
            chunk_size = "chunk_size: ", max_buffer_size = "max_buffer_size: ",
            idle_timeout = "bad idle_timeout: expected a number that is not negative, got true",
            trusted_downstream = "bad trusted_downstream: expected IP addresses and networks",
        } do
            local value = name == "trusted_downstream" and { "a" } or true
            local ok, err = pcall(function()
                local server = httpserver.HTTPServer(app, { [name] = value })
                return server
            end)
            assert.is_false(ok, name)
            assert.matches("httpserver_spec.lua:%d+: .*" .. pattern, err)
        end
        assert.is_false((pcall(httpserver.HTTPServer, app, { max_body_size = -1 })))
        assert.is_false((pcall(httpserver.HTTPServer, app, { max_body_size = 0 / 0 })))
    end)

    it("has limits of its own, that no other server has", function()
        local other = testing.serve(app)
        local function code(options, raw)
            assert.equal(200, other:fetch("/", { raw = raw }).code)
            return testing.serve(app, { server = options }):fetch("/", { raw = raw }).code
        end
        local long = "GET /" .. ("x"):rep(200) .. " HTTP/1.1\r\nHost: a\r\n\r\n"
        assert.equal(414, code({ max_line_size = 100 }, long))
        assert.equal(431, code({ max_header_size = 100 },
            "GET / HTTP/1.1\r\nHost: a\r\nX: " .. ("x"):rep(200) .. "\r\n\r\n"))
        assert.equal(431, code({ max_fields = 1 }, "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n"))
        testing.expect_log("413 POST / .*body larger than 4 bytes")
        assert.equal(413, code({ max_body_size = 4 },
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345"))
    end)

    it("has timeouts of its own", function()
        local function ends(options, bytes)
            local connection = testing.serve(app, { server = options }):connect()
            connection:send(bytes)
            return (connection:read_until_close(2))
        end
        assert.equal("", ends({ header_timeout = 0.05 }, ""))
        assert.matches("^HTTP/1.1 408", ends({ header_timeout = 0.05 }, "GET"))
        assert.matches("^HTTP/1.1 200", ends({ idle_timeout = 0.05 }, GET))
        assert.matches("^HTTP/1.1 200", ends({ idle_connection_timeout = 0.05 }, GET))
        assert.matches("^HTTP/1.1 408", ends({ body_timeout = 0.05, body_min_rate = 0 },
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1"))
        assert.matches("^HTTP/1.1 200.*Connection: close", ends({ no_keep_alive = true }, GET))
    end)

    it("decodes bodies, and says https, when told so", function()
        local gzipped = core.unhex("1f8b08000000000000034b4c4a0600c241243503000000")
        local function post(options)
            local response = testing.request(app, "/", { body = gzipped, server = options,
                headers = { ["Content-Encoding"] = "gzip" } })
            return response.body
        end
        assert.equal(gzipped, post {})
        assert.equal("abc", post { decompress_request = true })
        local url
        testing.request(function(request)
            url = request:full_url()
            core.reply(request.handle, 200, "", "", "", -1, 0)
            httpserver.release(request)
        end, "/x", { headers = { Host = "a" }, server = { protocol = "https" } })
        assert.equal("https://a/x", url)
    end)

    it("binds first, and accepts when it is started", function()
        local server, listeners = httpserver.HTTPServer(app), core.counts().listeners
        finally(function() server:stop(true) end)
        local connection = testing.connect(server:bind(0))
        finally(function() connection:close() end)
        local open = core.counts().connections
        connection:send(GET)
        gen.sleep(0.01)
        assert.equal(open, core.counts().connections)
        server:start(1)
        assert.equal(200, connection:read_response().code)
        assert.has_error(function() server:start(2) end)
        local sockets = httpserver.bind_sockets(0)
        local address = core.listen_address(sockets[1])
        server:add_sockets(sockets)
        assert.has_error(function() server:add_socket(sockets[1]) end)
        assert.has_error(function() server:add_socket("1") end)
        local other = testing.connect(address)
        other:send(GET)
        assert.equal(200, other:read_response().code)
        other:close()
        server:bind(0)
        server:stop()
        assert.equal(listeners, core.counts().listeners)
    end)

    -- A table of eight slots: one field more doubles it, which costs a request 1,500 instructions.
    it("makes requests and handlers of eight fields", function()
        local counts
        local function count(object)
            local n = 0
            for name in pairs(object) do
                if name ~= "server" then n = n + 1 end -- asked for where a server has options
            end
            return n
        end
        local Plain = web.RequestHandler:extend "Plain"
        function Plain:get() self:write("x") end
        function Plain:on_finish() counts = { count(self.request), count(self) } end
        local connection = testing.serve(web.Application { { "/", Plain } }):connect()
        connection:send(GET):read_response()
        assert.same({ 8, 8 }, counts)
    end)

    it("closes all connections, and waits for their replies", function()
        local go, began = ioloop.waiter(), 0
        local Slow = web.RequestHandler:extend "Slow"
        function Slow:get()
            began = began + 1
            self:write("a")
            if began == 2 then self:flush() end
            testing.wait_until(function() return go.woken end)
            self:write("b")
        end
        local server = testing.serve(web.Application { { "/slow", Slow }, { "/", Hello } })
        local idle, fresh, half = server:connect(), server:connect(), server:connect()
        idle:send(GET):read_response()
        half:send("GET / HT")
        local busy, streaming = server:connect(), server:connect()
        for _, connection in ipairs { busy, streaming } do
            local count = began
            connection:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            testing.wait_until(function() return began > count end)
        end
        server.http:stop()
        local done
        local closing = gen.spawn(function()
            server.http:close_all_connections()
            done = true
        end)
        for _, connection in ipairs { idle, fresh, half } do
            assert.same({ "", "eof" }, { connection:read_until_close() })
        end
        assert.is_nil(done)
        local ok, err = pcall(server.http.close_all_connections, server.http, 0.01)
        assert.is_false(ok)
        assert.equal("TimeoutError: Timeout", tostring(err))
        ioloop.wake(go)
        local response = busy:read_response()
        assert.equal("ab", response.body)
        assert.equal("close", response.headers:get("Connection"))
        assert.equal("ab", streaming:read_response().body)
        for _, connection in ipairs { busy, streaming } do
            assert.same({ "", "eof" }, { connection:read_until_close() })
        end
        gen.await(closing)
        assert.is_true(done)
        server.http:close_all_connections()
    end)

    it("warns of debug on a listener that others can reach", function()
        local debug_app = web.Application({ { "/", Hello } }, { debug = true })
        for _, address in ipairs { "0.0.0.0:0", "*:0" } do
            local server = httpserver.HTTPServer(debug_app)
            local logged = testing.expect_log("warning", "DEBUG IS ON, and .*:%d+ can be reached")
            server:listen_on(address)
            server:stop(true)
            assert.equal(1, #logged.lines)
            server = httpserver.HTTPServer(app)
            server:listen_on(address) -- says nothing
            server:stop(true)
        end
        local path = os.tmpname()
        os.remove(path)
        testing.serve(debug_app)
        testing.serve(debug_app, { unix = path })
    end)
end)
