-- The part of tornado.core that is acceptors, UDP, descriptors and the system's errors. It has C
-- from core.lua, which loads it.
local abi = require "tornado.abi"
local ffi = require "ffi"

local C, vm = abi.C, abi.state
local to_string = ffi.string
local view, from_view = ffi.new("ct_str"), ffi.new("ct_str")

local sockets = {
    READY_READ = tonumber(C.CT_READY_READ),
    READY_WRITE = tonumber(C.CT_READY_WRITE),
    READY_ERROR = tonumber(C.CT_READY_ERROR),
}

local function why()
    return to_string(C.ct_abi_why(vm))
end

-- Acceptors ---------------------------------------------------------------------

--- Binds and listens without accepting; returns a handle, or nil, why not, and errno.
function sockets.accept(address, backlog, mode, reuse_port)
    local flags = reuse_port and C.CT_ACCEPT_SHARE or 0
    local acceptor = C.ct_abi_accept(vm, address, backlog, mode, flags)
    if acceptor == 0 then return nil, why(), C.ct_abi_errno(vm) end
    return acceptor
end

--- Whether a text is an address to listen on; or nil, and what was expected.
function sockets.address_check(address)
    if C.ct_abi_address_check(vm, address) == C.CT_OK then return true end
    return nil, why()
end

--- Begins to accept, or pauses; EVENT_ACCEPT brings channels.
function sockets.accept_watch(acceptor, on)
    return C.ct_abi_accept_watch(vm, acceptor, on and 1 or 0) == C.CT_OK
end

--- The address bound, or nil.
function sockets.accept_address(acceptor)
    if C.ct_abi_accept_address(vm, acceptor, view) ~= C.CT_OK then return nil end
    local text = to_string(view.p, view.n)
    return text
end

function sockets.accept_close(acceptor)
    return C.ct_abi_accept_close(vm, acceptor) == C.CT_OK
end

-- UDP ---------------------------------------------------------------------------

--- A UDP socket; `peer` is "" for none, `buffer` 0 for the kernel's default. Returns a handle, or
--- nil, why not, and errno.
function sockets.datagram(bind, peer, buffer, reuse_port)
    local flags = reuse_port and C.CT_ACCEPT_SHARE or 0
    local datagram = C.ct_abi_datagram(vm, bind, peer, buffer, flags)
    if datagram == 0 then return nil, why(), C.ct_abi_errno(vm) end
    return datagram
end

--- A status.
function sockets.datagram_send(datagram, s, to)
    local result = C.ct_abi_datagram_send(vm, datagram, s, #s, to)
    return result
end

--- The next datagram and its sender's address, or nil and a status.
function sockets.datagram_recv(datagram)
    local status = C.ct_abi_datagram_recv(vm, datagram, view, from_view)
    if status ~= C.CT_OK then return nil, status end
    return to_string(view.p, view.n), to_string(from_view.p, from_view.n)
end

function sockets.datagram_address(datagram)
    if C.ct_abi_datagram_address(vm, datagram, view) ~= C.CT_OK then return nil end
    local text = to_string(view.p, view.n)
    return text
end

function sockets.datagram_close(datagram)
    return C.ct_abi_datagram_close(vm, datagram) == C.CT_OK
end

-- Descriptors -------------------------------------------------------------------

--- Watches a descriptor for a set of READY_*; returns a handle, or nil, why not, and errno.
function sockets.watch(descriptor, events)
    local watch = C.ct_abi_watch(vm, descriptor, events)
    if watch == 0 then return nil, why(), C.ct_abi_errno(vm) end
    return watch
end

--- True, or nil and why not.
function sockets.watch_update(watch, events)
    if C.ct_abi_watch_update(vm, watch, events) ~= C.CT_OK then return nil, why() end
    return true
end

--- What it is ready for since the last call: a set of READY_*.
function sockets.watch_ready(watch)
    local result = C.ct_abi_watch_ready(vm, watch)
    return result
end

function sockets.watch_close(watch)
    return C.ct_abi_watch_close(vm, watch) == C.CT_OK
end

local two = ffi.new("int32_t[2]")

--- Two descriptors of a pipe, for reading and for writing; or nil, why not, and errno.
function sockets.pipe()
    if C.ct_abi_pipe(vm, two) ~= C.CT_OK then return nil, why(), C.ct_abi_errno(vm) end
    return two[0], two[1]
end

--- Two connected sockets; or nil, why not, and errno.
function sockets.pair()
    if C.ct_abi_pair(vm, two) ~= C.CT_OK then return nil, why(), C.ct_abi_errno(vm) end
    return two[0], two[1]
end

--- A second descriptor of the same thing, the caller's; or nil and why not.
function sockets.descriptor_copy(descriptor)
    local copy = C.ct_abi_descriptor_copy(vm, descriptor)
    if copy < 0 then return nil, why() end
    return copy
end

--- Closes a descriptor that nothing here owns.
function sockets.descriptor_close(descriptor)
    return C.ct_abi_descriptor_close(descriptor) == C.CT_OK
end

--- errno of the last call that gave a reason, or 0.
function sockets.last_errno()
    local result = C.ct_abi_errno(vm)
    return result
end

--- The reason of the last call that failed.
sockets.last_reason = why

--- The name of an errno ("ECONNREFUSED", "" for an unknown one) and its text.
function sockets.errno_name(errno)
    return to_string(C.ct_abi_errno_name(errno)), to_string(C.ct_abi_errno_text(errno))
end

return sockets
