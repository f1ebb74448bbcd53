-- Names to addresses by tornado.netutil's resolver, so that libcurl asks nobody: it is told what
-- the resolver said, and told again when it has forgotten (after a minute).
local core = require "tornado.core"
local errors = require "tornado.httpclient.errors"
local gen = require "tornado.gen"

local resolving = {}

local FORGOTTEN = 50 -- seconds; libcurl keeps addresses for 60
local NAMES = 1000
local DELAY = 0.05 -- seconds that IPv4 addresses may wait for IPv6 ones (RFC 8305 §3)
local PARTIAL = 5  -- seconds until it is asked again after that

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

local function remember(cache, key, partial)
    if cache.count >= NAMES then cache.told, cache.count = {}, 0 end
    if not cache.told[key] then cache.count = cache.count + 1 end
    cache.told[key] = core.monotonic() - (partial and FORGOTTEN - PARTIAL or 0)
end

local function describe(list)
    local out = {}
    for i, one in ipairs(list) do
        out[i] = one.address:find(":", 1, true) and "[" .. one.address .. "]" or one.address
    end
    return table.concat(out, ",")
end

-- Addresses of both families; those of IPv4 alone, and true, when the others are late. The two are
-- asked for in one question, which has an answer in time nearly always.
local function ask_both(host, port)
    local answered = false
    local function ask()
        local ok, result = pcall(resolver.resolve, host, port)
        answered = true
        return ok and result or error(result, 0)
    end
    local function ask_again()
        gen.sleep(DELAY)
        if answered then error("it has failed", 0) end
        local list = resolver.resolve(host, port, "inet")
        return list
    end
    local list, key = gen.any { ask, ask_again }
    return list, key == 2
end

local function ask(plan, parts)
    if plan.family then
        local list = resolver.resolve(parts.host, parts.port, plan.family)
        return list
    end
    local list, partial = ask_both(parts.host, parts.port)
    return list, partial
end

-- The same within the time that is left: pcall's results.
local function resolve(plan, parts, deadline)
    local connect = plan.limits.connect_timeout
    local left = deadline and deadline - core.precise()
    if connect > 0 then left = left and math.min(left, connect) or connect end
    if not left then return pcall(ask, plan, parts) end
    return pcall(gen._run_until, math.max(left, 0),
        errors.HTTPTimeoutError("Timeout while connecting"), ask, plan, parts)
end

--- Puts into `plan` what libcurl must be told to reach `parts`. Raises HTTPClientError for a name
--- that has no address, HTTPTimeoutError.
function resolving.add(cache, plan, parts, deadline)
    if resolver == nil then load() end
    if not resolver then return end
    local key = parts.host .. ":" .. parts.port
    local told = cache.told[key]
    if told and core.monotonic() - told < FORGOTTEN then return end
    local ok, result, partial = resolve(plan, parts, deadline)
    if not ok then
        gen.check_cancelled()
        if type(result) == "table" and result.code == 599 then error(result, 0) end
        error(errors.HTTPClientError(599, ("Could not resolve host: %s (%s)"):format(parts.host,
            tostring(result)), nil, 6), 0)
    end
    remember(cache, key, partial)
    plan.address = "+" .. key .. ":" .. describe(result)
end

return resolving
