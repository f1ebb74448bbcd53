-- The HTTP server: listeners and what their requests are given to. An application
-- is anything with `start_request(request)`, which may return a HTTPMessageDelegate (see
-- httputil/delegates.lua), or a function(request), which answers through request.connection.
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local util = require "tornado.util"
local HTTPServerRequest = require "tornado.httputil.request"
local proxy = require "tornado.httputil.proxy"
local tls = require "tornado.httpserver.tls"
local watchdog = require "tornado.watchdog"

local band = bit.band
local new_table = require "table.new"
local barrier, pumping, enter = core.barrier, ioloop.pumping, ioloop.enter

local httpserver = {}

local SLOT_MASK = 0xfffff -- of a handle: its slot (core/base/slots.h)

local servers = {} -- listener -> HTTPServer
local live = new_table(512, 0) -- slot -> request whose handle Lua holds; an array for most

local special = false -- whether any server has options that its requests ask for

--- What a body may have when neither the application nor its handler says: bytes.
httpserver.max_body_size = 1048576

--- How long a handler may go on when its client has left: seconds.
httpserver.handler_timeout = 60

--- An option of the server that a request came to, or nil.
function httpserver.option_of(request, name)
    if not special then return nil end
    local server = request.server
    return server and server.options[name] or nil
end

local function find(handle)
    local request = live[band(handle, SLOT_MASK)]
    if request and request.handle == handle then return request end
end

--- Gives a request back to C. Its handle is old from here on.
function httpserver.release(request)
    local handle = request.handle
    local slot = band(handle, SLOT_MASK)
    if live[slot] ~= request then return end
    live[slot] = nil
    core.request_release(handle)
    if request.closed then ioloop.remove_timeout(request.closed) end
end

local release = httpserver.release

require("tornado.httpserver.connection")(httpserver)

-- request.server, for those who ask: a ninth field would double each request's table.
function HTTPServerRequest.find_server(request)
    return servers[core.request_owner(request.handle)] or false
end

local function on_request(handle, event)
    local server = servers[event.owner]
    local request = HTTPServerRequest.from_event(handle, event, pumping())
    live[band(handle, SLOT_MASK)] = request
    if not server then return release(request) end
    enter(request)
    server.callback(request)
    barrier() -- a trace that began in the handler ends
end

local function answer_failure(handle, request, err, traceback)
    local delegate = request.delegate
    if delegate then return delegate:on_exception(err, traceback) end
    log.app_log:error("Uncaught exception %s", traceback or tostring(err))
    local status = util.isinstance(err, watchdog.CPULimitError) and 503 or 500
    core.reply(handle, status, "", "", "", -1, core.REPLY_CLOSE)
    release(request)
end

-- A request whose application raised: the delegate (a handler) answers, or a bare 500 does.
local function on_failure(handle, err, traceback)
    local request = find(handle)
    if not request then
        log.app_log:error("Uncaught exception: " .. (traceback or tostring(err)))
        core.reply(handle, 500, "", "", "", -1, core.REPLY_CLOSE) -- there was no memory for it
        core.request_release(handle)
        return
    end
    local ok, again, trace = ioloop.protect(answer_failure, handle, request, err, traceback)
    if ok then return end
    core.reply(handle, 500, "", "", "", -1, core.REPLY_CLOSE) -- as when memory is used up
    release(request)
    ioloop.unwrap(false, again, trace)
end

ioloop.on(core.EVENT_REQUEST, on_request, on_failure)

local function wake(handle)
    local request = find(handle)
    if request then request:notify() end
end

ioloop.on(core.EVENT_BODY, wake)
ioloop.on(core.EVENT_DRAIN, wake)

local function out_of_time(handle)
    local request = find(handle)
    if not request then return end
    local delegate = request.delegate
    if delegate then return delegate:on_timeout() end
    core.reply(handle, 503, "", "", "", -1, core.REPLY_CLOSE)
    release(request)
    ioloop.cancel_root(request, request.coroutine, util.TimeoutError("handler_timeout"))
end

ioloop.on(core.EVENT_GONE, function(handle)
    local request = find(handle)
    if not request then return end
    if request.closed then return request:notify() end
    -- C has no deadline any more for a request without a connection.
    enter(request)
    ioloop.leave_scope()
    local seconds = httpserver.option_of(request, "handler_timeout") or httpserver.handler_timeout
    request.closed = ioloop.call_later(seconds, out_of_time, handle)
    request:notify()
    local delegate = request.delegate
    if delegate then delegate:on_gone() end
end)

ioloop.on(core.EVENT_TIMEOUT, out_of_time)

-- HTTPServer -----------------------------------------------------------------------

local HTTPServer = util.Object:extend "HTTPServer"
httpserver.HTTPServer = HTTPServer

-- Limits that a server may have of its own (see ctornado.conf).
local LIMITS = {
    "max_line_size", "max_header_size", "max_fields", "max_body_size", "body_buffer_size",
    "write_buffer_size", "header_timeout", "body_timeout", "body_min_rate", "idle_timeout",
    "write_timeout", "write_min_rate", "handler_timeout", "max_connections_per_ip",
    "max_keepalive_requests",
}

-- Options of Tornado's that have no meaning here, and what does.
local OTHERS = {
    chunk_size = "pieces of a body are as large as they come; see body_buffer_size",
    max_buffer_size = "input is not read before it is asked for; see max_body_size",
}

local OPTIONS = {
    no_keep_alive = false, xheaders = false, trusted_downstream = util.NONE, proxy_protocol = false,
    protocol = util.NONE, decompress_request = false, idle_connection_timeout = util.NONE,
    ssl_options = util.NONE,
}
for _, name in ipairs(LIMITS) do OPTIONS[name] = util.NONE end

local function check_limits(options)
    for _, name in ipairs(LIMITS) do
        local value = options[name]
        if value ~= nil and (type(value) ~= "number" or value ~= value or value < 0) then
            error(("bad %s: expected a number that is not negative, got %s"):format(name,
                tostring(value)), 5)
        end
    end
end

local function check_options(options)
    for name, text in pairs(OTHERS) do
        if options and options[name] ~= nil then error(name .. ": " .. text, 4) end
    end
    options = util.options(options, OPTIONS, "HTTPServer", 2)
    options.idle_timeout = options.idle_timeout or options.idle_connection_timeout
    if options.no_keep_alive then options.max_keepalive_requests = 1 end
    check_limits(options)
    local networks, bad = proxy.networks(options.trusted_downstream or {})
    if not networks then
        error(("bad trusted_downstream: expected IP addresses and networks (10.0.0.0/8), got %s")
            :format(tostring(bad)), 4)
    end
    options.trusted_downstream = networks
    return options
end

-- Whether a server's requests ask for its options. Others are served without knowing it.
local function is_special(options)
    return options.xheaders or options.protocol or options.decompress_request or
        options.max_body_size or options.handler_timeout
end

local function specially(self, callback)
    special = true
    local options = self.options
    return function(request)
        if options.protocol then request.protocol = options.protocol end
        if options.xheaders then proxy.apply(request, options.trusted_downstream) end
        return callback(request)
    end
end

local function callback_of(application)
    if type(application) == "function" then return application end
    if type(application) == "table" and application.start_request then
        return function(request)
            local delegate = application:start_request(request)
            if delegate then return httpserver.serve(request, delegate) end
        end
    end
    error("bad application: expected web.Application or function, got " ..
        type(application), 4)
end

--- Takes an application, or a function(request), which gets the request when its head is here
--- (Tornado: with its body; see request:collect_body()). Options, as Tornado's: no_keep_alive,
--- xheaders and trusted_downstream (see httputil/proxy.lua: a list of addresses and networks whose
--- word on X-Real-Ip, X-Forwarded-For, X-Forwarded-Proto and X-Scheme is believed; this machine's
--- always is), proxy_protocol (each connection begins with that header, of version 1 or 2, from one
--- of them, or is closed; not with ssl_options), protocol ("https" behind a proxy that says
--- nothing), decompress_request, idle_connection_timeout, ssl_options (see
--- netutil.tls.ssl_options_to_context()); and these of ctornado.conf, for this server alone:
--- max_line_size, max_header_size, max_fields, max_body_size, body_buffer_size, write_buffer_size
--- (bytes), header_timeout, body_timeout, idle_timeout, write_timeout, handler_timeout (seconds),
--- body_min_rate, write_min_rate (bytes a second), max_connections_per_ip, max_keepalive_requests.
--- Raises for others.
function HTTPServer:init(application, options)
    self.application = application
    self.options = check_options(options)
    self.callback = callback_of(application)
    if is_special(self.options) then self.callback = specially(self, self.callback) end
    self.listeners = {} -- open: those of listen() and add_socket()
    self._bound = {}    -- those of bind() that wait for start()
    self._ending = {}   -- closed, with connections: a set
    if self.options.ssl_options then self._tls = tls.new(self.options.ssl_options, 3) end
end

local function is_debug(application)
    if type(application) ~= "table" then return false end
    for _, mount in ipairs(application.list or { { app = application } }) do
        if mount.app.settings and mount.app.settings.debug then return true end
    end
    return false
end

--- Whether an address that was bound can only be reached from this machine.
function httpserver.is_local(address)
    if address:find("^unix:") then return true end
    local host = address:match("^%[(.*)%]:%d+$") or address:match("^(.*):%d+$")
    return host ~= "0.0.0.0" and proxy.is_local(host)
end

local function open(address)
    local listener, why = core.listen(address)
    if not listener then error(why, 0) end
    return listener
end

local function with_port(port, address)
    return (address or "127.0.0.1") .. ":" .. port
end

--- Opens a TCP port (0: any free one) of `address` (default 127.0.0.1), without accepting yet.
-- Returns a list of sockets for add_sockets(): here, of one. Raises why not.
function httpserver.bind_sockets(port, address)
    local listener = open(with_port(port, address))
    core.listen_hold(listener, true)
    return { listener }
end

local function expect_proxy(self, listener)
    assert(core.listen_trust(listener, proxy.texts(self.options.trusted_downstream)))
    if self.options.proxy_protocol then core.listen_option(listener, "proxy_protocol", 1) end
end

--- Accepts on a socket of bind_sockets(), which is the server's from here on. Returns the address
-- bound.
function HTTPServer:add_socket(socket)
    local address = type(socket) == "number" and core.listen_address(socket)
    if not address or servers[socket] then
        error("bad socket: expected one of bind_sockets(), got " .. tostring(socket), 2)
    end
    for _, name in ipairs(LIMITS) do
        local value = self.options[name]
        if value then core.listen_option(socket, name, value) end
    end
    if self._tls then tls.begin(self._tls, socket) end
    expect_proxy(self, socket)
    servers[socket] = self
    self.listeners[#self.listeners + 1] = socket
    if is_debug(self.application) and not httpserver.is_local(address) then
        log.gen_log:warning("DEBUG IS ON, and %s can be reached from other machines: a request " ..
            "that fails shows source code and the values of variables, to clients of this " ..
            "machine and to all that a proxy on it serves (to everybody with serve_traceback). " ..
            "Listen on 127.0.0.1, or turn debug off.", address)
    end
    core.listen_hold(socket, false)
    return address
end

--- As add_socket(), for a list.
function HTTPServer:add_sockets(sockets)
    for _, socket in ipairs(sockets) do self:add_socket(socket) end
end

--- Listens on an address: "PORT", "HOST:PORT", "[V6]:PORT" or "unix:/PATH". Raises why not.
-- Returns the address bound.
function HTTPServer:listen_on(address)
    local bound = self:add_socket(open(address))
    return bound
end

--- Listens on a TCP port (0: any free one) of `address` (default 127.0.0.1). Returns the address
-- bound.
function HTTPServer:listen(port, address)
    return self:listen_on(with_port(port, address))
end

--- Opens a port as listen() does, but clients wait until start() is called.
function HTTPServer:bind(port, address)
    local listener = open(with_port(port, address))
    core.listen_hold(listener, true)
    self._bound[#self._bound + 1] = listener
    return core.listen_address(listener)
end

--- Accepts on what was bound.
-- Tornado: may fork; here it takes nothing but 1.
function HTTPServer:start(processes)
    if processes ~= nil and processes ~= 1 then
        error("bad processes: expected 1, since processes are the server's option workers, got " ..
            tostring(processes), 2)
    end
    local bound = self._bound
    self._bound = {}
    self:add_sockets(bound)
end

--- Takes clients without a socket, for tests: each call makes one, whose address is `ip`. Returns
-- its channel (core.channel_send() and the others).
function HTTPServer:connect_inside(ip)
    if not self._inside then
        self._inside = assert(core.listen(nil))
        servers[self._inside] = self
        self.listeners[#self.listeners + 1] = self._inside
        for _, name in ipairs(LIMITS) do
            local value = self.options[name]
            if value then core.listen_option(self._inside, name, value) end
        end
        expect_proxy(self, self._inside)
    end
    local channel, why = core.listen_pair(self._inside, ip)
    return channel or error(util.Error("%s", why), 0)
end

--- Accepts no more clients; connections go on. With `drop`, they end.
function HTTPServer:stop(drop)
    for _, listener in ipairs(self._bound) do core.listen_close(listener) end
    for _, listener in ipairs(self.listeners) do
        self._ending[listener] = true
        core.listen_close(listener)
    end
    self.listeners, self._bound, self._inside = {}, {}, nil
    if self._tls then tls.finish(self._tls) end
    if not drop then return end
    for listener in pairs(self._ending) do
        core.listen_close(listener, true)
        servers[listener] = nil
    end
    self._ending = {}
end

-- Closing connections ----------------------------------------------------------------

local drains = {} -- listener -> set of waiters

ioloop.on(core.EVENT_ENDED, function(listener)
    local server = servers[listener]
    if server and server._ending[listener] then
        server._ending[listener] = nil
        servers[listener] = nil
    end
    local waiters = drains[listener]
    drains[listener] = nil
    for waiter in pairs(waiters or {}) do ioloop.wake(waiter) end
end)

local function forget(listener, waiter)
    if drains[listener] then drains[listener][waiter] = nil end
end

local function wait_for_end(listener, deadline)
    while core.listen_drain(listener, true) == core.AGAIN do
        local waiter = ioloop.waiter()
        drains[listener] = drains[listener] or {}
        drains[listener][waiter] = true
        local left = deadline and math.max(0, deadline - core.precise())
        ioloop.wait_for(waiter, left, forget, listener, waiter)
    end
end

local enders = {} -- functions

--- Has fn(server) called when a server is about to close its connections: it ends those that have
-- no end of their own.
function httpserver.on_closing(fn)
    enders[#enders + 1] = fn
end

--- Ends the replies that have no end of their own (event streams). Others go on.
function HTTPServer:end_streams()
    for _, fn in ipairs(enders) do fn(self) end
end

--- Closes all connections: at once where no request is under way, else behind its reply; event
-- streams end. Waits until none is left, at most `seconds` (default: no limit but those of the
-- requests), and raises TimeoutError then. Call stop() first, or new ones keep it waiting. What
-- has left HTTP (detach()) is not touched.
-- Tornado: cuts requests that are under way.
function HTTPServer:close_all_connections(seconds)
    local deadline = seconds and core.precise() + seconds
    self:end_streams()
    local all = {}
    for _, listener in ipairs(self.listeners) do all[#all + 1] = listener end
    for listener in pairs(self._ending) do all[#all + 1] = listener end
    for _, listener in ipairs(all) do core.listen_drain(listener, true) end
    for _, listener in ipairs(all) do wait_for_end(listener, deadline) end
end

--- After stop(): closes idle connections, and has the others end with the reply under way. What has
-- begun to come is answered. Does not wait.
function HTTPServer:drain()
    for listener in pairs(self._ending) do core.listen_drain(listener) end
end

--- After stop(): has each connection end with its next reply, an idle one too, so that a client
-- that sends just now is answered. Does not wait.
function HTTPServer:fade()
    for listener in pairs(self._ending) do core.listen_fade(listener) end
end

--- Reads the files of ssl_options again, for connections to come. Raises SSLError, and nothing has
-- changed.
function HTTPServer:reload_certificates()
    if not self._tls then error("reload_certificates: the server has no ssl_options", 2) end
    tls.reload(self._tls)
end

--- The certificates of ssl_options, as SSLContext:certificates() has them; none for plain HTTP.
function HTTPServer:certificates()
    return self._tls and self._tls.context:certificates() or {}
end

--- A function(request) for an HTTPServer of its own, which sends clients to the same place over
-- HTTPS on `port` (default 443).
function httpserver.redirect_to_https(port)
    return tls.redirect(port or 443, release)
end

--- How many requests Lua holds.
function httpserver.live_count()
    local n = 0
    for _ in pairs(live) do n = n + 1 end
    return n
end

return httpserver
