-- What comes from other workers: accepts their connections and takes frames off them, which it
-- may answer.
local errors = require "tornado.iostream.errors"
local frames = require "tornado.pubsub.frames"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local netutil = require "tornado.netutil"
local util = require "tornado.util"

local Inlet = util.Object:extend "Inlet"

local function read_all(self, stream, peer)
    local next_frame = frames.reader(stream, self.max)
    while not self._closed do self.on_frame(peer, next_frame()) end
end

local function serve(self, stream)
    local peer = { stream = stream }
    function peer.answer(list)
        pcall(stream.write, stream, frames.encode(list)) -- fails when it is closed
    end
    self._streams[stream] = true
    local ok, err, trace = ioloop.protect(read_all, self, stream, peer)
    if not ok and not util.isinstance(err, errors.StreamClosedError) then
        log.gen_log:warning("pubsub: bad input from another worker: %s", trace or tostring(err))
    end
    self._streams[stream] = nil
    stream:close()
    self.on_end(peer)
end

Inlet._closed = false

--- Listens on a unix socket, in place of whoever had it. on_frame(peer, list) gets what comes,
-- where `peer` is a table for each connection, with answer(list), which may wait; on_end(peer) is
-- called when that ends. `max`: bytes of a frame. Raises a SocketError.
function Inlet:init(path, max, on_frame, on_end)
    self.path, self.max, self.on_frame, self.on_end = path, max, on_frame, on_end
    self._streams = {}
    os.remove(path)
    self._socket = netutil.bind_unix_socket(path)
    netutil.add_accept_handler(self._socket, function(stream)
        ioloop.spawn_callback(serve, self, stream)
    end)
end

--- Ends it and its connections. What has come and was not taken is for the next one to get.
function Inlet:close()
    self._closed = true
    self._socket:close()
    for stream in pairs(self._streams) do stream:close() end
end

return Inlet
