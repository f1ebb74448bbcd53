-- The part of tornado.core that is folders whose changes are told.
local abi = require "tornado.abi"
local ffi = require "ffi"

local C, vm = abi.C, abi.state

local part = {}

local number = ffi.new("uint32_t[1]")
local change = ffi.new("ct_folder_change")

local function why()
    return ffi.string(C.ct_abi_why(vm))
end

--- A set of folders, of which EVENT_INOTIFY tells; nil and why not.
function part.inotify()
    local handle = C.ct_abi_inotify(vm)
    if handle == 0 then return nil, why() end
    return handle
end

--- Watches a folder, not what is below. Returns its number, or nil, LIMIT or ERROR, and why not.
function part.inotify_add(handle, path)
    local status = C.ct_abi_inotify_add(vm, handle, path, number)
    if status == C.CT_OK then return number[0] end
    return nil, status, why()
end

--- The next change: the folder's number (0: changes were lost), the name of a file ("": the folder
-- itself is gone), and whether it is that of a folder; nil when there is none.
function part.inotify_next(handle)
    if C.ct_abi_inotify_next(vm, handle, change) ~= C.CT_OK then return nil end
    return change.folder, ffi.string(change.name.p, change.name.n), change.is_folder ~= 0
end

function part.inotify_close(handle)
    C.ct_abi_inotify_close(vm, handle)
end

return part
