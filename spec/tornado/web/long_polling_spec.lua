-- Long polling with a Condition, as in Tornado's chat demo: who waits is told together, and a
-- client that leaves, or whose time is over, leaves nothing behind.
local httpserver = require "tornado.httpserver"
local locks = require "tornado.locks"
local testing = require "tornado.testing"
local web = require "tornado.web"

describe("long polling", function()
    local news, messages, left

    local Updates = web.RequestHandler:extend "Updates"
    Updates.cancel_on_disconnect = true

    function Updates:get()
        local cursor = tonumber(self:get_argument("cursor"))
        while cursor >= #messages do
            if not news:wait(5) then return self:write { messages = #messages } end
        end
        self:write { messages = #messages, first = messages[cursor + 1] }
    end

    function Updates:on_connection_close() left = left + 1 end

    local New = web.RequestHandler:extend "New"

    function New:post()
        messages[#messages + 1] = self.request.body
        news:notify_all()
    end

    local function serve()
        news, messages, left = locks.Condition(), {}, 0
        return testing.serve(web.Application { { "/", Updates }, { "/new", New } })
    end

    local function poll(server)
        local client = server:connect()
        client:send "GET /?cursor=0 HTTP/1.1\r\nHost: a\r\n\r\n"
        return client
    end

    local function await_waiting(n)
        testing.wait_until(function() return news._waiters.count == n end)
    end

    it("tells all who wait", function()
        local server, clients = serve(), {}
        for i = 1, 20 do clients[i] = poll(server) end
        await_waiting(20)
        server:fetch("/new", { body = "hello" })
        for _, client in ipairs(clients) do
            assert.same({ messages = 1, first = "hello" }, client:read_response():json())
        end
        await_waiting(0)
        assert.equal("hello", server:fetch("/?cursor=0"):json().first)
    end)

    it("forgets who leaves, and tells the others", function()
        local server = serve()
        local leaving, staying = poll(server), poll(server)
        await_waiting(2)
        leaving:close(true)
        await_waiting(1)
        testing.wait_until(function() return httpserver.live_count() == 1 end)
        assert.equal(1, left)
        server:fetch("/new", { body = "still there" })
        assert.equal("still there", staying:read_response():json().first)
    end)

    it("ends when its time is over", function()
        local clock = testing.clock()
        local client = poll(serve())
        await_waiting(1)
        clock:advance(5)
        assert.same({ messages = 0 }, client:read_response():json())
        await_waiting(0)
        assert.equal(0, clock:pending())
    end)
end)
