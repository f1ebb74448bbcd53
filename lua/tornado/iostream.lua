-- Streams of bytes that a coroutine reads and writes: connections, pipes. Tornado's iostream.
--
-- Contents: IOStream, SSLIOStream, PipeIOStream, pair(), pipe(), UDPSocket, and the errors.
local address = require "tornado.netutil.address"
local BaseIOStream = require "tornado.iostream.base"
local core = require "tornado.core"
local errors = require "tornado.iostream.errors"
local ioloop = require "tornado.ioloop"
local tls = require "tornado.netutil.tls"
local util = require "tornado.util"

local iostream = {
    BaseIOStream = BaseIOStream,
    StreamClosedError = errors.StreamClosedError,
    UnsatisfiableReadError = errors.UnsatisfiableReadError,
    StreamBufferFullError = errors.StreamBufferFullError,
    SocketError = errors.SocketError,
    SSLError = tls.SSLError,
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

-- TLS ----------------------------------------------------------------------------------------

local SSLIOStream = IOStream:extend "SSLIOStream"
iostream.SSLIOStream = SSLIOStream

-- Contexts of clients that trust the system's authorities: these are many, and reading them for
-- each connection would hold the loop.
local shared, shared_count = {}, 0
local SHARED_MOST = 16
local PLAIN = { cert_reqs = true, ciphers = true, ssl_version = true }

-- What tells such contexts apart; nil for options that name files, and for contexts.
local function shared_key(ssl_options)
    local key = {}
    if ssl_options == nil then return "" end
    if type(ssl_options) ~= "table" or ssl_options.class then return nil end
    for name, value in pairs(ssl_options) do
        if not PLAIN[name] or type(value) ~= "string" then return nil end
        key[#key + 1] = name .. "=" .. value
    end
    table.sort(key)
    return table.concat(key, "\n")
end

local function shared_context(key, ssl_options, level)
    local context = shared[key]
    if context then return context end
    context = tls.ssl_options_to_context(ssl_options, false, level + 1)
    if shared_count == SHARED_MOST then
        for _, old in pairs(shared) do old:close() end
        shared, shared_count = {}, 0
    end
    shared[key] = context
    shared_count = shared_count + 1
    return context
end

-- A context by ssl_options (a table, a context, nil), and whether it is to be closed.
local function context_of(server_side, ssl_options, level)
    local key = not server_side and shared_key(ssl_options)
    if key then return shared_context(key, ssl_options, level + 1), false end
    local context = tls.ssl_options_to_context(ssl_options, server_side, level + 1)
    return context, context ~= ssl_options
end

-- Has C begin with TLS on a channel.
local function begin(channel, server_side, ssl_options, host, level)
    local context, own = context_of(server_side, ssl_options, level + 1)
    local fits = context.server_side == server_side
    local ok, why = false, "the SSLContext is one for the other side"
    if not context.handle then
        why = "the TLS context is closed"
    elseif fits then
        ok, why = core.channel_start_tls(channel, context.handle, host)
    end
    if own then context:close() end
    if not ok then error(tls.SSLError("%s", why), 0) end
end

local TIMEOUT = { timeout = util.NONE }

--- Makes the connection one of TLS, as a server or a client; returns an SSLIOStream, which has the
--- limits and the close callback, when hands are shaken. This stream is closed for whoever still
--- has it. `ssl_options`: netutil.ssl_options_to_context()'s, or an SSLContext; clients verify the
--- certificate if nothing else is said. `server_hostname`: whom a client means. Option: timeout.
--- Raises SSLError, SocketError, TimeoutError, and when the stream is not idle: bytes that came in
--- plain text would pass for protected ones.
function IOStream:start_tls(server_side, ssl_options, server_hostname, options)
    if self._reader or self._first or self._closed or not self._channel
        or core.channel_rest(self._channel) ~= "" then
        error("IOStream is not idle; cannot convert to SSL", 2)
    end
    options = util.options(options, TIMEOUT, "start_tls")
    begin(self._channel, server_side or false, ssl_options, server_hostname, 2)
    local stream = SSLIOStream(nil, { max_buffer_size = self.max_buffer_size,
        read_chunk_size = self.read_chunk_size,
        max_write_buffer_size = self.max_write_buffer_size })
    self:_give(stream)
    stream:wait_for_handshake(options)
    return stream
end

local KEYS = { ssl_options = util.NONE, server_side = false, server_hostname = util.NONE }

--- A TCP or unix connection with TLS. Takes what IOStream does, and the options ssl_options,
--- server_side (false) and server_hostname. Reading and writing shake hands first.
function SSLIOStream:init(descriptor, options)
    util.expect(options or {}, "table", "options", 1)
    local own, base = {}, {}
    for name, value in pairs(options or {}) do
        if KEYS[name] ~= nil then own[name] = value else base[name] = value end
    end
    self._server_side = own.server_side or false
    self._ssl_options, self._host = own.ssl_options, own.server_hostname
    IOStream.init(self, descriptor, base)
    if descriptor == nil then return end
    local ok, err = pcall(begin, self._channel, self._server_side, self._ssl_options, self._host, 0)
    if ok then return end
    self:close()
    error(err, 0)
end

--- As IOStream:connect(), with the handshake; option: server_hostname, which is the address
--- without it. Raises an SSLError, too, and is closed then.
function SSLIOStream:connect(to, options)
    local deadline = options and options.timeout and core.precise() + options.timeout
    IOStream.connect(self, to, options)
    local host = options and options.server_hostname or self._host
        or address.parse(address.text(to, 2))[1]
    local ok, err = pcall(begin, self._channel, false, self._ssl_options, host, 0)
    if not ok then
        self:close(err)
        error(err, 0)
    end
    local left = deadline and math.max(0, deadline - core.precise())
    return self:wait_for_handshake { timeout = left }
end

--- Waits until hands are shaken; returns itself. Raises what went wrong (SSLError: see there,
--- SocketError), with the stream closed. Option: timeout (TimeoutError, and it is closed, too).
function SSLIOStream:wait_for_handshake(options)
    if self._connector then error("Already waiting", 2) end
    local timeout = util.options(options, TIMEOUT, "wait_for_handshake").timeout
    local deadline = timeout and core.precise() + timeout
    while self._channel do
        local status = core.channel_handshake(self._channel)
        if status == core.OK then return self end
        if status ~= core.AGAIN then
            self:close(errors.of_channel(self._channel))
        else
            local waiter = ioloop.waiter()
            self._connector = waiter
            ioloop.wait_for(waiter, deadline and math.max(0, deadline - core.precise()), leave,
                self)
            self._connector = nil
        end
    end
    error(self.error or errors.StreamClosedError(), 0)
end

--- What was agreed on: { version, cipher, server_name, protocol (of ALPN, or ""), resumed }; nil
--- before the handshake is over, and when closed.
-- Tornado: Python's stream.socket.version() and its like.
function SSLIOStream:tls()
    return self._channel and core.channel_tls(self._channel)
end

--- The peer's certificate as Python's getpeercert() has it, or with `binary_form` its DER; nil
--- without one.
function SSLIOStream:get_ssl_certificate(binary_form)
    if not self._channel then return nil end
    if binary_form then return core.channel_certificate_der(self._channel) end
    local parts = core.channel_certificate(self._channel)
    return parts and tls.certificate_table(parts)
end

--- Two streams that are connected with each other.
function iostream.pair(options)
    BaseIOStream._check(options, 1) -- before there is anything to close
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
    BaseIOStream._check(options, 1) -- before there is anything to close
    local a, b = core.pipe()
    if not a then error(errors.SocketError(core.last_errno()), 0) end
    return PipeIOStream(a, options), PipeIOStream(b, options)
end

return iostream
