-- The types of options: how a value is read from text, and whether one is of a type.
-- A datetime is a table like that of os.date("*t"), a timedelta a number of seconds.
local calendar = require "tornado.util.calendar"

local values = {}

local LARGEST = 2 ^ 53

local function is_int(value)
    return type(value) == "number" and value % 1 == 0 and value < LARGEST and value > -LARGEST
end

local parse, check = {}, {}
values.parse, values.check = parse, check

function parse.int(text)
    local value = text:find("^%s*[+-]?%d+%s*$") and tonumber((text:gsub("+", "")))
    if value and is_int(value) then return value end
    return nil, ("invalid int '%s'"):format(text)
end

check.int = is_int

local NAMED = { inf = math.huge, infinity = math.huge, nan = 0 / 0 }

function parse.float(text)
    local sign, digits = text:lower():match("^%s*([+-]?)([%w.+-]+)%s*$")
    local value = digits and NAMED[digits]
    if digits and digits:find("^[%d.][%d.e+-]*$") then value = tonumber(digits) end
    if not value then return nil, ("invalid float '%s'"):format(text) end
    return sign == "-" and -value or value
end

function check.float(value) return type(value) == "number" end

function parse.string(text) return text end

function check.string(value) return type(value) == "string" end

local FALSE = { ["false"] = true, ["0"] = true, f = true }

--- Everything is true but "false", "0" and "f".
function parse.bool(text)
    return not FALSE[text:lower()]
end

function check.bool(value) return type(value) == "boolean" end

-- Dates --------------------------------------------------------------------------------

local FORMATS = {
    "%a %b %d %H:%M:%S %Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M",
    "%Y%m%d %H:%M:%S", "%Y%m%d %H:%M", "%Y-%m-%d", "%Y%m%d", "%H:%M:%S", "%H:%M",
}

local FIELDS = { Y = "year", m = "month", d = "day", H = "hour", M = "min", S = "sec" }
local PATTERNS = { Y = "(%d%d%d%d)", a = "(%a+)", b = "(%a+)" }

local function numbered(text)
    local names, n = {}, 0
    for name in text:gmatch("%a+") do
        names[name], n = n + 1, n + 1
    end
    return names
end

local MONTHS = numbered "jan feb mar apr may jun jul aug sep oct nov dec"
local WEEKDAYS = numbered "mon tue wed thu fri sat sun"

-- Lua pattern of a format, and the letters of what it captures.
local function pattern_of(format)
    local letters = {}
    local pattern = format:gsub("%-", "%%-"):gsub("%%(%a)", function(letter)
        letters[#letters + 1] = letter
        return PATTERNS[letter] or "(%d%d?)"
    end):gsub(" ", "%%s+")
    return "^" .. pattern .. "$", letters
end

local function read_date(captures, letters)
    local date = { year = 1900, month = 1, day = 1, hour = 0, min = 0, sec = 0 }
    for i, letter in ipairs(letters) do
        local text = captures[i]
        if letter == "a" then
            if not WEEKDAYS[text:lower()] then return nil end
        else
            date[FIELDS[letter] or "month"] = letter == "b" and (MONTHS[text:lower()] or 0) or
                tonumber(text)
        end
    end
    if not calendar.is_valid(date.year, date.month, date.day) then return nil end
    if date.hour > 23 or date.min > 59 or date.sec > 59 then return nil end
    return date
end

--- One of ten formats, such as "2013-04-28 18:35" and "18:35" (of 1900-01-01).
function parse.datetime(text)
    for _, format in ipairs(FORMATS) do
        local pattern, letters = pattern_of(format)
        local captures = { text:match(pattern) }
        local date = captures[1] and read_date(captures, letters)
        if date then return date end
    end
    return nil, ("Unrecognized date/time format: '%s'"):format(text)
end

check.datetime = calendar.is_date

-- Lengths of time --------------------------------------------------------------------------

local UNITS = {
    h = 3600, hours = 3600, m = 60, min = 60, minutes = 60, [""] = 1, s = 1, sec = 1,
    seconds = 1, ms = 1e-3, milliseconds = 1e-3, us = 1e-6, microseconds = 1e-6,
    d = 86400, days = 86400, w = 604800, weeks = 604800,
}

--- "1h 30m", "2.5 days", "90" (seconds): a number of seconds.
function parse.timedelta(text)
    local sum, at = 0, 1
    while at <= #text do
        local number, from = text:match("^%s*([+-]?%d*%.?%d*)()", at)
        local exponent, behind = text:match("^([eE][+-]?%d+)()", from)
        local unit, next_at = text:match("^%s*([%w_]*)%s*()", behind or from)
        local value = number:find("%d") and tonumber(((number .. (exponent or "")):gsub("+", "")))
        if not value or not UNITS[unit] then
            return nil, ("invalid timedelta '%s'"):format(text)
        end
        sum = sum + value * UNITS[unit]
        at = next_at
    end
    return sum
end

function check.timedelta(value) return type(value) == "number" end

--- What a value is, for messages and as the type of an option with that default.
function values.type_of(value)
    if is_int(value) then return "int" end
    if type(value) == "number" then return "float" end
    if type(value) == "boolean" then return "bool" end
    if calendar.is_date(value) then return "datetime" end
    return type(value)
end

return values
