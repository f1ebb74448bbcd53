-- tornado.web.debug_page: what an uncaught error shows while developing, and never otherwise.
local debug_page = require "tornado.web.debug_page"
local gen = require "tornado.gen"
local shown = require "tornado.web.debug_page.shown"
local testing = require "tornado.testing"
local web = require "tornado.web"

local BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"

local function inner(user, password, ...)
    local html, bytes = "<script>alert(1)</script>", "caf\233\0"
    local config = { api_token = "tttt", list = { 1, 2, { 3 } }, name = "n" }
    local none = nil
    local sum = none + #html + #bytes + #config + #password -- THE LINE
    return sum, user, ...
end

local function fail()
    local result = inner({ name = "Ada" }, "hunter2", "extra")
    return result
end

local function fetch(fn, accept, settings, path, headers)
    settings = settings or { debug = true }
    headers = headers or {}
    headers.Accept = accept
    local server = testing.serve(web.Application({ { "GET /", fn } }, settings))
    return server:fetch(path or "/", { headers = headers })
end

local function has(text, part)
    assert.truthy(text:find(part, 1, true), ("%q is not in:\n%s"):format(part, text))
end

local function lacks(text, part)
    assert.is_nil(text:find(part, 1, true))
end

describe("tornado.web.debug_page", function()
    after_each(debug_page.disable)

    it("is HTML for browsers, with source, variables, stack and request", function()
        testing.expect_log("attempt to perform arithmetic")
        local response = fetch(fail, BROWSER, nil, "/?q=1&token=s3cret", {
            Cookie = "sid=abc", Authorization = "Bearer zzz", ["X-Api-Key"] = "kkk",
            ["X-Odd"] = "<i>",
        })
        local body = response.body
        assert.equal(500, response.code)
        assert.equal("text/html; charset=UTF-8", response.headers:get("Content-Type"))
        assert.equal("no-store", response.headers:get("Cache-Control"))
        has(body, "<!doctype html>")
        has(body, "attempt to perform arithmetic on local &#x27;none&#x27;")
        assert.matches('<span class="line bad"><i>%d+</i>[^\n]-%-%- THE LINE</span>', body)
        has(body, "<b>inner()</b>")
        has(body, "<b>fn()</b>")
        has(body, "frames of the framework")
        has(body, "&quot;&lt;script&gt;alert(1)&lt;/script&gt;&quot;")
        has(body, "caf\239\191\189")
        has(body, "{ name = &quot;Ada&quot; }")
        has(body, "...1")
        has(body, "GET /?q=1&amp;token=[hidden] HTTP/1.1")
        has(body, "&lt;i&gt;")
        for _, secret in ipairs { "<code>&quot;hunter2", "tttt<", "s3cret", "abc<",
            "zzz", "kkk", "<script", "<i>&lt;" } do
            lacks(body, secret)
        end
        assert.is_true(require("tornado.core").is_utf8(body))
    end)

    it("is plain text for others, beginning with the traceback", function()
        testing.expect_log("attempt to perform arithmetic")
        local response = fetch(fail, "*/*", nil, "/", { Cookie = "sid=abc" })
        local body = response.body
        assert.equal("text/plain; charset=UTF-8", response.headers:get("Content-Type"))
        assert.matches("^[^\n]*debug_page_spec.lua:%d+: attempt to .-\nstack traceback:", body)
        assert.matches("\n> +%d+ |     local sum = [^\n]*THE LINE\n", body)
        has(body, "  password = [hidden]\n")
        has(body, "api_token = [hidden]")
        has(body, "  none = nil\n")
        assert.matches("\nGET / HTTP/1%.1  %(from 127%.0%.0%.1, id %x+%)\n", body)
        has(body, "  Cookie: [hidden]\n")
    end)

    it("shows where a spawned task raised what was awaited", function()
        testing.expect_log("the reason")
        local body = fetch(function()
            local future = gen.spawn(function()
                local depth = "deep"
                gen.sleep(0.001)
                error("the reason " .. depth)
            end)
            gen.await(future)
        end, BROWSER).body
        has(body, "<h1>the reason deep</h1>")
        has(body, "Where it was raised, in a coroutine of its own")
        has(body, "And then in the coroutine of the request")
        has(body, "<code>&quot;deep&quot;</code>")
    end)

    it("works under a Content-Security-Policy", function()
        testing.expect_log("arithmetic")
        local response = fetch(fail, BROWSER, { debug = true, security_headers = true })
        local nonce = response.body:match('<style nonce="(%x+)">')
        has(response.headers:get("Content-Security-Policy"), "'nonce-" .. nonce .. "'")
    end)

    it("shows errors that are no text", function()
        testing.expect_log("table: ")
        local body = fetch(function() error { code = 5, secret = "sss" } end, BROWSER).body
        has(body, "code = 5")
        has(body, "secret = [hidden]")
        lacks(body, "&quot;sss&quot;")
    end)

    it("is not for outcomes", function()
        local body = fetch(function() error(web.HTTPError(403), 0) end, BROWSER).body
        assert.equal("<html><title>403: Forbidden</title><body>403: Forbidden</body></html>", body)
    end)

    it("never comes without debug", function()
        testing.expect_log("arithmetic")
        for _, settings in ipairs {
            {}, { debug = false }, { debug = true, serve_traceback = false },
        } do
            local body = fetch(fail, BROWSER, settings).body
            assert.equal("<html><title>500: Internal Server Error</title>" ..
                "<body>500: Internal Server Error</body></html>", body)
        end
        local body = fetch(fail, BROWSER, { serve_traceback = true }).body
        lacks(body, "THE LINE")
        lacks(body, "Accept")
    end)

    it("is for clients of this machine, unless the application says otherwise", function()
        testing.expect_log("arithmetic")
        local function from(ip, settings, server)
            local app = web.Application({ { "GET /", fail } }, settings)
            return testing.request(app, "/", { remote_ip = ip, server = server,
                headers = { Accept = BROWSER, ["X-Real-Ip"] = "4.4.4.4" } }).body
        end
        for _, ip in ipairs { "127.0.0.1", "127.9.9.9", "::1" } do
            has(from(ip, { debug = true }), "THE LINE")
            lacks(from(ip, { debug = true }, { xheaders = true }), "THE LINE")
        end
        for _, ip in ipairs { "10.0.0.1", "::2" } do
            local body = from(ip, { debug = true })
            assert.equal("<html><title>500: Internal Server Error</title>" ..
                "<body>500: Internal Server Error</body></html>", body)
            has(from(ip, { debug = true, serve_traceback = true }), "THE LINE")
        end
    end)

    it("leaves the request's id to other error pages", function()
        testing.expect_log("arithmetic")
        local body = fetch(fail, BROWSER, { before = function(handler)
            handler.request_id = "<7>"
        end }).body
        has(body, "500: Internal Server Error<p>Request id: &lt;7&gt;</p></body>")
        body = fetch(fail, BROWSER, { trust_request_id = true }, "/", { ["X-Request-Id"] = "r-1" })
            .body
        has(body, "<p>Request id: r-1</p>")
    end)

    it("shows values short, hides secrets, and calls nothing", function()
        assert.equal("[hidden]", shown.value("x", "Cookie_Secret"))
        assert.equal("nil", shown.value(nil, "password"))
        assert.equal('{ "a", "b", x = { y = {...} } }',
            shown.value { "a", "b", x = { y = { 1 } } })
        assert.matches('^"x+"%.%.%. %(500 bytes%)$', shown.value(("x"):rep(500)))
        assert.equal('"a\\nb\\1\\""', shown.value('a\nb\1"'))
        local trap = setmetatable({}, { __tostring = error, __index = error, __name = "Trap" })
        assert.equal("<Trap>", shown.value(trap))
        assert.equal("class RequestHandler", shown.value(web.RequestHandler))
        assert.matches("^function: .*debug_page_spec.lua:%d+$", shown.value(fail))
        assert.equal("function: builtin", shown.value(print))
        local list = {}
        for i = 1, 50 do list[i] = i end
        assert.matches("12, %.%.%. }$", shown.value(list))
        local cycle = {}
        cycle.me = cycle
        assert.equal("{ me = { me = {...} } }", shown.value(cycle))
        assert.equal('a=1&token=[hidden]&b="c"', shown.mask('a=1&token=xyz&b="c"'))
        assert.equal('{"password": "[hidden]"}', shown.mask('{"password": "hunter2"}'))
        assert.equal("Bearer [hidden] x", shown.mask("Bearer abc x"))
        assert.equal('  cookie_secret = "[hidden]",', shown.mask_source('  cookie_secret = "x y",'))
        assert.equal("local token = next()", shown.mask_source("local token = next()"))
    end)
end)
