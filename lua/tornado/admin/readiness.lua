-- Whether the server is ready: a worker serves, the server is not about to end, and the checks of
-- the sites pass.
local core = require "tornado.core"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"

local readiness = {}

local OPTIONS = { timeout = 1 }
local MAX = 3600 -- seconds

local checks = {} -- name -> { fn, seconds }

--- See admin.ready_check().
function readiness.add(name, fn, options)
    if type(name) ~= "string" or name == "" then
        error("bad name: expected a string, got " .. util.shown(name), 2)
    end
    if not util.is_callable(fn) then
        error(("bad check %s: expected a function, got %s"):format(name, type(fn)), 2)
    end
    local seconds = util.options(options, OPTIONS, "ready_check", 2).timeout
    if type(seconds) ~= "number" or not (seconds > 0 and seconds <= MAX) then
        error(("bad timeout: expected seconds (up to %d), got %s"):format(MAX, util.shown(seconds)),
            2)
    end
    checks[name] = { fn, seconds }
end

-- "ok", or why not.
local function run(check)
    local ok, result, why = ioloop.protect(gen.with_timeout, check[2], check[1])
    if not ok then
        return type(result) == "table" and tostring(result.message or result) or tostring(result)
    end
    if result ~= false then return "ok" end
    return why ~= nil and tostring(why) or "failed"
end

--- Runs the checks side by side. Returns name -> "ok" or why not.
function readiness.run_checks()
    local futures, results = {}, {}
    for name, check in pairs(checks) do futures[name] = gen.spawn(run, check) end
    for name, future in pairs(futures) do results[name] = gen.await(future) end
    return results
end

--- Returns { ready = , state = , checks = } with the results of the checks, which are not run
--- unless `state` is "serving" (it may be "starting" or "ending").
function readiness.look()
    local state = core.server_state()
    if state ~= "serving" then return { ready = false, state = state, checks = {} } end
    local report = { ready = true, state = state, checks = readiness.run_checks() }
    for _, text in pairs(report.checks) do
        if text ~= "ok" then report.ready = false end
    end
    return report
end

return readiness
