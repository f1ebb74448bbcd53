-- Start lines, dates and host:port: the short grammars of an HTTP message.

local calendar = require "tornado.util.calendar"
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

--- Takes seconds since 1970, or a table like os.date("!*t") gives (in UTC), and returns
--- the date in HTTP's form, "Sun, 27 Jan 2013 18:43:20 GMT".
function lines.format_timestamp(time)
    if type(time) == "number" then return core.http_date(floor(time)) end
    if not calendar.is_date(time) then
        error("bad time: expected seconds or a table with year, month and day, got "
            .. type(time), 2)
    end
    return core.http_date(calendar.to_seconds(time))
end

--- Takes "host:port" and returns host and port (a number); without a port the whole text
--- and nil. The brackets of an IPv6 address stay.
function lines.split_host_and_port(netloc)
    local host, port = match(netloc, "^(.+):(%d+)$")
    if host then return host, tonumber(port) end
    return netloc, nil
end

return lines
