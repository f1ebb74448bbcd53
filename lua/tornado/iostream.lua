-- Streams of bytes that a coroutine reads and writes: connections, pipes. Tornado's iostream.
--
-- Contents: IOStream, PipeIOStream, pair(), pipe(), UDPSocket, and the errors.
local address = require "tornado.netutil.address"
local BaseIOStream = require "tornado.iostream.base"
local core = require "tornado.core"
local errors = require "tornado.iostream.errors"
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"

local iostream = {
    BaseIOStream = BaseIOStream,
    StreamClosedError = errors.StreamClosedError,
    UnsatisfiableReadError = errors.UnsatisfiableReadError,
    StreamBufferFullError = errors.StreamBufferFullError,
    SocketError = errors.SocketError,
    UDPSocket = require "tornado.iostream.udp",
}

-- Connections ------------------------------------------------------------------------------

local function adopt(self, descriptor, level)
    if type(descriptor) ~= "number" then
        error("bad descriptor: expected number, got " .. type(descriptor), level + 1)
    end
    local channel, _, errno = core.adopt(descriptor)
    if not channel then error(errors.SocketError(errno, "descriptor " .. descriptor), 0) end
    self:_open(channel)
end

--- A TCP or unix connection.
local IOStream = BaseIOStream:extend "IOStream"
iostream.IOStream = IOStream

--- Takes the descriptor of a connected socket, which it owns from now on, or nil: connect() will
--- make one. Options: BaseIOStream's. Raises a SocketError for a descriptor that will not do.
function IOStream:init(descriptor, options)
    BaseIOStream.init(self, options)
    if descriptor ~= nil then adopt(self, descriptor, 2) end
end

--- A stream over a channel of C, which it owns: for those who accept.
function IOStream.of_channel(channel, options)
    local stream = IOStream(nil, options)
    stream:_open(channel)
    return stream
end

local function leave(self)
    self._connector = nil
    self:close()
end

-- Waits until the connection stands or has failed.
local function await_connection(self, timeout)
    while self._channel and core.channel_state(self._channel) == core.AGAIN do
        local waiter = ioloop.waiter()
        self._connector = waiter
        ioloop.wait_for(waiter, timeout, leave, self)
        self._connector = nil
    end
end

--- Connects to { host, port }, "HOST:PORT" (addresses, not names: see TCPClient) or "unix:/PATH";
--- returns itself. Options: source (an address to come from), timeout (seconds), server_hostname
--- (with TLS). Raises a StreamClosedError, whose real_error says why, and TimeoutError.
function IOStream:connect(to, options)
    options = util.options(options, { source = util.NONE, timeout = util.NONE,
        server_hostname = util.NONE }, "connect")
    if self._channel or self._closed then error("the stream is connected or closed", 2) end
    local text = address.text(to, 2)
    local source = options.source and address.text(options.source, 2)
    local channel, why, errno = core.connect(text, source)
    if not channel then
        if errno == 0 then error("bad address " .. why, 2) end
        self:close(errors.SocketError(errno, text))
        error(errors.StreamClosedError(self.error), 0)
    end
    self:_open(channel)
    await_connection(self, options.timeout)
    if self._channel and core.channel_state(channel) == core.ERROR then
        self:close(errors.SocketError(core.channel_errno(channel), text))
    end
    if self._closed then error(errors.StreamClosedError(self.error), 0) end
    return self
end

--- Whether small packets leave at once; true at the beginning.
-- Tornado: false at the beginning.
function IOStream:set_nodelay(on)
    if self._channel then core.channel_nodelay(self._channel, on) end
end

--- The peer's address and this side's, as { host, port } or { "" } (unix); nil when closed.
function IOStream:peer_address()
    local text = self._channel and core.channel_address(self._channel, true)
    return text and address.parse(text)
end

function IOStream:local_address()
    local text = self._channel and core.channel_address(self._channel, false)
    return text and address.parse(text)
end

--- Ends this side, when all is written; the peer's can still be read.
-- Tornado: has no such method.
function IOStream:end_writing()
    if self._first then error("bytes wait to be written", 2) end
    if self._channel then core.channel_shut(self._channel) end
end

--- Makes the connection one of TLS. Raises when the stream is not idle.
function IOStream:start_tls(server_side, ssl_options, server_hostname)
    if self._reader or self._first or self._closed or not self._channel
        or core.channel_rest(self._channel) ~= "" then
        error("IOStream is not idle; cannot convert to SSL", 2)
    end
    if not core.channel_start_tls then error(util.Error("this build has no TLS"), 0) end
    return core.channel_start_tls(self._channel, server_side, ssl_options, server_hostname)
end

--- Two streams that are connected with each other.
function iostream.pair(options)
    local a, b = core.pair()
    if not a then error(errors.SocketError(core.last_errno()), 0) end
    return IOStream(a, options), IOStream(b, options)
end

-- Pipes --------------------------------------------------------------------------------------

--- One end of a pipe, a FIFO, a terminal: what is no socket and no file.
local PipeIOStream = BaseIOStream:extend "PipeIOStream"
iostream.PipeIOStream = PipeIOStream

--- Takes a descriptor, which it owns from now on, and becomes non-blocking.
function PipeIOStream:init(descriptor, options)
    BaseIOStream.init(self, options)
    adopt(self, descriptor, 2)
end

--- A pipe: the stream to read from and the one to write to.
function iostream.pipe(options)
    local a, b = core.pipe()
    if not a then error(errors.SocketError(core.last_errno()), 0) end
    return PipeIOStream(a, options), PipeIOStream(b, options)
end

return iostream
