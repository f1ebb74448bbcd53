-- The formats that schema.string knows by name.
local core = require "tornado.core"

local formats = {}

local LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
local DATE = "(\\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])"
local TIME = "(?:[01]\\d|2[0-3]):[0-5]\\d:(?:[0-5]\\d|60)(?:\\.\\d{1,9})?"

local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_day(captures)
    local year, month, day = tonumber(captures[1]), tonumber(captures[2]), tonumber(captures[3])
    local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
    return day <= DAYS[month] or month == 2 and leap and day == 29
end

-- name -> { what it is called, pattern, a further test of the captures }. The email is that of
-- <input type=email> in HTML; whether an address works, only a mail to it can tell.
local KNOWN = {
    email = {
        "an email address",
        "[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@" .. LABEL .. "(?:\\." .. LABEL .. ")+",
    },
    url = { "an http or https URL", "https?://[^\\s/?#\"<>\\\\^`{|}@]+(?:[/?#][!-~]*)?" },
    uuid = { "a UUID", "[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}" },
    date = { "a date such as 2026-01-31", DATE, is_day },
    datetime = {
        "a date and time such as 2026-01-31T08:00:00Z",
        DATE .. "T" .. TIME .. "(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)", is_day,
    },
}

for _, format in pairs(KNOWN) do format.regex = assert(core.regex(format[2] .. "\\z")) end

formats.names = "email, url, uuid, date or datetime"

--- Returns what a format is called in a message; nil for one that is not known.
function formats.what(name)
    local format = KNOWN[name]
    return format and format[1]
end

--- Returns whether a text has that format.
function formats.fits(name, text)
    local format = KNOWN[name]
    local captures = #text <= 2048 and format.regex:match(text)
    if not captures then return false end
    return format[3] == nil or format[3](captures)
end

return formats
