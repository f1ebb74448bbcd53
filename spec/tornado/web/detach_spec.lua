-- RequestHandler:detach() (PARITY §1): the connection leaves HTTP, and HTTP keeps nothing of it.
local core = require "tornado.core"
local httpserver = require "tornado.httpserver"
local testing = require "tornado.testing"
local web = require "tornado.web"

local HEAD = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

-- Serves a handler whose verb is `fn`; returns the server and what was called.
local function serve(fn, options)
    local seen = {}
    local Handler = web.RequestHandler:extend "Handler"
    function Handler:get() fn(self) end
    Handler.post = Handler.get
    function Handler:on_finish() seen.finished = true end -- luacheck: ignore 212/self
    function Handler:on_connection_close() seen.gone = true end -- luacheck: ignore 212/self
    return testing.serve(web.Application { { "/", Handler } }, options), seen
end

-- What comes, in however many pieces, until there are as many bytes as in `expected`.
local function read(connection, expected)
    local got = ""
    while #got < #expected do got = got .. assert(connection:read_some()) end
    return got
end

-- The server's side of a detached connection, as a testing.Connection; closed with the case.
local function taken(handler)
    local connection = testing.Connection("detached", nil, handler:detach())
    finally(function() connection:close() end)
    return connection
end

describe("detach()", function()
    it("gives the connection, and HTTP keeps nothing", function()
        local ours
        local server, seen = serve(function(self) ours = taken(self) end)
        local before = core.counts().connections
        local client = server:connect()
        client:send(HEAD)
        testing.wait_until(function() return ours end)
        assert.equal(before, core.counts().connections)
        testing.wait_until(function() return httpserver.live_count() == 0 end)
        assert.equal(0, core.counts().requests)
        client:send("hello")
        assert.equal("hello", read(ours, "hello"))
        ours:send("world")
        assert.equal("world", read(client, "world"))
        ours:shut()
        assert.same({ "", "eof" }, { client:read_until_close() })
        client:shut()
        assert.same({ "", "eof" }, { ours:read_until_close() })
        assert.same({}, seen)
    end)

    it("begins with what came behind the request", function()
        local ours
        local server = serve(function(self) ours = taken(self) end)
        local client = server:connect()
        client:send(HEAD .. "GET / HTTP/9.9 \0\1\r\n\r\n" .. ("x"):rep(100000))
        testing.wait_until(function() return ours end)
        client:shut()
        assert.equal("GET / HTTP/9.9 \0\1\r\n\r\n" .. ("x"):rep(100000),
            (ours:read_until_close()))
    end)

    it("leaves the body that was collected with the request", function()
        local ours, body
        local server = serve(function(self)
            ours = taken(self)
            body = self.request.body
        end)
        local client = server:connect()
        client:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcdeREST")
        testing.wait_until(function() return body end)
        assert.equal("abcde", body)
        assert.equal("REST", read(ours, "REST"))
    end)

    it("comes behind earlier replies, and behind a head that was sent", function()
        local ours
        local server = serve(function(self)
            if not self:get_query_argument("detach", nil) then return self:write("first") end
            core.reply_start(self.request.handle, 101, "", "", -1, 0)
            ours = taken(self)
            ours:send("raw")
        end)
        local client = server:connect()
        client:send(HEAD .. "GET /?detach=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert.equal("first", client:read_response().body)
        local response = client:read_response()
        assert.equal(101, response.code)
        assert.equal("raw", read(client, "raw"))
        assert.is_false(client:is_closed())
    end)

    it("tells a client that leaves only to the channel", function()
        local ours, ended
        local server, seen = serve(function(self)
            ours = taken(self)
            ended = select(2, ours:read_until_close())
        end)
        local client = server:connect()
        client:send(HEAD)
        testing.wait_until(function() return ours end)
        client:close(true)
        testing.wait_until(function() return ended end)
        assert.equal("reset", ended)
        assert.same({}, seen)
    end)

    it("survives the end of its server and its limits", function()
        local ours
        local server = serve(function(self) ours = taken(self) end,
            { server = { idle_timeout = 0.05, write_timeout = 0.05, handler_timeout = 0.05 } })
        local client = server:connect()
        client:send(HEAD)
        testing.wait_until(function() return ours end)
        server.http:stop(true)
        server.http:close_all_connections(1)
        client:send("still here")
        assert.equal("still here", read(ours, "still here"))
    end)

    it("raises when there is no connection to give", function()
        local errors = {}
        local server = serve(function(self)
            self:finish("done")
            local ok, err = pcall(self.detach, self)
            errors[#errors + 1] = tostring(err)
            assert(not ok)
        end)
        assert.equal("done", server:fetch("/").body)
        assert.matches("cannot detach: the client has left, or the reply is complete", errors[1])
    end)
end)
