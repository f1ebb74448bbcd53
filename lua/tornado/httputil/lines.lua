-- Start lines, dates and host:port: the short grammars of an HTTP message.

local core = require "tornado.core"
local errors = require "tornado.httputil.errors"

local find, floor, match = string.find, math.floor, string.match
local HTTPInputError = errors.HTTPInputError

local lines = {}

--- Takes "GET /path HTTP/1.1" and returns a table with method, path and version; raises
--- HTTPInputError for anything malformed and for versions other than HTTP/1.x.
function lines.parse_request_start_line(line)
    local method, path, version =
        match(line, "^([^ ]+) ([\33-\126\128-\255]+) (HTTP/%d%.%d)$")
    if not method or not core.is_token(method) then
        error(HTTPInputError("Malformed HTTP request line"), 0)
    end
    if not find(version, "^HTTP/1") then
        error(HTTPInputError("Unexpected HTTP version %q", version), 0)
    end
    return { method = method, path = path, version = version }
end

--- Takes "HTTP/1.1 200 OK" and returns a table with version, code (a number) and reason
--- (nil when empty); raises HTTPInputError for anything malformed.
-- Tornado: a status line without the space after the code is an error.
function lines.parse_response_start_line(line)
    local version, code, rest = match(line, "^(HTTP/1%.%d) (%d%d%d)(.*)$")
    if not version or not find(rest, "^ [\t\32-\126\128-\255]*$") and rest ~= "" then
        error(HTTPInputError("Error parsing response start line"), 0)
    end
    local reason = rest:sub(2)
    return { version = version, code = tonumber(code), reason = reason ~= "" and reason or nil }
end

-- Days from 1970-01-01 of a day in the Gregorian calendar; months may overflow.
local function days(year, month, day)
    year = year + floor((month - 1) / 12)
    month = (month - 1) % 12 + 1
    if month <= 2 then year, month = year - 1, month + 12 end
    local leaps = floor(year / 4) - floor(year / 100) + floor(year / 400)
    return 365 * year + leaps + floor((153 * (month - 3) + 2) / 5) + day - 719469
end

--- Takes seconds since 1970, or a table like os.date("!*t") gives (in UTC), and returns
--- the date in HTTP's form, "Sun, 27 Jan 2013 18:43:20 GMT".
function lines.format_timestamp(time)
    if type(time) == "number" then return core.http_date(floor(time)) end
    if type(time) ~= "table" or not (time.year and time.month and time.day) then
        error("bad time: expected seconds or a table with year, month and day, got "
            .. type(time), 2)
    end
    local seconds = days(time.year, time.month, time.day) * 86400
        + (time.hour or 0) * 3600 + (time.min or 0) * 60 + (time.sec or 0)
    return core.http_date(seconds)
end

--- Takes "host:port" and returns host and port (a number); without a port the whole text
--- and nil. The brackets of an IPv6 address stay.
function lines.split_host_and_port(netloc)
    local host, port = match(netloc, "^(.+):(%d+)$")
    if host then return host, tonumber(port) end
    return netloc, nil
end

return lines
