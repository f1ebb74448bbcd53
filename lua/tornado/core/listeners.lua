-- The boundary with C, of listeners and of connections that are no HTTP (any more).
local ffi = require "ffi"
local abi = require "tornado.abi"

local C, vm, to_string = abi.C, abi.state, ffi.string

local part = {}

local ip_out = ffi.new("char[16]")

local function why()
    return to_string(C.ct_abi_why(vm))
end

--- Sets a limit (a name as for core.set_option) for the connections to come of a listener.
function part.listen_option(listener, name, value)
    local option = C["CT_OPTION_" .. name:upper()]
    if C.ct_abi_listen_option(vm, listener, option, value) ~= C.CT_OK then
        error("bad option " .. name, 2)
    end
end

--- The proxies that a listener believes, besides this machine's: a list of "IP/BITS". False when
-- one is malformed.
function part.listen_trust(listener, networks)
    local text = table.concat(networks, " ")
    return C.ct_abi_listen_trust(vm, listener, text, #text) == C.CT_OK
end

--- With true, its clients wait in the kernel's queue, until it is called with false.
function part.listen_hold(listener, hold)
    return C.ct_abi_listen_hold(vm, listener, hold and 1 or 0) == C.CT_OK
end

--- The channel of a client without a network, whose address is `ip`; nil and why not.
function part.listen_pair(listener, ip)
    local channel = C.ct_abi_listen_pair(vm, listener, ip, #ip)
    if channel == 0 then return nil, why() end
    return channel
end

--- Ends a listener's connections, busy ones behind their reply: OK, CLOSED, or AGAIN when
-- EVENT_ENDED will tell.
function part.listen_drain(listener, heads)
    local result = C.ct_abi_listen_drain(vm, listener, heads and 1 or 0)
    return result
end

--- Has each of a listener's connections end with its next reply.
function part.listen_fade(listener)
    C.ct_abi_listen_fade(vm, listener)
end

--- Makes `ip` the address that a request came from; returns false when it is none.
function part.request_remote(handle, ip)
    return C.ct_abi_request_remote(vm, handle, ip, #ip) == C.CT_OK
end

--- Takes a request's connection out of HTTP; returns its channel, or nil.
function part.request_detach(handle)
    local channel = C.ct_abi_request_detach(vm, handle)
    return channel ~= 0 and channel or nil
end

--- An IP address as 4 or 16 bytes in network order (a v4-mapped one as 4), or nil.
function part.ip_bytes(text)
    local size = C.ct_abi_ip_bytes(text, #text, ip_out)
    if size == 0 then return nil end
    return to_string(ip_out, size)
end

return part
