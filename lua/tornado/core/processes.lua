-- The part of tornado.core that is child processes. It has C from core.lua, which loads it.
local abi = require "tornado.abi"
local ffi = require "ffi"

local C, vm = abi.C, abi.state
local to_string = ffi.string

local processes = {}

processes.SPAWN_INHERIT = tonumber(C.CT_SPAWN_INHERIT)
processes.SPAWN_NULL = tonumber(C.CT_SPAWN_NULL)
processes.SPAWN_STREAM = tonumber(C.CT_SPAWN_STREAM)
processes.SPAWN_STDOUT = tonumber(C.CT_SPAWN_STDOUT)
processes.SPAWN_GROUP = tonumber(C.CT_SPAWN_GROUP)
processes.SPAWN_DETACHED = tonumber(C.CT_SPAWN_DETACHED)
processes.SPAWN_SEARCH = tonumber(C.CT_SPAWN_SEARCH)

local function join(list)
    return table.concat(list, "\0") .. "\0"
end

--- Starts a program; takes its arguments, environment ("NAME=value", or nil), program, folder,
-- three descriptors or SPAWN_*, and flags. Returns a handle, its pid and our ends of its pipes
-- (or -1); nil, the reason and errno.
function processes.spawn(args, env, program, cwd, fds, flags)
    local spawn, out = ffi.new("ct_spawn"), ffi.new("ct_spawned")
    local args_text, env_text = join(args), env and join(env)
    spawn.args.p, spawn.args.n = args_text, #args_text
    if env then spawn.env.p, spawn.env.n = env_text, env[1] and #env_text or 0 end
    spawn.program, spawn.cwd, spawn.flags = program, cwd, flags
    for i = 0, 2 do spawn.fds[i] = fds[i + 1] end
    local handle = C.ct_abi_spawn(vm, spawn, out)
    if handle == 0 then return nil, to_string(C.ct_abi_why(vm)), out.error end
    return handle, out.pid, out.fds[0], out.fds[1], out.fds[2]
end

local status = ffi.new("int32_t[1]")

--- Its exit code, or minus the signal that killed it; nil while it runs.
function processes.process_status(process)
    if C.ct_abi_process_status(vm, process, status) ~= C.CT_OK then return nil end
    return status[0]
end

--- Sends a signal: a status. With `last`, what is left of its group is killed when it ends.
function processes.process_kill(process, signal, group, last)
    local result = C.ct_abi_process_kill(vm, process, signal, group and 1 or 0, last and 1 or 0)
    return result
end

--- Gives the handle back; what still runs is reaped when it ends.
function processes.process_free(process)
    C.ct_abi_process_free(vm, process)
end

--- Closes a descriptor that spawn() gave.
function processes.close_descriptor(fd)
    C.ct_abi_close(fd)
end

--- The descriptor of an open file of Lua's.
function processes.file_descriptor(file)
    local result = C.ct_abi_fileno(file)
    return result
end

return processes
