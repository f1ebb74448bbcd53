-- A server of raw connections: subclasses have handle_stream(). Tornado's tcpserver.
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local netutil = require "tornado.netutil"
local tls = require "tornado.netutil.tls"
local util = require "tornado.util"

local tcpserver = {}

local HANDSHAKE = 60 -- seconds that a client has for it

local TCPServer = util.Object:extend "TCPServer"
tcpserver.TCPServer = TCPServer

--- Takes options: max_buffer_size, read_chunk_size, max_write_buffer_size (of its streams),
--- max_connections (those above it wait until one has closed; none), ssl_options
--- (netutil.ssl_options_to_context()'s, or an SSLContext, which stays the caller's),
--- handshake_timeout (seconds, 60). Raises SSLError for certificates that cannot be used.
function TCPServer:init(options)
    options = util.options(options, { ssl_options = util.NONE, max_buffer_size = util.NONE,
        read_chunk_size = util.NONE, max_write_buffer_size = util.NONE,
        max_connections = math.huge, handshake_timeout = HANDSHAKE }, "TCPServer", 1)
    if type(options.max_connections) ~= "number" or options.max_connections < 1 then
        error("bad max_connections: expected a number, got " ..
            util.shown(options.max_connections), 3)
    end
    self.ssl_options = options.ssl_options
    self.handshake_timeout = options.handshake_timeout
    if self.ssl_options then
        self._context = tls.ssl_options_to_context(self.ssl_options, true, 2)
    end
    self.max_connections = options.max_connections
    self.connections = 0
    self._stream_options = {
        max_buffer_size = options.max_buffer_size, read_chunk_size = options.read_chunk_size,
        max_write_buffer_size = options.max_write_buffer_size,
    }
    self._sockets = {} -- Socket -> true
    self._bound = {}   -- by bind(), until start()
    self._held = {}    -- accepted beyond max_connections: { stream, address }
    self._full = false
end

--- For subclasses: called with each connection's IOStream and { host, port } in a coroutine of its
--- own; what it raises is logged, and the connection closed then. When it returns, the connection
--- stays open until somebody closes it or the peer leaves.
function TCPServer:handle_stream(_, _)
    error(tostring(self.class) .. " has no handle_stream()", 2)
end

-- Connections ---------------------------------------------------------------------------------

local function watch(self, on)
    for socket in pairs(self._sockets) do core.accept_watch(socket.acceptor, on) end
end

-- The stream with TLS; nil: there is none, and it is closed. Nothing is said of clients that leave.
local function secure(self, stream, address)
    local ok, secured = pcall(stream.start_tls, stream, true, self._context, nil,
        { timeout = self.handshake_timeout })
    if ok then return secured end
    local err = secured
    if util.isinstance(err, tls.SSLError) and err.code ~= "ECONNABORTED" then
        log.gen_log:warning(("SSL Error on %s: %s"):format(address[1], err.message))
    end
    stream:close()
end

local function serve(self, stream, address)
    if self._context then
        stream = secure(self, stream, address)
        if not stream then return end
    end
    local ok, err, trace = ioloop.protect(self.handle_stream, self, stream, address)
    if ok then return stream:_watch() end
    log.app_log:error("Error in connection callback: " .. (trace or tostring(err)))
    stream:close()
end

local function begin(self, stream, address)
    self.connections = self.connections + 1
    stream._on_closed = self._release
    ioloop.start(serve, self, stream, address)
end

local function release(self)
    self.connections = self.connections - 1
    local held = table.remove(self._held, 1)
    if held then return begin(self, held[1], held[2]) end
    if self._full then
        self._full = false
        watch(self, true)
    end
end

local function accept(self, stream, address)
    if self.connections < self.max_connections then return begin(self, stream, address) end
    self._held[#self._held + 1] = { stream, address }
    self._full = true
    watch(self, false)
end

-- Sockets ---------------------------------------------------------------------------------------

--- Accepts on Sockets of netutil, which it owns from now on.
function TCPServer:add_sockets(sockets)
    self._release = self._release or function() release(self) end
    if self.ssl_options and not self._context then
        self._context = tls.ssl_options_to_context(self.ssl_options, true, 2)
    end
    for _, socket in ipairs(sockets) do
        netutil.add_accept_handler(socket, function(stream, address)
            accept(self, stream, address)
        end, self._stream_options)
        self._sockets[socket] = true
        if self._full then core.accept_watch(socket.acceptor, false) end
    end
end

--- The same for one.
function TCPServer:add_socket(socket)
    self:add_sockets { socket }
end

--- Listens on a port; may be called repeatedly. `address` and options as in netutil.bind_sockets().
--- Returns the Sockets.
function TCPServer:listen(port, address, options)
    local sockets = netutil.bind_sockets(port, address, options)
    self:add_sockets(sockets)
    return sockets
end

--- Binds as listen() does; start() begins to accept.
function TCPServer:bind(port, address, options)
    local sockets = netutil.bind_sockets(port, address, options)
    for _, socket in ipairs(sockets) do self._bound[#self._bound + 1] = socket end
    return sockets
end

--- Begins to accept on what bind() bound.
-- Tornado: forks, when it is given a number of processes.
function TCPServer:start(processes)
    if processes ~= nil and processes ~= 1 then
        error("start() has one process: processes are the server's option workers", 2)
    end
    if self._started then error("the server is started already", 2) end
    self._started = true
    local sockets = self._bound
    self._bound = {}
    self:add_sockets(sockets)
end

--- Closes the sockets; connections live on. May be called again.
function TCPServer:stop()
    for socket in pairs(self._sockets) do socket:close() end
    for _, socket in ipairs(self._bound) do socket:close() end
    for _, held in ipairs(self._held) do held[1]:close() end
    self._sockets, self._bound, self._held = {}, {}, {}
    if self._context and self._context ~= self.ssl_options then self._context:close() end
    self._context = nil
end

return tcpserver
