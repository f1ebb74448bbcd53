-- The part of tornado.core that is the profiler (core/vm/profile.c).
local abi = require "tornado.abi"
local ffi = require "ffi"

local C, vm = abi.C, abi.state
local to_string = ffi.string

local part = {}

--- Begins to sample what Lua does, `hz` times a second (1 to 1000) for at most `seconds`. Returns
-- true; false when this process is being sampled; nil and why not.
function part.profile_start(hz, seconds)
    local status = C.ct_abi_profile_start(vm, hz, seconds)
    if status == C.CT_OK then return true end
    if status == C.CT_LIMIT then return false end
    return nil, to_string(C.ct_abi_why(vm))
end

local TOTALS = {
    "samples", "compiled", "interpreted", "c", "collecting", "compiling", "idle", "cut", "seconds",
    "cpu",
}

local function frames(count)
    local list, frame = {}, ffi.new "ct_profile_frame"
    for i = 0, count - 1 do
        C.ct_abi_profile_frame(vm, i, frame)
        list[i + 1] = {
            source = to_string(frame.source.p, frame.source.n),
            name = to_string(frame.name.p, frame.name.n),
            line = frame.line,
        }
    end
    return list
end

-- In one list: parent, frame and count of the first node, of the second, ...
local function nodes(count)
    local list, node = {}, ffi.new "ct_profile_node"
    for i = 0, count - 1 do
        C.ct_abi_profile_node(vm, i, node)
        list[3 * i + 1], list[3 * i + 2], list[3 * i + 3] = node.parent, node.frame, node.count
    end
    return list
end

--- Ends it. Returns the fields of ct_profile_totals; `frames`, a list of { source, name, line };
-- and `nodes`, a list of numbers: of each stack in turn the parent (0: the empty stack, which is
-- first), the frame, and how often it was seen. They count frames and stacks from 0 on.
function part.profile_stop()
    local out, totals = {}, ffi.new "ct_profile_totals"
    if C.ct_abi_profile_stop(vm, totals) ~= C.CT_OK then error("no profile was begun", 2) end
    for _, name in ipairs(TOTALS) do out[name] = tonumber(totals[name]) end
    out.frames, out.nodes = frames(totals.frames), nodes(totals.nodes)
    C.ct_abi_profile_free(vm)
    return out
end

--- Ends it, whatever it has found.
function part.profile_free()
    C.ct_abi_profile_free(vm)
end

return part
