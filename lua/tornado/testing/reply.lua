-- Reads HTTP replies, strictly: what a careless client would forgive is an error here.
-- Works on any source with take_until(mark), take(n) and take_rest().
local core = require "tornado.core"
local escape = require "tornado.escape"
local cookies = require "tornado.httputil.cookies"
local HTTPHeaders = require "tornado.httputil.headers"
local util = require "tornado.util"

local reply = {}

local BrokenReply = util.Error:extend "BrokenReply"

--- Raised for a reply that is malformed, or cut off.
reply.BrokenReply = BrokenReply

local Response = util.Object:extend "Response"
reply.Response = Response

--- The body's JSON value.
function Response:json()
    return escape.json_decode(self.body)
end

function Response:__tostring()
    return self.head .. self.body
end

local function broken(text, ...)
    error(BrokenReply(text, ...), 0)
end

local function parse_status(line)
    local version, code, reason =
        line:match("^(HTTP/1%.[01]) ([1-9]%d%d) ([\t\32-\126\128-\255]*)$")
    if not version then broken("bad status line %q", line) end
    return version, tonumber(code), reason
end

local function parse_fields(block)
    local headers = HTTPHeaders()
    for line in block:gmatch("(.-)\r\n") do
        local name, value = line:match("^([^:]+):[ \t]*(.-)[ \t]*$")
        if not name or not core.is_token(name) or not core.is_field_value(value) then
            broken("bad field line %q", line)
        end
        headers:add(name, value)
    end
    return headers
end

local function read_head(source)
    local text = source:take_until("\r\n\r\n")
    if text:gsub("\r\n", ""):find("[\r\n%z]") then broken("stray CR, LF or NUL in %q", text) end
    local line, rest = text:match("^(.-)\r\n(.*)\r\n$")
    local response = Response()
    response.head = text
    response.version, response.code, response.reason = parse_status(line)
    response.headers = parse_fields(rest)
    return response
end

-- Chunks, without extensions and trailers, which nobody here sends.
local function read_chunks(source)
    local pieces = {}
    while true do
        local line = source:take_until("\r\n")
        local digits = line:match("^(%x+)\r\n$")
        if not digits then broken("bad chunk size %q", line) end
        local size = tonumber(digits, 16)
        if size > 0 then pieces[#pieces + 1] = source:take(size) end
        local ending = source:take(2)
        if ending ~= "\r\n" then broken("a chunk ends with %q", ending) end
        if size == 0 then return table.concat(pieces), #pieces end
    end
end

local function content_length(headers)
    local values = headers:get_list("Content-Length")
    if #values == 0 then return nil end
    if #values > 1 or not values[1]:find("^%d+$") then
        broken("bad Content-Length %s", table.concat(values, ", "))
    end
    return tonumber(values[1])
end

local function read_body(source, response, method)
    local headers, code = response.headers, response.code
    local length, coding = content_length(headers), headers:get("Transfer-Encoding")
    if length and coding then broken("both Content-Length and Transfer-Encoding") end
    if coding and coding:lower() ~= "chunked" then broken("bad Transfer-Encoding %s", coding) end
    if code == 204 or code < 200 then
        if length or coding then broken("a %d with a body's length", code) end
        return ""
    end
    if method == "HEAD" or code == 304 then return "" end
    if coding then
        if response.version == "HTTP/1.0" then broken("chunked in HTTP/1.0") end
        local body
        body, response.chunks = read_chunks(source)
        return body
    end
    if length then return source:take(length) end
    return source:take_rest()
end

-- Name -> value of the cookies that a reply sets.
local function cookies_of(response)
    local found = {}
    for _, line in ipairs(response.headers:get_list("Set-Cookie")) do
        for name, value in pairs(cookies.parse(line:match("^[^;]*"))) do found[name] = value end
    end
    return found
end

--- Reads one reply to a request with that method; interim ones (1xx, but 101) come in its
--- list `interim`.
function reply.read(source, method)
    local interim = {}
    local response = read_head(source)
    while response.code < 200 and response.code ~= 101 do
        interim[#interim + 1] = response
        response = read_head(source)
    end
    response.interim = interim
    response.body = read_body(source, response, method)
    response.cookies = cookies_of(response)
    return response
end

return reply
