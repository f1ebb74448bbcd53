-- Names to addresses by tornado.netutil's resolver, so that libcurl asks nobody: it is told what
-- the resolver said, and told again when it has forgotten (after a minute).
local core = require "tornado.core"
local errors = require "tornado.httpclient.errors"
local ioloop = require "tornado.ioloop"

local resolving = {}

local FORGOTTEN = 50 -- seconds; libcurl keeps addresses for 60
local NAMES = 1000

--- What a client has told libcurl: "HOST:PORT" -> when.
function resolving.cache()
    return { told = {}, count = 0 }
end

-- The resolver, or false.
local resolver

local function load()
    local ok, module = pcall(require, "tornado.netutil.resolver")
    resolver = ok and module or false
end

local function remember(cache, key)
    if cache.count >= NAMES then cache.told, cache.count = {}, 0 end
    if not cache.told[key] then cache.count = cache.count + 1 end
    cache.told[key] = core.monotonic()
end

local function describe(list)
    local out = {}
    for i, one in ipairs(list) do
        out[i] = one.address:find(":", 1, true) and "[" .. one.address .. "]" or one.address
    end
    return table.concat(out, ",")
end

local function cancel_late(waiter)
    ioloop.cancel(waiter, errors.HTTPTimeoutError("Timeout while connecting"))
end

-- resolve() within the time that is left.
local function resolve(plan, parts, deadline)
    local connect = plan.limits.connect_timeout
    local left = deadline and deadline - core.precise()
    if connect > 0 then left = left and math.min(left, connect) or connect end
    local co, timer = coroutine.running(), nil
    if left then
        timer = ioloop.call_later(math.max(left, 0), function()
            local waiter = ioloop.waiter_of(co)
            if waiter then cancel_late(waiter) end
        end)
    end
    local ok, result = pcall(resolver.resolve, parts.host, parts.port, plan.family)
    if timer then ioloop.remove_timeout(timer) end
    return ok, result
end

--- Puts into `plan` what libcurl must be told to reach `parts`. Raises HTTPClientError for a name
--- that has no address, HTTPTimeoutError.
function resolving.add(cache, plan, parts, deadline)
    if resolver == nil then load() end
    if not resolver then return end
    local key = parts.host .. ":" .. parts.port
    local told = cache.told[key]
    if told and core.monotonic() - told < FORGOTTEN then return end
    local ok, result = resolve(plan, parts, deadline)
    if not ok then
        if type(result) == "table" and result.code == 599 then error(result, 0) end
        error(errors.HTTPClientError(599, ("Could not resolve host: %s (%s)"):format(parts.host,
            tostring(result)), nil, 6), 0)
    end
    remember(cache, key)
    plan.address = "+" .. key .. ":" .. describe(result)
end

return resolving
