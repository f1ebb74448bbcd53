-- A server for the length of a case, and requests to it.
local case = require "tornado.testing.case"
local Connection = require "tornado.testing.connection"
local HTTPHeaders = require "tornado.httputil.headers"
local httpserver = require "tornado.httpserver"
local lifecycle = require "tornado.web.lifecycle"
local util = require "tornado.util"

local Server = util.Object:extend "Server"

--- See testing.serve().
function Server:init(application, options)
    options = util.options(options, {
        unix = util.NONE, socket = true, remote_ip = "127.0.0.1", server = util.NONE,
    }, "serve", 1)
    self.application = application
    self.http = httpserver.HTTPServer(application, options.server)
    self.unix = options.unix
    self.remote_ip = not options.socket and options.remote_ip
    self.address = "localhost"
    if options.socket then
        self.address = self.http:listen_on(self.unix and "unix:" .. self.unix or "127.0.0.1:0")
    end
    self.port = tonumber(self.address:match(":(%d+)$"))
    self.connections = {}
    case.finally(function() self:stop() end)
    local ok, why = lifecycle.start(application)
    if not ok then error(why, 4) end
end

--- A Connection to it, closed with it.
function Server:connect(timeout)
    local channel = self.remote_ip and self.http:connect_inside(self.remote_ip)
    local connection = Connection(self.address, timeout, channel)
    self.connections[#self.connections + 1] = connection
    return connection
end

local FETCH = {
    method = util.NONE, headers = util.NONE, body = util.NONE, timeout = util.NONE, http10 = false,
    raw = util.NONE,
}

local function compose(self, path, options)
    local headers = HTTPHeaders(options.headers or {})
    local minor = options.http10 and 0 or 1
    local lines = { ("%s %s HTTP/1.%d\r\n"):format(options.method, path, minor) }
    if not headers:has("Host") then
        lines[2] = "Host: " .. (self.unix and "localhost" or self.address) .. "\r\n"
    end
    for name, value in headers:get_all() do
        lines[#lines + 1] = name .. ": " .. value .. "\r\n"
    end
    if options.body and not headers:has("Content-Length") then
        lines[#lines + 1] = ("Content-Length: %d\r\n"):format(#options.body)
    end
    lines[#lines + 1] = "\r\n"
    lines[#lines + 1] = options.body or ""
    return table.concat(lines)
end

--- Sends one request over a connection of its own; returns the response: code, reason, version,
--- headers (HTTPHeaders), cookies (a map of those set), body, json(). Options: method ("GET", with
--- a body "POST"), headers (a map or a list of pairs), body, timeout (the case's), http10, raw
--- (send these bytes instead).
function Server:fetch(path, options)
    options = util.options(options, FETCH, "fetch")
    options.method = options.method or options.body and "POST" or "GET"
    local connection = self:connect(options.timeout)
    connection:send(options.raw or compose(self, path, options))
    local response = connection:read_response { method = options.method }
    connection:close()
    return response
end

Server.FETCH = FETCH

--- Closes the listener and all connections, from both sides; then the application's on_stop runs.
function Server:stop()
    for _, connection in ipairs(self.connections) do connection:close() end
    self.connections = {}
    self.http:stop(true)
    if self.unix then os.remove(self.unix) end
    lifecycle.stop(self.application)
end

return Server
