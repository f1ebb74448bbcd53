-- Functions that executor_spec.lua calls on threads.
local jobs = {}

local calls = 0

function jobs.echo(...) return ... end

function jobs.count()
    calls = calls + 1
    return calls
end

function jobs.fail(what)
    local function deeper() error(what) end
    deeper()
end

function jobs.fail_with_object()
    error(require("tornado.util").Error:extend("Own")("an object"))
end

--- Works until the file is there: a job under a spec's control, which never waits. Makes the
-- file `begun`, if one is named.
function jobs.spin_until(path, begun)
    local turns = 0
    if begun then assert(io.open(begun, "w")):close() end
    while true do
        turns = turns + 1
        local file = io.open(path)
        if file then
            file:close()
            return turns > 0
        end
    end
end

function jobs.endless(begun)
    if begun then assert(io.open(begun, "w")):close() end
    while true do end -- luacheck: ignore 542
end

--- Catches whatever would stop it.
function jobs.stubborn()
    while true do pcall(function() while true do end end) end -- luacheck: ignore 542
end

local GREEDY = {
    ["many tables"] = function()
        local list = {}
        for i = 1, 1e9 do list[i] = { i } end
        return #list
    end,
    ["strings of a megabyte"] = function()
        local list = {}
        for i = 1, 1e9 do list[i] = ("x"):rep(2 ^ 20) .. i end
        return #list
    end,
    ["one string of a gigabyte"] = function() return #("x"):rep(2 ^ 30) end,
    ["arrays of the FFI"] = function()
        local list = {}
        for i = 1, 1e9 do list[i] = require("ffi").new("char[65536]") end
        return #list
    end,
}

GREEDY["a pcall around it, again and again"] = function()
    for _ = 1, 3 do pcall(GREEDY["many tables"]) end
    GREEDY["many tables"]()
end

function jobs.greedy(what) return GREEDY[what]() end

--- Keeps `kept` bytes, and makes `garbage` bytes beside them, in compiled code.
function jobs.wasteful(kept, garbage)
    local list, sum = {}, 0
    for i = 1, kept / 80 do list[i] = { i } end
    for i = 1, garbage / 80 do
        local one = { i }
        list[1], sum = one, sum + one[1]
    end
    return #list, sum
end

--- Catches the error, drops what it had, and goes on.
function jobs.prudent()
    local ok, err = pcall(GREEDY["many tables"])
    collectgarbage()
    return ok, tostring(err)
end

function jobs.returns_function() return print end

function jobs.cycle()
    local t = {}
    t.t = t
    return t
end

function jobs.sleeps() require("tornado.gen").sleep(0.001) end

function jobs.awaits()
    local concurrent = require "tornado.concurrent"
    require("tornado.gen").await(concurrent.Future())
end

function jobs.waits_in_a_coroutine()
    local co = coroutine.create(jobs.sleeps)
    local _, err = coroutine.resume(co)
    return tostring(err)
end

function jobs.listens()
    local listener = require("tornado.core").listen("127.0.0.1:0")
    return listener
end

function jobs.logs()
    local log = require "tornado.log"
    log.app_log:warning("from a %s", "thread")
    return 1
end

--- Whatever needs no loop.
function jobs.pure()
    local core, escape = require "tornado.core", require "tornado.escape"
    local regex = core.regex("(\\d+)-(\\d+)")
    local digest = core.new_digest("sha256")
    digest:update("ab")
    digest:update("c")
    return {
        escape.xhtml_escape("<&>"), escape.json_encode { 1, 2 }, core.base64_encode("abc"),
        core.hex(core.hmac("sha256", "key", "text")), digest:hexdigest(), #core.random(16),
        regex ~= nil, core.now() > 1e9,
    }
end

function jobs.hmacs(n)
    local core = require "tornado.core"
    local last
    for i = 1, n do last = core.hex(core.hmac("sha1", "key" .. i, "text")) end
    return last
end

function jobs.count_metric()
    local counter = require("tornado.metrics").counter "of_a_thread_total"
    require "tornado.web"
    counter:inc()
end

return jobs
