-- The client's handshake (RFC 6455 §4.1): the request, and what its response must be.
local core = require "tornado.core"
local errors = require "tornado.websocket.errors"
local HTTPClientError = require("tornado.httpclient.errors").HTTPClientError
local HTTPHeaders = require "tornado.httputil.headers"
local lines = require "tornado.httputil.lines"
local peer = require "tornado.websocket.peer"
local stack_context = require "tornado.stack_context"
local tracing = require "tornado.tracing"
local urls = require "tornado.httpclient.urls"

local WebSocketError = errors.WebSocketError

local handshake = {}

local GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
local OFFER = "permessage-deflate; client_max_window_bits"
local MAX_HEAD = 65536
local INTERIM = 8 -- responses like 103 before the final one, at most

--- The value of Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2).
function handshake.accept_value(key)
    return core.base64_encode(core.digest("sha1", key .. GUID))
end

--- Whether a Connection field says "upgrade".
function handshake.has_upgrade(connection)
    for token in connection:lower():gmatch("[^,]+") do
        if token:match("^%s*(.-)%s*$") == "upgrade" then return true end
    end
    return false
end

local OURS = {
    "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Sec-WebSocket-Accept",
    "Content-Length", "Transfer-Encoding",
}

-- The head of a request from HTTPHeaders.
local function compose(first_line, headers)
    local out = { first_line }
    for name, value in headers:get_all() do out[#out + 1] = name .. ": " .. value end
    out[#out + 1] = "\r\n"
    return table.concat(out, "\r\n")
end

--- The request: `to` is a parsed URL, `key` the key; options: headers, subprotocols,
--- compression_options, trace, request_id. Raises for a header that is the handshake's.
function handshake.request(to, key, options)
    local headers = HTTPHeaders(options.headers or {})
    for _, name in ipairs(OURS) do
        if headers:has(name) then error("bad headers: " .. name .. " is the handshake's own", 0) end
    end
    if not headers:has("Host") then headers:set("Host", to.netloc) end
    if to.user and not headers:has("Authorization") then
        headers:set("Authorization", urls.basic(to.user, to.password))
    end
    tracing.tell(headers, options.trace and stack_context.get "trace" or nil,
        options.request_id and stack_context.get "request_id" or nil)
    headers:set("Upgrade", "websocket")
    headers:set("Connection", "Upgrade")
    headers:set("Sec-WebSocket-Key", key)
    headers:set("Sec-WebSocket-Version", "13")
    local protocols = options.subprotocols
    if protocols and #protocols > 0 then
        headers:set("Sec-WebSocket-Protocol", table.concat(protocols, ","))
    end
    if options.compression_options then headers:set("Sec-WebSocket-Extensions", OFFER) end
    return compose("GET " .. to.target .. " HTTP/1.1", headers)
end

--- Reads a response's head, leaving out interim ones: its start line and HTTPHeaders. `left` gives
--- the seconds that it may take.
function handshake.read_response(stream, left)
    for _ = 1, INTERIM do
        local head = stream:read_until("\r\n\r\n", { max_bytes = MAX_HEAD, timeout = left() })
        local line, rest = head:match("^([^\r\n]*)\r\n(.*)\r\n$")
        local start = lines.parse_response_start_line(line)
        local code = start.code
        if code == 101 or code >= 200 then return start, HTTPHeaders.parse(rest) end
    end
    error(WebSocketError("too many interim responses"), 0)
end

--- Asks a proxy for a way to the server (RFC 9110 §9.3.6).
function handshake.tunnel(stream, to, options, left)
    local target = (to.host:find(":", 1, true) and "[" .. to.host .. "]" or to.host) .. ":" ..
        to.port
    local headers = HTTPHeaders { Host = target }
    if options.proxy_username then
        headers:set("Proxy-Authorization",
            urls.basic(options.proxy_username, options.proxy_password or ""))
    end
    stream:write(compose("CONNECT " .. target .. " HTTP/1.1", headers), { timeout = left() })
    local start = handshake.read_response(stream, left)
    if start.code < 200 or start.code > 299 then
        error(HTTPClientError(start.code, "the proxy refused: " .. (start.reason or "")), 0)
    end
end

local function fail(text, ...)
    error(WebSocketError(text, ...), 0)
end

local function check_extensions(headers, options)
    local answer = headers:get("Sec-WebSocket-Extensions")
    if not answer then return nil end
    if not options.compression_options then fail("unsupported extension %q", answer) end
    local want, threshold = peer.deflate_wanted(options.compression_options, true)
    local agreed = core.websocket_deflate()
    if not core.websocket_answer(answer, want, agreed) then
        fail("unsupported extension %q", answer)
    end
    return agreed, threshold
end

local function check_subprotocol(headers, options)
    local chosen = headers:get("Sec-WebSocket-Protocol")
    if not chosen then return nil end
    for _, name in ipairs(options.subprotocols or {}) do
        if name == chosen then return chosen end
    end
    fail("the server chose the subprotocol %q, which was not offered", chosen)
end

--- Checks the response; returns the subprotocol (or nil), the parameters of compression (or nil)
--- and its threshold. Raises HTTPClientError for another status, WebSocketError for a wrong 101.
function handshake.check(start, headers, key, options)
    if start.code == 200 then fail("Non-websocket response") end
    if start.code ~= 101 then error(HTTPClientError(start.code, start.reason), 0) end
    if headers:get("Upgrade", ""):lower() ~= "websocket" then
        fail("the response does not upgrade to WebSocket")
    end
    if not handshake.has_upgrade(headers:get("Connection", "")) then
        fail('the response has no "Connection: Upgrade"')
    end
    if headers:get("Sec-WebSocket-Accept") ~= handshake.accept_value(key) then
        fail("the response's Sec-WebSocket-Accept is wrong")
    end
    local subprotocol = check_subprotocol(headers, options)
    return subprotocol, check_extensions(headers, options)
end

return handshake
