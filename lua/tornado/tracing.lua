-- Trace Context: which trace a request belongs to, so that the logs of all the servers that work
-- for it can be put together (https://www.w3.org/TR/trace-context-2/). `request.trace` has that of
-- the request, stack_context.get "trace" that of whatever runs, and clients pass it on.
--
-- Nothing is parsed, and no id is made, before somebody asks.
local core = require "tornado.core"
local util = require "tornado.util"

local find, match, lower = string.find, string.match, string.lower
local tonumber = tonumber

local tracing = {}

local KNOWN_FLAGS = 3 -- sampled, and random: a trace id whose last 7 bytes are
local SAMPLED = 1
local MAX_MEMBERS = 32 -- of tracestate
local ACCEPT = { all = true, proxies = true, none = true }

local accept, begin = "all", false

local Trace = util.Object:extend "Trace"
tracing.Trace = Trace

-- Fields: trace_id (32 hex digits), span_id (16: what is done here), parent_id (16: what it is done
-- for; false when the trace begins here), sampled (whether the caller may have recorded it), flags
-- (0 to 3), state (the value of tracestate, or "").
function Trace:init(trace_id, parent_id, flags, state)
    self.trace_id, self.parent_id = trace_id, parent_id
    self.span_id = core.hex(core.random(8))
    self.flags, self.sampled = flags, bit.band(flags, SAMPLED) ~= 0
    self.state = state
end

--- The values of traceparent and of tracestate ("": none) for a request to another server.
function Trace:fields()
    return ("00-%s-%s-%02x"):format(self.trace_id, self.span_id, self.flags), self.state
end

function Trace:__tostring()
    return "Trace(" .. self.trace_id .. ")"
end

--- A trace that begins here, sampled: for requests without one, and for what no request asks for
-- (stack_context.run({ trace = tracing.new() }, fn)).
function tracing.new()
    local trace = Trace(core.hex(core.random(16)), false, KNOWN_FLAGS, "")
    return trace
end

-- Fields -----------------------------------------------------------------------------------

local KEY = "^[%l%d][%l%d_%-*/@]*$"
-- Printable, no comma, no "=", and no space at its end.
local VALUE = "^[\32-\43\45-\60\62-\126]*[\33-\43\45-\60\62-\126]$"

local function is_member(text)
    local key, value = match(text, "^([^=]*)=(.*)$")
    return key and #key <= 256 and #value <= 256 and find(key, KEY) and find(value, VALUE) and key
end

-- What tracestate says, its members in their order; "" when it is malformed or too much (§3.3.1.3:
-- then the trace goes on without it).
local function parse_state(text)
    local members, seen = {}, {}
    for member in (text .. ","):gmatch("([^,]*),") do
        member = match(member, "^[ \t]*(.-)[ \t]*$")
        if member ~= "" then
            local key = is_member(member)
            if not key or seen[key] or #members == MAX_MEMBERS then return "" end
            seen[key] = true
            members[#members + 1] = member
        end
    end
    return table.concat(members, ",")
end

local function is_zero(digits)
    return not find(digits, "[^0]")
end

--- Parses traceparent, and tracestate (may be nil). Returns a Trace whose span is new, or nil when
-- traceparent is malformed. Of later versions, what version 00 has is taken (§3.2.4).
function tracing.parse(parent, state)
    util.expect(parent, "string", "traceparent")
    util.expect(state or "", "string", "tracestate")
    local version, trace_id, parent_id, flags, rest =
        match(parent, "^(%x%x)%-(%x+)%-(%x+)%-(%x%x)(.*)$")
    if not version or #trace_id ~= 32 or #parent_id ~= 16 then return nil end
    if version == "ff" or rest ~= "" and (version == "00" or rest:sub(1, 1) ~= "-") then
        return nil
    end
    if lower(parent) ~= parent or is_zero(trace_id) or is_zero(parent_id) then return nil end
    local known = bit.band(tonumber(flags, 16), KNOWN_FLAGS)
    local trace = Trace(trace_id, parent_id, known, state and parse_state(state) or "")
    return trace
end

-- Requests ---------------------------------------------------------------------------------

local function check_request(request)
    if type(request) == "table" and type(request.handle) == "number" then return end
    error("bad request: expected HTTPServerRequest, got " .. type(request), 3)
end

--- The trace that a request's fields name, or nil.
function tracing.read(request)
    check_request(request)
    local parent, several = core.request_field(request.handle, "traceparent")
    if not parent or several then return nil end
    local trace = tracing.parse(parent, request:header "tracestate")
    return trace
end

--- Whose traceparent is believed, and whether a request without one begins a trace. Options:
-- accept="all", or "proxies" (those that xheaders has), or "none"; begin=false. Raises for others.
function tracing.configure(options)
    options = util.options(options, { accept = "all", begin = false }, "tracing.configure")
    if not ACCEPT[options.accept] then
        error("bad accept: expected all, proxies or none, got " .. util.shown(options.accept), 2)
    end
    accept, begin = options.accept, options.begin
end

--- For a request that came through a proxy which is believed: its trace, if proxies alone are.
function tracing.take(request)
    if accept == "proxies" then request.trace = tracing.read(request) end
end

--- What request.trace becomes when it is first asked for: a Trace, or false.
function tracing.of(request)
    check_request(request)
    local trace = accept == "all" and tracing.read(request) or begin and tracing.new()
    return trace or false
end

--- Adds what clients tell other servers to `headers` (anything with has() and set()): the trace
-- (a Trace, or nil) and the id of the request (or nil) on whose behalf they ask. What is there
-- stays.
function tracing.tell(headers, trace, id)
    if trace and not util.isinstance(trace, Trace) then
        error("bad trace: expected tracing.Trace, got " .. util.shown(trace), 0)
    end
    if trace and not headers:has "traceparent" then
        local parent, state = trace:fields()
        headers:set("traceparent", parent)
        if state ~= "" and not headers:has "tracestate" then headers:set("tracestate", state) end
    end
    if id and not headers:has "X-Request-Id" then headers:set("X-Request-Id", id) end
end

return tracing
