-- Addresses: { host, port } for Lua, "HOST:PORT" or "unix:/PATH" for C.
local util = require "tornado.util"

local address = {}

local function is_port(port)
    return type(port) == "number" and port >= 0 and port <= 65535 and port % 1 == 0
end

--- The text of { host, port } ("" is 0.0.0.0), or of one that is text already; raises at `level`
--- for anything else.
function address.text(value, level)
    if type(value) == "string" then return value end
    if type(value) ~= "table" or type(value[1]) ~= "string" or not is_port(value[2]) then
        local what = type(value) == "table" and "table" or util.shown(value)
        error("bad address: expected { host, port } or a string, got " .. what, level + 1)
    end
    return address.join(value[1], value[2])
end

--- "HOST:PORT", with brackets around an IPv6 address.
function address.join(host, port)
    if host == "" then host = "0.0.0.0" end
    if host:find(":", 1, true) then host = "[" .. host .. "]" end
    return host .. ":" .. port
end

--- { host, port } of "HOST:PORT"; { path } of "unix:PATH" ("" for a socket without a name).
function address.parse(text)
    if text:sub(1, 5) == "unix:" then return { text:sub(6), family = "unix" } end
    local host, port = text:match("^(.*):(%d+)$")
    local inner = host:match("^%[(.*)%]$")
    return { inner or host, tonumber(port), family = inner and "inet6" or "inet" }
end

return address
