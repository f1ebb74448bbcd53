-- The HTTP server: listeners and what their requests are given to. An application
-- is anything with `start_request(request)`, or a function(request).
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local util = require "tornado.util"
local HTTPServerRequest = require "tornado.httputil.request"

local band = bit.band
local new_table = require "table.new"
local barrier, pumping = core.barrier, ioloop.pumping

local httpserver = {}

local SLOT_MASK = 0xfffff -- of a handle: its slot (core/base/slots.h)

local servers = {} -- listener -> HTTPServer
local live = new_table(512, 0) -- slot -> request whose handle Lua holds; an array for most

--- What a body may have when neither the application nor its handler says: bytes.
httpserver.max_body_size = 1048576

--- How long a handler may go on when its client has left: seconds.
httpserver.handler_timeout = 60

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

local function on_request(handle, event)
    local server = servers[event.owner]
    local request = HTTPServerRequest.from_event(handle, event, pumping())
    live[band(handle, SLOT_MASK)] = request
    if not server then return release(request) end
    server.callback(request)
    barrier() -- a trace cannot return through the xpcall that this is called by
end

-- A request whose application raised: the delegate (a handler) answers, or a bare 500 does.
local function on_failure(handle, err, traceback)
    local request = find(handle)
    if not request then
        log.app_log:error("Uncaught exception: " .. (traceback or tostring(err)))
        return
    end
    local delegate = request.delegate
    if delegate then return delegate:on_exception(err, traceback) end
    log.app_log:error("Uncaught exception %s", traceback or tostring(err))
    core.reply(handle, 500, "", "", "", -1, core.REPLY_CLOSE)
    release(request)
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
end

ioloop.on(core.EVENT_GONE, function(handle)
    local request = find(handle)
    if not request then return end
    if request.closed then return request:notify() end
    -- C has no deadline any more for a request without a connection.
    request.closed = ioloop.call_later(httpserver.handler_timeout, out_of_time, handle)
    request:notify()
    local delegate = request.delegate
    if delegate then delegate:on_gone() end
end)

ioloop.on(core.EVENT_TIMEOUT, out_of_time)

-- HTTPServer -----------------------------------------------------------------------

local HTTPServer = util.Object:extend "HTTPServer"
httpserver.HTTPServer = HTTPServer

--- Takes an application, or a function(request).
function HTTPServer:init(application)
    self.listeners = {}
    if type(application) == "function" then
        self.callback = application
    elseif type(application) == "table" and application.start_request then
        self.callback = function(request) return application:start_request(request) end
    else
        error("bad application: expected web.Application or function, got " ..
            type(application), 2)
    end
end

--- Listens on an address: "PORT", "HOST:PORT", "[V6]:PORT" or "unix:/PATH". Raises why not.
-- Returns the address bound.
function HTTPServer:listen_on(address)
    local listener, why = core.listen(address)
    if not listener then error(why, 0) end
    servers[listener] = self
    self.listeners[#self.listeners + 1] = listener
    return core.listen_address(listener)
end

--- Listens on a TCP port (0: any free one) of `address` (default 127.0.0.1).
function HTTPServer:listen(port, address)
    return self:listen_on((address or "127.0.0.1") .. ":" .. port)
end

--- Accepts no more clients; connections go on. With `drop`, they end.
function HTTPServer:stop(drop)
    for _, listener in ipairs(self.listeners) do
        core.listen_close(listener, drop)
        if drop then servers[listener] = nil end
    end
    self.listeners = {}
end

--- How many requests Lua holds.
function httpserver.live_count()
    local n = 0
    for _ in pairs(live) do n = n + 1 end
    return n
end

return httpserver
