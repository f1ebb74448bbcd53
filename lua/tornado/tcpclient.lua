-- Connections to a host by its name: all its addresses, both families at once if the first is slow
-- (RFC 8305, with Tornado's times). Tornado's tcpclient.
local address = require "tornado.netutil.address"
local core = require "tornado.core"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local iostream = require "tornado.iostream"
local netutil = require "tornado.netutil"
local util = require "tornado.util"

local tcpclient = {}

local HEAD_START = 0.3 -- seconds that the first family has
local RESOLUTION_DELAY = 0.05 -- seconds that IPv4's answer waits for IPv6's (RFC 8305 §3)

-- Attempts ------------------------------------------------------------------------------------

--- What one call of connect() tries. `primary` and `secondary`: addresses of the first result's
--- family, and the others. More may be added while it runs.
local Attempts = util.Object:extend "Attempts"
tcpclient._Attempts = Attempts

function Attempts:init(results, open)
    self.open = open -- function(result, stream): connects
    self.primary, self.secondary = {}, {}
    self.left = 0     -- addresses that were not tried to the end
    self.coming = {}  -- family -> the task that asks for it, or false: it begins
    self.streams = {} -- that are connecting
    self.stream_options = nil
    self:add(results)
end

--- Adds addresses, before the list that they belong to has begun.
function Attempts:add(results)
    for _, result in ipairs(results) do
        self.family = self.family or result.family
        local list = result.family == self.family and self.primary or self.secondary
        list[#list + 1] = result
    end
    self.left = self.left + #results
end

local function remove_timer(self, name)
    if self[name] then ioloop.remove_timeout(self[name]) end
    self[name] = nil
end

-- The second family may begin: its time has come, or the first has failed once.
local function start_secondary(self)
    remove_timer(self, "timer")
    self.both = true
    if self.second or #self.secondary == 0 then return end
    self.second = true
    ioloop.start(self.try, self, self.secondary)
end

-- Begins with what there is and may begin.
local function start(self)
    remove_timer(self, "delay")
    if self.both then return start_secondary(self) end
    if self.first or #self.primary == 0 then return end
    self.first = true
    if #self.secondary > 0 or next(self.coming) then
        self.timer = ioloop.call_later(HEAD_START, start_secondary, self)
    end
    ioloop.start(self.try, self, self.primary)
end

--- Stops everything that is under way; safe at any time.
function Attempts:stop()
    self.over = true
    remove_timer(self, "timer")
    remove_timer(self, "delay")
    for _, task in pairs(self.coming) do
        if task then task:cancel() end
    end
    for stream in pairs(self.streams) do stream:close() end
end

local function settle(self, stream)
    if self.over then return stream and stream:close() end
    self.over = true
    self:stop()
    ioloop.wake(self.waiter, stream)
end

--- Tries the addresses of a list, one after the other.
function Attempts:try(list)
    for _, result in ipairs(list) do
        if self.over then return end
        local stream = iostream.IOStream(nil, self.stream_options)
        self.streams[stream] = true
        local ok, err = pcall(self.open, result, stream)
        self.streams[stream] = nil
        self.left = self.left - 1
        if ok then return settle(self, stream) end
        stream:close()
        self.last_error = err
        if self.left == 0 and not next(self.coming) then return settle(self, nil) end
        if not self.over then start_secondary(self) end
    end
end

-- What the resolver said of one family. Its error is told if there is no other.
local function on_answer(self, family, ok, results)
    self.coming[family] = nil
    if self.over then return end
    if ok then
        if family == "inet6" and #results > 0 and not self.first then -- it goes in front
            self.family, self.primary, self.secondary = family, {}, self.primary
        end
        self:add(results)
    elseif not self.last_error or self.last_error.code == "NODATA" then
        self.last_error = results
    end
    if self.left == 0 and not next(self.coming) then return settle(self, nil) end
    if family == "inet" and self.coming.inet6 ~= nil and not self.first then
        self.delay = ioloop.call_later(RESOLUTION_DELAY, start, self)
    else
        start(self)
    end
end

-- Asks for one family. What begins with the answer belongs to who connects, as `context` says.
local function ask(self, resolver, host, port, family, context)
    local ok, results = pcall(resolver.resolve, resolver, host, port, family)
    local list = {}
    for _, result in ipairs(ok and results or list) do
        if result.family == family then list[#list + 1] = result end
    end
    local before = ioloop.enter(context)
    on_answer(self, family, ok, ok and list or results)
    ioloop.enter(before)
end

--- Has both families asked for, separately: a server that says nothing of one does not hold up the
--- other.
function Attempts:resolve(resolver, host, port)
    self.waiter = ioloop.waiter()
    self.coming = { inet6 = false, inet = false }
    for _, family in ipairs { "inet6", "inet" } do
        local task = gen.spawn(ask, self, resolver, host, port, family, ioloop.context())
        if self.coming[family] ~= nil then self.coming[family] = task end
    end
end

--- Returns the first stream that is connected, or raises the last error.
function Attempts:run(timeout)
    self.waiter = self.waiter or ioloop.waiter()
    if not self.over then start(self) end
    local stream = ioloop.wait_for(self.waiter, timeout, self.stop, self)
    return stream or error(self.last_error or util.Error("the name has no address"), 0)
end

-- The client ------------------------------------------------------------------------------------

local TCPClient = util.Object:extend "TCPClient"
tcpclient.TCPClient = TCPClient

--- Takes a resolver: an object with resolve(host, port, family), which returns a list of
--- { family =, address =, port = }; nil: netutil.Resolver().
function TCPClient:init(resolver)
    self._own = resolver == nil
    self.resolver = resolver or netutil.Resolver()
end

-- Asks in a coroutine of its own, so that the wait for it can end first.
local function resolve(self, host, port, family, timeout)
    local waiter = ioloop.waiter()
    local ok, results
    ioloop.start(function()
        ok, results = pcall(self.resolver.resolve, self.resolver, host, port, family)
        ioloop.wake(waiter)
    end)
    ioloop.wait_for(waiter, timeout)
    return ok and results or error(results, 0)
end

-- Whether both families are asked for by themselves: of names, by resolvers that know families.
local function asks_both(self, host, family)
    return (family == nil or family == netutil.AF_UNSPEC) and host:sub(1, 5) ~= "unix:"
        and not netutil.is_valid_ip(host) and util.isinstance(self.resolver, netutil.Resolver)
end

local OPTIONS = {
    af = util.NONE, ssl_options = util.NONE, server_hostname = util.NONE, timeout = util.NONE,
    max_buffer_size = util.NONE, read_chunk_size = util.NONE, max_write_buffer_size = util.NONE,
    source_ip = util.NONE, source_port = util.NONE,
}

-- The address to come from, or nil; a port alone is one of the loopback interface.
local function source_of(options, result)
    if not options.source_ip and not options.source_port then return nil end
    local loopback = result.family == "inet6" and "::1" or "127.0.0.1"
    return address.join(options.source_ip or loopback, options.source_port or 0)
end

-- The stream with TLS; closed when that fails.
local function secure(stream, ssl_options, host, timeout)
    local ok, result = pcall(stream.start_tls, stream, false, ssl_options, host,
        { timeout = timeout })
    if ok then return result end
    stream:close()
    error(result, 0)
end

--- Connects to a host's port; returns an IOStream. Options: timeout (seconds from now, for all of
--- it), af (netutil.AF_*), source_ip, source_port, and IOStream's; ssl_options (see start_tls())
--- for an SSLIOStream, and server_hostname, if it is not `host` whom the certificate must name.
--- Raises the last address' StreamClosedError, TimeoutError, SSLError, what the resolver raises.
function TCPClient:connect(host, port, options)
    options = util.options(options, OPTIONS, "connect")
    if type(host) ~= "string" then error("bad host: expected string, got " .. type(host), 2) end
    if type(port) ~= "number" then error("bad port: expected number, got " .. type(port), 2) end
    local deadline = options.timeout and core.precise() + options.timeout
    local function left()
        return deadline and math.max(0, deadline - core.precise())
    end
    local attempts = Attempts({}, function(result, stream)
        stream:connect({ result.address, result.port }, { source = source_of(options, result) })
    end)
    attempts.stream_options = {
        max_buffer_size = options.max_buffer_size, read_chunk_size = options.read_chunk_size,
        max_write_buffer_size = options.max_write_buffer_size,
    }
    if asks_both(self, host, options.af) then
        attempts:resolve(self.resolver, host, port)
    else
        local results = resolve(self, host, port, options.af, left())
        if #results == 0 then error(util.Error("%s has no address", host), 0) end
        attempts:add(results)
    end
    local stream = attempts:run(left())
    if options.ssl_options then
        return secure(stream, options.ssl_options, options.server_hostname or host, left())
    end
    return stream
end

--- Closes the resolver that it made itself, not what is open.
function TCPClient:close()
    if self._own then self.resolver:close() end
end

return tcpclient
