-- request.connection, and applications that are no web.Application: delegates for connections and
-- messages, and functions. PARITY §2, §4, §26.
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local httputil = require "tornado.httputil"
local routing = require "tornado.routing"
local testing = require "tornado.testing"
local web = require "tornado.web"

local OK = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")

-- A delegate that notes what it gets, and answers with it.
local Echo = httputil.HTTPMessageDelegate:extend "Echo"
function Echo:init(request)
    self.connection, self.pieces = request.connection, {}
end
function Echo:headers_received(start_line, headers)
    self.start_line, self.headers = start_line, headers
end
function Echo:data_received(piece)
    gen.sleep(0)
    self.pieces[#self.pieces + 1] = piece
end
function Echo:finish()
    local line = self.start_line
    local text = table.concat({ line.method, line.path, line.version,
        self.headers:get("X-A", "none"), table.concat(self.pieces) }, " ")
    self.connection:write_headers(OK, { ["Content-Length"] = tostring(#text) }, text)
    self.connection:finish()
end
function Echo:on_connection_close() self.left = true end

-- An application of such delegates; `made` has them.
local function application(class, made)
    local App = httputil.HTTPServerConnectionDelegate:extend "App"
    function App.start_request(_, request)
        local delegate = class(request)
        if made then made[#made + 1] = delegate end
        return delegate
    end
    return App()
end

-- Serves a function(request).
local function serve(fn)
    return testing.serve(fn)
end

describe("HTTPMessageDelegate", function()
    it("gets the request, and answers", function()
        local server = testing.serve(application(Echo))
        local response = server:fetch("/x?y", { headers = { ["X-A"] = "1" } })
        assert.equal("GET /x?y HTTP/1.1 1 ", response.body)
        assert.equal("OK", response.reason)
        assert.is_nil(response.headers:get("Server"))
        assert.is_nil(response.headers:get("Content-Type"))
        assert.equal("POST / HTTP/1.1 none body", server:fetch("/", { body = "body" }).body)
        local connection = server:connect()
        for i = 1, 3 do
            connection:send(("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(i))
            assert.matches("/" .. i, connection:read_response().body)
        end
    end)

    it("gets a large body in pieces, one behind the other", function()
        local made = {}
        local body = ("0123456789"):rep(30000)
        local response = testing.serve(application(Echo, made)):fetch("/", { body = body })
        assert.equal(#"POST / HTTP/1.1 none " + #body, #response.body)
        assert.truthy(#made[1].pieces > 1)
        assert.equal(body, table.concat(made[1].pieces))
    end)

    it("may answer before the body is here", function()
        local Early = Echo:extend "Early"
        function Early:headers_received()
            self.connection:write_headers({ code = 403 }, nil, "no")
            self.connection:finish()
        end
        function Early.finish() error("never called") end
        local made = {}
        local server = testing.serve(application(Early, made))
        local connection = server:connect()
        connection:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        local response = connection:read_response()
        assert.equal(403, response.code)
        assert.equal("Forbidden", response.reason)
        assert.equal("no", response.body)
        assert.same({}, made[1].pieces)
    end)

    it("may answer later", function()
        local Later = Echo:extend "Later"
        function Later:finish()
            gen.spawn(function()
                gen.sleep(0.005)
                self.connection:write_headers(OK)
                self.connection:write("late")
                self.connection:finish()
            end)
        end
        local before = httpserver.live_count()
        assert.equal("late", testing.serve(application(Later)):fetch("/").body)
        assert.equal(before, httpserver.live_count())
    end)

    it("has limits of its own for the body", function()
        local Small = Echo:extend "Small"
        function Small:headers_received(line, headers)
            Echo.headers_received(self, line, headers)
            if headers:get("X-Small") then self.connection:set_max_body_size(3) end
        end
        local server = testing.serve(application(Small), { server = { max_body_size = 5 } })
        assert.equal(200, server:fetch("/", { body = "12345" }).code)
        assert.equal(413, server:fetch("/", { body = "123456" }).code)
        local small = { ["X-Small"] = "1" }
        assert.equal(413, server:fetch("/", { body = "1234", headers = small }).code)
        assert.equal(200, server:fetch("/", { body = "123", headers = small }).code)
    end)

    it("hears when the client leaves, while it gets the body and behind that", function()
        for _, head in ipairs { "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc" } do
            local made, before = {}, httpserver.live_count()
            local Silent = Echo:extend "Silent"
            function Silent.finish() end
            local connection = testing.serve(application(Silent, made)):connect()
            connection:send(head)
            testing.wait_until(function() return made[1] and made[1].start_line end)
            connection:close()
            testing.wait_until(function() return made[1].left end)
            testing.wait_until(function() return httpserver.live_count() == before end)
            made[1].connection:write_headers(OK) -- nobody is there: nothing happens
            made[1].connection:write("x")
        end
    end)

    it("that raises is a 500, or a connection that is cut", function()
        local logged = testing.expect_log("connection_spec.lua:%d+: broken")
        local Broken = Echo:extend "Broken"
        function Broken:finish()
            if self.start_line.path == "/late" then self.connection:write_headers(OK, nil, "x") end
            gen.sleep(0)
            error("broken")
        end
        local before = httpserver.live_count()
        local server = testing.serve(application(Broken))
        assert.equal(500, server:fetch("/").code)
        local ok, err = pcall(server.fetch, server, "/late")
        assert.is_false(ok, tostring(err))
        assert.equal(2, #logged.lines)
        assert.equal(before, httpserver.live_count())
    end)

    it("is cut off by handler_timeout", function()
        local Slow = Echo:extend "Slow"
        function Slow.finish() end
        local made, before = {}, httpserver.live_count()
        local server = testing.serve(application(Slow, made), {
            server = { handler_timeout = 0.01 },
        })
        assert.equal(503, server:fetch("/").code)
        assert.is_true(made[1].left)
        assert.equal(before, httpserver.live_count())
    end)

    it("does nothing by default, and connections want their start_request()", function()
        local delegate = httputil.HTTPMessageDelegate()
        assert.is_nil(delegate:headers_received({}, httputil.HTTPHeaders()))
        assert.is_nil(delegate:data_received("x"))
        assert.is_nil(delegate:finish())
        assert.is_nil(delegate:on_connection_close())
        local logged = testing.expect_log("start_request is not implemented")
        assert.equal(500, testing.serve(httputil.HTTPServerConnectionDelegate()):fetch("/").code)
        assert.equal(1, #logged.lines)
        for _, method in ipairs { "write_headers", "write", "finish" } do
            local ok, err = pcall(httputil.HTTPConnection()[method], httputil.HTTPConnection())
            assert.is_false(ok)
            assert.matches("HTTPConnection:" .. method .. " is not implemented", err, 1, true)
        end
    end)
end)

describe("request.connection", function()
    it("answers for a function", function()
        local server = serve(function(request)
            local headers = httputil.HTTPHeaders()
            headers:add("X-A", "1")
            headers:add("X-A", "2")
            headers:add("Content-Type", "text/x-mine")
            request.connection:write_headers({ code = 201, reason = "Mine" }, headers)
            request.connection:write("a")
            request.connection:write("")
            request.connection:write("b")
            request.connection:finish()
        end)
        local response = server:fetch("/")
        assert.equal(201, response.code)
        assert.equal("Mine", response.reason)
        assert.equal("1,2", response.headers:get("X-A"))
        assert.equal("text/x-mine", response.headers:get("Content-Type"))
        assert.equal("chunked", response.headers:get("Transfer-Encoding"))
        assert.equal("ab", response.body)
        assert.equal("ab", server:fetch("/", { http10 = true }).body)
        assert.equal("", server:fetch("/", { method = "HEAD" }).body)
    end)

    it("closes behind the answer when its headers say so", function()
        local server = serve(function(request)
            request.connection:write_headers(OK, { Connection = "close" }, "x")
            request.connection:finish()
        end)
        local connection = server:connect()
        connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert.equal("close", connection:read_response().headers:get("Connection"))
        assert.equal("", (connection:read_until_close()))
    end)

    it("holds to Content-Length", function()
        local more = testing.expect_log("more data than Content%-Length")
        local less = testing.expect_log("shorter than its Content%-Length")
        local bad = testing.expect_log("bad Content%-Length: x")
        local server = serve(function(request)
            local length, text = request.path:match("/(.*)/(.*)")
            request.connection:write_headers(OK, { ["Content-Length"] = length }, text)
            request.connection:finish()
        end)
        assert.equal("abc", server:fetch("/3/abc").body)
        assert.is_false((pcall(server.fetch, server, "/2/abc")))
        assert.is_false((pcall(server.fetch, server, "/4/abc")))
        assert.equal(500, server:fetch("/x/abc").code)
        assert.same({ 1, 1, 1 }, { #more.lines, #less.lines, #bad.lines })
    end)

    it("refuses what is out of order, and unsafe headers", function()
        local errors = {}
        local server = serve(function(request)
            local c = request.connection
            local function note(...)
                local ok, err = pcall(...)
                assert.is_false(ok)
                errors[#errors + 1] = err:match("^[^:]*connection_spec.lua:%d+: (.*)") or err
            end
            note(function() c:write("x") end)
            note(function() c:finish() end)
            note(function() c:write_headers("HTTP/1.1 200 OK") end)
            note(function() c:write_headers(OK, { ["X-A"] = "a\r\nX-B: c" }) end)
            c:write_headers(OK, nil, "x")
            note(function() c:write_headers(OK) end)
            c:finish()
            note(function() c:write("x") end)
            note(function() c:finish() end)
        end)
        local response = server:fetch("/")
        assert.equal("x", response.body)
        assert.is_nil(response.headers:get("X-B"))
        assert.equal("write() before write_headers()", errors[1])
        assert.equal("finish() before write_headers()", errors[2])
        assert.matches("bad start line: expected { code =, reason = }, got string", errors[3], 1,
            true)
        assert.matches("expected text without control characters", errors[4], 1, true)
        assert.equal("write_headers() called twice", errors[5])
        assert.equal("write() after finish()", errors[6])
        assert.equal("finish() after finish()", errors[7])
    end)

    it("refuses a status and a reason that HTTP does not have", function()
        local function answer(start_line)
            return serve(function(request)
                request.connection:write_headers(start_line, nil, "x")
                request.connection:finish()
            end):fetch("/")
        end
        for _, code in ipairs { 42, 1000, 200.5, -5, 0 / 0, 1e10 } do
            testing.expect_log("connection_spec.lua:%d+: bad code: expected an integer from 100")
            assert.equal(500, answer({ code = code }).code)
        end
        for _, reason in ipairs { "a\r\nX-B: c", "a\nb", "a\0", 5 } do
            testing.expect_log("connection_spec.lua:%d+: bad reason: expected text without")
            local response = answer { code = 200, reason = reason }
            assert.equal(500, response.code)
            assert.is_nil(response.headers:get("X-B"))
        end
        assert.equal("Grün", answer({ code = 299, reason = "Grün" }).reason)
    end)

    it("tells when the client leaves", function()
        local left, held
        local server = serve(function(request)
            held = request
            request.connection:set_close_callback(function() left = true end)
        end)
        local connection = server:connect()
        connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        testing.wait_until(function() return held end)
        connection:close()
        testing.wait_until(function() return left end)
        local before = httpserver.live_count()
        held.connection:finish()
        assert.equal(before - 1, httpserver.live_count())
    end)

    it("sets how large the body of a streaming handler may be", function()
        local Streamed = web.stream_request_body(web.RequestHandler:extend "Streamed")
        function Streamed:prepare() self.request.connection:set_max_body_size(3) end
        function Streamed.data_received() end
        function Streamed:post() self:write("ok") end
        local server = testing.serve(web.Application { { "/", Streamed } })
        testing.expect_log("413 POST / .*: body larger than 3 bytes")
        assert.equal(200, server:fetch("/", { body = "123" }).code)
        assert.equal(413, server:fetch("/", { body = "1234" }).code)
    end)
end)

describe("delegates as targets", function()
    local Page = web.RequestHandler:extend "Page"
    function Page:initialize(kwargs) self.kwargs = kwargs end
    function Page:get(arg)
        local text = type(arg) == "table" and arg.name or arg
        self:write(table.concat({ "page", self.kwargs and self.kwargs.k or "-", text }, " "))
    end
    local pages = web.Application { { "/page/(.*)", Page, { k = "K" } } }

    it("are those of rules, with routers and functions beside them", function()
        local router = routing.RuleRouter {
            { "/echo", application(Echo) },
            { "/function", function(request)
                request.connection:write_headers(OK, nil, "function")
                request.connection:finish()
                return "ignored"
            end },
            { "/page/.*", pages },
        }
        local server = testing.serve(router)
        assert.matches("GET /echo", server:fetch("/echo").body, 1, true)
        assert.equal("function", server:fetch("/function").body)
        assert.equal("page K x", server:fetch("/page/x").body)
        local response = server:fetch("/other")
        assert.equal(404, response.code)
        assert.equal("", response.body)
        server = testing.serve(web.Application { { "/echo", application(Echo) }, { "/", Page } })
        assert.matches("GET /echo", server:fetch("/echo").body, 1, true)
        assert.equal("page -", server:fetch("/").body)
    end)

    it("come from a router that decides by itself", function()
        local Mine = routing.Router:extend "Mine"
        function Mine.find_handler(_, request)
            local name = request.headers:get("X-Page")
            if name == "list" then
                return pages:get_handler_delegate(request, Page, nil, { name })
            end
            if name == "map" then
                return pages:get_handler_delegate(request, Page, { k = "M" }, nil, { name = "m" })
            end
        end
        local nested = web.Application { { "/.*", Mine() }, { "/(.*)", Page, { k = "own" } } }
        for _, app in ipairs { Mine(), nested } do
            local server = testing.serve(app)
            local list = server:fetch("/", { headers = { ["X-Page"] = "list" } })
            assert.equal("page - list", list.body)
            assert.equal("page M m", server:fetch("/", { headers = { ["X-Page"] = "map" } }).body)
            local response = server:fetch("/x")
            assert.equal(app == nested and "page own x" or "", response.body)
            assert.equal(app == nested and 200 or 404, response.code)
        end
        local ok, err = pcall(pages.get_handler_delegate, pages, {}, {})
        assert.is_false(ok)
        assert.matches("bad handler class", err)
    end)

    it("are what find_handler() returns", function()
        local seen
        local router = routing.RuleRouter { { "/echo", application(Echo) }, { "/page/.*", pages },
            { "/function", function(request)
                request.connection:write_headers(OK, nil, "function")
                request.connection:finish()
            end } }
        local App = httputil.HTTPServerConnectionDelegate:extend "App"
        function App.start_request(_, request)
            seen = router:find_handler(request) or pages:find_handler(request)
            return seen
        end
        local server = testing.serve(App())
        assert.matches("GET /echo", server:fetch("/echo").body, 1, true)
        assert.equal(Echo, seen.class)
        assert.equal("page K a", server:fetch("/page/a").body)
        assert.equal(Page, seen.handler_class)
        assert.same({ k = "K" }, seen.handler_kwargs)
        assert.equal("function", server:fetch("/function").body)
        assert.equal(404, server:fetch("/none").code)
        assert.equal(web.ErrorHandler, seen.handler_class)
    end)

    it("are given to FallbackHandler, and to an application that is called", function()
        local app = web.Application { { "/.*", web.FallbackHandler,
            { fallback = application(Echo) } } }
        assert.matches("GET /a", testing.serve(app):fetch("/a").body, 1, true)
        local inner = web.Application { { "/.*", application(Echo) } }
        assert.matches("GET /b", serve(function(request) inner(request) end):fetch("/b").body, 1,
            true)
    end)

    it("may be restricted to hosts, in rules, too", function()
        local app = web.Application {
            { routing.HostMatches "a\\.example", { { "/", Page, { k = "a" } } } },
            { "/", Page, { k = "rest" } },
        }
        local server = testing.serve(app)
        assert.equal("page a", server:fetch("/", { headers = { Host = "A.example:80" } }).body)
        assert.equal("page rest", server:fetch("/", { headers = { Host = "b" } }).body)
    end)

    it("of the default host are not for requests through proxies", function()
        local app = web.Application({}, { default_host = "a.example" })
        app.router:add_rules {
            { routing.DefaultHostMatches(app, "a\\.example"), { { "/", Page, { k = "a" } } } },
            { routing.DefaultHostMatches(app, "b"), { { "/", Page, { k = "b" } } } },
            { "/", Page, { k = "rest" } },
        }
        local server = testing.serve(app)
        assert.equal("page a", server:fetch("/").body)
        local proxied = server:fetch("/", { headers = { ["X-Real-Ip"] = "1.2.3.4" } })
        assert.equal("page rest", proxied.body)
        app.settings.default_host = nil
        assert.equal("page rest", server:fetch("/").body)
    end)
end)

describe("httputil", function()
    it("has the request's class, and start lines", function()
        assert.equal("HTTPServerRequest", httputil.HTTPServerRequest.__name)
        assert.same({ version = "HTTP/1.1", code = 200, reason = "OK" }, OK)
        assert.same({ method = "GET", path = "/", version = "HTTP/1.1" },
            httputil.RequestStartLine("GET", "/", "HTTP/1.1"))
    end)
end)
