-- request.connection: the answers of applications that are no web.Application; and how a request
-- comes to a HTTPMessageDelegate. httpserver.lua loads this, and says how requests are released.
local core = require "tornado.core"
local delegates = require "tornado.httputil.delegates"
local gen = require "tornado.gen"
local Future = require("tornado.concurrent").Future
local HTTPHeaders = require "tornado.httputil.headers"
local HTTPOutputError = require("tornado.httputil.errors").HTTPOutputError
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local util = require "tornado.util"

local MAX_LENGTH = 2 ^ 53 -- integers above it are not what was written
local NEW, OPEN, DONE, GONE = "new", "open", "done", "gone" -- the answer; GONE: the client

local Connection = delegates.HTTPConnection:extend "HTTPConnection"

local release, option_of -- httpserver's

-- busy: its delegate is getting the request, which is released behind that.
function Connection:init(request)
    self._request = request
    self._state = NEW
    self._message = false
    self._busy = false
    self._on_close = false
    if not request.delegate then request.delegate = self end
end

-- Answering --------------------------------------------------------------------------

-- What frames the message is C's; a Content-Length must be true.
local FRAMING = { ["transfer-encoding"] = true, connection = true, ["content-length"] = true }

local function add_fields(handle, headers)
    local of_type = ""
    for name, value in headers:get_all() do
        local lower = name:lower()
        if lower == "content-type" then
            of_type = value
        elseif not FRAMING[lower] and core.field(handle, core.FIELD_ADD, name, value) ==
            core.ERROR then
            error(("Unsafe header value for %s"):format(name), 3)
        end
    end
    return of_type
end

local function length_of(headers)
    local given = headers:get("Content-Length")
    if not given then return -1 end
    local length = given:find("^%d+$") and tonumber(given)
    if not length or length > MAX_LENGTH then
        error(HTTPOutputError("bad Content-Length: %s", given:sub(1, 60)), 0)
    end
    return length
end

-- A reason with a line's end in it would begin the head anew.
local function check_start_line(start_line)
    if type(start_line) ~= "table" or type(start_line.code) ~= "number" then
        error("bad start line: expected { code =, reason = }, got " .. type(start_line), 3)
    end
    local code, reason = start_line.code, start_line.reason
    if not (code >= 100 and code <= 999 and code % 1 == 0) then
        error("bad code: expected an integer from 100 to 999, got " .. code, 3)
    end
    if reason ~= nil and (type(reason) ~= "string" or not core.is_field_value(reason)) then
        error("bad reason: expected text without control characters, got " ..
            util.shown(reason), 3)
    end
end

local function check_open(self, what)
    if self._state == NEW then error(what .. " before write_headers()", 3) end
    if self._state == DONE then error(what .. " after finish()", 3) end
end

local function done()
    local future = Future()
    future:set_result(nil)
    return future
end

--- Takes { code =, reason = } and HTTPHeaders (a map of names to values, nil), and maybe a first
--- piece of the body. A body without a Content-Length is chunked, or ends with the connection.
--- Returns a done Future. Raises when called twice, and for what HTTP does not allow.
function Connection:write_headers(start_line, headers, chunk)
    if self._state == GONE then return done() end
    if self._state ~= NEW then error("write_headers() called twice", 2) end
    check_start_line(start_line)
    headers = HTTPHeaders(headers or {})
    local handle = self._request.handle
    local of_type = add_fields(handle, headers)
    local connection = headers:get("Connection", ""):lower()
    local flags = core.REPLY_NO_SERVER + (connection == "close" and core.REPLY_CLOSE or 0)
    local length = length_of(headers)
    self._state = OPEN
    core.reply_start(handle, start_line.code, start_line.reason or "", of_type, length, flags)
    if chunk == nil then return done() end
    return self:write(chunk)
end

--- Sends a piece of the body, and waits while the client is slow to take it. Returns a done
--- Future. Raises for more than the Content-Length.
function Connection:write(chunk)
    if self._state == GONE then return done() end
    check_open(self, "write()")
    if chunk ~= "" then
        local status = core.reply_write(self._request.handle, chunk)
        if status == core.ERROR then
            error(HTTPOutputError("Tried to write more data than Content-Length"), 0)
        end
        self._request:drain(status)
    end
    return done()
end

--- Ends the answer. Raises when it is shorter than its Content-Length, and cuts the connection.
function Connection:finish()
    local gone = self._state == GONE
    if not gone then
        check_open(self, "finish()")
        self._state = DONE
    end
    local status = core.reply_end(self._request.handle)
    if not self._busy then release(self._request) end
    if status == core.ERROR and not gone then
        error(HTTPOutputError("the body is shorter than its Content-Length"), 0)
    end
end

--- Has fn() called when the client leaves before the answer is complete.
function Connection:set_close_callback(fn)
    self._on_close = fn or false
end

--- How large the body of this request may be: bytes.
function Connection:set_max_body_size(size)
    self.max_body_size = size
    local handler = self._request.delegate
    if handler and handler ~= self then handler.max_body_size = size end
end

-- From httpserver ------------------------------------------------------------------------

-- Ends what cannot be answered any more, with a bare status where nothing was sent yet.
local function give_up(self, status)
    local state, request = self._state, self._request
    self._state = DONE
    if state == NEW then
        core.reply(request.handle, status, "", "", "", -1, core.REPLY_CLOSE)
    elseif state == OPEN then
        core.reply_abort(request.handle)
    end
    release(request)
end

function Connection:on_exception(err, traceback)
    log.app_log:error("Uncaught exception %s", traceback or tostring(err))
    give_up(self, 500)
end

local function tell(self)
    local message, on_close = self._message, self._on_close
    self._on_close = false
    if message then ioloop.log_errors(message.on_connection_close, message) end
    if on_close then ioloop.log_errors(on_close) end
end

function Connection:on_gone()
    if self._state == DONE or self._state == GONE then return end
    self._state = GONE
    tell(self)
    if self._message and not self._busy then release(self._request) end
end

function Connection:on_timeout()
    if self._state ~= GONE then tell(self) end
    give_up(self, 503)
    self._request:notify()
end

-- Serving --------------------------------------------------------------------------------

local function wait_for(result)
    if result ~= nil then gen.await(result) end
end

local function is_open(self)
    return self._state == NEW or self._state == OPEN
end

-- Gives the body to the delegate; true when it is complete.
local function read(self, request, message, max)
    if not request.has_body then return is_open(self) end
    while is_open(self) do
        local piece, status = request:read_body(self.max_body_size or max)
        if piece then
            wait_for(message:data_received(piece))
        elseif status == core.LIMIT then
            give_up(self, 413)
        else
            return status == core.EOF
        end
    end
    return false
end

local function serve(request, message, max)
    if message.execute then return message:execute() end
    local self = request.connection
    self._message, self._busy = message, true
    request.delegate = self
    local start_line = delegates.RequestStartLine(request.method, request.uri, request.version)
    wait_for(message:headers_received(start_line, request.headers:all()))
    if read(self, request, message, max) then wait_for(message:finish()) end
    self._busy = false
    if not is_open(self) then release(request) end
end

return function(httpserver)
    release, option_of = httpserver.release, httpserver.option_of
    require("tornado.httputil.request").new_connection = Connection

    --- Gives a request to what start_request() or find_handler() returned for it: to a
    --- HTTPMessageDelegate piece by piece.
    function httpserver.serve(request, message)
        if type(message) ~= "table" or not message.headers_received then
            error("bad delegate: expected HTTPMessageDelegate, got " .. type(message), 0)
        end
        return serve(request, message, option_of(request, "max_body_size") or
            httpserver.max_body_size)
    end
end
