-- The hot path stays compiled: ten thousand requests, or messages of WebSockets, and in the second
-- half of them no trace is given up any more in the files that all of them go through.
local sites = require "tornado.sites"
local testing = require "tornado.testing"

local vmdef_ok, vmdef = pcall(require, "jit.vmdef")

local HOT = {
    "tornado/core.lua", "tornado/ioloop.lua", "tornado/httpserver.lua", "tornado/web/",
    "tornado/routing.lua", "tornado/httputil/request.lua",
    "tornado/websocket/peer.lua", "tornado/core/websocket.lua",
}

local function is_hot(source)
    for _, name in ipairs(HOT) do
        if source:find(name, 1, true) then return true end
    end
    return false
end

local function reason(code, extra)
    local text = vmdef_ok and vmdef.traceerr[code] or "error " .. tostring(code)
    if type(extra) == "number" and vmdef_ok and text:find("bytecode", 1, true) then
        extra = vmdef.bcnames:sub(extra * 6 + 1, extra * 6 + 6)
    end
    local ok, said = pcall(string.format, text, extra)
    return ok and said or text
end

-- The pump's function begins with the loop that takes events, which has a trace of its own: one
-- from the function's head on is never made, however seldom it is tried.
local function is_vain(where, why)
    return where:find("ioloop%.lua") and why == "inner loop in root trace"
end

-- Runs fn and returns the traces that were given up in hot files meanwhile, as lines.
local function aborts_of(fn)
    local lines = {}
    local function on_trace(what, _, func, pc, code, extra)
        if what ~= "abort" then return end
        local info = require("jit.util").funcinfo(func, pc)
        local where = info.loc or "?"
        if is_hot(info.source or where) or is_hot(where) then
            local why = reason(code, extra)
            if not is_vain(where, why) then lines[#lines + 1] = where .. ": " .. why end
        end
    end
    jit.attach(on_trace, "trace")
    local ok, err = pcall(fn)
    jit.attach(on_trace)
    assert(ok, err)
    return lines
end

describe("the compiler", function()
    local COUNT, BATCH = 10000, 100

    local function load_path(connection, path, count)
        local requests = ("GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n"):rep(BATCH)
        for _ = 1, count / BATCH do
            connection:send(requests)
            for _ = 1, BATCH do assert(connection:read_response().code == 200) end
        end
    end

    for _, path in ipairs { "/plaintext", "/json" } do
        it("gives up no trace of " .. path .. " once it is warm", function()
            testing.set_timeout(60)
            finally(function() jit.flush() end)
            jit.flush()
            local server = testing.serve(assert(sites.load("sites/bench")))
            local connection = server:connect()
            local warming = aborts_of(function() load_path(connection, path, COUNT / 2) end)
            connection:close()
            connection = server:connect()
            local warm = aborts_of(function() load_path(connection, path, COUNT / 2) end)
            assert.same({}, warm)
            -- A handful: each is tried again from another place.
            assert.truthy(#warming <= 20, table.concat(warming, "\n"))
        end)
    end

    local UPGRADE = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" ..
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" ..
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    local PEERS, HI, ECHO = 20, "\129\130\0\0\0\0hi", "\129\2hi"

    local function read(connection, enough)
        local got = ""
        repeat got = got .. assert(connection:read_some()) until enough(got)
        return got
    end

    local function echo_all(peers, count)
        for _ = 1, count / #peers do
            for _, peer in ipairs(peers) do peer:send(HI) end
            for _, peer in ipairs(peers) do
                assert(read(peer, function(got) return #got == #ECHO end) == ECHO)
            end
        end
    end

    it("gives up no trace of WebSockets' messages once it is warm", function()
        testing.set_timeout(60)
        finally(function() jit.flush() end)
        jit.flush()
        local server, peers = testing.serve(assert(sites.load("sites/bench"))), {}
        for i = 1, PEERS do
            peers[i] = server:connect()
            peers[i]:send(UPGRADE)
            read(peers[i], function(got) return got:find("\r\n\r\n", 1, true) end)
        end
        local warming = aborts_of(function() echo_all(peers, COUNT / 2) end)
        assert.same({}, aborts_of(function() echo_all(peers, COUNT / 2) end))
        for _, line in ipairs(warming) do assert.is_nil(line:find("peer.lua", 1, true), line) end
        for _, peer in ipairs(peers) do peer:close() end
    end)
end)
