-- What the development error page knows of an error: the frames of its stack with their local
-- variables, taken by the xpcall handler while they are still there. As texts: nothing of the
-- application is kept alive. Only the last few errors are remembered.
local ioloop = require "tornado.ioloop"
local shown = require "tornado.web.debug_page.shown"

local getinfo, getlocal, sub = debug.getinfo, debug.getlocal, string.sub

local capture = {}

local MAX_FRAMES, MAX_LOCALS, MAX_RECORDS = 40, 30, 8

local OWN_PREFIX = getinfo(1, "S").source:gsub("web[./\\]debug_page[./\\].*$", "")

local records, count = {}, 0

-- The variables of the function at `level` as { name, text } pairs; arguments after "..." too.
local function locals_at(level)
    local out, at = {}, {}
    for i = 1, 200 do
        local name, value = getlocal(level + 1, i)
        if not name then break end
        if sub(name, 1, 1) ~= "(" then
            -- A later variable of the same name hides the earlier one.
            local n = at[name] or #out + 1
            at[name], out[n] = n, { name, shown.value(value, name) }
            if n == MAX_LOCALS then break end
        end
    end
    for i = 1, 8 do
        local name, value = getlocal(level + 1, -i)
        if not name then break end
        out[#out + 1] = { "..." .. i, shown.value(value) }
    end
    return out
end

local function frame_at(level)
    local info = getinfo(level + 1, "Sln")
    local own = sub(info.source, 1, #OWN_PREFIX) == OWN_PREFIX
    local is_c = info.what == "C"
    return {
        name = info.name, source = info.short_src, line = info.currentline, own = own, c = is_c,
        file = sub(info.source, 1, 1) == "@" and sub(info.source, 2) or nil,
        defined = info.linedefined, main = info.what == "main",
        locals = not own and not is_c and locals_at(level + 1) or nil,
    }
end

-- The frames below the function `handler`, innermost first.
local function collect(handler)
    local level = 1
    while true do
        local info = getinfo(level, "f")
        if not info then return {} end
        level = level + 1
        if info.func == handler then break end
    end
    local frames = {}
    while getinfo(level, "f") and #frames < MAX_FRAMES do
        local frame = frame_at(level)
        if #frames > 0 or not frame.c then frames[#frames + 1] = frame end
        level = level + 1
    end
    return frames
end

local function on_error(err, trace, handler)
    local ok, frames = pcall(collect, handler)
    if not ok then return end
    count = count % MAX_RECORDS + 1
    records[count] = {
        err = err, trace = trace, frames = frames, coroutine = tostring(coroutine.running()),
    }
end

--- From now on, errors are captured, in this process.
function capture.enable()
    ioloop.set_capture(on_error)
end

--- No more.
function capture.disable()
    ioloop.set_capture(nil)
    records, count = {}, 0
end

--- Takes a traceback of the xpcall handler and its error; returns the frames, and a list of the
-- records of other coroutines that raised the same error before. All are forgotten.
function capture.take(trace, err)
    local found, others = nil, {}
    for i = MAX_RECORDS, 1, -1 do
        local record = records[i]
        if record and record.trace == trace then found = record end
    end
    for n = 1, MAX_RECORDS do -- the oldest first
        local i = (count + n - 1) % MAX_RECORDS + 1
        local record = records[i]
        if record and record ~= found and rawequal(record.err, err) and
            not (found and record.coroutine == found.coroutine) then
            others[#others + 1] = record
        end
        if record and rawequal(record.err, err) then records[i] = nil end
    end
    return found and found.frames or {}, others
end

return capture
