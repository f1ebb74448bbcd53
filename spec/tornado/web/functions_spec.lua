-- tornado.web.functions: functions as handlers, and groups of rules.
local gen = require "tornado.gen"
local testing = require "tornado.testing"
local web = require "tornado.web"

local function body_of(server, path, method)
    return server:fetch(path, { method = method }).body
end

local function refused(rules)
    local ok, err = pcall(web.Application, rules)
    assert.is_false(ok)
    return tostring(err)
end

local function nothing() end

describe("tornado.web.functions", function()
    it("answer, with what they write or return", function()
        local server = testing.serve(web.Application {
            { "GET /write", function(handler) handler:write("written") end },
            { "GET /text", function() return "text" end },
            { "GET /json", function() return { a = 1 } end },
            { "GET /nothing", nothing },
            { "GET /wait", function() gen.sleep(0.001) return "waited" end },
            { "GET /future", function() return gen.spawn(function() return "later" end) end },
            { "GET /redirect", function(handler) return handler:redirect("/text") end },
        })
        assert.equal("written", body_of(server, "/write"))
        assert.equal("text", body_of(server, "/text"))
        local response = server:fetch("/json")
        assert.same({ a = 1 }, response:json())
        assert.equal("application/json; charset=UTF-8", response.headers:get("Content-Type"))
        assert.equal("", body_of(server, "/nothing"))
        assert.equal("waited", body_of(server, "/wait"))
        assert.equal("later", body_of(server, "/future"))
        assert.equal(302, server:fetch("/redirect").code)
    end)

    it("are refused what write() refuses, where the application says it", function()
        testing.expect_log("functions_spec.lua:%d+: the function of this route returned a number;")
        testing.expect_log("write%(%) takes a string")
        testing.expect_log("functions_spec.lua:%d+: json_encode: cannot encode a function at .f")
        testing.expect_log("functions_spec.lua:%d+: write%(%) takes a string, .* got boolean")
        testing.expect_log("functions_spec.lua:%d+: no such template: ")
        local server = testing.serve(web.Application {
            { "GET /", function() return 5 end },
            { "GET /list", function() return { 1 } end },
            { "GET /json", function(handler) handler:finish { f = print } end },
            { "GET /finish", function(handler) handler:finish(true) end },
            { "GET /page", function(handler) handler:render "none.html" end },
        })
        for _, path in ipairs { "/", "/list", "/json", "/finish", "/page" } do
            assert.equal(500, server:fetch(path).code)
        end
    end)

    it("stand beside classes, share paths, and answer HEAD with GET", function()
        local Main = web.RequestHandler:extend "Main"
        function Main:get() self:write("class") end
        local server = testing.serve(web.Application {
            { "GET /x", function() return "got" end },
            { "/main", Main },
            { "PUT|POST /x", function(handler) return handler.request.method end },
            { "GET /y", function() return "got" end },
            { "HEAD /y", function(handler) handler:set_header("X-Head", "own") end },
        })
        assert.equal("got", body_of(server, "/x"))
        assert.equal("PUT", body_of(server, "/x", "PUT"))
        assert.equal("POST", body_of(server, "/x", "POST"))
        assert.equal("class", body_of(server, "/main"))
        local response = server:fetch("/x", { method = "HEAD" })
        assert.equal(200, response.code)
        assert.equal("3", response.headers:get("Content-Length"))
        assert.is_false(response.headers:has("X-Head"))
        assert.equal("own", server:fetch("/y", { method = "HEAD" }).headers:get("X-Head"))
        response = server:fetch("/x", { method = "DELETE" })
        assert.equal(405, response.code)
        assert.equal("GET, HEAD, POST, PUT", response.headers:get("Allow"))
    end)

    it("get captures as arguments, and have names and kwargs", function()
        local app = web.Application {
            { "GET /post/([0-9]+)/(.*)", function(_, id, slug)
                return id .. ":" .. slug
            end, nil, "post" },
            { "GET /user/(?<name>[a-z]+)", function(_, named) return named.name end },
            { "GET /k", function(handler) return handler.kwargs end, { a = "get" } },
            { "POST /k", function(handler) return handler.kwargs end, { a = "post" }, name = "k" },
            { "PUT /k", function(handler) return handler.kwargs end },
        }
        local server = testing.serve(app)
        assert.equal("7:a b", body_of(server, "/post/7/a%20b"))
        assert.equal("ada", body_of(server, "/user/ada"))
        assert.equal('{"a":"get"}', body_of(server, "/k"))
        assert.equal('{"a":"post"}', body_of(server, "/k", "POST"))
        assert.equal("{}", body_of(server, "/k", "PUT"))
        assert.equal("/post/1/x", app:reverse_url("post", 1, "x"))
        assert.equal("/k", app:reverse_url("k"))
    end)

    it("refuse rules that are mistakes, at the application's line", function()
        local Main = web.RequestHandler:extend "Main"
        local cases = {
            { { { "/x", nothing } }, 'a function needs its method, as in "GET /x"' },
            { { { "GET /x", Main } }, "methods are for functions" },
            { { { "TRACE /x", nothing } }, "the method TRACE is not supported" },
            { { { "GET", nothing } }, "it has no path" },
            { { { "GET /x", nothing }, { "GET /x", nothing } }, "GET /x has a function already" },
            { { { "GET /x", nothing, 5 } }, "bad kwargs" },
            { { web.group("/x", { 5 }) }, "bad rule 1 in a group" },
            { { { "GET /x", nothing }, web.group("", { before = nothing },
                { { "PUT /x", nothing } }) }, "in groups with different filters" },
        }
        for _, case in ipairs(cases) do
            local err = refused(case[1])
            assert.truthy(err:find(case[2], 1, true), err)
            assert.matches("functions_spec.lua:%d+: ", err)
        end
    end)

    describe("group", function()
        it("puts a prefix before its rules, whatever their kind", function()
            local Main = web.RequestHandler:extend "Main"
            function Main:get(id) self:write("class " .. (id or "-")) end
            local app = web.Application {
                { "GET /", function() return "root" end },
                web.group("/api", {
                    { "GET", function() return "api" end },
                    { "GET /a|/b", function() return "a or b" end },
                    { "/c/([0-9]+)", Main, nil, "c" },
                    web.group("/deep/(x|y)", { { "GET /z", function(_, x) return x end } }),
                }),
            }
            local server = testing.serve(app)
            assert.equal("root", body_of(server, "/"))
            assert.equal("api", body_of(server, "/api"))
            assert.equal("a or b", body_of(server, "/api/b"))
            assert.equal("class 5", body_of(server, "/api/c/5"))
            assert.equal("y", body_of(server, "/api/deep/y/z"))
            assert.equal(404, server:fetch("/a").code)
            assert.equal("/api/c/5", app:reverse_url("c", 5))
        end)

        it("comes in add_handlers too, and refuses unknown options", function()
            local app = web.Application {}
            app:add_handlers("a.test", { web.group("/g", { { "GET /", function()
                return "here"
            end } }) })
            local server = testing.serve(app)
            assert.equal("here", server:fetch("/g/", { headers = { Host = "a.test" } }).body)
            assert.equal(404, server:fetch("/g/").code)
            assert.has_error(function() web.group("/x", { befor = {} }, {}) end)
            assert.has_error(function() web.group("/x", { before = 5 }, {}) end)
            assert.has_error(function() web.group(5, {}) end)
        end)
    end)
end)
