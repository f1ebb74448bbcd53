-- The part of tornado.core that is generations: sites that are loaded beside those that serve.
local abi = require "tornado.abi"
local ffi = require "ffi"

local C, vm = abi.C, abi.state

local part = {}

local view = ffi.new "ct_str"

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

--- Answers EVENT_HAND_OVER with bytes for the next generation; false when they are too many.
function part.hand_over(bytes)
    return C.ct_abi_hand_over(vm, bytes, #bytes) == C.CT_OK
end

--- Takes what the generation before has handed over (EVENT_ESTATE).
function part.estate()
    C.ct_abi_estate(vm, view)
    local bytes = ffi.string(view.p, view.n)
    C.ct_abi_drop_estate(vm)
    return bytes
end

--- Asks for a reload: EVENT_RELOADED tells its end, 1 or 0 for a failure.
function part.reload()
    C.ct_abi_reload(vm)
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

--- True while another process serves, whose place this server is to take.
function part.is_heir()
    return C.ct_abi_is_heir(vm) == 1
end

--- A folder that the workers share, and nobody else can enter; "" when there is none.
function part.shared_folder()
    C.ct_abi_shared_folder(vm, view)
    return ffi.string(view.p, view.n)
end

--- Why the last reload failed; "": it did not.
function part.reload_report()
    C.ct_abi_reload_report(vm, view)
    return ffi.string(view.p, view.n)
end

local TEXTS = { "addresses", "admin", "control", "pid_file", "user", "group" }
local NUMBERS = { "stop_timeout", "worker_timeout", "ticket_rotation", "workers", "backlog",
    "supervise", "no_new_privs" }

local function supervision(options)
    local out = ffi.new("ct_supervision")
    for _, name in ipairs(TEXTS) do
        out[name].p, out[name].n = options[name], #options[name]
    end
    for _, name in ipairs(NUMBERS) do out[name] = options[name] end
    return out
end

--- Has this process become the master of workers; `options` are the fields of ct_supervision.
function part.supervise(options)
    C.ct_abi_supervise(vm, supervision(options))
end

--- Says what this generation wants of its process: the same fields.
function part.wishes(options)
    C.ct_abi_wishes(vm, supervision(options))
end

--- Has the process's number in a file while it serves.
function part.pid_file(path)
    C.ct_abi_pid_file(vm, path, #path)
end

--- Becomes the same program with these arguments, argv[0] first. Returns why not, if it fails.
function part.restart(arguments)
    if #arguments > C.CT_RESTART_MOST then return "too many arguments" end
    C.ct_abi_restart(vm, table.concat(arguments, "\0") .. "\0", #arguments)
    return ffi.string(C.ct_abi_why(vm))
end

--- Whether the kernel may write this process's memory to a file when it dies.
function part.core_dumps(allowed)
    C.ct_abi_core_dumps(vm, allowed and 1 or 0)
end

--- For a process that serves: its files are not for others, and programs that it starts gain no
-- rights.
function part.confine(no_new_privs)
    C.ct_abi_confine(vm, no_new_privs and 1 or 0)
end

--- Takes commands on a control socket.
function part.control(path)
    C.ct_abi_control(vm, path, #path)
end

return part
