-- tornado.web.handlers: redirects, slashes, fallbacks. PARITY §1.9, checks 44 and 45 of §29.
local core = require "tornado.core"
local httpserver = require "tornado.httpserver"
local testing = require "tornado.testing"
local web = require "tornado.web"

local function serve(rules, settings)
    return testing.serve(web.Application(rules, settings))
end

local function location(response, code)
    assert.equal(code or 301, response.code)
    return response.headers:get("Location")
end

local function class_of(verb)
    local Handler = web.RequestHandler:extend "Handler"
    Handler.get, Handler.head, Handler.post = verb, verb, verb
    return Handler
end

describe("RedirectHandler", function()
    local function redirect(pattern, kwargs)
        return serve { { pattern, web.RedirectHandler, kwargs } }
    end

    it("sends GET requests elsewhere, for good", function()
        local server = redirect("/old", { url = "/new" })
        assert.equal("/new", location(server:fetch("/old")))
        assert.equal(405, server:fetch("/old", { method = "POST" }).code)
        assert.equal(405, server:fetch("/old", { method = "HEAD" }).code)
    end)

    it("may do so for the time being", function()
        local server = redirect("/old", { url = "http://a.example/", permanent = false })
        assert.equal("http://a.example/", location(server:fetch("/old"), 302))
    end)

    it("fills in groups, and adds the query", function()
        local server = redirect("/rh/(.*?)/(.*?)", { url = "/{1}/{0}?x=1" })
        assert.equal("/b/a?x=1&c=d&x=2", location(server:fetch("/rh/a/b?c=d&x=2")))
        assert.equal("/b/a?x=1", location(server:fetch("/rh/a/b")))
        server = redirect("/n/(?P<name>[^/]+)", { url = "/{name}/x" })
        assert.equal("/ann/x", location(server:fetch("/n/ann")))
    end)

    it("encodes again what the path had encoded", function()
        local server = redirect("/r/(.*)", { url = "/to/{0}" })
        assert.equal("/to/a%20b%3Fc%23d%25%C3%A9%0D%0A:@",
            location(server:fetch("/r/a%20b%3Fc%23d%25%C3%A9%0D%0A:@")))
    end)

    it("takes a group without part in the match for an empty one", function()
        local server = redirect("/r(/x)?", { url = "/to{0}" })
        assert.equal("/to", location(server:fetch("/r")))
        assert.equal("/to/x", location(server:fetch("/r/x")))
    end)

    it("never makes a path of ours another host", function()
        local server = redirect("/r/(.*)", { url = "/{0}" })
        assert.equal("/a", location(server:fetch("/r/a")))
        testing.expect_log("two initial slashes")
        assert.equal(403, server:fetch("/r//evil.example").code)
        assert.equal("/%5Cevil.example", location(server:fetch("/r/%5Cevil.example")))
    end)

    it("does so for a url that is a group alone", function()
        local server = redirect("/r(/.*)", { url = "{0}" })
        assert.equal("/a", location(server:fetch("/r/a")))
        for _, path in ipairs { "/r//evil.example", "/r/%2Fevil.example" } do
            testing.expect_log("two initial slashes")
            assert.equal(403, server:fetch(path).code)
        end
        server = redirect("/cdn/(.*)", { url = "//cdn.example/{0}" })
        assert.equal("//cdn.example/a", location(server:fetch("/cdn/a")))
    end)

    it("says what is wrong with its route", function()
        for kwargs, expected in pairs {
            [{ url = "/{3}" }] = "no group {3} for /{3}",
            [{ url = "/{name}" }] = "no group {name}",
            [{}] = "bad url: expected string, got nil",
            [{ url = "/", permament = true }] = 'did you mean "permanent"?',
        } do
            local logged = testing.expect_log("error", "RedirectHandler")
            assert.equal(500, redirect("/r/(.*)", kwargs):fetch("/r/a").code)
            assert.truthy(logged.text:find(expected, 1, true), logged.text)
        end
    end)
end)

describe("addslash", function()
    local server = function()
        return serve { { "(?:/as|//.*)/?", class_of(web.addslash(function(self)
            self:write("here")
        end)) } }
    end

    it("adds one", function()
        assert.equal("/as/?x=1", location(server():fetch("/as?x=1")))
        assert.equal("/as/", location(server():fetch("/as", { method = "HEAD" })))
        assert.equal("here", server():fetch("/as/").body)
        assert.equal("here", server():fetch("/as/", { method = "POST" }).body)
        assert.equal(404, server():fetch("/as", { method = "POST" }).code)
    end)

    it("never leads to another host", function()
        testing.expect_log("two initial slashes")
        assert.equal(403, server():fetch("//evil.example").code)
    end)
end)

describe("removeslash", function()
    local server = function()
        return serve { { "/.*", class_of(web.removeslash(function(self, ...)
            self:write("here" .. select("#", ...))
        end)) } }
    end

    it("removes them", function()
        assert.equal("/rs", location(server():fetch("/rs//")))
        assert.equal("/rs?x=1", location(server():fetch("/rs/?x=1")))
        assert.equal("/rs", location(server():fetch("/rs/", { method = "HEAD" })))
        assert.equal("here0", server():fetch("/rs").body)
        assert.equal("here0", server():fetch("/rs", { method = "POST" }).body)
        assert.equal(404, server():fetch("/rs/", { method = "POST" }).code)
    end)

    it("leaves / as it is", function()
        assert.equal("here0", server():fetch("/").body)
        assert.equal("here0", server():fetch("//").body)
    end)

    it("never leads to another host", function()
        testing.expect_log("two initial slashes")
        assert.equal(403, server():fetch("//evil.example/").code)
    end)

    it("needs a function, as addslash does", function()
        for _, wrap in ipairs { web.addslash, web.removeslash } do
            assert.has_error(function() wrap("get") end,
                "bad method: expected function, got string")
        end
    end)
end)

describe("FallbackHandler", function()
    local finished

    before_each(function() finished = 0 end)

    local function fall_back(fallback, settings)
        local Fallback = web.FallbackHandler:extend "Fallback"
        function Fallback.on_finish() finished = finished + 1 end
        return serve({ { "/.*", Fallback, { fallback = fallback } } }, settings)
    end

    it("gives the request to another application", function()
        local inner = web.Application {
            { "/a/(.*)", class_of(function(self, name)
                self:write(name .. " " .. self:get_argument("x"))
            end) },
        }
        local server = fall_back(inner)
        assert.equal("b 1", server:fetch("/a/b?x=1").body)
        assert.equal("b 2", server:fetch("/a/b", { body = "x=2", headers = {
            ["Content-Type"] = "application/x-www-form-urlencoded" } }).body)
        assert.equal(404, server:fetch("/nowhere").code)
        assert.equal(3, finished)
        assert.equal(0, httpserver.live_count())
    end)

    it("leaves what the other raises to the other", function()
        testing.expect_log("error", "oops")
        local server = fall_back(web.Application {
            { "/", class_of(function() error("oops") end) },
        })
        assert.equal(500, server:fetch("/").code)
        assert.equal(0, httpserver.live_count())
    end)

    it("takes a function, which may reply later", function()
        local held
        local server = fall_back(function(request) held = request end)
        local connection = server:connect()
        connection:send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        testing.wait_until(function() return held end)
        assert.equal(1, httpserver.live_count())
        assert.equal("/x", held.path)
        core.reply(held.handle, 200, "", "text/plain", "late", -1, 0)
        httpserver.release(held)
        assert.equal("late", connection:read_response().body)
        assert.equal(0, httpserver.live_count())
    end)

    it("answers when that function raises", function()
        testing.expect_log("error", "oops")
        assert.equal(500, fall_back(function() error("oops") end):fetch("/").code)
        assert.equal(0, httpserver.live_count())
    end)

    it("needs one", function()
        testing.expect_log("error", "bad fallback: expected web.Application or function, got nil")
        assert.equal(500, fall_back(nil):fetch("/").code)
    end)
end)
