-- What an application does before its first request and behind its last: on_start(app) and
-- on_stop(app), which may wait.
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"

local lifecycle = {}

local STOP_TIME = 10 -- seconds that on_stop has

-- The applications of what a server serves, in the order of their sites; a function has none.
local function applications(app)
    if type(app) ~= "table" then return {} end
    if not app.list then return { app } end
    local list = {}
    for _, mount in ipairs(app.list) do list[#list + 1] = mount end
    table.sort(list, function(a, b) return a.index < b.index end)
    for i, mount in ipairs(list) do list[i] = mount.app end
    return list
end

local function what(app, hook, err)
    return ("%son_%s: %s"):format(app.path and app.path .. "/app.lua: " or "", hook, err)
end

-- The last that started ends first.
local function stop_one(app, seconds)
    if not app._started then return end
    app._started = nil
    if not app.on_stop then return end
    local ok, err, trace = ioloop.protect(gen.with_timeout, seconds, function() app:on_stop() end)
    if not ok then log.app_log:error(what(app, "stop", trace or tostring(err))) end
end

--- Runs on_stop of the applications that started, the last one first, each for at most `seconds`
--- (10); errors are logged. Does nothing when it is repeated.
function lifecycle.stop(app, seconds)
    local list = applications(app)
    for i = #list, 1, -1 do stop_one(list[i], seconds or STOP_TIME) end
end

--- Runs on_start of the applications that `app` is or leads to, one after the other. Returns true,
--- or nil and the reason with file:line, with those stopped that had started.
function lifecycle.start(app)
    for _, one in ipairs(applications(app)) do
        if one.on_start and not one._started then
            local ok, err, trace = ioloop.protect(one.on_start, one)
            if not ok then
                lifecycle.stop(app)
                return nil, what(one, "start", trace or tostring(err))
            end
        end
        one._started = true
    end
    return true
end

return lifecycle
