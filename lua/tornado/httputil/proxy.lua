-- Who a request is from when proxies stand in between: Tornado's xheaders
-- (httpserver._HTTPRequestContext), but believed only of proxies that are known.
local core = require "tornado.core"
local tracing = require "tornado.tracing"

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

--- Networks as core.listen_trust() takes them: "10.0.0.0/8".
function proxy.texts(networks)
    local texts = {}
    for i, network in ipairs(networks) do
        texts[i] = network[3]
    end
    return texts
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
    if address and #ip == 4 and address:find(":") then bits = bits - 96 end -- v4-mapped
    if bits < 0 or bits > #ip * 8 then return nil end
    return { ip, bits, ("%s/%d"):format(address or text, bits) }
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

-- "1.2.3.4:80", "[::1]:80", "[::1]" without what is no address.
local function node_ip(node)
    return match(node, "^%[([%x:.]+)%]$") or match(node, "^%[([%x:.]+)%]:[%w._-]+$") or
        match(node, "^(%d+%.%d+%.%d+%.%d+)$") or match(node, "^(%d+%.%d+%.%d+%.%d+):[%w._-]+$")
end

-- The elements of a Forwarded field (RFC 7239 §4) as { name = value }, names in lower case; nil
-- when it is malformed.
local function forwarded_elements(text)
    local list, element, at = {}, {}, 1
    while true do
        local name, stop = match(text, "^[ \t]*([%w!#$%%&'*+.^_`|~-]+)=()", at)
        if not name then return nil end
        local value, after = match(text, "^([%w!#$%%&'*+.^_`|~-]+)()", stop)
        if not value then
            value, after = match(text, '^"([^"\\]*)"()', stop)
            if not value then return nil end
        end
        name = name:lower()
        if element[name] then return nil end
        element[name] = value
        local mark, next_at = match(text, "^[ \t]*([;,]?)()", after)
        if mark ~= ";" then
            list[#list + 1] = element
            element = {}
            if mark == "" then return next_at > #text and list or nil end
        end
        at = next_at
    end
end

-- The address and scheme that the Forwarded field gives, read from the right: the first element
-- whose `for` is no trusted proxy's. No address from one that is malformed or has none ("unknown",
-- "_hidden"): what stands left of it, nobody that is trusted has said.
local function from_forwarded(text, networks)
    local list = forwarded_elements(text)
    if not list then return nil end
    for i = #list, 1, -1 do
        local ip = list[i]["for"] and node_ip(list[i]["for"])
        local bytes = ip and core.ip_bytes(ip)
        if not bytes then return nil, list[i].proto end
        if i == 1 or not is_in(bytes, networks) then return ip, list[i].proto end
    end
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

local function apply_forwarded(request, text, networks)
    local from, scheme = from_forwarded(text, networks)
    if from then core.request_remote(request.handle, from) end
    scheme = scheme and scheme:lower()
    if SCHEMES[scheme] then request.protocol = scheme end
end

--- Sets remote_ip and protocol of a request by what its proxy says: X-Real-Ip, or else the last
-- address of X-Forwarded-For that is not in `networks`; X-Scheme, or else X-Forwarded-Proto, of
-- which the last word counts; without any of these, Forwarded (RFC 7239). Believed are peers of
-- this machine, and those in `networks`; a value that is no address, or no http or https, changes
-- nothing. X-Request-Id and traceparent are believed of them, too.
-- Tornado: believes every peer.
function proxy.apply(request, networks)
    local peer = core.request_info(request.handle)
    local ip = peer and core.ip_bytes(peer)
    if not ip or not (proxy.is_local(peer) or is_in(ip, networks)) then return end
    local headers = request.headers
    request:believe_id()
    tracing.take(request)
    local from = headers:get("X-Forwarded-For")
    from = headers:get("X-Real-Ip") or from and last_foreign(from, networks)
    if from then core.request_remote(request.handle, from) end
    local scheme = headers:get("X-Scheme") or headers:get("X-Forwarded-Proto")
    local forwarded = not from and not scheme and headers:get("Forwarded")
    if forwarded then return apply_forwarded(request, forwarded, networks) end
    scheme = scheme and match(scheme, "([^,%s]*)%s*$")
    if SCHEMES[scheme] then request.protocol = scheme end
end

return proxy
