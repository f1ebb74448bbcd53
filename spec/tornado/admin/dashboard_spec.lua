-- tornado.admin.dashboard: its page and files, and what its WebSocket says. How it looks and moves
-- is in spec/integration/browser/dashboard.js.
local admin = require "tornado.admin"
local core = require "tornado.core"
local escape = require "tornado.escape"
local gen = require "tornado.gen"
local testing = require "tornado.testing"
local websocket = require "tornado.websocket"

local function serve()
    return testing.serve(admin.application())
end

local function connect(server, headers)
    return websocket.websocket_connect("ws://" .. server.address .. "/dashboard/live",
        { headers = headers })
end

local function close(socket)
    socket:close()
    while socket:read_message() do gen.moment() end
end

-- Messages until one is as wanted.
local function read_until(socket, wanted)
    for _ = 1, 10 do
        local message = escape.json_decode(socket:read_message())
        if wanted(message) then return message end
    end
    error "no such message"
end

describe("tornado.admin.dashboard", function()
    it("has a page that may load nothing but its own files", function()
        local server = serve()
        local page = server:fetch "/"
        local policy = page.headers:get "Content-Security-Policy"
        assert.matches("^default%-src 'none'; script%-src 'self';", policy)
        assert.is_nil(policy:find("unsafe", 1, true))
        assert.is_nil(page.body:find("<script>", 1, true))
        assert.is_nil(page.body:find " style=")
        assert.is_nil(page.body:find " on%a+=")
        assert.matches("tornado on ", page.body)
        for name in page.body:gmatch '"(/dashboard/[^"]+)"' do
            local reply = server:fetch(name)
            assert.equal(200, reply.code, name)
            assert.equal("nosniff", reply.headers:get "X-Content-Type-Options")
        end
    end)

    it("has files that browsers keep", function()
        local server = serve()
        local types = { ["main.js"] = "text/javascript; charset=UTF-8",
            ["series.js"] = "text/javascript; charset=UTF-8", ["icon.svg"] = "image/svg+xml",
            ["dashboard.css"] = "text/css; charset=UTF-8" }
        for name, type in pairs(types) do
            local reply = server:fetch("/dashboard/" .. name)
            assert.equal(type, reply.headers:get "Content-Type")
            local etag = reply.headers:get "Etag"
            local again = server:fetch("/dashboard/" .. name, { headers = { ["If-None-Match"] =
                etag } })
            assert.equal(304, again.code)
        end
        assert.equal(404, server:fetch("/dashboard/feed.lua").code)
    end)

    it("says all at first, and then what is new", function()
        core.history_begin()
        local socket = connect(serve())
        local first = escape.json_decode(socket:read_message())
        assert.equal("starting", first.state)
        assert.equal(core.worker() + 1, first.overview.workers[1].worker)
        assert.equal(first.hello.pid, first.overview.workers[1].pid)
        assert.equal("Not Found", first.hello.reasons["404"])
        assert.equal("number", first.hello.columns[1])
        assert.is_table(first.errors)
        local more = read_until(socket, function(message) return #message.samples > 0 end)
        assert.is_nil(more.hello)
        assert.equal(#first.hello.columns, #more.samples[1])
        local next = read_until(socket, function(message) return #message.samples > 0 end)
        assert.is_true(next.samples[1][1] > more.samples[#more.samples][1])
        assert.is_nil(next.errors)
        close(socket)
    end)

    it("tells of an error as it was logged", function()
        local socket = connect(serve())
        local text = '<script>"\\ \1 ü</script>'
        socket:read_message()
        local level = core.log_level()
        core.log_set_level(4) -- it is kept all the same
        core.log(3, "app", text, "an id")
        core.log_set_level(level)
        local message = read_until(socket, function(message) return message.errors end)
        assert.equal(text, message.errors[1].message)
        assert.equal("app", message.errors[1].logger)
        assert.equal("an id", message.errors[1].request)
        close(socket)
    end)

    it("lets pages of others read nothing", function()
        local server = serve()
        local ok, err = pcall(connect, server, { Origin = "https://evil.example" })
        assert.is_false(ok)
        assert.equal(403, err.code)
    end)
end)
