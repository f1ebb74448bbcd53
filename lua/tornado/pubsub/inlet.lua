-- What comes from other workers: accepts their connections and takes frames off them. A frame is
-- four bytes of length, big-endian, and a list in LuaJIT's own encoding: the peers are this
-- server's own processes, and nobody else can open the socket.
local buffer = require "string.buffer"
local errors = require "tornado.iostream.errors"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local netutil = require "tornado.netutil"
local util = require "tornado.util"

local band, rshift = bit.band, bit.rshift

local Inlet = util.Object:extend "Inlet"

--- The bytes of a frame.
function Inlet.encode(list)
    local body = buffer.encode(list)
    local n = #body
    return string.char(rshift(n, 24), band(rshift(n, 16), 255), band(rshift(n, 8), 255),
        band(n, 255)) .. body
end

--- Reads a frame of at most `max` bytes off a stream; raises what that does.
function Inlet.read_frame(stream, max)
    local a, b, c, d = stream:read_bytes(4):byte(1, 4)
    local n = ((a * 256 + b) * 256 + c) * 256 + d
    if n > max then error(util.Error("a frame of %d bytes", n), 0) end
    return buffer.decode(stream:read_bytes(n))
end

local function read_all(self, stream, peer)
    while true do self.on_frame(peer, Inlet.read_frame(stream, self.max)) end
end

local function serve(self, stream)
    local peer = { stream = stream }
    self._streams[stream] = true
    local ok, err, trace = ioloop.protect(read_all, self, stream, peer)
    if not ok and not util.isinstance(err, errors.StreamClosedError) then
        log.gen_log:warning("pubsub: bad input from another worker: %s", trace or tostring(err))
    end
    self._streams[stream] = nil
    stream:close()
    self.on_end(peer)
end

--- Listens on a unix socket, in place of whoever had it. on_frame(peer, list) gets what comes,
-- where `peer` is a table for each connection, and on_end(peer) is called when that ends. `max`:
-- bytes of a frame. Raises a SocketError.
function Inlet:init(path, max, on_frame, on_end)
    self.path, self.max, self.on_frame, self.on_end = path, max, on_frame, on_end
    self._streams = {}
    os.remove(path)
    self._socket = netutil.bind_unix_socket(path)
    netutil.add_accept_handler(self._socket, function(stream)
        ioloop.spawn_callback(serve, self, stream)
    end)
end

--- Ends it and its connections.
function Inlet:close()
    self._socket:close()
    for stream in pairs(self._streams) do stream:close() end
end

return Inlet
