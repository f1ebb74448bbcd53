-- The text of events (WHATWG HTML §9.2.6), made once for all who get it.
local escape = require "tornado.escape"
local util = require "tornado.util"

local concat, find, format, gsub, type = table.concat, string.find, string.format, string.gsub, type

local frame = {}

local OPTIONS = { event = util.NONE, id = util.NONE, retry = util.NONE }

-- A field of one line; NUL in an id would make browsers ignore it (§9.2.6).
local function line(name, value, level)
    if type(value) == "number" then
        value = format(value % 1 == 0 and math.abs(value) < 2 ^ 53 and "%d" or "%.14g", value)
    end
    if type(value) ~= "string" or find(value, "[%z\r\n]") then
        error(format("bad %s: expected a string without CR, LF and NUL, got %s", name,
            util.shown(value)), level + 1)
    end
    return name .. ": " .. value .. "\n"
end

--- "retry: 3000\n" of milliseconds; raises at `level` above the caller for what is none.
function frame.retry(value, level)
    if type(value) ~= "number" or value < 0 or value % 1 ~= 0 or value >= 2 ^ 53 then
        error("bad retry: expected milliseconds, got " .. util.shown(value), level + 1)
    end
    return format("retry: %d\n", value)
end

-- Each line of a text behind `prefix`. A line ends with CR LF, LF or CR.
local function lines(prefix, text)
    if not find(text, "[\r\n]") then return prefix .. text .. "\n" end
    text = gsub(text, "\r\n?", "\n")
    return prefix .. gsub(text, "\n", "\n" .. prefix) .. "\n"
end

local function to_text(data, level)
    if type(data) == "string" then return data end
    if type(data) == "table" then return escape.json_encode(data) end
    if type(data) == "number" or type(data) == "boolean" then return tostring(data) end
    error("bad data: expected a string, number, boolean or table, got " .. type(data), level + 1)
end

local function fields(options, level)
    options = util.options(options, OPTIONS, "send", level - 1)
    return concat {
        options.event ~= nil and line("event", options.event, level + 1) or "",
        options.id ~= nil and line("id", options.id, level + 1) or "",
        options.retry ~= nil and frame.retry(options.retry, level + 1) or "",
    }
end

--- The bytes of an event: data (a string of any lines, or what becomes JSON), options event, id
--- and retry (milliseconds). Raises for what has no place there, `level` (1) above the caller.
function frame.event(data, options, level)
    level = level or 1
    local head = options and fields(options, level + 1) or ""
    return head .. lines("data: ", to_text(data, level + 1)) .. "\n"
end

--- The bytes of a comment, which clients pass over.
function frame.comment(text)
    return lines(": ", text) .. "\n"
end

return frame
