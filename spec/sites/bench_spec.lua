-- sites/bench does what its namesakes in spec/bench/peers do, so that numbers can be compared.
local sites = require "tornado.sites"
local testing = require "tornado.testing"
local websocket = require "tornado.websocket"

describe("sites/bench", function()
    local server

    local function fetch(path, options)
        server = server or testing.serve(assert(sites.load("sites/bench")))
        return server:fetch(path, options)
    end

    before_each(function() server = nil end)

    it("has /plaintext and /json", function()
        local response = fetch "/plaintext"
        assert.equal("Hello, World!", response.body)
        assert.equal("text/plain", response.headers:get("Content-Type"))
        assert.is_false(response.headers:has("Etag"))
        response = fetch "/json"
        assert.equal("application/json; charset=UTF-8", response.headers:get("Content-Type"))
        assert.same({ message = "Hello, World!" }, response:json())
    end)

    it("has /page, with escaped fortunes in order", function()
        local body = fetch("/page").body
        local rows, last = 0, ""
        for message in body:gmatch("<td>%d+</td><td>(.-)</td>") do
            rows = rows + 1
            assert.truthy(last <= message)
            last = message
        end
        assert.equal(13, rows)
        assert.truthy(body:find("&lt;script&gt;alert(&#x27;x1&#x27;);&lt;/script&gt; &amp; &quot;",
            1, true))
        assert.is_nil(body:find("<script", 1, true))
        assert.matches("^<!DOCTYPE html>.*</html>$", body)
    end)

    it("has /browser, which reads and sets what browsers send", function()
        local response = fetch("/browser?q=caf%C3%A9", { headers = {
            Cookie = "session=abc", ["Accept-Language"] = "de, en;q=0.5" } })
        assert.equal("q=café lang=de, en;q=0.5", response.body)
        assert.equal("abc", response.headers:get("X-Session"))
        assert.equal("no-store", response.headers:get("Cache-Control"))
        assert.matches("^seen=1; HttpOnly; Path=/$", response.headers:get("Set-Cookie"))
        assert.equal("q= lang=", fetch("/browser").body)
    end)

    it("has /form, which answers with the form", function()
        local response = fetch("/form", { body = "a=1&b=x+y", headers = {
            ["Content-Type"] = "application/x-www-form-urlencoded" } })
        assert.same({ a = "1", b = "x y" }, response:json())
    end)

    it("has /proxy, which asks this server", function()
        local response = fetch "/proxy"
        assert.equal("Hello, World!", response.body)
        assert.equal("text/plain; charset=UTF-8", response.headers:get("Content-Type"))
    end)

    it("has a route with groups", function()
        assert.equal("42 a-slug-9", fetch("/user/42/post/a-slug-9").body)
        assert.equal(404, fetch("/user/x/post/a").code)
    end)

    it("has /static, two files", function()
        local response = fetch "/static/1k.txt"
        assert.equal(("0123456789abcdef"):rep(64), response.body)
        assert.equal("text/plain", response.headers:get("Content-Type"))
        response = fetch "/static/1m.bin"
        assert.equal(1048576, #response.body)
        assert.equal("application/octet-stream", response.headers:get("Content-Type"))
    end)

    it("has what the conformance runs ask for", function()
        assert.equal("Hello, world", fetch("/").body)
        assert.equal("", fetch("/", { method = "HEAD" }).body)
        assert.equal("12", fetch("/", { method = "HEAD" }).headers:get("Content-Length"))
        assert.equal("bytes\0", fetch("/echo", { body = "bytes\0" }).body)
        assert.equal("1", fetch("/headers", { headers = { ["X-A"] = "1" } }):json()["X-A"])
        assert.equal("slow", fetch("/slow").body)
    end)

    it("has /ws, which echoes", function()
        server = testing.serve(assert(sites.load("sites/bench")))
        local connection = websocket.connect("ws://" .. server.address .. "/ws",
            { compression_options = {} })
        for _, message in ipairs { "short", ("long "):rep(10000) } do
            connection:write_message(message)
            assert.equal(message, connection:read_message())
        end
        connection:close()
        testing.wait_until(function() return connection.close_code end)
    end)
end)
