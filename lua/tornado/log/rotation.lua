-- Rotation of the log's file by time, as Python's TimedRotatingFileHandler does it: at a moment
-- that `when` says, "log" becomes "log.2026-11-22", and another one begins. (By size, C does it:
-- core.log_open_rotated.)
local core = require "tornado.core"

local rotation = {}

local MINUTE, HOUR, DAY = 60, 3600, 86400

-- unit -> seconds, the form of the suffix, and the pattern of what such suffixes look like.
local DATE = "%d%d%d%d%-%d%d%-%d%d"
local UNITS = {
    S = { 1, "%Y-%m-%d_%H-%M-%S", DATE .. "_%d%d%-%d%d%-%d%d" },
    M = { MINUTE, "%Y-%m-%d_%H-%M", DATE .. "_%d%d%-%d%d" },
    H = { HOUR, "%Y-%m-%d_%H", DATE .. "_%d%d" },
    D = { DAY, "%Y-%m-%d", DATE },
    MIDNIGHT = { DAY, "%Y-%m-%d", DATE },
    W = { 7 * DAY, "%Y-%m-%d", DATE },
}

-- "midnight", "W3" -> the unit, and the day of the week (0: Monday).
local function parse(when)
    when = tostring(when):upper()
    local day = when:match("^W([0-6])$")
    if day then return UNITS.W, tonumber(day) end
    local unit = when ~= "W" and UNITS[when]
    if not unit then return nil end
    return unit
end

-- The midnight behind `now` by `days`: months and hours may overflow, and clocks may be put back.
local function midnight(now, days)
    local date = os.date("*t", now)
    return os.time { year = date.year, month = date.month, day = date.day + days, hour = 0 }
end

--- When the file that is written to at `now` is to be renamed: seconds since 1970.
function rotation.next(when, interval, now)
    local unit, day = parse(when)
    if day then
        local today = (os.date("*t", now).wday + 5) % 7
        return midnight(now, (day - today) % 7 + 1)
    end
    if unit == UNITS.MIDNIGHT then return midnight(now, 1) end
    return now + unit[1] * interval
end

-- Removes all but the newest `backups` of the files that were renamed. Their names sort by time.
local function remove_old(path, pattern, backups)
    local folder, name = path:match("^(.*)/([^/]*)$")
    local old = {}
    for _, other in ipairs(core.folder(folder) or {}) do
        local suffix = other:sub(1, #name + 1) == name .. "." and other:sub(#name + 2)
        if suffix and suffix:find("^" .. pattern .. "$") then old[#old + 1] = other end
    end
    for i = 1, #old - backups do os.remove(folder .. "/" .. old[i]) end
end

--- Renames the file at `path` as the one that ended at `due`, and opens it anew; with `backups` at
--- most (0: all are kept). True, or nil and why not.
function rotation.rotate(path, when, interval, backups, due)
    local unit, day = parse(when)
    local began = due - unit[1] * ((day or unit == UNITS.MIDNIGHT) and 1 or interval)
    os.rename(path, path .. "." .. os.date(unit[2], began))
    if backups > 0 then remove_old(path, unit[3], backups) end
    return core.log_open(path)
end

local timer = false -- the one rotation that is under way: there is one log

--- Ends it.
function rotation.stop()
    if timer then require("tornado.ioloop").remove_timeout(timer) end
    timer = false
end

--- Opens the log at `path` and renames it from time to time. Raises for a bad `when`; nil and why
--- not when it cannot be opened.
function rotation.start(path, when, interval, backups)
    if not parse(when) then
        error(("Invalid rollover interval specified: %s"):format(tostring(when)), 3)
    end
    local ioloop = require "tornado.ioloop"
    rotation.stop()
    path = core.absolute(path)
    local ok, why = core.log_open(path)
    if not ok then return nil, why end
    local function wait()
        local due = rotation.next(when, interval, os.time())
        timer = ioloop.call_later(math.max(0, due - core.now()), function()
            wait()
            local good, reason = rotation.rotate(path, when, interval, backups, due)
            if not good then require("tornado.log").gen_log:error("%s", reason) end
        end)
    end
    wait()
    return true
end

return rotation
