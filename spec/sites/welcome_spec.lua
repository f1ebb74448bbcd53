-- What `make run` shows: the pages, their headers, the numbers, the error page.
local escape = require "tornado.escape"
local sites = require "tornado.sites"
local testing = require "tornado.testing"
local util = require "tornado.util"

local PATHS = { "/", "/welcome.css", "/welcome.js", "/welcome.svg", "/status.json" }

local function file(path)
    local handle = assert(io.open(path, "rb"))
    local text = handle:read("*a")
    handle:close()
    return text
end

-- The text of a piece of HTML.
local function text_of(html)
    return escape.xhtml_unescape((html:gsub("<[^>]*>", "")))
end

describe("sites/welcome", function()
    local app = assert(sites.load("sites/welcome"))

    it("shows the versions", function()
        local page = testing.serve(app):fetch("/")
        assert.equal(200, page.code)
        assert.equal("text/html; charset=UTF-8", page.headers:get("Content-Type"))
        assert.truthy(page.body:find("<dd>" .. util.version .. "</dd>", 1, true))
        assert.truthy(page.body:find("<dd>" .. jit.version:match("%S+$") .. "</dd>", 1, true))
        assert.falsy(page.body:find("<dd[^>]*>{{"))
    end)

    it("shows its own source, coloured", function()
        local page = testing.serve(app):fetch("/")
        local source = page.body:match('<pre class="long".-<code>(.-)</code>')
        assert.equal(file("sites/welcome/app.lua"), text_of(source))
        assert.truthy(source:find('<span class="kw">local</span> web = ', 1, true))
        assert.truthy(source:find('<span class="str">&quot;tornado.web&quot;</span>', 1, true))
    end)

    it("shows the source of sites/helloworld as it is", function()
        local page = testing.serve(app):fetch("/")
        local source = text_of(page.body:match('<code class="lua">(.-)</code>'))
        local without_comment = file("sites/helloworld/app.lua"):gsub("^%-%-[^\n]*\n", "")
        assert.equal(without_comment, source .. "\n")
    end)

    it("has what its page refers to, and nothing inline", function()
        local server = testing.serve(assert(sites.load_all {
            "sites/welcome", { path = "sites/manual", prefix = "/manual" },
        }))
        local page = server:fetch("/").body
        local found = {}
        for path in page:gmatch('[hs][re][ec]f?="(/[^"]*)"') do found[path] = true end
        for _, path in ipairs { "/welcome.css", "/welcome.js", "/welcome.svg" } do
            assert.truthy(found[path], path)
        end
        for path in pairs(found) do assert.equal(200, server:fetch(path).code) end
        assert.falsy(page:find("<style") or page:find(" style=") or page:find("<script>"))
        assert.falsy(page:find("https?://"))
    end)

    it("names the type of each file", function()
        local server = testing.serve(app)
        local types = {}
        for i, path in ipairs(PATHS) do
            types[i] = server:fetch(path).headers:get("Content-Type")
        end
        assert.same({
            "text/html; charset=UTF-8", "text/css; charset=UTF-8",
            "text/javascript; charset=UTF-8", "image/svg+xml",
            "application/json; charset=UTF-8",
        }, types)
    end)

    it("answers HEAD as GET, without the body", function()
        local server = testing.serve(app)
        for _, path in ipairs { "/", "/welcome.css", "/welcome.js", "/welcome.svg" } do
            local get, head = server:fetch(path), server:fetch(path, { method = "HEAD" })
            assert.equal(200, head.code)
            assert.equal("", head.body)
            for _, name in ipairs { "Content-Length", "Content-Type", "Etag" } do
                assert.equal(get.headers:get(name), head.headers:get(name))
            end
        end
        assert.equal(200, server:fetch("/status.json", { method = "HEAD" }).code)
        assert.equal(404, server:fetch("/nothing", { method = "HEAD" }).code)
    end)

    it("answers 304 to a known ETag", function()
        local server = testing.serve(app)
        local first = server:fetch("/welcome.css")
        assert.equal("no-cache", first.headers:get("Cache-Control"))
        local again = server:fetch("/welcome.css", {
            headers = { ["If-None-Match"] = first.headers:get("Etag") },
        })
        assert.equal(304, again.code)
        assert.equal("", again.body)
    end)

    it("counts in /status.json", function()
        local server = testing.serve(app)
        local first = server:fetch("/status.json")
        local before, after = first:json(), server:fetch("/status.json"):json()
        assert.equal("no-store", first.headers:get("Cache-Control"))
        assert.equal(util.version, before.version)
        assert.equal(jit.version, before.luajit)
        assert.equal(before.requests + 1, after.requests)
        assert.truthy(after.connections >= 1)
        assert.truthy(after.uptime >= before.uptime and before.uptime >= 0)
    end)

    it("has an error page of its own, with the path escaped", function()
        local page = testing.serve(app):fetch("/a&b'c")
        assert.equal(404, page.code)
        assert.equal("text/html; charset=UTF-8", page.headers:get("Content-Type"))
        assert.truthy(page.body:find("<span>404</span> Not Found", 1, true))
        assert.truthy(page.body:find("GET /a&amp;b&#x27;c", 1, true))
        assert.truthy(page.body:find("/welcome.css", 1, true))
    end)

    it("says which methods there are", function()
        local page = testing.serve(app):fetch("/", { body = "x" })
        assert.equal(405, page.code)
        assert.equal("GET, HEAD", page.headers:get("Allow"))
        assert.truthy(page.body:find("<span>405</span> Method Not Allowed", 1, true))
    end)

    it("sends the security headers with every reply", function()
        local server = testing.serve(app)
        for _, path in ipairs { "/", "/welcome.js", "/status.json", "/nothing" } do
            local headers = server:fetch(path).headers
            assert.equal("nosniff", headers:get("X-Content-Type-Options"))
            assert.equal("no-referrer", headers:get("Referrer-Policy"))
            local policy = headers:get("Content-Security-Policy")
            assert.truthy(policy:find("^default%-src 'none'; "))
            assert.falsy(policy:find("unsafe", 1, true))
        end
    end)
end)
