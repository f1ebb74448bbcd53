-- The hot path stays compiled: ten thousand requests, and in the second half of them no
-- trace is given up any more in the files that every request goes through.
local sites = require "tornado.sites"
local testing = require "tornado.testing"

local vmdef_ok, vmdef = pcall(require, "jit.vmdef")

local HOT = {
    "tornado/core.lua", "tornado/ioloop.lua", "tornado/httpserver.lua", "tornado/web/",
    "tornado/routing.lua", "tornado/httputil/request.lua",
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
end)
