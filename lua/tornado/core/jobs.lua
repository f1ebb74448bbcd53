-- The part of tornado.core that is jobs of threads: Lua functions, files. It has C from core.lua,
-- which loads it.
local abi = require "tornado.abi"
local ffi = require "ffi"

local C, vm = abi.C, abi.state
local to_string = ffi.string

local jobs = {}

local function why()
    return to_string(C.ct_abi_why(vm))
end

local result = ffi.new("ct_job_result")

--- What a job that has ended found: its bytes (or the reason) and its errno, 0 when it went well;
-- nil while it is under way. With `about`, a table, that gets what is known of the file.
function jobs.job_result(job, about)
    if C.ct_abi_job_result(vm, job, result) ~= C.CT_OK then return nil end
    if about then
        about.size, about.modified = result.size, result.modified
        about.inode, about.mode, about.kind = result.inode, result.mode, result.kind
    end
    return to_string(result.text.p, result.text.n), result.error
end

--- Gives a job back; one that has not begun never does.
function jobs.job_free(job)
    C.ct_abi_job_free(vm, job)
end

-- Executors ---------------------------------------------------------------------------

--- A new executor's handle; nil and why not.
function jobs.executor(threads, queue, timeout, memory)
    local handle = C.ct_abi_executor(vm, threads, queue, timeout, memory)
    if handle == 0 then return nil, why() end
    return handle
end

--- Begins a call: its job, or nil and why not.
function jobs.executor_call(executor, bytes)
    local job = C.ct_abi_executor_call(vm, executor, bytes, #bytes)
    if job == 0 then return nil, why() end
    return job
end

--- Calls that wait or run.
function jobs.executor_load(executor)
    local load = C.ct_abi_executor_load(vm, executor)
    return load
end

--- Drops the executor's Lua states; false when it was closed.
function jobs.executor_reset(executor)
    return C.ct_abi_executor_reset(vm, executor) == C.CT_OK
end

function jobs.executor_close(executor)
    C.ct_abi_executor_close(vm, executor)
end

--- CPUs that this process may keep busy, at least 1.
function jobs.cpu_count()
    return C.ct_abi_cpu_count()
end

-- Files on threads ----------------------------------------------------------------------

local OPS = {
    read = tonumber(C.CT_DISK_READ), write = tonumber(C.CT_DISK_WRITE),
    stat = tonumber(C.CT_DISK_STAT), list = tonumber(C.CT_DISK_LIST),
    remove = tonumber(C.CT_DISK_REMOVE), mkdir = tonumber(C.CT_DISK_MKDIR),
    rename = tonumber(C.CT_DISK_RENAME),
}

jobs.DISK_APPEND = tonumber(C.CT_DISK_APPEND)
jobs.DISK_ATOMIC = tonumber(C.CT_DISK_ATOMIC)
jobs.DISK_EXCLUSIVE = tonumber(C.CT_DISK_EXCLUSIVE)
jobs.DISK_SYNC = tonumber(C.CT_DISK_SYNC)
jobs.DISK_PARENTS = tonumber(C.CT_DISK_PARENTS)
jobs.DISK_LINK = tonumber(C.CT_DISK_LINK)
jobs.DISK_WHOLE = tonumber(C.CT_DISK_WHOLE)

local disk_args = ffi.new("ct_disk_args")

--- Begins an operation ("read", ...) on a file: its job, or nil and why not. The rest as in
-- struct ct_disk_args: flags, mode, data, from, limit.
function jobs.disk(op, path, flags, mode, data, from, limit)
    disk_args.op, disk_args.flags, disk_args.mode = OPS[op], flags, mode
    disk_args.data.p, disk_args.data.n = data, #data
    disk_args.from, disk_args.limit = from, limit
    local job = C.ct_abi_disk(vm, path, disk_args)
    if job == 0 then return nil, why() end
    return job
end

return jobs
