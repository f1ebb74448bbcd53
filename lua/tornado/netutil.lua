-- Listening sockets, names (netutil/resolver.lua) and TLS contexts (netutil/tls.lua). Tornado's
-- netutil.
local address = require "tornado.netutil.address"
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local iostream = require "tornado.iostream"
local resolver = require "tornado.netutil.resolver"
local tls = require "tornado.netutil.tls"
local util = require "tornado.util"

local netutil = {
    AF_UNSPEC = "unspec", AF_INET = "inet", AF_INET6 = "inet6", AF_UNIX = "unix",
}

local BACKLOG = 128
local OWNER_ONLY = 384 -- 0600
local TRIES = 16       -- for a port that is free in both families

local handlers = {} -- acceptor -> { fn, options }

-- Sockets -----------------------------------------------------------------------------------

--- A socket that listens; add_accept_handler() begins to accept.
local Socket = util.Object:extend "Socket"
netutil.Socket = Socket

function Socket:init(acceptor, family)
    self.acceptor, self.family = acceptor, family
end

--- Where it is bound: "127.0.0.1:8888" or "unix:/path"; nil when it is closed.
function Socket:address()
    return self.acceptor and core.accept_address(self.acceptor)
end

--- Its port; nil for a unix socket.
function Socket:port()
    local text = self:address()
    return text and address.parse(text)[2]
end

--- Closes; a unix socket's file is removed. Fine when it is closed.
function Socket:close()
    if not self.acceptor then return end
    handlers[self.acceptor] = nil
    core.accept_close(self.acceptor)
    self.acceptor = nil
end

-- Binding -----------------------------------------------------------------------------------

--- Returns whether a string is an IPv4 or IPv6 address, not a name.
function netutil.is_valid_ip(ip)
    return type(ip) == "string" and core.ip(ip) ~= nil
end

local function family_of(ip)
    local _, family = core.ip(ip)
    return family
end

-- The IP addresses of a host, IPv4 first, each once.
local function hosts(host, family)
    local found
    if host == nil or host == "" then
        found = { "0.0.0.0", "::" }
    elseif netutil.is_valid_ip(host) then
        found = { host }
    elseif host == "localhost" then
        found = { "127.0.0.1", "::1" }
    else
        found = {}
        for i, result in ipairs(resolver.resolve(host, 0)) do found[i] = result.address end
    end
    local out, seen = {}, {}
    for _, wanted in ipairs { "inet", "inet6" } do
        for _, ip in ipairs(found) do
            local fits = family_of(ip) == wanted and (family == "unspec" or family == wanted)
            if fits and not seen[ip] then out[#out + 1] = ip end
            seen[ip] = seen[ip] or fits
        end
    end
    return out
end

-- An address of a family that this machine does not have.
local function is_missing(code, host, ip)
    return code == "EAFNOSUPPORT" or code == "EADDRNOTAVAIL" and host == "localhost" and ip == "::1"
end

local function close_all(sockets)
    for _, socket in ipairs(sockets) do socket:close() end
end

-- Binds all; or nil, what went wrong, and whether that was a port that another family had free.
local function bind_all(ips, port, host, options)
    local sockets, given = {}, port
    for _, ip in ipairs(ips) do
        local acceptor, why, errno = core.accept(address.join(ip, port), options.backlog,
            OWNER_ONLY, options.reuse_port)
        local code = not acceptor and core.errno_name(errno)
        if acceptor then
            sockets[#sockets + 1] = Socket(acceptor, family_of(ip))
            if port == 0 then port = sockets[1]:port() end
        elseif not is_missing(code, host, ip) then
            close_all(sockets)
            local err = iostream.SocketError(errno, why)
            return nil, err, given == 0 and code == "EADDRINUSE" and #sockets > 0
        end
    end
    return sockets
end

--- Binds a port on an address: an IP address, "localhost", a name, nil or "" (all of this machine).
--- Returns a list of Sockets that listen, one for each family; with port 0 they have the same port.
--- Options: family (netutil.AF_*), backlog (128), reuse_port. Raises a SocketError.
function netutil.bind_sockets(port, host, options)
    options = util.options(options, { family = "unspec", backlog = BACKLOG, reuse_port = false },
        "bind_sockets")
    if type(port) ~= "number" or port < 0 or port > 65535 or port % 1 ~= 0 then
        error("bad port: expected 0 to 65535, got " .. util.shown(port), 2)
    end
    local ips = hosts(host, options.family)
    local sockets, err, again
    for _ = 1, TRIES do
        sockets, err, again = bind_all(ips, port, host, options)
        if not again then break end
    end
    return sockets or error(err, 0)
end

--- Binds a unix socket to a path, or, with "\0" before it, to a name of Linux's abstract ones; a
--- stale socket file is replaced. Returns a Socket. Options: mode (of the file; 0600, which is 384
--- here), backlog (128). Raises a SocketError.
function netutil.bind_unix_socket(path, options)
    options = util.options(options, { mode = OWNER_ONLY, backlog = BACKLOG }, "bind_unix_socket")
    if type(path) ~= "string" or path == "" then
        error("bad path: expected string, got " .. util.shown(path), 2)
    end
    if core.file_kind(path) then
        error(util.Error("File %s exists and is not a socket", path), 0)
    end
    local text = "unix:" .. (path:gsub("^%z", "@"))
    local acceptor, why, errno = core.accept(text, options.backlog, options.mode, false)
    if acceptor then return Socket(acceptor, "unix") end
    if errno == 0 then error("bad path " .. why, 2) end
    error(iostream.SocketError(errno, why), 0)
end

--- An SSLIOStream over a connected socket's descriptor, as the server or (false) the client, who
--- means `server_hostname`.
-- Tornado: returns Python's SSLSocket.
function netutil.ssl_wrap_socket(descriptor, ssl_options, server_hostname, server_side)
    util.expect(descriptor, "number", "descriptor")
    return iostream.SSLIOStream(descriptor, { ssl_options = ssl_options,
        server_hostname = server_hostname, server_side = server_side or false })
end

-- Accepting ---------------------------------------------------------------------------------

ioloop.on(core.EVENT_ACCEPT, function(channel, event)
    local handler = handlers[event.owner]
    if not handler then
        core.channel_close(channel, true) -- the listener was closed meanwhile
        return
    end
    local stream = iostream.IOStream.of_channel(channel, handler.options)
    handler.fn(stream, stream:peer_address() or { "" })
end)

--- Accepts connections: fn(stream, address) gets an IOStream, which it owns from now on, and the
--- peer's address. `options`: IOStream's. Returns a function that stops accepting.
-- Tornado: the connection is a bare socket.
function netutil.add_accept_handler(socket, fn, options)
    if not util.isinstance(socket, Socket) or not socket.acceptor then
        error("bad socket: expected an open Socket, got " .. type(socket), 2)
    end
    if not util.is_callable(fn) then
        error("bad handler: expected function, got " .. type(fn), 2)
    end
    local acceptor = socket.acceptor
    if handlers[acceptor] then error("the socket has a handler already", 2) end
    handlers[acceptor] = { fn = fn, options = options }
    core.accept_watch(acceptor, true)
    return function()
        handlers[acceptor] = nil
        core.accept_watch(acceptor, false)
    end
end

for name, value in pairs(resolver) do netutil[name] = value end
for name, value in pairs(tls) do netutil[name] = value end

return netutil
