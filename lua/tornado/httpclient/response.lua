-- A response. What few look at (headers, reason, times) is made when it is asked for.
local errors = require "tornado.httpclient.errors"
local escape = require "tornado.escape"
local HTTPHeaders = require "tornado.httputil.headers"
local responses = require "tornado.httputil.responses"
local util = require "tornado.util"

local HTTPResponse = util.Object:extend "HTTPResponse"

local getters = {}

-- The body came decoded: the field that said how it was is renamed, as Tornado does.
local function rename_coding(headers)
    local coding = headers:get("Content-Encoding")
    local known = coding and coding:lower()
    if known ~= "gzip" and known ~= "x-gzip" then return end
    headers:set("X-Consumed-Content-Encoding", coding)
    headers:remove("Content-Encoding")
end

function getters:headers()
    local head = self._head or ""
    local headers = HTTPHeaders.parse(head:match("\r\n(.*)$") or "")
    if self._decoded then rename_coding(headers) end
    return headers
end

function getters:reason()
    local text = (self._head or ""):match("^HTTP/[%d.]+ %d+ ([^\r]*)")
    return text and text ~= "" and text or responses[self.code] or "Unknown"
end

function getters:buffer()
    return self.body
end

function getters:error()
    if self.code >= 200 and self.code < 300 then return nil end
    return errors.HTTPClientError(self.code, self.reason, self)
end

HTTPResponse.__index = function(self, key)
    local getter = getters[key]
    if not getter then return HTTPResponse[key] end
    local value = getter(self)
    rawset(self, key, value)
    return value
end

--- Made by fetches. Fields: request, code, reason, headers (HTTPHeaders), body, effective_url,
--- version ("HTTP/1.1"), error (or nil), request_time (seconds, of the last hop), start_time (wall
--- clock), time_info (seconds by name: queue, namelookup, connect, appconnect, pretransfer,
--- starttransfer, total, redirect), buffer (the body).
function HTTPResponse:init(request, code)
    self.request = request
    self.code = code
end

--- Raises `error` if there is one.
function HTTPResponse:rethrow()
    local err = self.error
    if err then error(err, 0) end
end

--- The body's JSON value.
function HTTPResponse:json()
    return escape.json_decode(self.body)
end

function HTTPResponse:__tostring()
    return ("HTTPResponse(%d, %s)"):format(self.code, self.effective_url)
end

return HTTPResponse
