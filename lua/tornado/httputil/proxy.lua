-- Who a request is from when proxies stand in between: Tornado's xheaders
-- (httpserver._HTTPRequestContext), but believed only of proxies that are known.
local core = require "tornado.core"

local byte, match = string.byte, string.match

local proxy = {}

local LOOPBACK = { [4] = { "\127\0\0\0", 8 }, [16] = { ("\0"):rep(15) .. "\1", 128 } }
local UNIX = "0.0.0.0" -- the remote_ip of a unix socket's peer

-- Whether an address (core.ip_bytes) lies in the network { address, bits }.
local function lies_in(ip, network)
    local base, bits = network[1], network[2]
    if #base ~= #ip then return false end
    local whole, rest = math.floor(bits / 8), bits % 8
    if ip:sub(1, whole) ~= base:sub(1, whole) then return false end
    if rest == 0 then return true end
    local shift = 8 - rest
    return bit.rshift(byte(ip, whole + 1), shift) == bit.rshift(byte(base, whole + 1), shift)
end

local function is_in(ip, networks)
    for i = 1, #networks do
        if lies_in(ip, networks[i]) then return true end
    end
    return false
end

local function parse_network(text)
    local address, bits = match(text, "^([^/]+)/(%d+)$")
    local ip = core.ip_bytes(address or text)
    if not ip then return nil end
    bits = tonumber(bits) or #ip * 8
    return bits <= #ip * 8 and { ip, bits } or nil
end

--- Parses a list of addresses ("10.0.0.1") and networks ("10.0.0.0/8", "fd00::/8") for apply().
-- Returns them, or nil and the item that is neither.
function proxy.networks(list)
    local networks = {}
    for i, text in ipairs(list) do
        networks[i] = type(text) == "string" and parse_network(text)
        if not networks[i] then return nil, text end
    end
    return networks
end

--- Whether an IP address is this machine's own, or stands for a unix socket.
function proxy.is_local(text)
    local ip = core.ip_bytes(text)
    return text == UNIX or ip ~= nil and lies_in(ip, LOOPBACK[#ip])
end

-- The last of the addresses "a, b, c" that is no proxy's; the first when all are.
local function last_foreign(list, networks)
    local found
    for text in list:gmatch("[^,]+") do
        text = match(text, "^%s*(.-)%s*$")
        local ip = core.ip_bytes(text)
        if not found or not ip or not is_in(ip, networks) then found = text end
    end
    return found
end

local SCHEMES = { http = true, https = true }

--- Sets remote_ip and protocol of a request by what its proxy says: X-Real-Ip, or else the last
-- address of X-Forwarded-For that is not in `networks`; X-Scheme, or else X-Forwarded-Proto, of
-- which the last word counts. Believed are peers of this machine, and those in `networks`; a value
-- that is no address, or no http or https, changes nothing.
-- Tornado: believes every peer.
function proxy.apply(request, networks)
    local peer = core.request_info(request.handle)
    local ip = peer and core.ip_bytes(peer)
    if not ip or not (proxy.is_local(peer) or is_in(ip, networks)) then return end
    local headers = request.headers
    local from = headers:get("X-Forwarded-For")
    from = headers:get("X-Real-Ip") or from and last_foreign(from, networks)
    if from then core.request_remote(request.handle, from) end
    local scheme = headers:get("X-Scheme") or headers:get("X-Forwarded-Proto")
    scheme = scheme and match(scheme, "([^,%s]*)%s*$")
    if SCHEMES[scheme] then request.protocol = scheme end
end

return proxy
