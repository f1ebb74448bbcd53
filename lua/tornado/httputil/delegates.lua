-- The interfaces between a server and what answers its requests, for applications that are no
-- web.Application: a server asks a HTTPServerConnectionDelegate for a HTTPMessageDelegate for
-- each request, gives the request to it piece by piece, and has the answer from it through
-- request.connection, a HTTPConnection (httpserver/connection.lua).
local util = require "tornado.util"

local delegates = {}

local function missing(self, name)
    error(tostring(self.class) .. ":" .. name .. " is not implemented", 3)
end

--- The application.
-- Tornado: start_request() gets the connections of server and request, which are request.connection
-- here; there is no on_close(): connections without a request are C's alone.
delegates.HTTPServerConnectionDelegate = util.Object:extend "HTTPServerConnectionDelegate"

--- Gets an HTTPServerRequest whose head is here; returns the HTTPMessageDelegate for it.
function delegates.HTTPServerConnectionDelegate:start_request(request) -- luacheck: ignore 212
    missing(self, "start_request")
end

--- What gets one request. Each method may wait, or return a Future, before the next is called.
delegates.HTTPMessageDelegate = util.Object:extend "HTTPMessageDelegate"
local HTTPMessageDelegate = delegates.HTTPMessageDelegate

-- luacheck: push ignore 212
--- Gets { method, path, version } and HTTPHeaders.
function HTTPMessageDelegate:headers_received(start_line, headers) end

--- Gets a piece of the body.
function HTTPMessageDelegate:data_received(chunk) end

--- Comes when the request is complete.
function HTTPMessageDelegate:finish() end

--- Comes instead of finish(), or behind it, when the client leaves before the answer is complete.
function HTTPMessageDelegate:on_connection_close() end

--- What sends the answer.
delegates.HTTPConnection = util.Object:extend "HTTPConnection"

--- Takes { code =, reason = } (see ResponseStartLine), HTTPHeaders (or nil), and maybe a first
--- piece of the body.
function delegates.HTTPConnection:write_headers(start_line, headers, chunk)
    missing(self, "write_headers")
end

--- Takes a piece of the body.
function delegates.HTTPConnection:write(chunk) missing(self, "write") end

--- Ends the answer.
function delegates.HTTPConnection:finish() missing(self, "finish") end
-- luacheck: pop

--- { version =, code =, reason = }.
function delegates.ResponseStartLine(version, code, reason)
    return { version = version, code = code, reason = reason }
end

--- { method =, path =, version = }.
function delegates.RequestStartLine(method, path, version)
    return { method = method, path = path, version = version }
end

return delegates
