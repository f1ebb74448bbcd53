-- What goes between workers, and between the generations of one: frames of four bytes of length,
-- big-endian, and a list in LuaJIT's own encoding. The peers are this server's own processes, and
-- nobody else can open their sockets.
local buffer = require "string.buffer"
local util = require "tornado.util"

local band, rshift = bit.band, bit.rshift
local byte, char = string.byte, string.char

local frames = {}

--- The bytes of a frame.
function frames.encode(list)
    local body = buffer.encode(list)
    local n = #body
    return char(rshift(n, 24), band(rshift(n, 16), 255), band(rshift(n, 8), 255), band(n, 255)) ..
        body
end

--- Reads a frame of at most `max` bytes off a stream; raises what that does. `options` are those
--- of read_bytes(). Returns the list, and the bytes of its head and of its body.
function frames.read(stream, max, options)
    local head = stream:read_bytes(4, options)
    local a, b, c, d = byte(head, 1, 4)
    local n = ((a * 256 + b) * 256 + c) * 256 + d
    if n > max then error(util.Error("a frame of %d bytes", n), 0) end
    local body = stream:read_bytes(n, options)
    return buffer.decode(body), head, body
end

return frames
