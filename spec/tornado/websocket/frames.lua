-- A bare peer for specs of WebSockets: it can send what a sound one would not, and reads strictly.
local testing = require "tornado.testing"

local frames = {}

frames.TEXT, frames.BINARY, frames.CLOSE, frames.PING, frames.PONG = 1, 2, 8, 9, 10

local KEY = "dGhlIHNhbXBsZSBub25jZQ=="

local function xor(payload, mask)
    local out = {}
    for i = 1, #payload do
        out[i] = string.char(bit.bxor(payload:byte(i), mask:byte((i - 1) % 4 + 1)))
    end
    return table.concat(out)
end

--- A frame. Options: fin (true), rsv (0), mask (4 bytes, or false for none).
function frames.frame(opcode, payload, options)
    options = options or {}
    payload = payload or ""
    local mask = options.mask == nil and "\1\2\3\4" or options.mask
    local first = (options.fin == false and 0 or 128) + (options.rsv or 0) * 16 + opcode
    local n, bit7 = #payload, mask and 128 or 0
    local head
    if n < 126 then
        head = string.char(first, bit7 + n)
    elseif n < 65536 then
        head = string.char(first, bit7 + 126, math.floor(n / 256), n % 256)
    else
        head = string.char(first, bit7 + 127, 0, 0, 0, 0, math.floor(n / 2 ^ 24) % 256,
            math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256)
    end
    return head .. (mask or "") .. (mask and xor(payload, mask) or payload)
end

--- The payload of a Close frame.
function frames.close(code, reason)
    return string.char(math.floor(code / 256), code % 256) .. (reason or "")
end

--- The request of a handshake; `fields` (a map) replaces and adds, false takes away.
function frames.request(path, fields)
    local all = {
        Host = "localhost", Upgrade = "websocket", Connection = "Upgrade",
        ["Sec-WebSocket-Key"] = KEY, ["Sec-WebSocket-Version"] = "13",
    }
    for name, value in pairs(fields or {}) do all[name] = value end
    local lines = { "GET " .. path .. " HTTP/1.1\r\n" }
    for name, value in pairs(all) do
        if value then lines[#lines + 1] = name .. ": " .. value .. "\r\n" end
    end
    return table.concat(lines) .. "\r\n"
end

local Peer = {}
Peer.__index = Peer

--- Over a testing.Connection whose handshake is over.
function frames.over(connection)
    return setmetatable({ connection = connection, data = "" }, Peer)
end

--- Connects to a testing server's path; returns the peer and the response.
function frames.connect(server, path, fields)
    local connection = server:connect()
    connection:send(frames.request(path, fields))
    local response = connection:read_response()
    return frames.over(connection), response
end

--- Sends a frame.
function Peer:send(opcode, payload, options)
    self.connection:send(frames.frame(opcode, payload, options))
end

function Peer:raw(bytes)
    self.connection:send(bytes)
end

local function need(self, n)
    while #self.data < n do
        local more = self.connection:read_some()
        if not more or more == "" then return false end
        self.data = self.data .. more
    end
    return true
end

local function take(self, n)
    local bytes = self.data:sub(1, n)
    self.data = self.data:sub(n + 1)
    return bytes
end

--- The next frame: its opcode, payload, and first byte's other bits (128: FIN, 64: RSV1); nil at
--- the end.
function Peer:read()
    if not need(self, 2) then return nil end
    local first, second = self.data:byte(1, 2)
    assert(second < 128, "a server's frame is masked")
    local size, head = second, 2
    if size == 126 then
        need(self, 4)
        size, head = self.data:byte(3) * 256 + self.data:byte(4), 4
    elseif size == 127 then
        need(self, 10)
        size, head = 0, 10
        for i = 3, 10 do size = size * 256 + self.data:byte(i) end
    end
    assert(need(self, head + size), "the connection ended inside a frame")
    take(self, head)
    return first % 16, take(self, size), first - first % 16
end

--- Reads a Close frame and the end of the connection; returns code and reason.
function Peer:read_close()
    local opcode, payload = self:read()
    assert(opcode == frames.CLOSE, "expected a Close frame, got " .. tostring(opcode))
    assert(self:read() == nil, "a frame behind Close")
    if payload == "" then return nil end
    return payload:byte(1) * 256 + payload:byte(2), payload:sub(3)
end

--- Serves `handlers` (class -> path "/"); returns the server.
function frames.serve(Handler, settings, path)
    local web = require "tornado.web"
    return testing.serve(web.Application({ { path or "/", Handler } }, settings))
end

return frames
