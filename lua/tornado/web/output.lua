-- What a handler writes: status, headers, cookies, body. Headers are C's from the moment they are
-- set: a line in the request's buffer. Only Content-Type, the one header of most replies, and what
-- frames the message are here.
local core = require "tornado.core"
local cookies = require "tornado.httputil.cookies"
local debug_page = require "tornado.web.debug_page"
local errors = require "tornado.web.errors"
local escape = require "tornado.escape"
local filters = require "tornado.web.filters"
local httpserver = require "tornado.httpserver"
local HTTPOutputError = require("tornado.httputil.errors").HTTPOutputError
local ioloop = require "tornado.ioloop"
local Future = require("tornado.concurrent").Future
local json_body = require "tornado.web.json_body"
local lines = require "tornado.httputil.lines"
local log = require "tornado.log"
local responses = require "tornado.httputil.responses"
local proxy = require "tornado.httputil.proxy"
local RequestHandler = require "tornado.web.handler"
local transforms = require "tornado.web.transforms"
local util = require "tornado.util"

local band, bnot, bor = bit.band, bit.bnot, bit.bor
local concat, type, tostring = table.concat, type, tostring
local is_field_value, field = core.is_field_value, core.field
local SET, ADD = core.FIELD_SET, core.FIELD_ADD

-- What flush() and finish() return, which wait themselves.
local DONE = Future()
DONE:set_result(nil)

local MAX_LENGTH = 2 ^ 53 -- integers above it are not what was written

local HTML = "text/html; charset=UTF-8"
local JSON = "application/json; charset=UTF-8"

RequestHandler._status_code = 200
RequestHandler._reason = ""
RequestHandler._content_type = HTML
RequestHandler._content_length = false -- as the handler has set it
RequestHandler._body = false -- the first piece written, or all of them joined
RequestHandler._more = false -- a list of all pieces, when there are several
RequestHandler._close = false
RequestHandler._flags = 0
RequestHandler._unsent = false -- of a 304, what its 200 would have had, for transforms

-- Status ---------------------------------------------------------------------------

--- Sets the status; a reason other than the standard one is optional. Control characters or "<"
-- in it make it "Unknown".
function RequestHandler:set_status(status, reason)
    if type(status) ~= "number" or status < 100 or status > 999 or status % 1 ~= 0 then
        error("bad status: expected an integer from 100 to 999, got " .. tostring(status), 2)
    end
    self._status_code = status
    if reason == nil then
        self._reason = ""
    elseif type(reason) ~= "string" or reason:find("[^\t\32-\126\128-\255]") or
        reason:find("<", 1, true) then
        self._reason = "Unknown"
    else
        self._reason = reason
    end
end

--- Returns the status set so far.
function RequestHandler:get_status()
    return self._status_code
end

-- Headers ----------------------------------------------------------------------------

local canonical_names, canonical_count = {}, 0

-- "content-type" -> "Content-Type"; the usual names are remembered.
local function canonical(name, level)
    local known = canonical_names[name]
    if known then return known end
    if type(name) ~= "string" or not core.is_token(name) then
        error(("bad header name: expected a token, got %q"):format(tostring(name)), level + 1)
    end
    known = name:lower():gsub("^%l", string.upper):gsub("%-%l", string.upper)
    if canonical_count < 1024 then
        canonical_names[name] = known
        canonical_count = canonical_count + 1
    end
    return known
end

local function bad_value(name, value, level)
    error(("Unsafe header value for %s: %q"):format(name, value:sub(1, 80)), level + 1)
end

-- The text of a value that is no string.
local function to_value(name, value, level)
    if type(value) == "number" and value % 1 == 0 and value < 2 ^ 53 and value > -2 ^ 53 then
        return ("%d"):format(value)
    end
    if type(value) == "table" and value.year then return lines.format_timestamp(value) end
    error(("bad value of header %s: expected string, integer or date table, got %s"):format(
        name, type(value) == "number" and value or type(value)), level + 1)
end

-- These decide how the message is framed, so they are kept apart from the other fields.
local FRAMING = { ["Content-Length"] = true, Connection = true, ["Transfer-Encoding"] = true }

local function set_apart(self, name, value)
    if name == "Content-Type" then
        self._content_type = value
        return true
    end
    if not FRAMING[name] then return false end
    if name == "Content-Length" then self._content_length = value end
    if name == "Connection" then self._close = value:lower() == "close" end
    return true
end

local function change(self, how, name, value)
    name = canonical(name, 3)
    if type(value) ~= "string" then value = to_value(name, value, 3) end
    if name == "Content-Type" and how == ADD and self._content_type ~= "" then
        error("Content-Type can have one value only: use set_header()", 3)
    end
    if (name == "Content-Type" or FRAMING[name]) and is_field_value(value) then
        set_apart(self, name, value)
        return
    end
    local status = field(self.request.handle, how, name, value)
    if status == core.ERROR then bad_value(name, value, 3) end
end

--- Sets a header, in place of all values it had. Takes a string, an integer, or a date table;
-- raises for a name or value that HTTP does not allow.
function RequestHandler:set_header(name, value)
    change(self, SET, name, value)
end

--- Adds a further value of a header.
function RequestHandler:add_header(name, value)
    change(self, ADD, name, value)
end

--- Removes a header, one of the defaults too.
function RequestHandler:clear_header(name)
    name = canonical(name, 2)
    if name == "Content-Type" then self._content_type = "" end
    if name == "Content-Length" then self._content_length = false end
    if name == "Server" then self._flags = bor(self._flags, core.REPLY_NO_SERVER) end
    field(self.request.handle, core.FIELD_REMOVE, name, "")
end

--- The value of a header set so far, or nil.
function RequestHandler:get_header(name)
    name = canonical(name, 2)
    if name == "Content-Type" then
        return self._content_type ~= "" and self._content_type or nil
    end
    if name == "Content-Length" then return self._content_length or nil end
    return core.field_get(self.request.handle, name)
end

--- Forgets all that was written and set, and begins with the defaults again.
function RequestHandler:clear()
    core.field_clear(self.request.handle)
    self._content_type, self._content_length = HTML, false
    self._flags = band(self._flags, bnot(core.REPLY_NO_SERVER))
    self._body, self._more = false, false
    self._status_code, self._reason = 200, ""
    local policy = self.application._headers_policy
    if policy then policy:apply(self) end
    self:set_default_headers()
end

-- The body ---------------------------------------------------------------------------

local function bad_chunk(chunk)
    local got = type(chunk)
    if got == "table" then
        got = "a list (lists are not written as JSON for security reasons; wrap it in an object)"
    end
    util.app_error("write() takes a string, or a table to be written as JSON; got " .. got)
end

local function to_text(self, chunk)
    if type(chunk) == "string" then return chunk end
    if type(chunk) ~= "table" or chunk[1] ~= nil or escape.is_array(chunk) then
        bad_chunk(chunk)
    end
    chunk = escape.json_encode(chunk)
    self._content_type = JSON
    return chunk
end

--- Adds to the body: a string, or a table, which is written as JSON.
function RequestHandler:write(chunk)
    if self._finished then error("Cannot write() after finish()", 2) end
    chunk = to_text(self, chunk)
    local body = self._body
    if not body then
        self._body = chunk
        return
    end
    local more = self._more
    if not more then
        self._more = { body, chunk }
        return
    end
    more[#more + 1] = chunk
end

-- The body so far as one string.
local function take_body(self)
    local body, more = self._body, self._more
    if more then
        body = concat(more)
        self._body, self._more = body, false
    end
    return body or ""
end

local function check_status(self, status, what)
    if status == core.ERROR then
        error(HTTPOutputError(what .. " does not fit its Content-Length"), 0)
    end
    return self.request:drain(status)
end

local function content_length(self)
    local given = self._content_length
    if not given then return -1 end
    local length = given:find("^%d+$") and tonumber(given)
    if not length or length > MAX_LENGTH then
        error(HTTPOutputError("bad Content-Length: %s", given:sub(1, 60)), 0)
    end
    return length
end

local function reply_flags(self)
    return self._flags + (self._close and core.REPLY_CLOSE or 0)
end

local function start(self)
    if self._filters then filters.after(self) end
    local length = content_length(self)
    self._headers_written = true
    core.reply_start(self.request.handle, self._status_code, self._reason, self._content_type,
        length, reply_flags(self))
end

--- Sends the head of a streamed reply. For event_stream().
RequestHandler._start_reply = start

local function transform_first(self, body, finishing)
    local made = transforms.first(self, self.application.transforms, body, finishing)
    return made
end

--- Sends what was written so far, as the beginning of a streamed reply. Waits while the client
-- is slow to take it. Returns a done Future.
-- Tornado: the Future is done when the bytes are sent; here, the call waits for room itself.
function RequestHandler:flush()
    if self._finished then error("Cannot flush() after finish()", 2) end
    local body = take_body(self)
    self._body, self._more = false, nil
    local classes = self.application.transforms
    if classes then
        local transform = self._headers_written and transforms.next or transform_first
        body = transform(self, body, false)
    end
    if not self._headers_written then start(self) end
    local status = core.OK
    if body ~= "" then status = core.reply_write(self.request.handle, body) end
    check_status(self, status, "the body")
    return DONE
end

-- Finishing ----------------------------------------------------------------------------

local REPRESENTATION = { "Content-Encoding", "Content-Language", "Content-Length", "Content-Type" }

local function is_bodiless(status)
    return status < 200 or status == 204 or status == 304
end

local function add_etag(self)
    local method = self.request.method
    if self._status_code ~= 200 or (method ~= "GET" and method ~= "HEAD") then return end
    if core.field_get(self.request.handle, "Etag") then return end
    self:set_etag_header()
    if self:check_etag_header() then
        if self.application.transforms then
            self._unsent = { size = #take_body(self), type = self._content_type,
                coding = self:get_header("Content-Encoding") }
        end
        self._body, self._more = false, false
        self:set_status(304)
    end
end

-- A Content-Length that the handler set must be true, but for HEAD. Returns what to announce.
local function check_length(self, length)
    local given = content_length(self)
    if given == length then return length, 0 end
    if self.request.method == "HEAD" and length == 0 then return given, core.REPLY_LENGTH end
    core.reply_abort(self.request.handle)
    error(HTTPOutputError("Content-Length is %d, but the body has %d bytes", given, length), 0)
end

-- A final 1xx ends the connection: clients wait for another reply behind it, and would take the
-- next request's for it.
local function strip_representation(self, status, body)
    if body ~= "" then error(("Cannot send body with %d"):format(status), 0) end
    for _, name in ipairs(REPRESENTATION) do self:clear_header(name) end
    if status < 200 then self._close = true end
end

local function send_whole(self)
    if self._filters then filters.after(self) end
    local add_script = self.application._add_script -- see autoreload/page.lua
    if add_script then self._body, self._more = add_script(self, take_body(self)), false end
    add_etag(self)
    local status, body = self._status_code, take_body(self)
    if is_bodiless(status) then strip_representation(self, status, body) end
    if self.application.transforms then
        if self._content_length then check_length(self, #body) end
        body = transform_first(self, body, true)
        status = self._status_code
    end
    local length, flags = #body, reply_flags(self)
    if self._content_length then
        local flag
        length, flag = check_length(self, length)
        flags = flags + flag
    end
    core.reply(self.request.handle, status, self._reason, self._content_type, body, length, flags)
end

local function send_rest(self)
    local body = take_body(self)
    if self.application.transforms then body = transforms.next(self, body, true) end
    if body ~= "" then
        check_status(self, core.reply_write(self.request.handle, body), "the body")
    end
    if core.reply_end(self.request.handle) == core.ERROR then
        error(HTTPOutputError("the body is shorter than its Content-Length"), 0)
    end
end

--- Completes the reply, after writing `chunk` if there is one. Returns a done Future, as flush().
function RequestHandler:finish(chunk)
    if self._finished then error("finish() called twice", 2) end
    if chunk ~= nil then self:write(chunk) end
    if self._headers_written then send_rest(self) else send_whole(self) end
    self._finished = true
    self.application:log_request(self)
    self:on_finish()
    if self._returned then httpserver.release(self.request) end
    return DONE
end

-- ETags ---------------------------------------------------------------------------------

--- The reply's ETag: the SHA-1 of the body. Nil for none; may be replaced.
function RequestHandler:compute_etag()
    return '"' .. core.sha1_hex(take_body(self)) .. '"'
end

--- Sets the Etag header from compute_etag().
function RequestHandler:set_etag_header()
    local etag = self:compute_etag()
    if etag ~= nil then self:set_header("Etag", etag) end
end

--- Returns whether If-None-Match has the reply's Etag (RFC 9110 §13.1.2, weak comparison).
function RequestHandler:check_etag_header()
    local etag = self:get_header("Etag")
    local given = etag and self.request:header("If-None-Match")
    if not given then return false end
    if given:match('^[^"*]*%*') then return true end
    etag = etag:gsub("^W/", "")
    for tag in given:gmatch('"[^"]*"') do
        if tag == etag then return true end
    end
    return false
end

-- Cookies -----------------------------------------------------------------------------

--- Sets a cookie; options: domain, expires, expires_days, max_age, path="/", httponly, secure,
-- samesite, partitioned. A later call for the same name replaces the earlier one. Over HTTPS secure
-- is true unless it is given.
-- Tornado: leaves it out there, too.
function RequestHandler:set_cookie(name, value, options, level)
    if options ~= nil then util.expect(options, "table", "options", level) end
    if self.request.protocol == "https" and (options == nil or options.secure == nil) then
        options = util.ObjectDict(options)
        options.secure = true
    end
    local text = cookies.format(name, value, options, 1 + (level or 0))
    core.reply_cookie(self.request.handle, name, text)
end

--- Deletes a cookie in the client; options: domain, path, httponly, secure, samesite.
function RequestHandler:clear_cookie(name, options)
    if options ~= nil then util.expect(options, "table", "options") end
    local given = {}
    for key, option in pairs(options or {}) do
        if key == "expires" or key == "max_age" or key == "expires_days" then
            error("clear_cookie() takes no " .. key, 2)
        end
        given[key] = option
    end
    given.expires = core.now() - 365 * 86400
    self:set_cookie(name, "", given, 1)
end

-- Errors -------------------------------------------------------------------------------

--- Answers with an error page made by write_error(); options: err, traceback, reason. When the
-- headers are out, the connection is cut instead, so that the client sees the fault.
-- Tornado: ends a chunked reply as if it were complete.
function RequestHandler:send_error(status, options)
    if status ~= nil then util.expect(status, "number", "status") end
    status = status or 500
    options = options or {}
    if self._headers_written then
        log.gen_log:log(log.LEVELS.error, "Cannot send error response after headers written",
            self.request.id)
        if not self._finished then
            core.reply_abort(self.request.handle)
            self._finished = true
            self.application:log_request(self)
            ioloop.log_errors(self.on_finish, self)
        end
        return
    end
    self:clear()
    self:set_status(status, options.reason)
    if util.isinstance(options.err, errors.HTTPError) then
        for name, value in pairs(options.err.headers) do self:set_header(name, value) end
    end
    if status == 405 then self:set_header("Allow", self:_allowed()) end
    if not is_bodiless(status) then
        local ok, err = xpcall(self.write_error, debug.traceback, self, status, options)
        if not ok then
            log.app_log:log(log.LEVELS.error, "Uncaught exception in write_error: " ..
                tostring(err), self.request.id)
        end
    end
    if not self._finished then self:finish() end
end

local function shows_traceback(self)
    if not self.settings.serve_traceback then return false end
    return not self.application._local_traceback or proxy.is_local(self.request.remote_ip or "")
end

--- Writes the page of an error; options: err, traceback. May be replaced.
function RequestHandler:write_error(status, options)
    local settings = self.settings
    if options.traceback and shows_traceback(self) then
        if settings.debug then
            return debug_page.write(self, status, options.err, options.traceback)
        end
        self:set_header("Content-Type", "text/plain; charset=UTF-8")
        self:finish(options.traceback .. "\n")
        return
    end
    local reason = self._reason ~= "" and self._reason or responses[status] or "Unknown"
    reason = escape.xhtml_escape(reason)
    if util.isinstance(options.err, errors.InputError) then
        return json_body.write_fault(self, options.err, status .. ": " .. reason)
    end
    local id = self.request_id or settings.trust_request_id and self.request.id
    id = type(id) == "string" and "<p>Request id: " .. escape.xhtml_escape(id) .. "</p>" or ""
    self:finish(("<html><title>%d: %s</title><body>%d: %s%s</body></html>"):format(
        status, reason, status, reason, id))
end

--- A handler that answers every request with one status: { status_code = 404 }.
local ErrorHandler = RequestHandler:extend "ErrorHandler"

function ErrorHandler:initialize(options)
    self._error_status = options and options.status_code or 404
end

--- None is needed: a POST to nowhere is a 404.
function ErrorHandler:check_xsrf_cookie()
end

function ErrorHandler:prepare()
    error(errors.HTTPError(self._error_status), 0)
end

return { ErrorHandler = ErrorHandler }
