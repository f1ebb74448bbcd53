-- The part of tornado.core that is generations: sites that are loaded beside those that serve.
local abi = require "tornado.abi"
local ffi = require "ffi"

local C, vm = abi.C, abi.state

local part = {}

--- Which generation of the sites this is: 1 for the first.
function part.generation()
    return C.ct_abi_generation(vm)
end

--- All is loaded: this generation shall serve.
function part.ready()
    C.ct_abi_ready(vm)
end

--- It cannot be loaded, and why; the one before it serves on.
function part.failed(text)
    C.ct_abi_failed(vm, text, #text)
end

--- The number of the user that this process runs as.
function part.user_id()
    return C.ct_abi_user_id()
end

--- Which worker of a master this process is, 1 and up; 0: none.
function part.worker()
    return C.ct_abi_worker(vm)
end

--- How many workers the master has; 1 without one.
function part.workers()
    return C.ct_abi_workers(vm)
end

local text = ffi.new "ct_str"

--- A folder that the workers share, and nobody else can enter; "" when there is none.
function part.shared_folder()
    C.ct_abi_shared_folder(vm, text)
    return ffi.string(text.p, text.n)
end

local TEXTS = { "addresses", "admin", "control", "user", "group" }
local NUMBERS = { "stop_timeout", "worker_timeout", "workers", "backlog" }

--- Has this process become the master of workers; `options` are the fields of ct_supervision.
function part.supervise(options)
    local out = ffi.new("ct_supervision")
    for _, name in ipairs(TEXTS) do
        out[name].p, out[name].n = options[name], #options[name]
    end
    for _, name in ipairs(NUMBERS) do out[name] = options[name] end
    C.ct_abi_supervise(vm, out)
end

--- Takes commands on a control socket.
function part.control(path)
    C.ct_abi_control(vm, path, #path)
end

return part
