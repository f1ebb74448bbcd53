-- The part of tornado.core that is TLS: contexts, and what was agreed on with a peer. It has C
-- from core.lua, which loads it.
local abi = require "tornado.abi"
local ffi = require "ffi"

local C, vm = abi.C, abi.state
local to_string = ffi.string

local tls = {}

local function why()
    return to_string(C.ct_abi_why(vm))
end

local function from_view(s)
    local text = to_string(s.p, s.n)
    return text
end

-- true, or nil and why not.
local function outcome(status)
    if status == C.CT_OK then return true end
    return nil, status == C.CT_CLOSED and "the TLS context is closed" or why()
end

--- A context's handle, or nil and why not.
function tls.tls_new(server)
    local handle = C.ct_abi_tls(vm, server and 1 or 0)
    if handle == 0 then return nil, why() end
    return handle
end

function tls.tls_free(handle)
    C.ct_abi_tls_free(vm, handle)
end

--- The rest of a context: true, or nil and why not. A nil `file` makes a certificate.
function tls.tls_certificate(handle, file, key, ocsp)
    return outcome(C.ct_abi_tls_certificate(vm, handle, file or "", key or "", ocsp or ""))
end

local dates = ffi.new("ct_tls_dates")

--- Of certificate `number`, from 0: its subject, and from when to when it is good (seconds since
--- 1970); nil when there are fewer.
function tls.tls_dates(handle, number)
    if C.ct_abi_tls_dates(vm, handle, number, dates) ~= C.CT_OK then return nil end
    return to_string(dates.whose.p, dates.whose.n), dates.not_before, dates.not_after
end

local VERIFY = {
    none = C.CT_VERIFY_NONE, optional = C.CT_VERIFY_OPTIONAL, required = C.CT_VERIFY_REQUIRED,
}

--- `how` is "none", "optional" or "required".
function tls.tls_verify(handle, how, file, folder)
    return outcome(C.ct_abi_tls_verify(vm, handle, VERIFY[how], file or "", folder or ""))
end

function tls.tls_ciphers(handle, list)
    return outcome(C.ct_abi_tls_ciphers(vm, handle, list))
end

--- `list`: names separated by commas.
function tls.tls_alpn(handle, list)
    return outcome(C.ct_abi_tls_alpn(vm, handle, list))
end

function tls.tls_only13(handle)
    return outcome(C.ct_abi_tls_only13(vm, handle))
end

function tls.tls_tickets(handle, keys)
    return outcome(C.ct_abi_tls_tickets(vm, handle, keys, #keys))
end

function tls.tls_rotate(handle)
    return outcome(C.ct_abi_tls_rotate(vm, handle))
end

function tls.tls_inherit(handle, from)
    return outcome(C.ct_abi_tls_inherit(vm, handle, from))
end

--- How many seconds a ticket key lasts that all servers of this process share; 0: for ever.
function tls.tls_rotation(seconds)
    C.ct_abi_tls_rotation(vm, seconds)
end

--- A listener's connections to come have TLS.
function tls.listen_tls(listener, handle)
    return outcome(C.ct_abi_listen_tls(vm, listener, handle))
end

local info = ffi.new("ct_tls_info")
local view = ffi.new("ct_str")

-- What ct_abi_*_tls() wrote, or nil.
local function agreed(status)
    if status ~= C.CT_OK then return nil end
    return {
        version = from_view(info.version), cipher = from_view(info.cipher),
        server_name = from_view(info.server_name), protocol = from_view(info.protocol),
        resumed = info.resumed == 1,
    }
end

--- { version, cipher, server_name, protocol, resumed } of a request's connection; nil when it is
-- plain, or gone.
function tls.request_tls(handle)
    return agreed(C.ct_abi_request_tls(vm, handle, info))
end

--- The same of a channel; nil before the handshake is over, too.
function tls.channel_tls(channel)
    return agreed(C.ct_abi_channel_tls(vm, channel, info))
end

local function der(status)
    if status ~= C.CT_OK then return nil end
    return from_view(view)
end

local function triples(status)
    if status ~= C.CT_OK then return nil end
    local list = {}
    for part in from_view(view):gmatch("([^%z]*)%z") do list[#list + 1] = part end
    return list
end

--- The client's certificate in DER, or nil.
function tls.request_certificate_der(handle)
    return der(C.ct_abi_request_certificate(vm, handle, 1, view))
end

--- The client's certificate as triples in a row, { section, name, value, ... }; or nil.
function tls.request_certificate(handle)
    return triples(C.ct_abi_request_certificate(vm, handle, 0, view))
end

--- The same of who is at a channel's other end.
function tls.channel_certificate_der(channel)
    return der(C.ct_abi_channel_certificate(vm, channel, 1, view))
end

function tls.channel_certificate(channel)
    return triples(C.ct_abi_channel_certificate(vm, channel, 0, view))
end

-- Channels -------------------------------------------------------------------------

--- Makes a channel TLS, as the context is one; `host`: whom a client means. True, or nil and why
--- not.
function tls.channel_start_tls(channel, handle, host)
    return outcome(C.ct_abi_channel_start_tls(vm, channel, handle, host or ""))
end

--- Shakes hands as far as possible: OK, AGAIN (the event tells), ERROR, CLOSED.
function tls.channel_handshake(channel)
    local result = C.ct_abi_channel_handshake(vm, channel)
    return result
end

--- What TLS says of an ERROR, or "".
function tls.channel_tls_why(channel)
    C.ct_abi_channel_tls_why(vm, channel, view)
    return from_view(view)
end

return tls
