-- RequestHandler: its life, from the route to on_finish. What it reads and writes is
-- in input.lua and output.lua.
local core = require "tornado.core"
local concurrent = require "tornado.concurrent"
local errors = require "tornado.web.errors"
local filters = require "tornado.web.filters"
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local rate_limit = require "tornado.web.rate_limit"
local routing_args = require "tornado.web.path_args"
local util = require "tornado.util"
local watchdog = require "tornado.watchdog"

local rawget, type = rawget, type
local barrier = core.barrier
local WARNING, ERROR = log.LEVELS.warning, log.LEVELS.error
local HTTPError, Finish = errors.HTTPError, errors.Finish

local RequestHandler = util.Object:extend "RequestHandler"

RequestHandler.SUPPORTED_METHODS = {
    "GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS",
}

-- What is not set yet. Each has its default here: a look-up that finds nothing costs the most.
RequestHandler.cancel_on_disconnect = false -- see on_gone()
RequestHandler._auto_finish = true
RequestHandler._events = false -- see web/event_stream.lua
RequestHandler._filters = false -- see web/filters.lua
RequestHandler._finished = false
RequestHandler._headers_written = false
RequestHandler._returned = false -- the verb has ended, the reply is not complete
RequestHandler._stream_request_body = false
--- { requests = , per = , burst = , key = , name = }: how often each client may call it, see
--- web.rate_limit(). Subclasses have it, too, each with its own count.
RequestHandler.rate_limit = false
RequestHandler._writes_result = false -- see web/functions.lua
RequestHandler.path_kwargs = routing_args.NONE

-- Hooks ------------------------------------------------------------------------

local function nothing() end

--- Gets the third element of the route.
RequestHandler.initialize = nothing
--- Comes before the verb; may wait, and may finish the request.
RequestHandler.prepare = nothing
--- Comes when the reply is complete; no output is possible any more.
RequestHandler.on_finish = nothing
--- Comes once when the client leaves while the request is not finished.
RequestHandler.on_connection_close = nothing
--- Sets headers of every reply, those of errors included.
RequestHandler.set_default_headers = nothing

-- Verbs ------------------------------------------------------------------------

--- A verb: answers requests of its method, and gets the groups of the route. To be defined: without
-- it they get 405.
local function unimplemented()
    error(HTTPError(405), 0)
end

local VERBS = { "get", "head", "post", "delete", "patch", "put", "options" }
for _, verb in ipairs(VERBS) do RequestHandler[verb] = unimplemented end

-- method -> verb of a class, made when first asked for.
local function verbs_of(class)
    local verbs = rawget(class, "_verbs")
    if verbs then return verbs end
    verbs = {}
    for _, method in ipairs(class.SUPPORTED_METHODS) do verbs[method] = method:lower() end
    class._verbs = verbs
    return verbs
end

--- "GET, HEAD": the methods that the class implements, for the Allow field.
function RequestHandler:_allowed()
    local list = {}
    for method, verb in pairs(verbs_of(self.class)) do
        local fn = self[verb]
        if fn and fn ~= unimplemented then list[#list + 1] = method end
    end
    table.sort(list)
    return table.concat(list, ", ")
end

-- The life of a request -----------------------------------------------------------

-- What a route's function returned, and where that function is.
local function refuse_result(self, result, verb)
    local at = debug.getinfo(self[verb], "S")
    error(("%s:%d: the function of this route returned a %s; expected a string, a table to be " ..
        "written as JSON, or nothing"):format(at.short_src, at.linedefined, type(result)), 0)
end

local function take_result(self, result, verb)
    local is_future = concurrent.is_future(result)
    if is_future then result = gen.await(result) end
    if self._writes_result then
        if result == nil then return end
        if type(result) ~= "string" and type(result) ~= "table" then
            refuse_result(self, result, verb)
        end
        self:write(result)
        return
    end
    if is_future then return end
    error(("%s:%s() returned %s; expected nothing, or a Future"):format(
        tostring(self.class), verb, type(result)), 0)
end

local function call_verb(self, args)
    local verb = self._verb
    local fn = self[verb]
    local result
    barrier()
    if not args then
        result = fn(self)
    else
        result = routing_args.call(self, fn, args)
    end
    if result ~= nil then take_result(self, result, verb) end
end

-- Lua is done with the request when the verb has returned and the reply is complete, whichever
-- is later.
local function returned(self)
    if self.request.has_body and self._multipart then self._multipart:close() end
    if self._finished then
        if self._events then self._events:_over() end
        httpserver.release(self.request)
    else
        self._returned = true
    end
end

-- The client has left before its body was complete. A log_function hears of requests that were
-- handled.
local function end_unread(self)
    self._finished = true
    if not self.settings.log_function then self.application:log_request(self) end
end

-- A client that leaves in the middle ends the request.
local function stream_all(self, request)
    if self:_stream(request) or self._finished then return end
    self:on_gone()
    end_unread(self)
end

local SAFE = { GET = true, HEAD = true, OPTIONS = true }

-- Comes before prepare(): a request without the token meets no code of the application.
local function check_xsrf(self, method)
    if self.settings.xsrf_cookies and not SAFE[method] then self:check_xsrf_cookie() end
end

local function make_ready(self)
    if self._filters then
        filters.before(self)
        if self._finished then return end
    end
    local result = self:prepare()
    if result ~= nil then gen.await(result) end
end

-- Before the body: who may not call gets none of it read.
local function choose_verb(self, request)
    local verb = verbs_of(self.class)[request.method]
    if not verb or not self[verb] then error(HTTPError(405), 0) end
    self._verb = verb
    if self.rate_limit then rate_limit.check(self) end
end

local function dispatch(self, rule_kwargs, args)
    local request = self.request
    local result = self:initialize(rule_kwargs)
    if result ~= nil then gen.await(result) end
    choose_verb(self, request)
    local streams = self._stream_request_body
    if streams or not request.has_body then
        if not streams then request:check_form() end
    elseif not self:_collect(request) then
        return end_unread(self)
    end
    if args then routing_args.decode(self, args) end
    check_xsrf(self, request.method)
    make_ready(self)
    if streams and not self._finished then stream_all(self, request) end
    if self._finished then return end
    call_verb(self, args)
    if self._finished then return end
    if self._auto_finish then
        self:finish()
    elseif self._events and self._gone then
        self.class.finish(self)
    end
end

--- Runs the request to its end; what is raised comes to on_exception().
function RequestHandler:_execute(kwargs, args)
    self.request.delegate = self
    local policy = self.application._headers_policy
    if policy then policy:apply(self) end
    if self.set_default_headers ~= nothing then self:set_default_headers() end
    dispatch(self, kwargs, args)
    returned(self)
end

--- The path of a named route of the application with its groups filled in; raises for an unknown
-- name.
function RequestHandler:reverse_url(name, ...)
    return self.application:reverse_url(name, ...) -- a tail call: errors are at the caller's line
end

--- Takes the connection out of HTTP: the request is finished without a reply (or with the part
-- that was flushed), and nothing of HTTP's holds for the connection any more. Returns its channel
-- (core.channel_send() and the others), which begins with what the client has sent behind the
-- request and which whoever called this must close. Raises util.Error when the client has left or
-- the reply is complete.
function RequestHandler:detach()
    local channel = core.request_detach(self.request.handle)
    if not channel then
        error(util.Error("cannot detach: the client has left, or the reply is complete"), 0)
    end
    self._finished = true
    return channel
end

-- Errors -----------------------------------------------------------------------

local function answer(self, err, traceback)
    if util.isinstance(err, Finish) then
        if self._finished then return end
        local done, why, trace = ioloop.protect(self.finish, self, err.chunk)
        if done then return end
        err, traceback = why, trace
    end
    local ok, failure, where = ioloop.protect(self.log_exception, self, err, traceback)
    if not ok then
        log.app_log:log(ERROR, "Error in log_exception: " .. (where or tostring(failure)),
            self.request.id)
    end
    if self._finished then return end
    if util.isinstance(err, HTTPError) then
        self:send_error(err.status_code, { err = err, reason = err.reason })
    else
        local status = util.isinstance(err, watchdog.CPULimitError) and 503 or 500
        self:send_error(status, { err = err, traceback = traceback })
    end
end

-- The request is over in another way than by finish().
local function over(self)
    self._finished = true
    self.application:log_request(self)
    ioloop.log_errors(self.on_finish, self)
end

-- A handler that was cancelled because its client has left: nobody is there to be answered.
local function end_silently(self)
    if not self._finished then over(self) end
    returned(self)
end

local TYPE = "text/html; charset=UTF-8"
local PAGE = "<html><title>500: Internal Server Error</title>" ..
    "<body>500: Internal Server Error</body></html>"

-- When what makes the error page fails, as a set_default_headers() does each time: a reply that
-- needs nothing of the application's.
local function answer_barely(self)
    local handle = self.request.handle
    if self._headers_written then
        core.reply_abort(handle)
    else
        core.field_clear(handle)
        core.reply(handle, 500, "", TYPE, PAGE, #PAGE, core.REPLY_CLOSE)
    end
    over(self)
end

--- From httpserver: the request's coroutine raised `err`. What answers it may wait, also when the
-- request was cancelled.
function RequestHandler:on_exception(err, traceback)
    local scope = self.request._scope
    ioloop.enter(self.request)
    if scope and scope.err then
        ioloop.leave_scope()
        if self._gone and rawequal(err, scope.err) then return end_silently(self) end
    end
    local httputil = require "tornado.httputil"
    if util.isinstance(err, httputil.HTTPInputError) then
        err = HTTPError(400, "Invalid body: " .. tostring(err.message))
    elseif util.isinstance(err, httputil.StorageError) then
        err = HTTPError(507, tostring(err.message))
    end
    local ok, failure, where = ioloop.protect(answer, self, err, traceback)
    if not ok then
        log.app_log:log(ERROR, "Uncaught exception in the error page: " ..
            (where or tostring(failure)), self.request.id)
        if not self._finished then answer_barely(self) end
    end
    returned(self)
end

--- "GET /path (127.0.0.1)", for the log.
function RequestHandler:_request_summary()
    local request = self.request
    return ("%s %s (%s)"):format(request.method, request.uri, request.remote_ip or "None")
end

--- Logs what a handler raised: an HTTPError with a message as a warning, one without not at
-- all, anything else as an error with its traceback. May be replaced.
function RequestHandler:log_exception(err, traceback)
    if util.isinstance(err, HTTPError) then
        if err.log_message then
            log.gen_log:log(WARNING, ("%d %s: %s"):format(err.status_code,
                self:_request_summary(), err.log_message), self.request.id)
        end
        return
    end
    log.app_log:log(ERROR, ("Uncaught exception %s\n%s"):format(self:_request_summary(),
        traceback or util.text(err)), self.request.id)
end

-- From the connection ------------------------------------------------------------

--- The client has left: calls on_connection_close(). When the class has `cancel_on_disconnect` set
-- to true, a CancelledError is raised then where the handler and the tasks it started wait.
function RequestHandler:on_gone()
    if self._finished or self._gone then return end
    self._gone = true
    if self._events then self._events:_over() end
    local ok, err, trace = ioloop.protect(self.on_connection_close, self)
    if self.cancel_on_disconnect and not self._finished then
        local request = self.request
        local left = util.CancelledError("the client has left")
        if not ioloop.cancel_root(request, request.coroutine, left) and self._returned then
            end_silently(self)
        end
    end
    return ioloop.unwrap(ok, err, trace)
end

--- handler_timeout has passed: 503, raised where the handler and the tasks it started wait.
function RequestHandler:on_timeout()
    if self._finished then return end
    local request = self.request
    local err = HTTPError(503, "handler_timeout: the handler has not finished in time")
    local waits = ioloop.cancel_root(request, request.coroutine, err)
    if waits and not self._returned and not self._timed_out then
        self._timed_out = true
        return
    end
    self:on_exception(err)
end

return RequestHandler
