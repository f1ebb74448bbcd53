-- tornado.autoreload.page: which replies get the script, and what browsers are told.
local autoreload = require "tornado.autoreload"
local escape = require "tornado.escape"
local page = require "tornado.autoreload.page"
local testing = require "tornado.testing"
local web = require "tornado.web"
local websocket = require "tornado.websocket"

local PAGE = "<html><body><p>hat</p></BODY ></html>"
local TAG = '^<html><body><p>hat</p><script src="/_ctornado/live%.js" data%-made="[%d.]+"></script>'

local function answer(fn)
    local Main = web.RequestHandler:extend "Main"
    Main.get = fn
    return Main
end

local function serve(settings, fn)
    local app = web.Application({ { "/(.*)", answer(fn or function(self) self:write(PAGE) end) } },
        settings or { debug = true })
    return testing.serve(page.before(app))
end

-- The listeners that are added in this case.
local function take_listeners()
    local listeners = {}
    local listen = autoreload.listen
    autoreload.listen = function(fn) listeners[#listeners + 1] = fn end
    finally(function() autoreload.listen = listen end)
    return listeners
end

describe("tornado.autoreload.page", function()
    it("puts the script into pages, before their end", function()
        local server = serve()
        local body = server:fetch("/").body
        assert.matches(TAG, body)
        assert.matches("\n</BODY ></html>$", body)
        local script = server:fetch("/_ctornado/live.js")
        assert.equal("text/javascript; charset=UTF-8", script.headers:get("Content-Type"))
        assert.matches("new WebSocket", script.body)
    end)

    it("leaves alone what is no page of its own", function()
        local kinds = {
            json = function(self) self:write { body = "</body>" } end,
            text = function(self)
                self:set_header("Content-Type", "text/plain")
                self:write(PAGE)
            end,
            part = function(self) self:write("<p>hat</p>") end,
            streamed = function(self)
                self:write(PAGE)
                self:flush()
            end,
            sized = function(self)
                self:set_header("Content-Length", #PAGE)
                self:write(PAGE)
            end,
            coded = function(self)
                self:set_header("Content-Encoding", "x-hat")
                self:write(PAGE)
            end,
        }
        local server = serve(nil, function(self, name) kinds[name](self) end)
        for name in pairs(kinds) do
            assert.is_nil(server:fetch("/" .. name).body:find("_ctornado", 1, true), name)
        end
        server = serve()
        assert.equal(PAGE, server:fetch("/", { headers = { ["Sec-Fetch-Dest"] = "empty" } }).body)
        assert.equal(PAGE, serve({ debug = false }):fetch("/").body)
    end)

    it("has a nonce where the policy asks for one", function()
        local strict = { csp = "default-src 'none'; script-src 'none'" }
        local reply = serve({ debug = true, security_headers = strict }):fetch("/")
        local nonce = reply.body:match ' nonce="(%x+)"></script>'
        assert.truthy(reply.headers:get("Content-Security-Policy"):find(nonce, 1, true))
        reply = serve({ debug = true, security_headers = true }):fetch("/")
        assert.matches(TAG, reply.body)
        assert.is_nil(reply.headers:get("Content-Security-Policy"):find("nonce", 1, true))
    end)

    it("tells of reloads, static files and failures", function()
        local listeners = take_listeners()
        local server = serve()
        local url = "ws://" .. server.address .. "/_ctornado/live?made="
        local function connect(made)
            local socket = websocket.websocket_connect(url .. made)
            finally(function() socket:close() end)
            return function()
                local message = escape.json_decode(socket:read_message())
                assert.truthy(message.stamp)
                message.stamp = nil
                return message
            end, socket
        end
        local read = connect("1")
        local tell = listeners[1]
        assert.same({ what = "reload" }, read())
        local later = connect(tostring(os.time() + 100))
        tell("static", { "a.css" })
        assert.same({ what = "static", files = { "a.css" } }, later())
        tell("failed", "app.lua:1: x")
        assert.same({ what = "failed", text = "app.lua:1: x" }, later())
        local third, socket = connect(tostring(os.time() + 100))
        assert.same({ what = "failed", text = "app.lua:1: x" }, third())
        tell("reloaded", "")
        tell("retired")
        assert.is_nil(socket:read_message())
        assert.equal(1012, socket.close_code)
    end)
end)
