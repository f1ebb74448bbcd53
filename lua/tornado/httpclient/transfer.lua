-- One exchange: a request out, a response in, without redirects and retries.
local core = require "tornado.core"
local errors = require "tornado.httpclient.errors"
local gen = require "tornado.gen"
local HTTPResponse = require "tornado.httpclient.response"
local ioloop = require "tornado.ioloop"
local plans = require "tornado.httpclient.plan"
local Upload = require "tornado.httpclient.upload"

local band = bit.band
local fetch_state = core.fetch_state
local STREAM, UPLOAD, DECODE = core.FETCH_STREAM, core.FETCH_UPLOAD, core.FETCH_DECODE

local transfer = {}

local running = {} -- fetch -> transfer

-- Waiting -------------------------------------------------------------------------

local function wake(self)
    local waiter = self.waiter
    self.waiter = nil
    if waiter then ioloop.wake(waiter) end
end

ioloop.on(core.EVENT_FETCH, function(fetch)
    local self = running[fetch]
    if not self then return end
    if self.upload then self.upload:wake() end
    wake(self)
end)

local function wait(self)
    local waiter = ioloop.waiter()
    self.waiter = waiter
    ioloop.wait(waiter)
end

-- The result ------------------------------------------------------------------------------

local function response_of(self, parts)
    local code, version, head = core.fetch_head()
    local response = HTTPResponse(self.request, code)
    response._head = head
    response._decoded = band(self.plan.flags, DECODE) ~= 0
    response.version = version == 20 and "HTTP/2" or version == 10 and "HTTP/1.0" or "HTTP/1.1"
    response.effective_url = parts.url
    response.start_time = self.start_time
    local times = core.fetch_times()
    response.time_info = times
    response.request_time = times.total
    return response
end

-- Failures --------------------------------------------------------------------------

-- A proxy that opens no tunnel has answered, in the server's place: raised in any case, for nobody
-- may take that for the server's answer. Tornado: a 599 without a response.
local function no_tunnel(self, parts, code)
    local response = response_of(self, parts)
    response.body = ""
    return errors.HTTPClientError(response.code,
        "the proxy opened no tunnel: " .. response.reason, response, code)
end

local function failure_of(self, parts)
    local kind, code, why = core.fetch_failure()
    if not kind then return nil end
    if kind == core.FETCH_TIMEOUT then
        return errors.HTTPTimeoutError("Timeout during request", code)
    elseif kind == core.FETCH_CONNECT_TIMEOUT then
        return errors.HTTPTimeoutError("Timeout while connecting", code)
    elseif kind == core.FETCH_NO_TUNNEL then
        return no_tunnel(self, parts, code)
    elseif kind == core.FETCH_FAILED then
        return errors.HTTPClientError(599, why, nil, code)
    end
    return errors.HTTPStreamClosedError(why, code)
end

-- Streams ------------------------------------------------------------------------------

-- A callback may wait, but not for longer than the request may take.
local function call(self, callback, text)
    if not self.deadline then return callback(text) end
    gen._run_until(math.max(0, self.deadline - core.precise()),
        errors.HTTPTimeoutError("Timeout during request"), callback, text)
end

-- The head, once. True when nobody shall see what follows, as it is a redirect to be followed.
local function take_head(self)
    self.code, self.version, self.head = core.fetch_head()
    local response = HTTPResponse(self.request, self.code)
    response._head = self.head
    if self.state:is_followed(response) then return true end
    local callback = self.request.header_callback
    if callback then
        for line in self.head:gmatch("[^\r\n]*\r\n") do call(self, callback, line) end
        call(self, callback, "\r\n")
    end
    return false
end

-- Gives all that is here to the callback, or keeps it; returns whether there was any.
local function take_pieces(self)
    local callback, any = self.request.streaming_callback, false
    while true do
        local piece = core.fetch_read(self.fetch)
        if not piece then return any end
        any = true
        if callback then call(self, callback, piece) else self.pieces[#self.pieces + 1] = piece end
    end
end

-- Until it is done, or its head says that it is not wanted.
local function exchange_stream(self)
    self.pieces = {}
    while true do
        local whole, done = fetch_state(self.fetch)
        if self.err ~= nil then error(self.err, 0) end
        if whole and not self.code and take_head(self) then return end
        if not (self.code and take_pieces(self)) then
            if done then return end
            if not select(2, fetch_state(self.fetch)) then wait(self) end -- callbacks may wait
        end
    end
end

local function exchange(self)
    while true do
        wait(self)
        if self.err ~= nil then error(self.err, 0) end
        local _, done = fetch_state(self.fetch)
        if done then return end
    end
end

-- The exchange -------------------------------------------------------------------------

-- By itself: a function that has a closure in it cannot be compiled.
local function start_upload(self)
    self.upload = Upload(self.fetch, self.plan.limits.upload_size, function(err)
        self.err = err
        wake(self)
    end)
    self.upload:start(self.request.body_producer)
end

local function start(self, parts)
    local plan, request = self.plan, self.request
    if plan.texts then
        for _, pair in ipairs(plan.texts) do
            local ok, why = core.fetch_text(self.fetch, pair[1], pair[2])
            if not ok then error(errors.HTTPClientError(599, why), 0) end
        end
    end
    if plan.address then core.fetch_text(self.fetch, core.FETCH_RESOLVE, plan.address) end
    local ok, why = core.fetch_start(self.fetch, parts.url, request.method, plan.fields,
        request.body or "", plan.limits, plan.flags)
    if not ok then error(errors.HTTPClientError(599, why), 0) end
    if band(plan.flags, UPLOAD) ~= 0 then start_upload(self) end
end

local function perform(self, parts)
    start(self, parts)
    if band(self.plan.flags, STREAM) ~= 0 then
        exchange_stream(self)
        fetch_state(self.fetch) -- what follows reads it, and callbacks may have waited
    else
        exchange(self)
    end
    local err = failure_of(self, parts)
    if err then error(err, 0) end
    local response = response_of(self, parts)
    if self.pieces then
        response.body = table.concat(self.pieces)
    else
        response.body = core.fetch_read(self.fetch) or ""
    end
    return response
end

--- Sends `request` to `parts` (of its URL) as `plan` says, over a connection of `client` (a handle
--- of the core's), with `seconds` left for it (0: any time), and waits for the response, which is
--- returned. state:is_followed(response), asked when the head of a stream has come, says that it is
--- a redirect that nobody needs to see. Raises HTTPTimeoutError, HTTPStreamClosedError,
--- HTTPClientError, and what callbacks raise: transfer.stop(state) must follow then.
function transfer.run(client, request, parts, plan, seconds, state)
    if seconds ~= plan.limits.request_timeout then plan = plans.with_time(plan, seconds) end
    local fetch = core.fetch(client)
    if not fetch then error(errors.HTTPStreamClosedError("the client was closed"), 0) end
    local self = {
        fetch = fetch, request = request, plan = plan, state = state, start_time = core.now(),
        waiter = nil, upload = nil, err = nil, pieces = nil, code = nil,
        deadline = seconds > 0 and core.precise() + seconds or nil,
    }
    running[fetch] = self
    state.transfer = self
    local response = perform(self, parts)
    transfer.stop(state)
    return response
end

--- Ends the exchange of `state`, if there is one, however far it is.
function transfer.stop(state)
    local self = state.transfer
    if not self then return end
    state.transfer = nil
    running[self.fetch] = nil
    if self.upload then self.upload:stop() end
    core.fetch_release(self.fetch)
end

return transfer
