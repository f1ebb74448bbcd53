-- tornado.web.filters: functions before and after the handlers of an application or a group.
local gen = require "tornado.gen"
local testing = require "tornado.testing"
local web = require "tornado.web"

-- A filter that adds its name to X-Trace, which after filters show.
local function mark(name)
    return function(handler)
        handler.marks = (handler.marks or "") .. name
        handler:set_header("X-Trace", handler.marks)
    end
end

local function hello(handler)
    mark("H")(handler)
    return "hello"
end

local function trace_of(response)
    return response.headers:get("X-Trace")
end

describe("tornado.web.filters", function()
    it("run before and after, from the outside in and back", function()
        local Main = web.RequestHandler:extend "Main"
        Main.prepare, Main.get = mark("P"), hello
        function Main:get() hello(self) end
        local server = testing.serve(web.Application({
            { "GET /", hello },
            { "/main", Main },
            web.group("/g", { before = { mark("g") }, after = mark("G") }, {
                { "GET /", hello },
                web.group("/i", { before = mark("i"), after = mark("I") }, { { "GET /", hello } }),
                { "/n/.*", { { "GET /g/n/x", hello } } },
            }),
        }, { before = { mark("a"), mark("b") }, after = { mark("A"), mark("B") } }))
        assert.equal("abHAB", trace_of(server:fetch("/")))
        assert.equal("abPHAB", trace_of(server:fetch("/main")))
        assert.equal("abgHGAB", trace_of(server:fetch("/g/")))
        assert.equal("abgiHIGAB", trace_of(server:fetch("/g/i/")))
        assert.equal("abgHGAB", trace_of(server:fetch("/g/n/x")))
        assert.equal("AB", trace_of(server:fetch("/none")):sub(-2))
    end)

    it("cover only their group", function()
        local server = testing.serve(web.Application {
            { "GET /", hello },
            web.group("/g", { before = mark("g") }, { { "GET /", hello } }),
        })
        assert.equal("H", trace_of(server:fetch("/")))
        assert.equal("gH", trace_of(server:fetch("/g/")))
        assert.equal(404, server:fetch("/x").code)
    end)

    it("may finish or raise before the handler", function()
        local called = 0
        local server = testing.serve(web.Application({
            { "GET|POST|PUT /", function() called = called + 1 end },
        }, {
            before = { function(handler)
                local method = handler.request.method
                if method == "GET" then handler:finish("no") end
                if method == "POST" then error(web.HTTPError(403), 0) end
                if method == "PUT" then error(web.Finish(), 0) end
                if method == "OPTIONS" then handler:set_status(204) handler:finish() end
            end, function() called = called + 10 end },
            after = mark("A"),
        }))
        assert.equal("no", server:fetch("/").body)
        local response = server:fetch("/", { method = "POST" })
        assert.equal(403, response.code)
        assert.equal("A", trace_of(response))
        assert.equal(200, server:fetch("/", { method = "PUT" }).code)
        assert.equal(204, server:fetch("/", { method = "OPTIONS" }).code)
        assert.equal(0, called)
    end)

    it("may wait, and run before the head of a streamed reply", function()
        local server = testing.serve(web.Application({
            { "GET /", hello },
            { "GET /stream", function(handler)
                handler:write("one ")
                handler:flush()
                return "two"
            end },
        }, {
            before = function(handler) gen.sleep(0.001) mark("b")(handler) end,
            after = { function() return gen.spawn(gen.sleep, 0.001) end, mark("A") },
        }))
        assert.equal("bHA", trace_of(server:fetch("/")))
        local response = server:fetch("/stream")
        assert.equal("one two", response.body)
        assert.equal("bA", trace_of(response))
    end)

    it("that raise afterwards give an error page once", function()
        local logged = testing.expect_log("after all")
        local server = testing.serve(web.Application({ { "GET /", hello } }, {
            after = { mark("A"), function() error("after all") end },
        }))
        local response = server:fetch("/")
        assert.equal(500, response.code)
        assert.is_nil(trace_of(response))
        assert.equal(1, #logged.lines)
    end)

    it("must be functions", function()
        for _, bad in ipairs { { before = 5 }, { after = { 5 } } } do
            local ok, err = pcall(web.Application, {}, bad)
            assert.is_false(ok)
            assert.matches("filters_spec.lua:%d+: bad %a+", err)
        end
    end)
end)
