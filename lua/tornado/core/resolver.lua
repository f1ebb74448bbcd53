-- The part of tornado.core that is names: what netutil's resolvers stand on. It has C from
-- core.lua, which loads it.
local abi = require "tornado.abi"
local ffi = require "ffi"

local C, vm = abi.C, abi.state
local to_string = ffi.string

local resolver = {}

local NUMBERS = { inet = 4, inet6 = 6, unspec = 0 }
local NAMES = { [4] = "inet", [6] = "inet6" }

local view = ffi.new("ct_str")
local resolved = ffi.new("ct_resolved")

--- How further questions are asked: { servers = list, conf = path, timeout =, tries =,
-- deadline =, max_ttl = }, all of them. True, or nil and why not.
function resolver.set_resolver(o)
    local status = C.ct_abi_resolver_set(vm, table.concat(o.servers, ","), o.conf, o.timeout,
        o.tries, o.deadline, o.max_ttl)
    if status ~= C.CT_OK then return nil, to_string(C.ct_abi_why(vm)) end
    return true
end

--- Asks for the addresses of a name, family "inet", "inet6" or "unspec": a handle; EVENT_RESOLVED
-- comes with it unless resolved() knows the answer at once. Nil: too many are asked for.
function resolver.resolve(name, family)
    local handle = C.ct_abi_resolve(vm, name, #name, NUMBERS[family])
    if handle == 0 then return nil end
    return handle
end

--- The answer: its code ("OK", "NXDOMAIN", ...), its text, how many addresses; or nil when there
-- is none yet.
function resolver.resolved(handle)
    if C.ct_abi_resolved(vm, handle, resolved) ~= C.CT_OK then return nil end
    return to_string(resolved.code.p, resolved.code.n),
        to_string(resolved.text.p, resolved.text.n), resolved.count
end

--- The address number `index` (0 on): its text and family.
function resolver.resolved_address(handle, index)
    local family = C.ct_abi_resolved_address(vm, handle, index, view)
    if family == 0 then return nil end
    return to_string(view.p, view.n), NAMES[family]
end

--- Gives a handle of resolve() back.
function resolver.resolve_close(handle)
    local result = C.ct_abi_resolve_close(vm, handle)
    return result
end

--- An IP address in its usual form, and its family; nil when `text` is none.
function resolver.ip(text)
    if text:find("\0", 1, true) then return nil end
    local family = C.ct_abi_ip(vm, text, view)
    if family == 0 then return nil end
    return to_string(view.p, view.n), NAMES[family]
end

return resolver
