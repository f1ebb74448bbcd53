-- The boundary with C, of what the processes of a server know of each other.
local ffi = require "ffi"
local abi = require "tornado.abi"

local C, vm = abi.C, abi.state

local part = {}

local STATES = {
    [tonumber(C.CT_SERVER_STARTING)] = "starting",
    [tonumber(C.CT_SERVER_SERVING)] = "serving",
    [tonumber(C.CT_SERVER_ENDING)] = "ending",
}

local view = ffi.new "ct_str"

--- "starting", "serving" when at least one worker does, or "ending".
function part.server_state()
    return STATES[C.ct_abi_server_state(vm)]
end

--- What `ctornado status json` shows.
function part.server_status()
    C.ct_abi_server_status(vm, view)
    return ffi.string(view.p, view.n)
end

return part
