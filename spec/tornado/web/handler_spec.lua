-- tornado.web.handler: the life of a request, in the order of PARITY §1.1, and what its
-- hooks see. Checks 2, 4 to 8, 11, 22, 73 to 76 of §29.
local concurrent = require "tornado.concurrent"
local core = require "tornado.core"
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local ioloop = require "tornado.ioloop"
local testing = require "tornado.testing"
local util = require "tornado.util"
local web = require "tornado.web"

local function class_of(verbs)
    local Handler = web.RequestHandler:extend "Handler"
    for name, fn in pairs(verbs) do Handler[name] = fn end
    return Handler
end

local function serve(verbs, settings, pattern, kwargs)
    return testing.serve(web.Application({
        { pattern or "/", class_of(verbs), kwargs },
    }, settings))
end

-- Sets options of the server for the length of the case.
local DEFAULTS = {
    handler_timeout = 60, body_buffer_size = 262144, write_buffer_size = 262144,
    body_timeout = 30, max_keepalive_requests = 10000,
}

local function set_options(options)
    for name, value in pairs(options) do
        assert(DEFAULTS[name], name)
        core.set_option(name, value)
    end
end

local function restore_options()
    for name, value in pairs(DEFAULTS) do core.set_option(name, value) end
end

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

describe("tornado.web.handler", function()
    after_each(restore_options)

    describe("the order of a request", function()
        local function recorder(steps)
            local function step(name, fn)
                return function(self, ...)
                    steps[#steps + 1] = name
                    if fn then return fn(self, ...) end
                end
            end
            return step
        end

        it("is set_default_headers, initialize, prepare, verb, log, on_finish", function()
            local steps = {}
            local step = recorder(steps)
            local server = serve({
                init = step "init", set_default_headers = step "set_default_headers",
                initialize = step("initialize", function(_, kwargs)
                    steps[#steps + 1] = kwargs.answer
                end),
                prepare = step "prepare", get = step "get", on_finish = step "on_finish",
            }, { log_function = function(handler)
                steps[#steps + 1] = "log " .. handler:get_status()
            end }, nil, { answer = 42 })
            assert.equal(200, server:fetch("/").code)
            assert.same({ "init", "set_default_headers", "initialize", 42, "prepare", "get",
                "log 200", "on_finish" }, steps)
        end)

        it("does not come to the verb when prepare has finished or raised", function()
            local steps = {}
            local step = recorder(steps)
            local server = serve {
                prepare = step("prepare", function(self)
                    if self:get_argument("how") == "finish" then return self:finish("early") end
                    error(web.HTTPError(401), 0)
                end),
                get = step "get", on_finish = step "on_finish",
            }
            assert.equal("early", server:fetch("/?how=finish").body)
            assert.equal(401, server:fetch("/?how=raise").code)
            assert.same({ "prepare", "on_finish", "prepare", "on_finish" }, steps)
        end)

        it("never comes to prepare when initialize raises: 500", function()
            testing.expect_log("no way")
            local prepared = false
            local server = serve {
                initialize = function() error("no way") end,
                prepare = function() prepared = true end,
                get = function() end,
            }
            assert.equal(500, server:fetch("/").code)
            assert.is_false(prepared)
        end)

        it("answers 405 before anything else for a method that is not supported", function()
            local prepared = false
            local server = serve { prepare = function() prepared = true end, get = function() end }
            for _, method in ipairs { "FOO", "get", "TRACE", "PROPFIND" } do
                local response = server:fetch("/", { method = method })
                assert.equal(405, response.code)
                assert.equal("GET", response.headers:get("Allow"))
            end
            assert.is_false(prepared)
        end)

        it("waits in initialize, prepare and the verb, and for futures they return", function()
            local server = serve {
                initialize = function(self) gen.moment() self.a = 1 end,
                prepare = function(self)
                    return gen.spawn(function()
                        gen.sleep(0.001)
                        self.b = 2
                    end)
                end,
                get = function(self)
                    gen.sleep(0.001)
                    return gen.spawn(function()
                        gen.moment()
                        self:write(self.a .. self.b)
                    end)
                end,
            }
            assert.equal("12", server:fetch("/").body)
        end)

        it("answers 500 when a verb returns what is no future", function()
            for _, value in ipairs { "text", 1, true, false, {} } do
                local logged = testing.expect_log("Handler:get%(%) returned " .. type(value))
                assert.equal(500, serve({ get = function() return value end }):fetch("/").code)
                assert.equal(1, #logged.lines)
            end
        end)

        it("answers 500 when the future of a verb fails", function()
            testing.expect_log("from the future")
            local server = serve { get = function()
                return gen.spawn(function()
                    gen.moment()
                    error("from the future")
                end)
            end }
            assert.equal(500, server:fetch("/").code)
        end)

        it("answers though log_function raises, which is logged", function()
            local logged = testing.expect_log("broken log")
            local server = serve({ get = function(self) self:write("good") end },
                { log_function = function() error("broken log") end })
            for _ = 1, 2 do assert.equal("good", server:fetch("/").body) end
            assert.equal(2, #logged.lines)
        end)

        it("comes to on_finish once, whose errors are logged", function()
            testing.expect_log("broken on_finish")
            local calls = 0
            local server = serve {
                get = function(self) self:write("good") end,
                on_finish = function()
                    calls = calls + 1
                    error("broken on_finish")
                end,
            }
            local response = server:fetch("/")
            assert.equal(200, response.code)
            assert.equal("good", response.body)
            assert.equal(200, server:fetch("/").code)
            assert.equal(2, calls)
        end)
    end)

    describe("verbs", function()
        it("are called by their method", function()
            local verbs = {}
            for _, verb in ipairs { "get", "post", "put", "delete", "patch", "options" } do
                verbs[verb] = function(self) self:write(verb .. " " .. self.request.method) end
            end
            local server = serve(verbs)
            for verb in pairs(verbs) do
                assert.equal(verb .. " " .. verb:upper(),
                    server:fetch("/", { method = verb:upper() }).body)
            end
        end)

        it("answer 405 with Allow and a page when they are not written", function()
            local server = serve { get = function() end, put = function() end }
            local response = server:fetch("/", { method = "POST", body = "x" })
            assert.equal(405, response.code)
            assert.equal("GET, PUT", response.headers:get("Allow"))
            assert.equal("<html><title>405: Method Not Allowed</title><body>405: Method Not " ..
                "Allowed</body></html>", response.body)
        end)

        it("do not make HEAD of GET", function()
            local response = serve({ get = function() end }):fetch("/", { method = "HEAD" })
            assert.equal(405, response.code)
            assert.equal("87", response.headers:get("Content-Length"))
            assert.equal("", response.body)
        end)

        it("can be more than the usual ones", function()
            local Handler = class_of { propfind = function(self) self:write("found") end }
            Handler.SUPPORTED_METHODS = { "PROPFIND", "GET" }
            local server = testing.serve(web.Application { { "/", Handler } })
            assert.equal("found", server:fetch("/", { method = "PROPFIND" }).body)
            assert.equal(405, server:fetch("/", { method = "POST" }).code)
            assert.equal(405, server:fetch("/").code)
        end)

        it("get the groups of the path, decoded", function()
            local server = serve({ get = function(self, a, b, c)
                self:write(table.concat({ tostring(a), tostring(b), tostring(c) }, "|"))
            end }, nil, "/x/([^/]*)(?:/([^/]*))?(?:/([^/]*))?")
            assert.equal("a/b+c d|nil|nil", server:fetch("/x/a%2Fb+c%20d").body)
            assert.equal("1|2|nil", server:fetch("/x/1/2").body)
            assert.equal("1||3", server:fetch("/x/1//3").body)
            assert.equal("ü|nil|nil", server:fetch("/x/%c3%bc").body)
        end)

        it("get named groups as a table", function()
            local seen
            local server = serve({ get = function(self, groups)
                seen = { groups, self.path_kwargs }
            end }, nil, [[/(?P<user>\w+)/(?P<page>\d+)]])
            server:fetch("/ann/7")
            assert.same({ { user = "ann", page = "7" }, { user = "ann", page = "7" } }, seen)
        end)

        it("are in path_args and path_kwargs before prepare()", function()
            local Paths = web.RequestHandler:extend "Paths"
            function Paths:prepare()
                self:finish { list = #self.path_args, args = self.path_args,
                    kwargs = self.path_kwargs }
            end
            local server = testing.serve(web.Application {
                { "/one/(.*)/(.*)", Paths }, { "/two/(?P<x>.*)", Paths }, { "/none", Paths },
            })
            assert.same({ list = 2, args = { "a b", "" }, kwargs = {} },
                server:fetch("/one/a%20b/"):json())
            assert.same({ list = 0, args = {}, kwargs = { x = "1" } },
                server:fetch("/two/1"):json())
            assert.same({ list = 0, args = {}, kwargs = {} }, server:fetch("/none"):json())
        end)

        it("answer 400 for a path that is not UTF-8", function()
            testing.expect_log("Invalid unicode in url")
            assert.equal(400, serve({ get = function() end }, nil, "/(.*)"):fetch("/%ff").code)
        end)
    end)

    describe("a handler that never finishes", function()
        it("is ended by handler_timeout with 503, and the loop lives", function()
            testing.expect_log("handler_timeout")
            set_options { handler_timeout = 0.2 }
            local unwound = false
            local server = serve {
                get = function()
                    local ok, err = pcall(gen.sleep, 100)
                    unwound = not ok
                    error(err, 0)
                end,
                post = function(self) self:write("alive") end,
            }
            local started = core.precise()
            local response = server:fetch("/")
            assert.equal(503, response.code)
            assert.matches("503: Service Unavailable", response.body)
            assert.is_true(unwound)
            assert.truthy(core.precise() - started < 25)
            assert.equal("alive", server:fetch("/", { method = "POST" }).body)
        end)

        it("is ended, too, when it has returned without finish", function()
            testing.expect_log("handler_timeout")
            set_options { handler_timeout = 0.2 }
            local server = serve { _auto_finish = false, get = function() end }
            assert.equal(503, server:fetch("/").code)
        end)

        it("is ended, too, when its client has left meanwhile", function()
            httpserver.handler_timeout = 0.1
            finally(function() httpserver.handler_timeout = 60 end)
            local entered, unwound = false, false
            local server = serve { get = function()
                entered = true
                unwound = not pcall(gen.sleep, 100)
            end }
            local connection = server:connect()
            connection:send(GET)
            testing.wait_until(function() return entered end)
            connection:close(true)
            testing.wait_until(function() return unwound end)
            testing.wait_until(function() return core.counts().requests == 0 end)
        end)

        it("may finish later, from somewhere else", function()
            local server = serve { _auto_finish = false, get = function(self)
                ioloop.call_later(0.01, function() self:finish("later") end)
            end }
            assert.equal("later", server:fetch("/").body)
        end)

        it("is ended, too, when it has yielded past the loop", function()
            testing.expect_log("handler_timeout")
            set_options { handler_timeout = 0.2 }
            local server = serve {
                get = function() coroutine.yield() end,
                post = function(self) self:write("alive") end,
            }
            assert.equal(503, server:fetch("/").code)
            assert.equal("alive", server:fetch("/", { method = "POST" }).body)
        end)

        it("is asked again when it goes on in spite of the timeout", function()
            testing.expect_log("handler_timeout")
            set_options { handler_timeout = 0.2 }
            local done = concurrent.Future()
            local server = serve { get = function()
                pcall(gen.sleep, 100)
                gen.await(done)
            end }
            assert.equal(503, server:fetch("/").code)
            done:set_result(nil)
        end)
    end)

    describe("on_connection_close", function()
        it("comes once, when the client leaves while the handler works", function()
            local calls, finished = 0, 0
            local go = concurrent.Future()
            local server = serve {
                on_connection_close = function() calls = calls + 1 end,
                on_finish = function() finished = finished + 1 end,
                get = function(self)
                    gen.await(go)
                    self:write("nobody reads this")
                end,
            }
            local connection = server:connect()
            connection:send(GET)
            testing.wait_until(function() return core.counts().requests > 0 end)
            connection:close()
            testing.wait_until(function() return calls > 0 end)
            go:set_result(nil)
            testing.wait_until(function() return finished > 0 end)
            assert.equal(1, calls)
            assert.equal(1, finished)
            assert.equal(405, server:fetch("/", { method = "POST" }).code)
        end)

        it("comes for a reset, too", function()
            local calls = 0
            local go = concurrent.Future()
            local server = serve {
                on_connection_close = function() calls = calls + 1 end,
                get = function() gen.await(go) end,
            }
            local connection = server:connect()
            connection:send(GET)
            testing.wait_until(function() return core.counts().requests > 0 end)
            connection:close(true)
            testing.wait_until(function() return calls > 0 end)
            go:set_result(nil)
            assert.equal(1, calls)
        end)

        it("comes when the client's end came with its request", function()
            for _, reset in ipairs { false, true } do
                local calls, go = 0, concurrent.Future()
                local server = serve {
                    on_connection_close = function() calls = calls + 1 end,
                    get = function() gen.await(go) end,
                    put = function(self) self:write(self.request.body) end,
                }
                local connection = server:connect()
                connection:send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
                assert.equal("ab", connection:read_response().body)
                connection:send(GET)
                connection:close(reset)
                testing.wait_until(function() return calls > 0 end)
                go:set_result(nil)
                server:stop()
                testing.wait_until(function() return core.counts().connections == 0 end)
                assert.equal(1, calls)
            end
        end)

        it("does not come for a request that is answered", function()
            local calls = 0
            local server = serve {
                on_connection_close = function() calls = calls + 1 end,
                get = function() end,
            }
            server:fetch("/")
            server:stop()
            testing.wait_until(function() return core.counts().connections == 0 end)
            assert.equal(0, calls)
        end)

        it("may raise, which is logged", function()
            testing.expect_log("broken hook")
            local go, called = concurrent.Future(), false
            local server = serve {
                on_connection_close = function()
                    called = true
                    error("broken hook")
                end,
                get = function() gen.await(go) end,
            }
            local connection = server:connect()
            connection:send(GET)
            testing.wait_until(function() return core.counts().requests > 0 end)
            connection:close()
            testing.wait_until(function() return called end)
            go:set_result(nil)
        end)
    end)

    describe("cancel_on_disconnect", function()
        -- Sends a request, waits until its handler does, and leaves.
        local function leave(members)
            local entered = false
            local get = members.get
            members.get = function(self)
                entered = true
                get(self)
            end
            local connection = serve(members):connect()
            connection:send(GET)
            testing.wait_until(function() return entered end)
            connection:close(true)
        end

        it("ends the handler where it waits, with all that it has started", function()
            local order = {}
            local function note(what)
                return function() order[#order + 1] = what end
            end
            leave {
                cancel_on_disconnect = true,
                on_connection_close = note "close",
                on_finish = note "finish",
                get = function()
                    gen.spawn(function()
                        pcall(gen.sleep, 60)
                        order[#order + 1] = "spawned"
                    end)
                    gen.scope(function(scope)
                        scope:spawn(function()
                            local _, err = pcall(gen.await, concurrent.Future())
                            order[#order + 1] = tostring(err)
                        end)
                        gen.sleep(60)
                    end)
                    error("never")
                end,
            }
            testing.wait_until(function() return #order == 4 end)
            assert.equal("close", order[1])
            assert.equal("finish", order[4])
            table.sort(order)
            assert.same({ "CancelledError: the client has left", "close", "finish", "spawned" },
                order)
            testing.wait_until(function() return core.counts().requests == 0 end)
        end)

        it("asks again when the handler goes on, and lets shields be", function()
            local seen, finished = {}, false
            leave {
                cancel_on_disconnect = true,
                on_finish = function() finished = true end,
                get = function()
                    for i = 1, 3 do
                        seen[i] = select(2, pcall(gen.sleep, 60))
                        assert(util.isinstance(seen[i], gen.CancelledError))
                    end
                    gen.shield(gen.sleep, 0.002)
                    seen[4] = "shielded"
                end,
            }
            testing.wait_until(function() return finished end)
            assert.equal("shielded", seen[4])
        end)

        it("ends what waits for the reply's end elsewhere, and tasks with it", function()
            local finished, ended = false, false
            leave {
                cancel_on_disconnect = true,
                _auto_finish = false,
                on_finish = function() finished = true end,
                get = function() gen.spawn(function() ended = not pcall(gen.sleep, 60) end) end,
            }
            testing.wait_until(function() return finished and ended end)
        end)

        it("is off by default: the handler goes on", function()
            local go, done, closed = concurrent.Future(), false, false
            leave {
                on_connection_close = function() closed = true end,
                get = function()
                    gen.await(go)
                    done = true
                end,
            }
            testing.wait_until(function() return closed end)
            go:set_result(nil)
            testing.wait_until(function() return done end)
        end)

        it("comes even if on_connection_close raises", function()
            testing.expect_log("broken hook")
            local ended = false
            leave {
                cancel_on_disconnect = true,
                on_connection_close = function() error("broken hook") end,
                get = function() ended = not pcall(gen.sleep, 60) end,
            }
            testing.wait_until(function() return ended end)
        end)
    end)

    describe("handler_timeout", function()
        it("ends the tasks of the handler, too; its error page may wait", function()
            testing.expect_log("handler_timeout")
            set_options { handler_timeout = 0.2 }
            local ended = false
            local server = serve {
                get = function()
                    gen.spawn(function() ended = not pcall(gen.sleep, 60) end)
                    gen.sleep(60)
                end,
                write_error = function(self, status)
                    gen.sleep(0.001)
                    self:finish("waited " .. status)
                end,
            }
            assert.equal("waited 503", server:fetch("/").body)
            assert.is_true(ended)
        end)
    end)

    describe("half-closed clients", function()
        it("get their reply", function()
            local go = concurrent.Future()
            local connection = serve({ get = function(self)
                gen.await(go)
                self:write("still here")
            end }):connect()
            connection:send(GET)
            connection:shut()
            testing.wait_until(function() return core.counts().requests > 0 end)
            go:set_result(nil)
            local response = connection:read_response()
            assert.equal("still here", response.body)
            assert.equal("eof", select(2, connection:read_until_close()))
        end)

        it("get the replies to all they have sent", function()
            local connection = serve({ get = function(self) self:write("x") end }):connect()
            connection:send(GET:rep(5))
            connection:shut()
            for _ = 1, 5 do assert.equal("x", connection:read_response().body) end
            assert.equal("", (connection:read_until_close()))
        end)

        it("get nothing when the body is cut off, and the handler is not run", function()
            local ran = false
            local connection = serve({ post = function() ran = true end }):connect()
            connection:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            connection:shut()
            assert.equal("", (connection:read_until_close()))
            assert.is_false(ran)
        end)
    end)

    describe("concurrent requests", function()
        it("do not wait for each other", function()
            local go = concurrent.Future()
            local Slow = class_of { get = function(self) gen.await(go) self:write("slow") end }
            local Fast = class_of { get = function(self) self:write("fast") end }
            local server = testing.serve(web.Application { { "/slow", Slow }, { "/fast", Fast } })
            local connections = {}
            for i = 1, 50 do
                connections[i] = server:connect()
                connections[i]:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            end
            testing.wait_until(function() return core.counts().requests >= 50 end)
            assert.equal("fast", server:fetch("/fast").body)
            go:set_result(nil)
            for i = 1, 50 do assert.equal("slow", connections[i]:read_response().body) end
        end)

        it("of one connection are answered in order, one after the other", function()
            local running, most = 0, 0
            local connection = serve({ get = function(self)
                running = running + 1
                most = math.max(most, running)
                gen.sleep(self:get_argument("n") == "1" and 0.01 or 0)
                self:write(self:get_argument("n"))
                running = running - 1
            end }):connect()
            for i = 1, 3 do
                connection:send(("GET /?n=%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(i))
            end
            for i = 1, 3 do assert.equal(tostring(i), connection:read_response().body) end
            assert.equal(1, most)
        end)
    end)

    describe("bodies", function()
        local function echo(self) self:finish(self.request.body) end

        local function post(connection, body)
            connection:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " .. #body ..
                "\r\n\r\n" .. body)
            return connection:read_response()
        end

        it("are whole when the verb runs, for any method", function()
            local server = serve { get = echo, post = echo, put = echo, delete = echo }
            for _, method in ipairs { "GET", "POST", "PUT", "DELETE" } do
                local response = server:fetch("/", { method = method, body = "the body" })
                assert.equal("the body", response.body)
            end
        end)

        it("come whole however they are cut, and beside body_buffer_size", function()
            set_options { body_buffer_size = 1000 }
            local connection = serve({ post = echo }):connect()
            for _, size in ipairs { 0, 1, 999, 1000, 1001, 70000, 300000 } do
                local body = ("abcdefghij"):rep(size / 10 + 1):sub(1, size)
                local response = post(connection, body)
                assert.is_true(response.body == body)
            end
            connection:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
            for char in ("hello"):gmatch(".") do
                connection:send(char)
                gen.moment()
            end
            assert.equal("hello", connection:read_response().body)
        end)

        it("come whole from chunks", function()
            set_options { body_buffer_size = 1000 }
            local connection = serve({ post = echo }):connect()
            connection:send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            local body = {}
            for i = 1, 200 do
                local piece = ("%d,"):format(i):rep(i)
                connection:send(("%x\r\n%s\r\n"):format(#piece, piece))
                body[i] = piece
            end
            connection:send("0\r\n\r\n")
            assert.is_true(connection:read_response().body == table.concat(body))
        end)

        it("over body_buffer_size lie on disk, not in memory", function()
            testing.set_timeout(300)
            local size = 64 * 1048576
            local descriptors
            local server = serve({ post = function(self)
                descriptors = core.counts().descriptors
                self:write(tostring(#self.request.body))
            end, max_body_size = size })
            local connection = server:connect(20)
            local before = core.counts().descriptors
            connection:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " .. size .. "\r\n\r\n")
            local piece = ("x"):rep(65536)
            for _ = 1, size / #piece do connection:send(piece) end
            assert.equal(tostring(size), connection:read_response().body)
            assert.equal(before + 2, descriptors) -- the server's side, and the spool
        end)

        it("over the limit get 413, from the handler's max_body_size", function()
            testing.expect_log("body larger than 10 bytes")
            local runs = 0
            local server = serve { max_body_size = 10, post = function(self)
                runs = runs + 1
                self:write(self.request.body)
            end }
            assert.equal("1234567890", server:fetch("/", { body = "1234567890" }).body)
            local response = server:fetch("/", { body = "12345678901" })
            assert.equal(413, response.code)
            assert.equal("close", response.headers:get("Connection"))
            assert.equal(1, runs)
            response = server:fetch("/", { raw = "POST / HTTP/1.1\r\nHost: a\r\n" ..
                "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n6\r\n123456\r\n0\r\n\r\n" })
            assert.equal(413, response.code)
        end)

        -- A size is judged with its line, wherever that is cut (RFC 9112 §7.1).
        it("in chunks get one answer, in whatever pieces they come", function()
            local head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            testing.expect_log("body larger than 10 bytes")
            local server = serve { max_body_size = 10, post = echo }
            for _, case in ipairs {
                { "10000000000000000\r\nx", 400 }, { "fffffffffffffffffz\r\nx", 400 },
                { "8000000000000000\r\nx", 400 }, { "7fffffffffffffff\r\nx", 413 },
                { "b;a=b\r\n123", 413 }, { "5\r\n12345\r\n6\r\n1", 413 },
                { "ffffz\r\nx", 400 }, { "ffff;=\r\nx", 400 }, { "ffff \r\nx", 400 },
                { "ffff\rx", 400 }, { ("0"):rep(32) .. "1\r\nx", 400 },
                { ("0"):rep(31) .. "1\r\nx\r\n0\r\n\r\n", 200 },
                { "a\r\n1234567890\r\n0\r\n\r\n", 200 },
            } do
                local bytes, code = case[1], case[2]
                for cut = 0, #bytes - 1 do
                    local connection = server:connect()
                    connection:send(head .. bytes:sub(1, cut))
                    for _ = 1, 3 do gen.moment() end
                    connection:send(bytes:sub(cut + 1))
                    local response = connection:read_response()
                    assert.equal(code, response.code, bytes .. " cut at " .. cut)
                    connection:close()
                end
            end
        end)

        it("over the limit get 413 from the application's or the server's max_body_size", function()
            testing.expect_log("body larger than 3 bytes")
            local server = serve({ post = echo }, { max_body_size = 3 })
            assert.equal(413, server:fetch("/", { body = "1234" }).code)
            assert.equal("123", server:fetch("/", { body = "123" }).body)
            testing.expect_log("body larger than 1048576 bytes")
            server = serve { post = echo }
            assert.equal(413, server:fetch("/", { raw =
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n" }).code)
        end)

        it("are asked for with 100 Continue, when the client wants that", function()
            local connection = serve({ post = echo }):connect()
            connection:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" ..
                "Expect: 100-continue\r\n\r\n")
            local asked = ""
            while not asked:find("\r\n\r\n", 1, true) do
                asked = asked .. assert(connection:read_some())
            end
            assert.equal("HTTP/1.1 100 Continue\r\n\r\n", asked)
            connection:send("hello")
            local response = connection:read_response()
            assert.equal("hello", response.body)
            assert.same({}, response.interim)
            connection:send(GET)
            assert.equal(405, connection:read_response().code)
        end)

        it("are not asked for when they come anyway, or when there is none", function()
            local connection = serve({ post = echo }):connect()
            connection:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" ..
                "Expect: 100-continue\r\n\r\nhello")
            assert.same({}, connection:read_response().interim)
            connection:send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
            assert.same({}, connection:read_response().interim)
        end)

        it("are not asked for when they are too large: 413 comes instead", function()
            testing.expect_log("body larger than 3 bytes")
            local connection = serve({ post = echo, max_body_size = 3 }):connect()
            connection:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" ..
                "Expect: 100-continue\r\n\r\n")
            local response = connection:read_response()
            assert.equal(413, response.code)
            assert.same({}, response.interim)
            assert.equal("", (connection:read_until_close()))
        end)
    end)

    describe("streamed bodies", function()
        local function streamer(verbs, settings)
            return testing.serve(web.Application({
                { "/", web.stream_request_body(class_of(verbs)) },
            }, settings))
        end

        it("come to data_received piece by piece, after prepare and before the verb", function()
            local steps, together = {}, 0
            local connection = streamer({
                prepare = function() steps[#steps + 1] = "prepare" end,
                data_received = function(_, chunk)
                    together = together + 1
                    assert(together == 1, "two at once")
                    gen.sleep(0.001)
                    steps[#steps + 1] = chunk
                    together = together - 1
                end,
                post = function(self)
                    steps[#steps + 1] = "post"
                    self:write(#self.request.body .. "")
                end,
            }):connect()
            connection:send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            testing.wait_until(function() return steps[1] end)
            for i, piece in ipairs { "abcdefghij", "klmnopqrst", "uvwxyz" } do
                connection:send(("%x\r\n%s\r\n"):format(#piece, piece))
                testing.wait_until(function() return steps[i + 1] end)
            end
            connection:send("0\r\n\r\n")
            assert.equal("0", connection:read_response().body)
            assert.same({ "prepare", "abcdefghij", "klmnopqrst", "uvwxyz", "post" }, steps)
        end)

        it("hold the sender back while nobody takes them", function()
            testing.set_timeout(300)
            local go, got = concurrent.Future(), 0
            local size = 64 * 1048576
            local connection = streamer({
                max_body_size = size,
                data_received = function(_, chunk)
                    gen.await(go)
                    got = got + #chunk
                end,
                post = function(self) self:write(tostring(got)) end,
            }):connect(20)
            local sent = 0
            local sending = gen.spawn(function()
                connection:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " .. size ..
                    "\r\n\r\n")
                local piece = ("x"):rep(65536)
                while sent < size do
                    connection:send(piece, 20)
                    sent = sent + #piece
                end
            end)
            local before, still = -1, 0
            testing.wait_until(function()
                still = sent == before and sent > 0 and still + 1 or 0
                before = sent
                return still > 20
            end)
            assert.truthy(sent < size / 2)
            assert.equal(0, got)
            go:set_result(nil)
            gen.await(sending)
            assert.equal(tostring(size), connection:read_response().body)
        end)

        it("may be answered early; what is left is dropped with the connection", function()
            local connection = streamer({
                prepare = function(self)
                    self:set_status(401)
                    self:finish("no")
                end,
                data_received = function() error("never") end,
            }):connect()
            connection:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
            connection:send(("x"):rep(100000))
            local response = connection:read_response()
            assert.equal(401, response.code)
            assert.equal("no", response.body)
            connection:shut()
            connection:read_until_close()
        end)

        it("are not asked for when prepare has finished", function()
            local connection = streamer({
                prepare = function(self) self:finish("no, thanks") end,
                data_received = function() error("never") end,
            }):connect()
            connection:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" ..
                "Expect: 100-continue\r\n\r\n")
            local response = connection:read_response()
            assert.equal("no, thanks", response.body)
            assert.same({}, response.interim)
        end)

        it("end with 500 when data_received raises, or 400 when it says so", function()
            testing.expect_log("broken piece")
            local err = "broken piece"
            local server = streamer {
                data_received = function() error(err) end,
                post = function() end,
            }
            assert.equal(500, server:fetch("/", { body = "x" }).code)
            err = web.HTTPError(400)
            assert.equal(400, server:fetch("/", { body = "x" }).code)
        end)

        it("over the limit get 413", function()
            testing.expect_log("body larger than 10 bytes")
            local response = streamer({
                max_body_size = 10,
                data_received = function() end,
                post = function() end,
            }):fetch("/", { body = "12345678901" })
            assert.equal(413, response.code)
        end)

        it("that break off end the request without the verb", function()
            local posted, closed, got = false, 0, ""
            local connection = streamer({
                data_received = function(_, chunk) got = got .. chunk end,
                on_connection_close = function() closed = closed + 1 end,
                post = function() posted = true end,
            }):connect()
            connection:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            testing.wait_until(function() return got == "abc" end)
            connection:close()
            testing.wait_until(function() return closed > 0 end)
            assert.equal(1, closed)
            assert.is_false(posted)
        end)

        it("need data_received", function()
            testing.expect_log("must implement data_received")
            assert.equal(500, streamer({ post = function() end }):fetch("/", { body = "x" }).code)
        end)

        it("are only for handler classes", function()
            for _, value in ipairs { 1, {}, web.Application } do
                assert.has_error(function() web.stream_request_body(value) end)
            end
        end)
    end)

    describe("connections", function()
        local function hello(self) self:write("hello") end

        it("go on after a reply", function()
            local connection = serve({ get = hello }):connect()
            for _ = 1, 3 do
                connection:send(GET)
                local response = connection:read_response()
                assert.equal("hello", response.body)
                assert.is_false(response.headers:has("Connection"))
            end
            assert.is_false(connection:is_closed())
        end)

        it("end after HTTP/1.0", function()
            local connection = serve({ get = hello }):connect()
            connection:send("GET / HTTP/1.0\r\n\r\n")
            local response = connection:read_response()
            assert.equal("HTTP/1.1", response.version)
            assert.is_false(response.headers:has("Connection"))
            assert.equal("", (connection:read_until_close()))
        end)

        it("go on after HTTP/1.0 with keep-alive", function()
            local connection = serve({ get = hello }):connect()
            for _ = 1, 2 do
                connection:send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                local response = connection:read_response()
                assert.equal("Keep-Alive", response.headers:get("Connection"))
                assert.equal("hello", response.body)
            end
        end)

        it("end when the client or the handler says so", function()
            for _, request in ipairs { "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\n\r\n" } do
                local connection = serve({ get = hello, post = function(self)
                    self:set_header("Connection", "close")
                end }):connect()
                connection:send(request .. GET)
                local response = connection:read_response()
                assert.same({ "close" }, response.headers:get_list("Connection"))
                assert.equal("", (connection:read_until_close()))
            end
        end)

        it("end after max_keepalive_requests", function()
            set_options { max_keepalive_requests = 3 }
            local connection = serve({ get = hello }):connect()
            connection:send(GET:rep(5))
            for i = 1, 3 do
                assert.equal(i == 3 and "close" or nil,
                    connection:read_response().headers:get("Connection"))
            end
            assert.equal("", (connection:read_until_close()))
        end)

        it("take pipelined requests", function()
            local connection = serve({ get = function(self)
                self:write(self:get_argument("n"))
            end }):connect()
            local requests = {}
            for i = 1, 500 do
                requests[i] = ("GET /?n=%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(i)
            end
            connection:send(table.concat(requests))
            for i = 1, 500 do assert.equal(tostring(i), connection:read_response().body) end
        end)

        it("take pipelined requests with bodies", function()
            local connection = serve({ post = function(self)
                self:write(self.request.body)
            end }):connect()
            local requests = {}
            for i = 1, 100 do
                requests[i] = ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"):format(
                    #tostring(i) * 10, tostring(i):rep(10))
            end
            connection:send(table.concat(requests))
            for i = 1, 100 do
                assert.equal(tostring(i):rep(10), connection:read_response().body)
            end
        end)

        it("answer what is good before what is bad", function()
            local connection = serve({ get = hello }):connect()
            connection:send(GET .. "garbage\r\n\r\n")
            assert.equal("hello", connection:read_response().body)
            local response = connection:read_response()
            assert.equal(400, response.code)
            assert.equal("close", response.headers:get("Connection"))
            assert.equal("", (connection:read_until_close()))
        end)
    end)
end)
