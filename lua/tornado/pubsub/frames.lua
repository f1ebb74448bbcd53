-- What goes between workers, and between the generations of one: frames of four bytes of length,
-- big-endian, and a list in LuaJIT's own encoding. The peers are this server's own processes, and
-- nobody else can open their sockets.
local buffer = require "string.buffer"
local util = require "tornado.util"

local band, rshift = bit.band, bit.rshift
local byte, char, sub = string.byte, string.char, string.sub

local PIECE = { partial = true }
local PIECE_SIZE = 65536 -- bytes that are read at once

local frames = {}

--- The bytes of a frame.
function frames.encode(list)
    local body = buffer.encode(list)
    local n = #body
    return char(rshift(n, 24), band(rshift(n, 16), 255), band(rshift(n, 8), 255), band(n, 255)) ..
        body
end

local function length_of(head, at, max)
    local a, b, c, d = byte(head, at, at + 3)
    local n = ((a * 256 + b) * 256 + c) * 256 + d
    if n > max then error(util.Error("a frame of %d bytes", n), 0) end
    return n
end

--- Returns a function that returns the list of the next frame of at most `max` bytes, and raises
--- what the stream does. It reads ahead: one read for all frames that are there.
function frames.reader(stream, max)
    local data, at = "", 1 -- what was read; from `at` on it is to be used
    local function need(n)
        if #data - at + 1 >= n then return end
        local list = { sub(data, at) }
        local missing = n - #list[1]
        while missing > 0 do
            local piece = stream:read_bytes(missing > PIECE_SIZE and missing or PIECE_SIZE, PIECE)
            list[#list + 1] = piece
            missing = missing - #piece
        end
        data, at = table.concat(list), 1
    end
    return function()
        need(4)
        local n = length_of(data, at, max)
        need(4 + n)
        local body = sub(data, at + 4, at + 3 + n)
        at = at + 4 + n
        return buffer.decode(body)
    end
end

--- Reads a frame of at most `max` bytes off a stream; raises what that does. `options` are those
--- of read_bytes(). Returns the list, and the bytes of its head and of its body.
function frames.read(stream, max, options)
    local head = stream:read_bytes(4, options)
    local n = length_of(head, 1, max)
    local body = stream:read_bytes(n, options)
    return buffer.decode(body), head, body
end

return frames
