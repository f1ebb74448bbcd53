-- Names to addresses without blocking: the hosts file, DNS, and a cache (core/io/resolver.h).
-- Tornado's netutil.Resolver and its descendants.
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"

local resolver = {}

local FAMILIES = { inet = true, inet6 = true, unspec = true }
local KINDS = { inet = "IPv4", inet6 = "IPv6" }

--- Raised when a name has no addresses. `code` is NXDOMAIN (no such name), NODATA (none of that
-- family), TIMEOUT, SERVFAIL (the servers failed, refused, or are not there), FORMERR, BADRESP
-- (no sense in their answer), BADNAME (no host name), BUSY (1024 names are asked for already)
-- or ERROR; `host` is the name, `message` has both and c-ares's text.
-- Tornado: an IOError.
local ResolveError = util.Error:extend "ResolveError"
resolver.ResolveError = ResolveError

function ResolveError:init(host, code, text)
    self.host, self.code = host, code
    self.message = ("cannot resolve %s: %s (%s)"):format(util.shown(host), text, code)
end

-- Waiting -----------------------------------------------------------------------------

local waiters = {} -- handle -> who waits for its answer

ioloop.on(core.EVENT_RESOLVED, function(handle)
    local waiter = waiters[handle]
    if waiter then ioloop.wake(waiter) end
end)

local function leave(handle)
    waiters[handle] = nil
    core.resolve_close(handle)
end

-- Code, text and number of addresses, when they are there.
local function answer_of(handle)
    local code, text, count = core.resolved(handle)
    if code then return code, text, count end
    local waiter = ioloop.waiter()
    waiters[handle] = waiter
    ioloop.wait(waiter, leave, handle)
    return core.resolved(handle)
end

local function ask(host, port, family)
    local handle = core.resolve(host, family)
    if not handle then error(ResolveError(host, "BUSY", "Too many names are asked for"), 0) end
    local code, text, count = answer_of(handle)
    local list = {}
    for i = 0, count - 1 do
        local address, kind = core.resolved_address(handle, i)
        list[i + 1] = { family = kind, address = address, port = port }
    end
    leave(handle)
    if code ~= "OK" then error(ResolveError(host, code, text), 0) end
    return list
end

-- Resolving -----------------------------------------------------------------------------

local function check(host, port, family, level)
    if type(host) ~= "string" then
        error("bad host: expected string, got " .. type(host), level + 1)
    end
    if type(port) ~= "number" or port % 1 ~= 0 or port < 0 or port > 65535 then
        error("bad port: expected 0 to 65535, got " .. util.shown(port), level + 1)
    end
    if not FAMILIES[family] then
        error('bad family: expected "inet", "inet6" or "unspec", got ' .. util.shown(family),
            level + 1)
    end
end

local function find(host, port, family)
    if host:sub(1, 5) == "unix:" then
        return { { family = "unix", address = host:sub(6), port = 0 } }
    end
    local address, kind = core.ip(host)
    if not address then return ask(host, port, family) end
    if family ~= "unspec" and family ~= kind then
        error(ResolveError(host, "NODATA", "It is an address of " .. KINDS[kind]), 0)
    end
    return { { family = kind, address = address, port = port } }
end

--- Waits for the addresses of `host`: a name, an IP address or "unix:/PATH". `family` is "inet",
-- "inet6" or "unspec" (nil: both). Returns a list of { family = "inet", address = "127.0.0.1",
-- port = port }, best first (RFC 6724); of a unix socket, the family is "unix" and the address
-- its path. Raises a ResolveError. Takes as long as the option resolver_deadline says at most.
-- Numbers that are no address in its usual form (127.1, 0x7f000001) are BADNAME.
-- Tornado: (family, sockaddr) in tuples.
function resolver.resolve(host, port, family)
    family = family or "unspec"
    check(host, port, family, 2)
    local list = find(host, port, family)
    return list
end

local DEFAULTS = {
    servers = {}, conf = "/etc/resolv.conf", timeout = 1.5, tries = 2, deadline = 5, max_ttl = 300,
}

--- Sets how this process asks, over ctornado.conf: { servers = { "127.0.0.1:53" }, conf = path,
-- timeout = seconds of a first try, tries = for each server, deadline = seconds in all, max_ttl =
-- seconds that answers are kept }. What is not given gets its default; what was known is
-- forgotten. Raises when the servers are no addresses.
function resolver.setup(options)
    local o = util.options(options, DEFAULTS, "resolver.setup")
    for name, default in pairs(DEFAULTS) do
        if type(o[name]) ~= type(default) then
            error(("bad %s: expected %s, got %s"):format(name, type(default), util.shown(o[name])),
                2)
        end
    end
    local ok, why = core.set_resolver(o)
    if not ok then error("bad servers: " .. why, 2) end
end

-- Tornado's classes ------------------------------------------------------------------------

--- The base of resolvers; `Resolver()` makes one of the class that configure() named.
local Resolver = util.Object:extend "Resolver"
resolver.Resolver = Resolver

--- As resolver.resolve(), for descendants to replace.
function Resolver:resolve(host, port, family) -- luacheck: ignore 212/self
    family = family or "unspec"
    check(host, port, family, 2)
    local list = find(host, port, family)
    return list
end

--- Nothing is to be closed: all share what the process knows.
function Resolver:close() -- luacheck: ignore 212/self
end

--- The resolver that asks: there is one way, which neither blocks nor needs threads.
local CaresResolver = Resolver:extend "CaresResolver"
resolver.CaresResolver = CaresResolver

-- Tornado: num_threads and executor count; here they are taken and mean nothing.
function CaresResolver:init(options) -- luacheck: ignore 212/self
    util.options(options, { num_threads = util.NONE, executor = util.NONE,
        close_executor = util.NONE }, "Resolver", 1)
end

resolver.DefaultLoopResolver = CaresResolver
resolver.DefaultExecutorResolver = CaresResolver
resolver.ExecutorResolver = CaresResolver
resolver.BlockingResolver = CaresResolver
resolver.ThreadedResolver = CaresResolver

-- OverrideResolver --------------------------------------------------------------------------

local function key_of(host, port, family)
    return ("%s %s %s"):format(host:lower(), port or "", family or "")
end

-- A key of the mapping: "host", { "host", port } or { "host", port, family }.
local function parse_key(key)
    if type(key) == "string" then return key_of(key), true end
    if type(key) == "table" and type(key[1]) == "string" and type(key[2]) == "number"
        and (key[3] == nil or FAMILIES[key[3]]) then
        return key_of(key[1], key[2], key[3]), false
    end
    error('bad key of mapping: expected "host", { "host", port } or { "host", port, family }, ' ..
        "got " .. util.shown(key), 0)
end

local function parse_mapping(mapping)
    local map = {}
    for key, value in pairs(mapping) do
        local name, alone = parse_key(key)
        if alone and type(value) ~= "string" then
            error(('bad value of mapping for %s: expected "host", got %s'):format(util.shown(key),
                util.shown(value)), 0)
        end
        if not alone and (type(value) ~= "table" or type(value[1]) ~= "string"
            or type(value[2]) ~= "number") then
            error(("bad value of mapping for %s: expected { host, port }, got %s"):format(
                util.shown(key[1]), util.shown(value)), 0)
        end
        map[name] = value
    end
    return map
end

--- A resolver that knows better: { resolver = another, mapping = { ... } }. The mapping has hosts
-- for hosts (`["a.test"] = "127.0.0.1"`), or pairs for a port and, if given, a family:
-- `[{ "a.test", 443, "inet" }] = { "127.0.0.1", 1443 }`. The most specific key wins. `resolver`
-- resolves what comes out; nil: the one of the process.
local OverrideResolver = Resolver:extend "OverrideResolver"
resolver.OverrideResolver = OverrideResolver

function OverrideResolver:init(options)
    local o = util.options(options, { resolver = util.NONE, mapping = {} }, "OverrideResolver", 1)
    if type(o.mapping) ~= "table" then
        error("bad mapping: expected table, got " .. type(o.mapping), 3)
    end
    local ok, map = pcall(parse_mapping, o.mapping)
    if not ok then error(map, 3) end
    self.resolver = o.resolver or CaresResolver()
    self._map = map
end

function OverrideResolver:resolve(host, port, family)
    family = family or "unspec"
    check(host, port, family, 2)
    local map = self._map
    local pair = map[key_of(host, port, family)] or map[key_of(host, port)]
    if pair then
        host, port = pair[1], pair[2]
    else
        host = map[key_of(host)] or host
    end
    local list = self.resolver:resolve(host, port, family)
    return list
end

--- Closes the resolver underneath.
function OverrideResolver:close()
    self.resolver:close()
end

-- Which one ------------------------------------------------------------------------------------

local configured, configured_options = CaresResolver, nil

--- The class of `Resolver()` from now on, itself or its name ("tornado.netutil.X"), and its
-- options; without arguments, the default again.
function Resolver.configure(class, options)
    if type(class) == "string" then class = util.import_object(class) end
    class = class or CaresResolver
    if type(class) ~= "table" or not util.isinstance(class, Resolver) or class == Resolver then
        error("bad class: expected a descendant of Resolver, got " .. util.shown(class), 2)
    end
    configured, configured_options = class, options
end

--- The class of `Resolver()`.
function Resolver.configured_class()
    return configured
end

local meta = getmetatable(Resolver)
local construct = meta.__call

function meta.__call(class, options)
    if class ~= Resolver then return construct(class, options) end
    return configured(options or configured_options)
end

return resolver
