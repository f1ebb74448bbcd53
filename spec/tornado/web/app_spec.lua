-- tornado.web.app: routes and settings. PARITY §1.8; checks 24 and 29 to 32 of §29.
local core = require "tornado.core"
local testing = require "tornado.testing"
local web = require "tornado.web"

local function says(text)
    local Handler = web.RequestHandler:extend(text)
    function Handler:get(...)
        self:write(table.concat({ text, ... }, " "))
    end
    return Handler
end

local function fetch(app, path, host)
    return testing.serve(app):fetch(path, { headers = host and { Host = host } })
end

describe("tornado.web.app", function()
    it("tries its routes in order", function()
        local app = web.Application {
            { "/a", says "first" }, { "/a", says "second" }, { "/(b)", says "group" },
            { "/b", says "late" }, { "/[ac]", says "regex" },
        }
        assert.equal("first", fetch(app, "/a").body)
        assert.equal("group b", fetch(app, "/b").body)
        assert.equal("regex", fetch(app, "/c").body)
    end)

    it("answers 404 with a page when there is no route", function()
        local app = web.Application { { "/a", says "a" } }
        for _, path in ipairs { "/", "/b", "/a/", "/ab", "//a", "/A" } do
            local response = fetch(app, path)
            assert.equal(404, response.code)
            assert.equal("<html><title>404: Not Found</title><body>404: Not Found</body></html>",
                response.body)
        end
        assert.equal(404, testing.serve(web.Application {}):fetch("/",
            { method = "POST", body = "x" }).code)
    end)

    it("takes another handler for 404", function()
        local Missing = web.RequestHandler:extend "Missing"
        function Missing:initialize(options) self.text = options.text end
        function Missing:prepare()
            self:set_status(404)
            self:finish(self.text)
        end
        local response = fetch(web.Application({}, {
            default_handler_class = Missing, default_handler_args = { text = "gone" },
        }), "/x")
        assert.equal(404, response.code)
        assert.equal("gone", response.body)
    end)

    it("has an ErrorHandler for one status", function()
        local app = web.Application { { "/x", web.ErrorHandler, { status_code = 410 } } }
        local server = testing.serve(app)
        for _, method in ipairs { "GET", "POST", "DELETE" } do
            assert.equal(410, server:fetch("/x", { method = method }).code)
        end
    end)

    it("tells // from /", function()
        local app = web.Application { { "//double", says "double" }, { "/echo", says "echo" } }
        assert.equal(404, fetch(app, "//echo").code)
        assert.equal("double", fetch(app, "//double").body)
    end)

    it("matches the whole path, still encoded", function()
        local app = web.Application { { "/x/([^/]+)", says "x" }, { "/a.b", says "dot" } }
        assert.equal("x a/b+c d", fetch(app, "/x/a%2Fb+c%20d").body)
        assert.equal(404, fetch(app, "/x/a/b").code)
        assert.equal(404, fetch(app, "/y/x/a").code)
        assert.equal("dot", fetch(app, "/a.b").body)
    end)

    it("passes kwargs to initialize", function()
        local Handler = web.RequestHandler:extend "Handler"
        function Handler:initialize(options) self.text = options.text end
        function Handler:get() self:write(self.text) end
        assert.equal("t", fetch(web.Application { { "/", Handler, { text = "t" } } }, "/").body)
    end)

    it("finds handlers by their dotted name", function()
        package.loaded["spec_handlers"] = { Main = says "named" }
        finally(function() package.loaded["spec_handlers"] = nil end)
        assert.equal("named", fetch(web.Application { { "/", "spec_handlers.Main" } }, "/").body)
        local ok, err = pcall(function()
            return web.Application { { "/", "spec_handlers.None" } }
        end)
        assert.is_false(ok)
        assert.matches("No module named spec_handlers.None", err)
    end)

    it("reverses routes that have a name", function()
        local app = web.Application {
            { "/n/([^/]+)/(\\d+)", says "n", nil, "n" }, { "/", says "root", name = "root" },
        }
        assert.equal("/n/x%20y/1", app:reverse_url("n", "x y", 1))
        assert.equal("/", app:reverse_url("root"))
        local ok, err = pcall(function() app:reverse_url("none") end)
        assert.is_false(ok)
        assert.matches("app_spec.lua:%d+: none not found in named urls", err)
    end)

    it("reverses them for handlers", function()
        local Main = web.RequestHandler:extend "Main"
        function Main:get()
            local _, err = pcall(function() local url = self:reverse_url("none") return url end)
            self:write { url = self:reverse_url("n", "x y", 1), err = err }
        end
        local app = web.Application { { "/", Main }, { "/n/([^/]+)/(\\d+)", says "n", nil, "n" } }
        local body = fetch(app, "/").body:gsub("\\/", "/")
        assert.matches([["/n/x%20y/1"]], body, 1, true)
        assert.matches("app_spec.lua:%d+: none not found in named urls", body)
    end)

    it("tries default_host for what nothing else fits, but not for a proxy", function()
        local app = web.Application({ { "/", says "any" } }, { default_host = "ex.com" })
        app:add_handlers([[ex\.com]], { { "/y", says "ex" } })
        local server = testing.serve(app)
        assert.equal("any", server:fetch("/").body)
        assert.equal("ex", server:fetch("/y").body)
        assert.equal(404, server:fetch("/z").code)
        assert.equal(404, server:fetch("/y", { headers = { ["X-Real-Ip"] = "1.2.3.4" } }).code)
    end)

    it("has rules for hosts, before those for all", function()
        local app = web.Application { { "/", says "all" }, { "/x", says "x" } }
        app:add_handlers([[ex\.com]], { { "/", says "ex" } })
        app:add_handlers([[.*\.com]], { { "/", says "com" }, { "/y", says "y" } })
        assert.equal("ex", fetch(app, "/", "EX.com:8080").body)
        assert.equal("com", fetch(app, "/", "other.com").body)
        assert.equal("all", fetch(app, "/", "ex.com.evil.org").body)
        assert.equal("x", fetch(app, "/x", "ex.com").body)
        assert.equal("y", fetch(app, "/y", "ex.com").body)
        assert.equal(404, fetch(app, "/y", "ex.org").code)
    end)

    it("has settings, which handlers share", function()
        local Handler = web.RequestHandler:extend "Handler"
        local seen
        function Handler:get() seen = { self.settings, self.application } end
        local settings = { title = "t" }
        local app = web.Application({ { "/", Handler } }, settings)
        fetch(app, "/")
        assert.equal(settings, seen[1])
        assert.equal(app, seen[2])
        assert.is_true(web.Application({}, { debug = true }).settings.serve_traceback)
        assert.is_false(web.Application({}, { debug = true, serve_traceback = false })
            .settings.serve_traceback)
    end)

    it("logs requests by log_function", function()
        local lines = {}
        local server = testing.serve(web.Application({ { "/", says "x" } }, {
            log_function = function(handler)
                lines[#lines + 1] = handler:get_status() .. " " .. handler:_request_summary()
            end,
        }))
        server:fetch("/?a=1")
        server:fetch("/none")
        assert.same({ "200 GET /?a=1 (127.0.0.1)", "404 GET /none (127.0.0.1)" }, lines)
    end)

    it("logs requests to the access log", function()
        local path = os.tmpname()
        assert(core.access_log_open(path))
        web.Application.access_log = true
        finally(function()
            web.Application.access_log = nil
            core.access_log_open("")
            os.remove(path)
        end)
        local server = testing.serve(web.Application { { "/", says "x" } })
        server:fetch("/?a=1")
        server:fetch("/none")
        server:stop()
        local text = testing.wait_until(function()
            local file = assert(io.open(path))
            local all = file:read("*a")
            file:close()
            return select(2, all:gsub("\n", "")) == 2 and all
        end)
        local first, second = text:match("^(.-)\n(.-)\n$")
        assert.matches("200 GET /%?a=1 %(127%.0%.0%.1%) %d+%.%d+ms", first)
        assert.matches("404 GET /none %(127%.0%.0%.1%) %d+%.%d+ms", second)
    end)

    it("listens by itself", function()
        local app = web.Application { { "/", says "x" } }
        local server = app:listen(0)
        finally(function() server:stop(true) end)
        local address = core.listen_address(server.listeners[1])
        local connection = testing.connect(address)
        finally(function() connection:close() end)
        connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert.equal("x", connection:read_response().body)
    end)

    it("listens with the options of a server", function()
        local Ip = web.RequestHandler:extend "Ip"
        function Ip:get() self:write(self.request.remote_ip) end
        local app = web.Application { { "/", Ip } }
        local options = { xheaders = true }
        for _, args in ipairs { { 0, options }, { 0, "127.0.0.1", options } } do
            local server = app:listen(unpack(args))
            finally(function() server:stop(true) end)
            local connection = testing.connect(core.listen_address(server.listeners[1]))
            finally(function() connection:close() end)
            connection:send("GET / HTTP/1.1\r\nHost: a\r\nX-Real-Ip: 4.4.4.4\r\n\r\n")
            assert.equal("4.4.4.4", connection:read_response().body)
        end
        assert.has_error(function() app:listen(0, "127.0.0.1", { nope = 1 }) end)
    end)

    it("refuses what are no rules, at the line that made it", function()
        for _, rules in ipairs { { 5, "expected a list" }, { { 5 }, "bad rule 1" },
            { { { "/" } }, "bad rule 1" }, { { { "(", says "x" } }, "missing" },
            { { { "/x", nil } }, "bad rule 1" } } do
            local ok, err = pcall(function()
                local app = web.Application(rules[1])
                return app
            end)
            assert.is_false(ok)
            assert.matches("app_spec.lua:%d+: ", tostring(err))
            assert.matches(rules[2], tostring(err))
        end
    end)

    it("gives requests to other applications and to functions", function()
        local routing = require "tornado.routing"
        local httpserver = require "tornado.httpserver"
        local inner = web.Application { { "/inner/(.*)", says "inner" } }
        local function answer(request)
            core.reply(request.handle, 200, "", "text/plain", "function", 8, 0)
            httpserver.release(request)
        end
        local rules = {
            { "/inner/.*", inner }, routing.Rule(routing.PathMatches "/f", answer),
            { "/own", says "own" },
        }
        local app = web.Application(rules)
        assert.equal("inner x", fetch(app, "/inner/x").body)
        assert.equal("function", fetch(app, "/f").body)
        assert.equal("own", fetch(app, "/own").body)
        assert.equal(404, fetch(app, "/none").code)
        -- A router alone, as the application of a server.
        local router = routing.RuleRouter(rules)
        assert.equal("inner x", fetch(router, "/inner/x").body)
        assert.equal("function", fetch(router, "/f").body)
        local none = fetch(router, "/none")
        assert.equal("404", none.code .. none.body)
        testing.expect_log("error", "needs a web.Application around its rule")
        assert.equal(500, fetch(router, "/own").code)
    end)

    it("may be called, as a function(request)", function()
        local app = web.Application { { "/a", says "a" } }
        assert.equal("a", testing.serve(function(request) app(request) end):fetch("/a").body)
    end)

    it("has rules as web.url() makes them", function()
        local app = web.Application { web.url("/n/(\\d+)", says "n", nil, "n") }
        assert.equal("n 5", fetch(app, app:reverse_url("n", 5)).body)
        local spec = web.URLSpec("/x", says "x", { a = 1 }, "x")
        assert.same({ "x", { a = 1 }, "x" }, { spec.name, spec.kwargs,
            tostring(spec.handler_class) })
    end)

    it("takes further transforms", function()
        local Upper = web.OutputTransform:extend "Upper"
        function Upper:transform_first_chunk(status, headers, chunk)
            return status, headers, chunk:upper()
        end
        local list = { web.OutputTransform }
        local app = web.Application({ { "/", says "text" } }, { transforms = list })
        app:add_transform(Upper)
        assert.equal("TEXT", fetch(app, "/").body)
        assert.equal(1, #list)
        assert.has_error(function() app:add_transform {} end)
    end)
end)
