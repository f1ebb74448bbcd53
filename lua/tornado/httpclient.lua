-- A client of other servers, on libcurl: HTTP/1.1 and HTTP/2, TLS, proxies, connections that are
-- kept. fetch() suspends the calling coroutine until the response is here.
--
--     local response = httpclient.fetch("https://example.org/", { request_timeout = 5 })
--
-- Redirects and retries are decided here; httpclient/*.lua has the rest: request and response,
-- plan (options into what the core takes), transfer (one exchange), redirects, queue.
local core = require "tornado.core"
local errors = require "tornado.httpclient.errors"
local gen = require "tornado.gen"
local HTTPResponse = require "tornado.httpclient.response"
local ioloop = require "tornado.ioloop"
local plans = require "tornado.httpclient.plan"
local Queue = require "tornado.httpclient.queue"
local redirects = require "tornado.httpclient.redirects"
local requests = require "tornado.httpclient.request"
local resolving = require "tornado.httpclient.resolving"
local traces = require "tornado.trace"
local transfer = require "tornado.httpclient.transfer"
local urls = require "tornado.httpclient.urls"
local util = require "tornado.util"

local HTTPRequest = requests.HTTPRequest
local protect = ioloop.protect

local httpclient = {
    HTTPRequest = HTTPRequest,
    HTTPResponse = HTTPResponse,
    HTTPClientError = errors.HTTPClientError,
    HTTPError = errors.HTTPClientError,
    HTTPTimeoutError = errors.HTTPTimeoutError,
    HTTPStreamClosedError = errors.HTTPStreamClosedError,
    ValueError = errors.ValueError,
}

local AsyncHTTPClient = util.Object:extend "AsyncHTTPClient"
httpclient.AsyncHTTPClient = AsyncHTTPClient

local CLIENT = {
    force_instance = false, max_clients = 10, max_host_connections = 0, max_queue = 10000,
    max_idle = util.NONE, hostname_mapping = util.NONE, defaults = util.NONE,
    max_body_size = util.NONE, max_header_size = util.NONE,
}

local COUNTS = {
    "max_clients", "max_host_connections", "max_queue", "max_idle", "max_body_size",
    "max_header_size",
}

local configured = {} -- what configure() was given
local shared          -- the client of this process

local function merged(options)
    local out = {}
    for name, value in pairs(configured) do out[name] = value end
    for name, value in pairs(options or {}) do out[name] = value end
    return out
end

local function defaults_of(options)
    local known = {}
    for name in pairs(requests.OPTIONS) do known[name] = util.NONE end
    local given = util.options(options.defaults, known, "AsyncHTTPClient defaults", 2)
    requests.check(given)
    local defaults = {}
    for name, value in pairs(requests.DEFAULTS) do defaults[name] = value end
    for _, name in ipairs { "max_body_size", "max_header_size" } do
        if options[name] then defaults[name] = options[name] end
    end
    for name, value in pairs(given) do defaults[name] = value end
    return defaults
end

--- Makes a client of its own when it is given options; without any, returns the process's one.
--- Options: max_clients (10; more wait in line), max_host_connections (0: any number), max_queue
--- (10000 in line), max_idle (connections kept; max_clients), hostname_mapping (a map from "HOST"
--- or "HOST:PORT" to "ADDRESS" or "ADDRESS:PORT"), defaults (of requests' options),
--- max_body_size, max_header_size, force_instance.
function AsyncHTTPClient:init(options)
    if options ~= nil then util.expect(options, "table", "options", 1) end
    options = util.options(merged(options), CLIENT, "AsyncHTTPClient", 1)
    for _, name in ipairs(COUNTS) do
        if options[name] ~= nil then util.expect(options[name], "number", name, 1) end
    end
    self.defaults = defaults_of(options)
    self.hostname_mapping = options.hostname_mapping
    self.queue = Queue(options.max_clients, options.max_queue)
    self.resolved = resolving.cache()
    local why
    self.handle, why = core.client(options.max_idle or options.max_clients, 0,
        options.max_host_connections)
    if not self.handle then error(util.Error("%s", why), 0) end
end

local meta = getmetatable(AsyncHTTPClient)
local construct = meta.__call

setmetatable(AsyncHTTPClient, {
    __index = meta.__index, __tostring = meta.__tostring,
    __call = function(class, options)
        local is_given = options ~= nil and (type(options) ~= "table" or next(options) ~= nil)
        if class ~= AsyncHTTPClient or is_given then
            return construct(class, options)
        end
        if not shared or shared.closed then shared = construct(class, options) end
        return shared
    end,
})

--- Sets what clients made from now on get unless they are given it; `implementation` is nil: there
--- is one. A shared client that nobody uses is closed, so that the next one has the options.
function AsyncHTTPClient.configure(implementation, options)
    if implementation ~= nil then
        error("bad implementation: expected nil, got " .. type(implementation), 2)
    end
    configured = util.options(options, CLIENT, "configure")
    if shared and shared.queue.active == 0 then shared:close() end
    shared = nil
end

--- Closes its connections; its fetches raise HTTPStreamClosedError.
function AsyncHTTPClient:close()
    if self.closed then return end
    self.closed = true
    self.queue:clear(errors.HTTPStreamClosedError("the client was closed"))
    core.client_close(self.handle)
end

-- Fetching -------------------------------------------------------------------------

local function setting(self, request, name)
    local value = request[name]
    if value ~= nil then return value end
    return self.defaults[name]
end

local IDEMPOTENT = { GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true,
    TRACE = true }
local TRY_LATER = { [502] = true, [503] = true, [504] = true }

local function may_retry(self, request)
    return IDEMPOTENT[request.method] and not request.body_producer
        and not request.streaming_callback and not request.header_callback
        and setting(self, request, "retries") or 0
end

local function time_left(deadline)
    if not deadline then return 0 end
    local left = deadline - core.precise()
    if left <= 0 then error(errors.HTTPTimeoutError("Timeout during request"), 0) end
    return left
end

-- A failure that another try may not have: not a deadline, a limit or a certificate.
local function is_passing(err)
    if not util.isinstance(err, errors.HTTPClientError) then return false end
    if util.isinstance(err, errors.HTTPTimeoutError) then return false end
    if err.curl_code == 7 or TRY_LATER[err.code] then return true end
    return util.isinstance(err, errors.HTTPStreamClosedError)
        and err.curl_code ~= 0 and err.curl_code ~= 23 -- 23: we gave up ourselves
end

-- One hop, once more as often as the request says.
local function hop(self, request, parts, plan, state)
    local tries = may_retry(self, request) or 0
    local delay = setting(self, request, "retry_delay")
    local seconds = state.untouched and plan.limits.request_timeout or time_left(state.deadline)
    state.untouched = false
    while tries > 0 do
        local ok, result = pcall(transfer.run, self.handle, request, parts, plan, seconds, state)
        transfer.stop(state)
        if ok and not TRY_LATER[result.code] then return result end
        if not ok and not is_passing(result) then error(result, 0) end
        gen.sleep(math.min(delay * (0.5 + math.random()), state.deadline
            and time_left(state.deadline) or math.huge))
        delay, tries = delay * 2, tries - 1
        seconds = time_left(state.deadline)
    end
    return transfer.run(self.handle, request, parts, plan, seconds, state)
end

local function follow(self, request, parts, state)
    local plan = state.plan
    state.plan = nil
    if not plan then plan = plans.make(self, request, parts) end
    if plan.needs_address then resolving.add(self.resolved, plan, parts, state.deadline) end
    local response = hop(self, request, parts, plan, state)
    local code = response.code
    if code < 300 or code > 308 or state.left <= 0 then return response end
    if not redirects.is_redirect(response) then return response end
    local new = redirects.next(request, parts, state.first, response)
    if not new then
        error(errors.HTTPClientError(599, "a redirect asks for the body of body_producer again",
            response), 0)
    end
    state.left = state.left - 1
    local target, why = urls.parse(new.url)
    if not target then error(errors.HTTPClientError(599, why, response), 0) end
    return follow(self, new, target, state)
end

-- A request without options goes out as the client's defaults say.
local function plan_of(self, request, parts)
    if rawget(request, "_plain") and parts.is_literal and not parts.user
        and not self.hostname_mapping and not plans.is_personal(self.defaults) then
        local plan = self._plain_plan
        if not plan then
            plan = plans.make(self, request, parts)
            self._plain_plan = plan
        end
        return plan
    end
    return plans.make(self, request, parts)
end

-- What a fetch remembers from hop to hop.
local State = {}
State.__index = State

function State:is_followed(response)
    return self.left > 0 and redirects.is_redirect(response)
end

local function run(self, request, parts)
    local plan = plan_of(self, request, parts)
    local whole, connect = plan.limits.request_timeout, plan.limits.connect_timeout
    local begun = core.precise()
    local patience = whole > 0 and connect > 0 and math.min(whole, connect)
        or math.max(whole, connect)
    local at_once = self.queue.active < self.queue.most
    self.queue:enter(patience)
    local follows = setting(self, request, "follow_redirects")
    local state = setmetatable({
        transfer = nil, plan = plan, first = parts, deadline = whole > 0 and begun + whole or nil,
        untouched = at_once, left = follows and setting(self, request, "max_redirects") or 0,
    }, State)
    local started = core.precise()
    local ok, response, trace = protect(follow, self, request, parts, state)
    transfer.stop(state)
    self.queue:leave()
    if not ok then
        traces.keep(response, trace)
        error(response, 0)
    end
    response.request = request
    response.time_info.queue = started - begun
    return response
end

local PLAIN = {}

local function request_of(url, options)
    if type(url) ~= "string" then
        if not util.isinstance(url, HTTPRequest) then
            error("bad request: expected URL or HTTPRequest, got " .. type(url), 4)
        end
        if next(options) ~= nil then
            error(errors.ValueError(
                "options can't be used if request is an HTTPRequest object"), 3)
        end
        requests.check(url)
        return url
    end
    if options ~= PLAIN then return HTTPRequest(url, options, 2) end -- a tail call
    local request = HTTPRequest(url)
    request._plain = true
    return request
end

local function without(options, name)
    local out = {}
    for key, value in pairs(options) do
        if key ~= name then out[key] = value end
    end
    return out
end

-- What fetch() does, for both of that name: their caller is the one that errors are of.
local function fetch(self, url, options)
    if self.closed then error("fetch() called on a closed AsyncHTTPClient", 3) end
    local raise_error = true
    if options == nil then
        options = PLAIN
    elseif type(options) ~= "table" then
        error("bad options: expected table, got " .. type(options), 3)
    elseif options.raise_error ~= nil then
        raise_error = options.raise_error
        options = without(options, "raise_error")
    end
    local request = request_of(url, options)
    local parts = requests.validate(request,
        setting(self, request, "allow_nonstandard_methods"))
    local response = run(self, request, parts)
    if raise_error then response:rethrow() end
    return response
end

--- Fetches a URL, or an HTTPRequest; waits, and returns an HTTPResponse. Options: raise_error
--- (true: a response that is no success raises HTTPClientError), and of a URL the request's:
--- method, headers, body, body_producer, auth_username, auth_password, if_modified_since,
--- network_interface, streaming_callback, header_callback, proxy_host, proxy_port, proxy_username,
--- ca_certs, client_key, client_cert, ssl_options, unix_socket, resolve, and those of which
--- httpclient/request.lua has the defaults. Raises a ValueError for what is wrong by itself,
--- HTTPTimeoutError, HTTPStreamClosedError, HTTPClientError with a proxy's code when that opens no
--- tunnel for HTTPS, and with code 599 for other failures.
function AsyncHTTPClient:fetch(url, options)
    local response = fetch(self, url, options)
    return response
end

--- As AsyncHTTPClient():fetch().
function httpclient.fetch(url, options)
    local response = fetch(AsyncHTTPClient(), url, options)
    return response
end

--- Tornado: a client that blocks; here fetch() waits without blocking anyone else.
httpclient.HTTPClient = AsyncHTTPClient

return httpclient
