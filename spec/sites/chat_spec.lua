-- sites/chat: two clients who talk to each other by streams and by long polling, the page without
-- a script, and what is refused.
local escape = require "tornado.escape"
local httpserver = require "tornado.httpserver"
local pubsub = require "tornado.pubsub"
local sites = require "tornado.sites"
local testing = require "tornado.testing"

describe("sites/chat", function()
    local app = assert(sites.load("sites/chat"))

    -- A client: its cookies, and the token for what it sends.
    local function browse(server)
        local client = { server = server }
        local response = server:fetch("/")
        local token = response.body:match('name="_xsrf" value="([^"]+)"')
        local cookie = response.headers:get("Set-Cookie"):match("^(_xsrf=[^;]+)")

        local function headers()
            local list = { cookie }
            if client.name then list[2] = "chat_name=" .. client.name end
            return { Cookie = table.concat(list, "; "), ["X-XSRFToken"] = token,
                ["X-Requested-With"] = "fetch",
                ["Content-Type"] = "application/x-www-form-urlencoded" }
        end

        local function encode(fields)
            local parts = {}
            for name, value in pairs(fields) do
                parts[#parts + 1] = name .. "=" .. escape.url_escape(value)
            end
            return table.concat(parts, "&")
        end

        function client.post(path, fields)
            local reply = server:fetch(path, { body = encode(fields), headers = headers() })
            for _, line in ipairs(reply.headers:get_list("Set-Cookie")) do
                client.name = line:match("^chat_name=([^;]+)") or client.name
            end
            return reply
        end

        function client.page()
            return server:fetch("/", { headers = headers() }).body
        end

        -- Begins a request, and returns its connection.
        function client.begin(method, path, fields)
            local connection = server:connect()
            local body = encode(fields or {})
            local lines = { method .. " " .. path .. " HTTP/1.1", "Host: a" }
            for name, value in pairs(headers()) do lines[#lines + 1] = name .. ": " .. value end
            if fields then lines[#lines + 1] = "Content-Length: " .. #body end
            connection:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. (fields and body or ""))
            return connection
        end

        return client
    end

    local function read_to(connection, mark)
        local got = ""
        while not got:find(mark, 1, true) do got = got .. assert(connection:read_some()) end
        return got
    end

    local function cursor(page)
        return page:match('data%-cursor="(%d+)"')
    end

    it("lets two talk by streams", function()
        local server = testing.serve(app)
        local ann, bob = browse(server), browse(server)
        ann.post("/a/message/new", { name = "Ann", body = "first" })
        local at = "/a/message/stream?lastEventId=" .. cursor(ann.page())
        local to_ann, to_bob = ann.begin("GET", at), bob.begin("GET", at)
        read_to(to_ann, "people")
        read_to(to_bob, "people")
        assert.equal(204, ann.post("/a/message/new", { name = "Ann", body = "hi <Bob>" }).code)
        assert.matches("hi &lt;Bob&gt;", read_to(to_bob, "&gt;"))
        bob.post("/a/message/new", { name = "Bob", body = "hi Ann" })
        local got = read_to(to_ann, "hi Ann")
        assert.is_true(got:find("hi &lt;Bob", 1, true) < got:find("hi Ann", 1, true))
        assert.is_nil(got:find("first", 1, true))
        to_ann:close()
        to_bob:close()
        testing.wait_until(function() return httpserver.live_count() == 0 end)
        assert.equal(0, pubsub.subscribers "chat")
    end)

    it("goes on where a stream has ended", function()
        local server = testing.serve(app)
        local ann = browse(server)
        local stream = ann.begin("GET", "/a/message/stream?lastEventId=" .. cursor(ann.page()))
        read_to(stream, "people")
        ann.post("/a/message/new", { name = "Ann", body = "one" })
        local id = read_to(stream, "one"):match("id: (%d+)\ndata")
        stream:close()
        ann.post("/a/message/new", { name = "Ann", body = "two" })
        stream = ann.begin("GET", "/a/message/stream?lastEventId=" .. id)
        local got = read_to(stream, "two")
        assert.is_nil(got:find(">one<", 1, true))
        stream:close()
    end)

    it("tells who is there", function()
        local server = testing.serve(app)
        local ann, bob = browse(server), browse(server)
        ann.post("/a/message/new", { name = "Ann", body = "x" })
        bob.post("/a/message/new", { name = "Bob", body = "x" })
        local to_ann = ann.begin("GET", "/a/message/stream")
        read_to(to_ann, '{"people":["Ann"]}')
        local to_bob = bob.begin("GET", "/a/message/stream")
        read_to(to_ann, '{"people":["Ann","Bob"]}')
        assert.matches("Ann, Bob", ann.page())
        to_bob:close()
        read_to(to_ann, '{"people":["Ann"]}')
        to_ann:close()
    end)

    it("lets two talk by long polling", function()
        local server = testing.serve(app)
        local ann, bob = browse(server), browse(server)
        ann.post("/a/message/new", { name = "Ann", body = "before" })
        local at = cursor(bob.page())
        local poll = bob.begin("POST", "/a/message/updates", { cursor = at })
        testing.wait_until(function() return pubsub.subscribers "chat" == 1 end)
        ann.post("/a/message/new", { name = "Ann", body = "one" })
        local update = poll:read_response({ method = "POST" }):json()
        assert.equal(1, #update.messages)
        assert.matches(">one<", update.messages[1].html)
        ann.post("/a/message/new", { name = "Ann", body = "two" })
        ann.post("/a/message/new", { name = "Ann", body = "three" })
        update = bob.post("/a/message/updates", { cursor = update.cursor }):json()
        assert.equal(2, #update.messages)
        assert.matches(">three<", update.messages[2].html)
    end)

    it("forgets a client that leaves while it waits", function()
        local server = testing.serve(app)
        local bob = browse(server)
        local poll = bob.begin("POST", "/a/message/updates", { cursor = cursor(bob.page()) })
        testing.wait_until(function() return pubsub.subscribers "chat" == 1 end)
        poll:close()
        testing.wait_until(function() return pubsub.subscribers "chat" == 0 end)
        testing.wait_until(function() return httpserver.live_count() == 0 end)
    end)

    it("answers a poll in time", function()
        local server = testing.serve(app)
        local bob = browse(server)
        app.settings.poll_timeout = 0.02
        finally(function() app.settings.poll_timeout = 25 end)
        local update = bob.post("/a/message/updates", { cursor = cursor(bob.page()) }):json()
        assert.same({}, update.messages)
        assert.is_nil(update.cursor)
    end)

    it("works without a script", function()
        local ann = browse(testing.serve(app))
        local reply = ann.post("/a/message/new", {
            name = " Ann  Lee ", body = "a\r\n<i>b", next = 1,
        })
        assert.equal(303, reply.code)
        assert.equal("/", reply.headers:get("Location"))
        local page = ann.page()
        assert.matches('<p class="body">a\n&lt;i&gt;b</p>', page, 1, true)
        assert.matches('value="Ann Lee"', page, 1, true)
    end)

    it("refuses what is empty, too long, or not from its page", function()
        local server = testing.serve(app)
        local ann = browse(server)
        local page = ann.page()
        local function say(name, body)
            return ann.post("/a/message/new", { name = name, body = body })
        end
        assert.equal(400, say("", "x").code)
        assert.equal("A name has 1 to 30 characters", say("  ", "x"):json().error)
        assert.equal(400, say(("x"):rep(31), "x").code)
        assert.equal(400, say("Ann", " \n").code)
        assert.equal(400, say("Ann", ("ä"):rep(2001)).code)
        assert.equal(cursor(page), cursor(ann.page()))
        assert.equal(204, say(("ä"):rep(30), ("ä"):rep(2000)).code)
        testing.expect_log "'_xsrf' argument missing"
        assert.equal(403, server:fetch("/a/message/new", { body = "name=a&body=b" }).code)
        assert.matches("Not Found", server:fetch("/a/b").body)
    end)

    it("lets the page run nothing that is not its own", function()
        local response = testing.serve(app):fetch("/")
        assert.matches("default%-src 'self'", response.headers:get("Content-Security-Policy"))
        assert.not_matches("<script>", response.body)
        assert.not_matches("style=", response.body)
    end)
end)
