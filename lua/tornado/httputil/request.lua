-- The request as handlers see it. A handle and two strings are all that is made at
-- once; headers, arguments, body and the rest are fetched from C when first asked
-- for. After the handler has ended (Lua has released the handle) what was never
-- asked for is empty.
local core = require "tornado.core"
local escape = require "tornado.escape"
local ioloop = require "tornado.ioloop"
local cookies = require "tornado.httputil.cookies"
local HTTPHeaders = require "tornado.httputil.headers"
local HTTPInputError = require("tornado.httputil.errors").HTTPInputError
local lines = require "tornado.httputil.lines"
local multipart = require "tornado.httputil.multipart"
local tracing = require "tornado.tracing"

local band, find, sub = bit.band, string.find, string.sub
local rawset, setmetatable = rawset, setmetatable

local HAS_BODY, TLS = core.REQUEST_BODY, core.REQUEST_TLS
local FORM = "application/x-www-form-urlencoded"
local MULTIPART = "multipart/form-data"

local MAX_ARGUMENTS = 1000 -- more are an error, never cut off silently

-- protocol is another one where the server or a proxy (httputil/proxy.lua) says so; _events is the
-- event stream that answers it. The last four are those of a context (see
-- ioloop.lua): a request is its handler's.
--- A request, as handlers have it in self.request.
local HTTPServerRequest = {
    __name = "HTTPServerRequest", protocol = "http", _events = false, kept = false,
    _scope = false, _values = false, _root = true, _free = false,
}

-- Headers: single fields come straight from C, everything else from a real
-- HTTPHeaders, made when it is first needed.

local RequestHeaders = {}

-- A method of HTTPHeaders, called on all fields.
local function on_all(method)
    return function(self, ...) return method(self:all(), ...) end
end

RequestHeaders.__index = function(self, key)
    local own = RequestHeaders[key]
    if own then return own end
    local method = HTTPHeaders[key]
    if type(method) == "function" then return on_all(method) end
    return type(key) == "string" and self:get(key) or nil
end

--- The whole of the fields as an HTTPHeaders, which is kept.
function RequestHeaders:all()
    local all = self._all
    if all then return all end
    all = HTTPHeaders()
    local flat = self._flat or core.request_fields(self._handle)
    for i = 1, #flat, 2 do all:add(flat[i], flat[i + 1]) end
    self._all = all
    return all
end

--- The value of a field (several are joined with ","), or `default`.
function RequestHeaders:get(name, default)
    local all = self._all or self._flat and self:all()
    if all then return all:get(name, default) end
    local value, several = core.request_field(self._handle, name)
    if several then return self:all():get(name, default) end
    if value == nil then return default end
    return value
end

-- Fields made when first asked for -----------------------------------------------

local lazy = {}

local function load_info(self)
    local ip, started, minor = core.request_info(self.handle)
    rawset(self, "remote_ip", ip ~= "" and ip or false)
    rawset(self, "start_time", started or 0)
    rawset(self, "version", minor == 0 and "HTTP/1.0" or "HTTP/1.1")
end

function lazy.remote_ip(self)
    load_info(self)
    return self.remote_ip
end

function lazy.start_time(self)
    load_info(self)
    return self.start_time
end

function lazy.version(self)
    load_info(self)
    return self.version
end

function lazy.headers(self)
    local object = setmetatable({ _handle = self.handle, _all = false, _flat = false },
        RequestHeaders)
    return object
end

function lazy.host(self)
    local host = core.request_field(self.handle, "Host")
    return host and host ~= "" and host or "127.0.0.1"
end

-- An empty port is none (RFC 3986 §6.2.3).
-- Tornado: keeps the colon of "host:".
function lazy.host_name(self)
    return (lines.split_host_and_port(self.host:lower():match("^(.-):?$")))
end

function lazy.query(self)
    local query = sub(self.uri, #self.path + 2)
    return query
end

-- What a caller may call a request: nothing that would need quoting in a log.
local ID = "^[%w._-]+$"
local MAX_ID = 64

-- The caller's X-Request-Id, if it is sound.
local function given_id(self)
    local given, several = core.request_field(self.handle, "X-Request-Id")
    if given and not several and #given <= MAX_ID and find(given, ID) then return given end
end

--- It came through a proxy that is believed: so is what it calls the request.
function HTTPServerRequest:believe_id()
    self.id = given_id(self)
end

-- The caller's X-Request-Id, when the application's setting trust_request_id says that callers
-- are to be believed; or 16 random hex digits.
function lazy.id(self)
    local settings = self.delegate and self.delegate.settings
    local given = settings and settings.trust_request_id and given_id(self)
    return given or core.hex(core.random(8))
end

-- See tracing.lua: a Trace, or false.
lazy.trace = tracing.of

-- The HTTPServer that it came to; httpserver.lua says how to find it.
function HTTPServerRequest.find_server()
    return false
end

function lazy.server(self)
    return self.find_server(self)
end

function lazy.tls(self)
    return core.request_tls(self.handle) or false
end

function lazy.body(self)
    return core.body_get(self.handle) or ""
end

function lazy.files(self)
    local form = self._form
    return form and form.files or {}
end

local function add_lists(text, lists)
    local found = core.form_lists(text, MAX_ARGUMENTS, lists)
    if not found then error(HTTPInputError("too many arguments"), 0) end
    return found
end

-- An encoded body is refused, unless it has been decoded.
local function check_encoding(self)
    if core.request_field(self.handle, "Content-Encoding") and not self.decoded then
        error(HTTPInputError("Unsupported Content-Encoding"), 0)
    end
end

-- Methods with which a form that has no bytes at all is malformed.
local SENDS_FORM = { POST = true, PUT = true, PATCH = true }

-- The form of a multipart body: { arguments =, files = }, or false for another type and for a
-- body that is streamed. Raises HTTPInputError for a malformed one.
function lazy._form(self)
    if not self.has_body and not SENDS_FORM[self.method] then return false end
    local content_type = core.request_field(self.handle, "Content-Type")
    if not content_type or find(content_type, MULTIPART, 1, true) ~= 1 then return false end
    if self.delegate and self.delegate._stream_request_body then return false end
    check_encoding(self)
    local form = { arguments = {}, files = {} }
    multipart.parse(content_type, self.body, form.arguments, form.files)
    return form
end

--- Raises HTTPInputError when the body is a malformed multipart form, rather than when its
-- arguments are asked for. The body is here, or there is none.
function HTTPServerRequest:check_form()
    if not self.has_body and not SENDS_FORM[self.method] then return end
    local content_type = core.request_field(self.handle, "Content-Type")
    if content_type and find(content_type, MULTIPART, 1, true) == 1 then return self._form end
end

-- Whether the body is urlencoded; raises HTTPInputError for an encoded one.
local function body_is_form(self)
    if not self.has_body then return false end
    local content_type = core.request_field(self.handle, "Content-Type")
    if not content_type or find(content_type, FORM, 1, true) ~= 1 then return false end
    check_encoding(self)
    return true
end

local function append_all(lists, more)
    for name, values in pairs(more) do
        local list = lists[name] or {}
        lists[name] = list
        for i = 1, #values do list[#list + 1] = values[i] end
    end
    return lists
end

function lazy.query_arguments(self)
    return self.uri == self.path and {} or add_lists(self.query)
end

function lazy.body_arguments(self)
    if body_is_form(self) then return add_lists(self.body) end
    local form = self._form
    return form and append_all({}, form.arguments) or {}
end

function lazy.arguments(self)
    local lists = self.uri == self.path and {} or add_lists(self.query)
    if body_is_form(self) then return add_lists(self.body, lists) end
    local form = self._form
    return form and append_all(lists, form.arguments) or lists
end

function lazy.connection(self)
    return HTTPServerRequest.new_connection(self)
end

function lazy.cookies(self)
    local header, several = core.request_field(self.handle, "Cookie")
    if self.kept then header, several = self.headers:get("Cookie"), true end
    if header and several then header = table.concat(self.headers:get_list("Cookie"), "; ") end
    if not header then return {} end
    local found = cookies.parse(header)
    for name in pairs(found) do
        if not core.is_token(name) then found[name] = nil end
    end
    return found
end

local function index(self, key)
    local method = HTTPServerRequest[key]
    if method ~= nil then return method end
    local make = lazy[key]
    if not make then return nil end
    local value = make(self)
    rawset(self, key, value)
    return value
end

HTTPServerRequest.__index = index

function HTTPServerRequest:__tostring()
    return ("HTTPServerRequest(protocol='%s', host='%s', method='%s', uri='%s', version='%s', " ..
        "remote_ip='%s')"):format(self.protocol, self.host, self.method, self.uri, self.version,
        self.remote_ip or "None")
end

-- Of requests over TLS: the protocol as a ninth field would double each one's table.
local Secure = {
    __name = HTTPServerRequest.__name, __tostring = HTTPServerRequest.__tostring,
    __index = function(self, key)
        if key == "protocol" then return "https" end
        return index(self, key)
    end,
}

--- Made by httpserver from C's event. Every field that most requests get later is there from
-- the start: adding it would make the table anew.
function HTTPServerRequest.from_event(handle, event, coroutine)
    local uri = core.request_uri(event)
    local path = uri
    if event.path ~= #uri then path = core.request_path(event) end
    local request = setmetatable({
        handle = handle,
        method = core.request_method(event),
        uri = uri,
        path = path,
        coroutine = coroutine,
        has_body = band(event.flags, HAS_BODY) ~= 0,
        delegate = false,
        closed = false,
    }, band(event.flags, TLS) ~= 0 and Secure or HTTPServerRequest)
    return request
end

--- The value of a header field, or nil: as headers:get(name), without making `headers`.
function HTTPServerRequest:header(name)
    if not rawget(self, "headers") then
        local value, several = core.request_field(self.handle, name)
        if not several then return value end
    end
    return self.headers:get(name)
end

--- Takes what is still C's, but not the body: for a request that outlives its handle.
function HTTPServerRequest:keep()
    load_info(self)
    local headers = self.headers
    if not headers._all then headers._flat = core.request_fields(self.handle) end
    self.host, self.id, self.server = self.host, self.id, self.server -- made now
    self.trace, self.protocol = self.trace, self.protocol
    self.kept = true
end

local KEPT = { "method", "uri", "path", "version", "protocol", "host", "remote_ip", "start_time",
    "id", "tls", "query" }

--- What another generation needs to make the same request, for serialising. It was kept.
function HTTPServerRequest:pack()
    local out = { fields = {} }
    for _, name in ipairs(KEPT) do out[name] = rawget(self, name) end
    for name, value in self.headers:get_all() do
        out.fields[#out.fields + 1] = name
        out.fields[#out.fields + 1] = value
    end
    return out
end

--- The request of what pack() made: one that is over, without a body.
function HTTPServerRequest.unpack(packed)
    local request = { handle = 0, has_body = false, delegate = false, closed = false, kept = true,
        server = false, tls = false, body = "" }
    for _, name in ipairs(KEPT) do request[name] = packed[name] end
    request.headers = setmetatable({ _handle = 0, _all = false, _flat = packed.fields },
        RequestHeaders)
    return setmetatable(request, HTTPServerRequest)
end

-- Arguments ------------------------------------------------------------------------

local function last_of(text, name)
    local value, why = core.form_last(text, name, MAX_ARGUMENTS)
    if why then error(HTTPInputError("too many arguments"), 0) end
    return value
end

--- The last value of a query argument, decoded, or nil.
function HTTPServerRequest:last_query_argument(name)
    if self.uri == self.path then return nil end
    return last_of(self.query, name)
end

--- The last value of an argument of the body's form, or nil.
function HTTPServerRequest:last_body_argument(name)
    if not self.has_body then return nil end
    if body_is_form(self) then return last_of(self.body, name) end
    local values = self._form and self._form.arguments[name]
    return values and values[#values]
end

--- The body's form as a new map from names to their last values; empty for a body that is none.
--- Returns also true when all of it is known to be ASCII.
-- Tornado: has lists of values only (body_arguments).
function HTTPServerRequest:form()
    if body_is_form(self) then
        local map, ascii = core.form_map(self.body, MAX_ARGUMENTS)
        if not map then error(HTTPInputError("too many arguments"), 0) end
        return map, ascii
    end
    local map = {}
    for name, values in pairs(self.body_arguments) do map[name] = values[#values] end
    return map, false
end

--- "http://example.org/path?query".
function HTTPServerRequest:full_url()
    return self.protocol .. "://" .. self.host .. self.uri
end

--- The certificate that the client has shown, as Python's getpeercert() has it (see
-- netutil.certificate_table()), or with `binary_form` its DER; nil without one, or without TLS.
function HTTPServerRequest:get_ssl_certificate(binary_form)
    if binary_form then return core.request_certificate_der(self.handle) end
    local parts = core.request_certificate(self.handle)
    return parts and require("tornado.netutil.tls").certificate_table(parts)
end

--- Seconds since the request's head was complete.
function HTTPServerRequest:request_time()
    return core.now() - self.start_time
end

--- The body's JSON value; raises when it is none.
function HTTPServerRequest:json()
    return escape.json_decode(self.body)
end

-- Bodies -----------------------------------------------------------------------------

local function wait_for(self, name)
    local waiter = ioloop.waiter()
    self[name] = waiter
    ioloop.wait(waiter)
    self[name] = nil
end

--- Waits until the whole body (at most `max` bytes) is here. Returns a status: core.OK,
-- core.LIMIT, or core.CLOSED when the client has left.
function HTTPServerRequest:collect_body(max)
    local status = core.body_collect(self.handle, max)
    while status == core.AGAIN do
        wait_for(self, "_body_waiter")
        status = core.body_collect(self.handle, max)
    end
    return status
end

--- Waits for the next piece of a streamed body (at most `max` bytes in all). Returns it, or nil
-- and core.EOF, core.LIMIT or core.CLOSED.
function HTTPServerRequest:read_body(max)
    local piece, status = core.body_read(self.handle, max)
    while status == core.AGAIN do
        wait_for(self, "_body_waiter")
        piece, status = core.body_read(self.handle, max)
    end
    return piece, status
end

-- A writer whose client has left would never wait otherwise, so that nobody could tell it.
local function take_turn()
    local waiter = ioloop.waiter()
    ioloop.add_callback(ioloop.wake, waiter)
    ioloop.wait(waiter)
end

--- Waits until what was written is sent, or the buffer has room again. False: the client left,
--- and CT_EVENT_GONE has told of it.
function HTTPServerRequest:drain(status)
    while status == core.AGAIN do
        wait_for(self, "_drain_waiter")
        status = core.reply_flushed(self.handle)
    end
    if status == core.CLOSED then take_turn() end
    return status == core.OK
end

--- Wakes whoever waits for the client: something has happened.
function HTTPServerRequest:notify()
    local body, drain = self._body_waiter, self._drain_waiter
    if body then ioloop.wake(body) end
    if drain then ioloop.wake(drain) end
    if self._events then self._events:_drained() end
end

return HTTPServerRequest
