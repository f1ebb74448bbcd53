-- The watchdog (core/vm/watchdog.c): what holds the loop is logged, and stopped.
local core = require "tornado.core"
local trace = require "tornado.trace"
local util = require "tornado.util"

local watchdog = {}

--- Raised, at any instruction, inside of what has held the loop for longer than the limit; the
-- request is answered 503. It can be caught to clean up, but comes again as long as the loop is
-- held.
watchdog.CPULimitError = util.Error:extend "CPULimitError"

local MAX = 86400

local function check(name, value)
    if type(value) ~= "number" or not (value >= 0 and value <= MAX) then
        error(("bad %s: expected seconds (0 to %d), got %s"):format(name, MAX, tostring(value)), 3)
    end
end

local stall_warning, cpu_limit = 0, 0

local function start()
    core.watchdog(stall_warning, cpu_limit, watchdog.CPULimitError(
        "cpu_limit: the loop was held for more than %g s", cpu_limit), trace.places)
end

-- LuaJIT's profiler and the watchdog share a place: when jit.p has had it, the watchdog comes back.
local function share()
    local profile = require "jit.profile"
    local stop = profile.stop
    function profile.stop()
        stop()
        start()
    end
end

local shared = false

--- Watches over the loop from here on: what holds it for longer than `stall` seconds is logged with
-- its stack (five lines at once, then one a second), and in what holds it for longer than `limit` a
-- CPULimitError is raised. 0: not that one. Time counts from an event or callback on until its
-- function returns or waits.
function watchdog.start(stall, limit)
    check("stall_warning", stall)
    check("cpu_limit", limit)
    stall_warning, cpu_limit = stall, limit
    if not shared then
        shared = true
        share()
    end
    start()
end

--- Ends watching.
function watchdog.stop()
    stall_warning, cpu_limit = 0, 0
    start()
end

return watchdog
