-- UDP. What comes waits in the kernel until somebody asks; beyond the buffer there it is lost, as
-- datagrams are.
local address = require "tornado.netutil.address"
local core = require "tornado.core"
local errors = require "tornado.iostream.errors"
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"

local UDPSocket = util.Object:extend "UDPSocket"

local open = {} -- handle -> UDPSocket

ioloop.on(core.EVENT_DATAGRAM, function(handle)
    local socket = open[handle]
    if not socket then return end
    local waiters = socket._waiters
    socket._waiters = {}
    for waiter in pairs(waiters) do ioloop.wake(waiter) end
end)

--- Takes options: bind ({ host, port } or text; port 0 is any; 0.0.0.0:0), connect (an address:
--- only its datagrams come, and send() goes there), receive_buffer (bytes that may wait in the
--- kernel; its default), reuse_port. Raises a SocketError.
function UDPSocket:init(options)
    options = util.options(options, { bind = util.NONE, connect = util.NONE, receive_buffer = 0,
        reuse_port = false }, "UDPSocket")
    local peer = options.connect and address.text(options.connect, 2) or ""
    local bind = options.bind and address.text(options.bind, 2)
    if not bind then bind = peer:sub(1, 1) == "[" and "[::]:0" or "0.0.0.0:0" end
    local handle, why, errno = core.datagram(bind, peer, options.receive_buffer,
        options.reuse_port)
    if not handle then
        if errno == 0 then error("bad address " .. why, 2) end
        error(errors.SocketError(errno, peer ~= "" and peer or bind), 0)
    end
    self._handle, self._waiters = handle, {}
    open[handle] = self
end

local function leave(self, waiter)
    self._waiters[waiter] = nil
end

-- Waits until the call may be repeated; raises when the socket was closed.
local function wait(self, deadline)
    local waiter = ioloop.waiter()
    self._waiters[waiter] = true
    local left = deadline and math.max(0, deadline - core.precise())
    ioloop.wait_for(waiter, left, leave, self, waiter)
end

local function handle_of(self)
    return self._handle or error(errors.StreamClosedError(), 0)
end

local function deadline_of(options, what)
    if not options then return nil end
    local timeout = util.options(options, { timeout = util.NONE }, what, 1).timeout
    return timeout and core.precise() + timeout
end

local function fail()
    error(errors.SocketError(core.last_errno()), 0)
end

--- Sends one datagram to an address; waits for room. Option: timeout. Raises a SocketError
--- (EMSGSIZE: too large), StreamClosedError, TimeoutError.
function UDPSocket:sendto(data, to, options)
    if type(data) ~= "string" then error("bad data: expected string, got " .. type(data), 2) end
    local text = to == nil and "" or address.text(to, 2)
    local deadline = deadline_of(options, "sendto")
    local status = core.datagram_send(handle_of(self), data, text)
    while status == core.AGAIN do
        wait(self, deadline)
        status = core.datagram_send(handle_of(self), data, text)
    end
    if status == core.OK then return end
    if core.last_errno() == 0 then error("bad address " .. core.last_reason(), 2) end
    fail()
end

--- Sends one datagram to the address it is connected to.
function UDPSocket:send(data, options)
    return self:sendto(data, nil, options)
end

--- The next datagram, and the address { host, port } that it came from. Option: timeout. Raises a
--- SocketError (ECONNREFUSED: nobody is where the last one went), StreamClosedError, TimeoutError.
function UDPSocket:recvfrom(options)
    local deadline = deadline_of(options, "recvfrom")
    local data, from = core.datagram_recv(handle_of(self))
    while not data and from == core.AGAIN do
        wait(self, deadline)
        data, from = core.datagram_recv(handle_of(self))
    end
    if not data then fail() end
    return data, address.parse(from)
end

--- Where it is bound: { host, port }; nil when it is closed.
function UDPSocket:local_address()
    local text = self._handle and core.datagram_address(self._handle)
    return text and address.parse(text)
end

--- Closes; those who wait get a StreamClosedError.
function UDPSocket:close()
    if not self._handle then return end
    core.datagram_close(self._handle)
    open[self._handle] = nil
    self._handle = nil
    for waiter in pairs(self._waiters) do ioloop.wake(waiter) end
    self._waiters = {}
end

return UDPSocket
