-- tornado.memory: who uses up the memory gets an error, and nobody else notices.
local buffer = require "string.buffer"
local core = require "tornado.core"
local ffi = require "ffi"
local memory = require "tornado.memory"
local testing = require "tornado.testing"
local web = require "tornado.web"

local log_file = dofile "spec/tornado/log_file.lua"

local MB = 2 ^ 20

local kept = {}

local function many_tables()
    local list = {}
    for i = 1, 1e9 do list[i] = { i } end
    return list
end

local GREEDY = {
    ["many tables"] = many_tables,
    ["many tables, not compiled"] = function()
        jit.off(true, true)
        return many_tables()
    end,
    ["strings of a megabyte"] = function()
        local list = {}
        for i = 1, 1e9 do list[i] = ("x"):rep(MB) .. i end
        return list
    end,
    ["a table that only grows"] = function()
        local list = {}
        for i = 1, 1e9 do list[i] = i end
        return list
    end,
    ["one string of a gigabyte"] = function() return ("x"):rep(1024 * MB) end,
    ["one buffer of a gigabyte"] = function() return buffer.new():reserve(1024 * MB) end,
    ["one array of the FFI"] = function() return ffi.new("char[?]", 1024 * MB) end,
    ["arrays of the FFI"] = function()
        local list = {}
        for i = 1, 1e9 do list[i] = ffi.new("char[65536]") end
        return list
    end,
    ["a pcall around it, again and again"] = function()
        for _ = 1, 3 do pcall(many_tables) end
        many_tables()
    end,
    ["a coroutine"] = function() coroutine.wrap(many_tables)() end,
}

describe("tornado.memory", function()
    local current, server

    before_each(function()
        log_file.open()
        core.watchdog(0, 60, false) -- its checks let compiled code be stopped
        local Handler = web.RequestHandler:extend "Handler"
        function Handler:get() self:write(tostring(current() ~= nil)) end
        local Other = web.RequestHandler:extend "Other"
        function Other:get() self:write "other" end
        server = testing.serve(web.Application { { "/", Handler }, { "/other", Other } })
        collectgarbage()
        memory.set_limit(collectgarbage "count" * 1024 + 48 * MB)
    end)

    after_each(function()
        memory.set_limit(0)
        core.watchdog(0, 0, false)
        kept = {}
        collectgarbage()
        log_file.close()
    end)

    for name, fn in pairs(GREEDY) do
        it("answers 500 to who uses it up: " .. name, function()
            testing.expect_log("error", "Uncaught exception GET / ")
            current = fn
            assert.equal(500, server:fetch("/").code)
            assert.equal("other", server:fetch("/other").body)
            current = function() return true end
            assert.equal("true", server:fetch("/").body)
        end)
    end

    it("logs who it was, with the traceback", function()
        local caught = testing.expect_log("error",
            "MemoryLimitError: lua_memory_limit: more than %d+ MiB are in use")
        current = many_tables
        assert.equal(500, server:fetch("/").code)
        assert.matches("memory_spec.lua:%d+: in function .current", caught.lines[1])
    end)

    it("logs what was refused", function()
        testing.expect_log("error", "not enough memory")
        current = GREEDY["one string of a gigabyte"]
        assert.equal(500, server:fetch("/").code)
        testing.wait_until(function() -- with those of the case before, if it was quicker
            return log_file.text():find("lua_memory_limit %(%d+ MiB%): %d allocations were " ..
                "refused, the last one of %d+ bytes")
        end)
    end)

    it("does not count garbage", function()
        current = function()
            for i = 1, 2000 do
                if #(("x"):rep(MB) .. i) < MB then return nil end
            end
            for i = 1, 1e7 do
                if not { i, i, i, i } then return nil end
            end
            return true
        end
        assert.equal("true", server:fetch("/").body)
        assert.equal("", log_file.text())
    end)

    it("says when the sites keep what is too much", function()
        testing.expect_log("error", "MemoryLimitError")
        current = function()
            for i = 1, 1e9 do kept[i] = { i } end
            return kept
        end
        assert.equal(500, server:fetch("/").code)
        testing.wait_until(function()
            return log_file.text():find "the sites hold %d+ MiB for good"
        end)
        assert.equal("other", server:fetch("/other").body)
    end)

    it("refuses what is no limit", function()
        for _, value in ipairs { -1, "x", 0 / 0, 1e30 } do
            local ok, err = pcall(function() memory.set_limit(value) end)
            assert.is_false(ok)
            assert.matches("memory_spec.lua:%d+: bad limit: expected bytes", err)
        end
    end)
end)
