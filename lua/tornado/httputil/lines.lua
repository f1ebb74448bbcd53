-- Start lines, dates and host:port: the short grammars of an HTTP message.

local calendar = require "tornado.util.calendar"
local core = require "tornado.core"
local errors = require "tornado.httputil.errors"
local util = require "tornado.util"

local find, floor, match = string.find, math.floor, string.match
local HTTPInputError = errors.HTTPInputError

local lines = {}

--- Takes "GET /path HTTP/1.1" and returns a table with method, path and version; raises
--- HTTPInputError for anything malformed and for versions other than HTTP/1.x.
function lines.parse_request_start_line(line)
    util.expect(line, "string", "start line")
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
    util.expect(line, "string", "start line")
    local version, code, rest = match(line, "^(HTTP/1%.%d) (%d%d%d)(.*)$")
    if not version or not find(rest, "^ [\t\32-\126\128-\255]*$") and rest ~= "" then
        error(HTTPInputError("Error parsing response start line"), 0)
    end
    local reason = rest:sub(2)
    return { version = version, code = tonumber(code), reason = reason ~= "" and reason or nil }
end

-- 0001-01-01 and the end of 9999-12-31: a year has four digits (RFC 9110 §5.6.7).
local FIRST_TIME, LAST_TIME = -62135596800, 253402300799

--- Takes seconds since 1970, or a table like os.date("!*t") gives (in UTC), and returns
--- the date in HTTP's form, "Sun, 27 Jan 2013 18:43:20 GMT". Raises for what is neither, and
--- outside of the years 1 to 9999, at the caller's line or `level` (1) frames up.
function lines.format_timestamp(time, level)
    if level ~= nil then util.expect(level, "number", "level") end
    level = (level or 1) + 1
    local seconds = time
    if type(time) ~= "number" then
        if not calendar.is_date(time) then
            error("bad time: expected seconds or a table with year, month and day, got "
                .. type(time), level)
        end
        seconds = calendar.to_seconds(time)
    end
    seconds = floor(seconds)
    if not (seconds >= FIRST_TIME and seconds <= LAST_TIME) then
        error("bad time: expected one of the years 1 to 9999, got " .. seconds, level)
    end
    return core.http_date(seconds)
end

--- Takes "host:port" and returns host and port (a number); without a port the whole text
--- and nil. The brackets of an IPv6 address stay.
function lines.split_host_and_port(netloc)
    util.expect(netloc, "string", "host")
    local host, port = match(netloc, "^(.+):(%d+)$")
    if host then return host, tonumber(port) end
    return netloc, nil
end

--- Takes a Range field and returns the first byte asked for and the one behind the last, as slices
--- have them: "bytes=1-2" is 1, 3; "bytes=6-" is 6, nil; "bytes=-6" is -6, nil; "bytes=-0" is
--- nil, 0.
--- False for what is no single range of bytes.
function lines._parse_request_range(field)
    util.expect(field, "string", "range")
    local first, last = match(field, "^%s*bytes%s*=%s*(%d*)%s*%-?%s*(%d*)%s*$")
    if not first or #first > 15 or #last > 15 then return false end
    local from, to = tonumber(first), tonumber(last)
    if not find(field, "-", 1, true) then
        if to then return false end
        return from, nil
    end
    if not to then return from, nil end
    if from then return from, to + 1 end
    if to == 0 then return nil, 0 end
    return -to, nil
end

--- Takes a range as _parse_request_range() gives it and the size of all; returns a Content-Range.
function lines._get_content_range(first, last, total)
    if first ~= nil then util.expect(first, "number", "first") end
    if last ~= nil then util.expect(last, "number", "last") end
    util.expect(total, "number", "total")
    return ("bytes %d-%d/%d"):format(first or 0, (last or total) - 1, total)
end

--- Takes a name and a password in UTF-8 and returns "name:password", for basic authentication.
-- Tornado: normalizes both (NFC); here they are taken as they are.
function lines.encode_username_password(username, password)
    util.expect(username, "string", "username")
    util.expect(password, "string", "password")
    return username .. ":" .. password
end

return lines
