-- Rate limits: how often each client may call a handler. Buckets are in C (core/base/rate.c).
local core = require "tornado.core"
local errors = require "tornado.web.errors"
local util = require "tornado.util"

local ceil, max = math.ceil, math.max

local rate_limit = {}

local OPTIONS = {
    requests = util.NONE, per = 1, burst = util.NONE, key = util.NONE, name = util.NONE,
}
local MAX = 1e6

local function remote_ip(handler)
    local ip = handler.request.remote_ip
    return ip:find(":", 1, true) and core.rate_network(ip) or ip
end

local function check(name, value, low)
    if type(value) ~= "number" or not (value >= low and value <= MAX) then
        error(("bad rate_limit.%s: expected a number (%g to %d), got %s"):format(name, low, MAX,
            util.shown(value)), 4)
    end
end

-- A limit ready for use, of its options.
local function compile(given, name, level)
    local options = util.options(given, OPTIONS, "rate_limit", level + 1)
    options.burst = options.burst or options.requests
    check("requests", options.requests, 1)
    check("per", options.per, 0.001)
    check("burst", options.burst, 1)
    if options.key ~= nil and not util.is_callable(options.key) then
        error("bad rate_limit.key: expected a function, got " .. type(options.key), level + 1)
    end
    local limit = {
        interval = options.per / options.requests, burst = options.burst,
        key = options.key or remote_ip, prefix = (options.name or name) .. "\0",
        policy = ('"default";q=%d;w=%d'):format(options.requests, max(1, ceil(options.per))),
    }
    if limit.interval < 1e-6 then
        error("bad rate_limit: more than 1000000 requests a second", level + 1)
    end
    return limit
end

local function refuse(state, policy, retry)
    local err = errors.HTTPError(429)
    err.headers = {
        ["Retry-After"] = ("%d"):format(max(1, ceil(retry))),
        ["RateLimit"] = state, ["RateLimit-Policy"] = policy,
    }
    error(err, 0)
end

-- Takes one from the handler's bucket, or raises HTTPError(429).
local function apply(limit, handler)
    local key = limit.key(handler)
    if key == nil then return end
    if type(key) ~= "string" then
        error("rate_limit.key returned " .. type(key) .. "; expected a string, or nil", 0)
    end
    local allowed, remaining, reset, retry =
        core.rate_take(limit.prefix .. key, limit.interval, limit.burst)
    local state = ('"default";r=%d;t=%d'):format(remaining, ceil(reset))
    if not allowed then refuse(state, limit.policy, retry) end
    handler:set_header("RateLimit", state)
    handler:set_header("RateLimit-Policy", limit.policy)
end

local compiled = setmetatable({}, { __mode = "k" }) -- class -> its limit

--- Makes the limit of a class, given by `options` if any, ready for use. Returns nothing; or what
-- is wrong with it.
function rate_limit.prepare(class, options)
    if not options or compiled[class] then return nil end
    local ok, limit = pcall(compile, options, tostring(class), 2)
    if not ok then return tostring(class) .. ": " .. limit:gsub("^tornado/[^:]*:%d+: ", "") end
    compiled[class] = limit
end

--- Applies the `rate_limit` of a handler's class.
function rate_limit.check(handler)
    local class = handler.class
    local why = not compiled[class] and rate_limit.prepare(class, handler.rate_limit)
    if why then error(why, 0) end
    apply(compiled[class], handler)
end

--- Makes a filter for `before` of an application or a web.group(): each client may make `requests`
-- in `per` seconds (1), and up to `burst` (`requests`) at once; more are answered 429 with
-- Retry-After, and all have RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers).
-- key(handler) returns the string whose bucket it is (remote_ip; of IPv6, its /64), or nil for no
-- limit. All workers count together, and a reload forgets nothing. Limits with
-- the same `name` (where this was called) share their buckets.
function rate_limit.filter(options)
    local where = debug.getinfo(2, "Sl")
    local limit = compile(options, ("%s:%d"):format(where.short_src, where.currentline), 2)
    return function(handler) apply(limit, handler) end
end

return rate_limit
