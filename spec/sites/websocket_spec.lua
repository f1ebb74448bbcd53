-- sites/websocket: rooms, history, names, and what is refused.
local escape = require "tornado.escape"
local pubsub = require "tornado.pubsub"
local sites = require "tornado.sites"
local testing = require "tornado.testing"
local websocket = require "tornado.websocket"

describe("sites/websocket", function()
    local app = assert(sites.load("sites/websocket"))

    local function connect(server, room)
        local socket = websocket.connect(("ws://%s/socket/%s"):format(server.address, room))
        local client = { socket = socket }
        function client.send(table) socket:write_message(escape.json_encode(table)) end
        -- The next that has `key`; others are left out.
        function client.next(key)
            local message
            repeat message = escape.json_decode(assert(socket:read_message())) until message[key]
            return message
        end
        finally(function() socket:close() end)
        return client
    end

    it("lets two in a room talk", function()
        local server = testing.serve(app)
        local ann, bob = connect(server, "a"), connect(server, "a")
        ann.send { name = " Ann " }
        bob.send { name = "Bob" }
        testing.wait_until(function() return #pubsub.presence "room:a" == 2 end)
        ann.send { body = "hi <Bob>" }
        assert.equal("hi <Bob>", bob.next("body").body)
        bob.send { body = "hi\nAnn" }
        assert.equal("hi <Bob>", ann.next("body").body)
        local message = ann.next "body"
        assert.equal("hi\nAnn", message.body)
        assert.equal("Bob", message.name)
    end)

    it("tells who is there", function()
        local server = testing.serve(app)
        local ann = connect(server, "b")
        ann.send { name = "Ann" }
        assert.same({ "Ann" }, ann.next("people").people)
        local bob = connect(server, "b")
        bob.send { name = "Bob" }
        assert.same({ "Ann", "Bob" }, ann.next("people").people)
        bob.send { name = "Rob" }
        local people
        repeat people = ann.next("people").people until #people == 2 and people[2] == "Rob"
        bob.socket:close()
        repeat people = ann.next("people").people until #people == 1
        assert.same({ "Ann" }, people)
    end)

    it("gives what was said before, or what was missed", function()
        local server = testing.serve(app)
        local ann = connect(server, "c")
        ann.send { name = "Ann" }
        for i = 1, 3 do ann.send { body = "m" .. i } end
        local first = ann.next "body"
        local late = connect(server, "c")
        late.send { name = "Late" }
        for i = 1, 3 do assert.equal("m" .. i, late.next("body").body) end
        local back = connect(server, "c")
        back.send { name = "Back", since = first.id }
        for i = 2, 3 do assert.equal("m" .. i, back.next("body").body) end
    end)

    it("refuses what is no message", function()
        local server = testing.serve(app)
        local function code(text)
            local client = connect(server, "d")
            client.socket:write_message(text)
            while client.socket:read_message() do end -- luacheck: ignore 542
            return client.socket.close_code
        end
        assert.equal(1007, code "hello")
        assert.equal(1008, code '{"body":"x"}')
        assert.equal(1008, code '{"name":"  "}')
        assert.equal(1008, code('{"name":"' .. ("x"):rep(31) .. '"}'))
    end)

    it("has pages for rooms, and for nothing else", function()
        local server = testing.serve(app)
        assert.matches("lounge", server:fetch("/").body)
        assert.equal("/room/attic", server:fetch("/?room=Attic").headers:get("Location"))
        assert.equal(200, server:fetch("/room/attic").code)
        assert.equal(404, server:fetch("/room/a%20b").code)
        assert.equal(404, server:fetch("/room/" .. ("x"):rep(31)).code)
        assert.equal(404, server:fetch("/x").code)
        assert.equal(404, server:fetch("/socket/a%20b").code)
    end)
end)
