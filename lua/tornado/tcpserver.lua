-- A server of raw connections: subclasses have handle_stream(). Tornado's tcpserver.
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local netutil = require "tornado.netutil"
local util = require "tornado.util"

local tcpserver = {}

local TCPServer = util.Object:extend "TCPServer"
tcpserver.TCPServer = TCPServer

--- Takes options: max_buffer_size, read_chunk_size, max_write_buffer_size (of its streams),
--- max_connections (those above it wait until one has closed; none), ssl_options.
function TCPServer:init(options)
    options = util.options(options, { ssl_options = util.NONE, max_buffer_size = util.NONE,
        read_chunk_size = util.NONE, max_write_buffer_size = util.NONE,
        max_connections = math.huge }, "TCPServer", 1)
    if options.ssl_options and not core.channel_start_tls then
        error(util.Error("ssl_options: this build has no TLS"), 0)
    end
    if type(options.max_connections) ~= "number" or options.max_connections < 1 then
        error("bad max_connections: expected a number, got " ..
            util.shown(options.max_connections), 3)
    end
    self.ssl_options = options.ssl_options
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

local function run(self, stream, address)
    if self.ssl_options then stream:start_tls(true, self.ssl_options) end
    self:handle_stream(stream, address)
end

local function serve(self, stream, address)
    local ok, err, trace = ioloop.protect(run, self, stream, address)
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
end

return tcpserver
