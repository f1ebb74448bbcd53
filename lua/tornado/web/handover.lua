-- What the applications of a generation leave to the next one: on_reload(app) returns it,
-- on_handover(app, state) gets it there. An application is the same when its folder, host and
-- prefix are.
local buffer = require "string.buffer"
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"

local handover = {}

local function key_of(mount)
    return ("%s %s %s"):format(mount.host or "", mount.prefix or "", mount.app.path or "")
end

local function complain(app, hook, why)
    log.app_log:error("%s/app.lua: on_%s: %s", app.path or "", hook, why)
end

-- The bytes that an application leaves, or nil.
local function pack(app)
    if not app.on_reload then return nil end
    local ok, state, trace = ioloop.protect(app.on_reload, app)
    if not ok then return complain(app, "reload", trace or tostring(state)) end
    if state == nil then return nil end
    local bytes
    ok, bytes = pcall(buffer.encode, state)
    if ok then return bytes end
    complain(app, "reload", "what it returned cannot be handed over: " .. tostring(bytes))
end

local function hand_over(mounts)
    local all = {}
    for _, mount in ipairs(mounts) do all[key_of(mount)] = pack(mount.app) end
    local bytes = next(all) and buffer.encode(all) or ""
    if not core.hand_over(bytes) then
        log.app_log:error("on_reload: %d bytes are too many to be handed over", #bytes)
    end
end

local function take(mounts)
    local all = buffer.decode(core.estate())
    for _, mount in ipairs(mounts) do
        local app, bytes = mount.app, all[key_of(mount)]
        if bytes and app.on_handover then
            local ok, err, trace = ioloop.protect(app.on_handover, app, buffer.decode(bytes))
            if not ok then complain(app, "handover", trace or tostring(err)) end
        end
    end
end

--- Has the applications hand over, and take; `mounts` is a list of { app =, host =, prefix = }.
function handover.begin(mounts)
    ioloop.on(core.EVENT_HAND_OVER, function() hand_over(mounts) end, function(_, err, traceback)
        log.app_log:error("handing over: %s", traceback or tostring(err))
        core.hand_over("")
    end)
    ioloop.on(core.EVENT_ESTATE, function() take(mounts) end)
end

--- The name of an application for another generation, and the one of a name.
function handover.name(mounts, app)
    for _, mount in ipairs(mounts) do
        if mount.app == app then return key_of(mount) end
    end
end

function handover.find(mounts, name)
    for _, mount in ipairs(mounts) do
        if key_of(mount) == name then return mount.app end
    end
end

return handover
