-- tornado.watchdog: what holds the loop is named, and stopped, in compiled code as well.
local concurrent = require "tornado.concurrent"
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local gen = require "tornado.gen"
local template = require "tornado.template"
local testing = require "tornado.testing"
local watchdog = require "tornado.watchdog"
local web = require "tornado.web"

local log_file = dofile "spec/tornado/log_file.lua"

local STALL, LIMIT = 0.02, 0.08 -- seconds
local LONG = 0.4 -- of a stall that nothing is but what a case does, on a machine with other work

-- For grep: said by the watchdog's thread, of a call that has not returned for a second.
local STUCK = "held for [0-9]* ms, in C: "

local function hold(seconds)
    local till = core.precise() + seconds
    while core.precise() < till do end -- luacheck: ignore 542
end

-- How often the loop was held for too long.
local function stalls()
    return tonumber(core.metrics_text(false):match "\nctornado_loop_stalls_total[^\n ]* (%d+)")
end

local counted -- of them, so far

-- Holds the loop until the watchdog has seen it, whose thread a busy machine may leave waiting.
local function hold_till_seen()
    while stalls() == counted do hold(0.01) end
    counted = stalls()
end

local CPU_BOUND = {
    ["an endless loop"] = function() while true do end end,
    ["an endless loop that is not compiled"] = function()
        jit.off(true, true)
        while true do end
    end,
    ["arithmetic"] = function()
        local sum = 0
        for i = 1, 1e15 do sum = sum + i % 7 end
        return sum
    end,
    ["functions of the library"] = function()
        for _ = 1, 1e15 do ("a"):rep(100000):gsub("a", "b") end
    end,
    ["a function given to the library"] = function()
        ("a"):rep(10):gsub("a", function() while true do end end)
    end,
    ["a pcall inside of a loop"] = function() while true do pcall(error, "x") end end,
    ["a loop inside of a pcall inside of a loop"] = function()
        while true do pcall(function() while true do end end) end
    end,
    ["a coroutine that is resumed over and over"] = function()
        local co = coroutine.wrap(function() while true do coroutine.yield(1) end end)
        while true do co() end
    end,
    ["a loop inside of a coroutine"] = function()
        coroutine.wrap(function() while true do end end)()
    end,
    ["tasks that hold the loop"] = function()
        while true do gen.spawn(function() while true do end end) end
    end,
}

describe("tornado.watchdog", function()
    local current, server

    before_each(function()
        log_file.open()
        local Main = web.RequestHandler:extend "Main"
        function Main:get()
            current()
            self:write "done"
        end
        server = testing.serve(web.Application { { "/.*", Main } })
        watchdog.start(STALL, LIMIT)
        counted = stalls()
    end)

    after_each(function()
        watchdog.stop()
        log_file.close()
    end)

    for name, fn in pairs(CPU_BOUND) do
        it("stops " .. name, function()
            testing.set_timeout(300)
            local lines = testing.expect_log("error", "CPULimitError: cpu_limit")
            current = fn
            local response = server:fetch "/"
            assert.equal(503, response.code)
            assert.matches("watchdog_spec.lua:%d+", lines.lines[#lines.lines])
            current = function() end
            assert.equal("done", server:fetch("/").body)
        end)
    end

    it("serves the others once it is stopped", function()
        testing.expect_log("error", "CPULimitError: cpu_limit")
        local first, second = server:connect(), server:connect()
        current = function()
            current = function() end
            while true do end
        end
        for _, connection in ipairs { first, second } do
            connection:send "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        end
        local codes = { first:read_response().code, second:read_response().code }
        first:close()
        second:close()
        table.sort(codes)
        assert.same({ 200, 503 }, codes)
    end)

    it("stops what a handler does behind a wait, and callbacks", function()
        local lines = testing.expect_log("error", "CPULimitError: cpu_limit")
        current = function()
            gen.sleep(0.001)
            while true do end
        end
        assert.equal(503, server:fetch("/").code)
        local after
        ioloop.add_callback(function() while true do end end)
        ioloop.add_callback(function() after = true end)
        testing.wait_until(function() return after end)
        assert.equal(2, #lines.lines)
        assert.matches("Exception in callback", lines.text)
    end)

    it("lets a handler clean up, but not go on", function()
        local cleaned
        testing.expect_log("error", "CPULimitError: cpu_limit")
        current = function()
            local ok, err = pcall(function() while true do end end)
            cleaned = not ok and err:is(watchdog.CPULimitError)
            while true do end
        end
        assert.equal(503, server:fetch("/").code)
        assert.is_nil(cleaned)
    end)

    it("counts from the last wait on", function()
        watchdog.start(STALL, LONG)
        current = function()
            for _ = 1, 6 do
                hold(LONG / 4)
                gen.moment()
            end
        end
        assert.equal("done", server:fetch("/").body)
    end)

    it("logs a stall once, with the request and the place", function()
        watchdog.start(LONG, 0)
        current = function() hold_till_seen() end
        assert.equal("done", server:fetch("/here?a=b").body)
        local text = log_file.text()
        assert.equal(1, select(2, text:gsub("stall:", "")))
        assert.matches("%[W [^]]* watchdog%] stall: the loop is held for more than 400 ms " ..
            "by GET /here%?a=b %(127%.0%.0%.1%)", text)
        assert.matches("\n +[^\n]*watchdog_spec.lua:%d+ ", text)
    end)

    it("knows the request behind a wait, and in a callback of its", function()
        watchdog.start(LONG, 0)
        current = function()
            gen.sleep(0)
            local future = concurrent.Future()
            ioloop.add_callback(function()
                hold_till_seen()
                future:set_result()
            end)
            gen.await(future)
            hold_till_seen()
        end
        assert.equal("done", server:fetch("/here").body)
        local text = log_file.text()
        assert.equal(2, select(2, text:gsub("ms by GET /here %(127%.0%.0%.1%)", "")))
    end)

    it("has the lines of templates", function()
        watchdog.start(LONG, 2 * LONG)
        local loader = template.DictLoader { ["page.html"] = "\n\n{% while true %}{% end %}" }
        current = function() loader:load("page.html"):generate() end
        local lines = testing.expect_log("error", "CPULimitError: cpu_limit")
        assert.equal(503, server:fetch("/").code)
        assert.matches("\n    page%.html:3 %(page%.html%)\n", log_file.text())
        assert.matches("page%.html:3: in function", lines.lines[1])
    end)

    it("has the stacks of coroutines below the one that runs", function()
        watchdog.start(LONG, 0)
        local line = debug.getinfo(1, "l").currentline + 2
        current = function()
            coroutine.wrap(function() hold_till_seen() end)()
            return nil
        end
        assert.equal("done", server:fetch("/").body)
        local inner, outer = log_file.text():match("(.*)%(resume%)(.*)")
        assert.matches("watchdog_spec.lua:" .. line .. " ", inner)
        assert.matches("watchdog_spec.lua:" .. line .. " ", outer)
        assert.matches("start_request", outer)
    end)

    it("names calls that block", function()
        watchdog.start(LONG, 0)
        local line
        current = function()
            line = debug.getinfo(1, "l").currentline + 1
            return (os.execute(log_file.wait_for(STUCK)))
        end
        assert.equal("done", server:fetch("/").body)
        local text = log_file.text()
        assert.matches("held for more than 400 ms[^\n]* in C: [%w_]+ %(libc", text)
        assert.matches("watchdog_spec.lua:" .. line .. " ", text)
    end)

    it("says so when C does not return", function()
        watchdog.start(STALL, LIMIT)
        testing.expect_log("error", "CPULimitError: cpu_limit")
        local seen
        current = function()
            os.execute(log_file.wait_for(STUCK))
            seen = true
        end
        assert.equal(503, server:fetch("/").code)
        assert.is_nil(seen)
        assert.matches("%[E [^]]* watchdog%] stall: the loop is held for %d%d%d%d ms, in C: ",
            log_file.text())
    end)

    it("says no more than five lines at once, and one a second", function()
        watchdog.start(STALL, 0)
        local began = core.precise()
        current = function() hold_till_seen() end
        for _ = 1, 12 do server:fetch "/" end
        local seconds = math.floor(core.precise() - began)
        local lines = select(2, log_file.text():gsub("stall:", ""))
        assert.truthy(lines >= 5 and lines <= 5 + seconds)
    end)

    it("says nothing of what waits, or is quick", function()
        watchdog.start(5 * LONG, 0) -- which no machine is as busy as to hold anything
        current = function() gen.sleep(6 * LONG) end
        assert.equal("done", server:fetch("/").body)
        assert.equal("", log_file.text())
    end)

    it("wakes up when nothing has happened for long", function()
        testing.set_timeout(300)
        testing.expect_log("error", "CPULimitError: cpu_limit")
        gen.sleep(1.4)
        current = function() while true do end end
        assert.equal(503, server:fetch("/").code)
    end)

    it("comes back behind LuaJIT's profiler", function()
        testing.expect_log("error", "CPULimitError: cpu_limit")
        local profile = require "jit.profile"
        profile.start("li1", function() end)
        hold(0.005)
        profile.stop()
        current = function() while true do end end
        assert.equal(503, server:fetch("/").code)
    end)

    it("answers 503 for applications that are functions, too", function()
        testing.expect_log("error", "CPULimitError: cpu_limit")
        assert.equal(503, testing.request(function() while true do end end, "/").code)
    end)

    it("refuses what are no seconds", function()
        for _, value in ipairs { -1, "x", 0 / 0, 1e9, {} } do
            local ok, err = pcall(function() watchdog.start(value, 1) end)
            assert.is_false(ok)
            assert.matches("watchdog_spec.lua:%d+: bad stall_warning: expected seconds", err)
            assert.is_false((pcall(watchdog.start, 1, value)))
        end
    end)
end)
