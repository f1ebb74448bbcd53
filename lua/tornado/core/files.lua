-- The part of tornado.core that is static files: what StaticFileHandler stands on. It has C
-- from core.lua, which loads it.
local abi = require "tornado.abi"
local ffi = require "ffi"

local C, vm = abi.C, abi.state
local to_string = ffi.string

local files = {}

local function from_view(s)
    local text = to_string(s.p, s.n)
    return text
end

files.FILE_NONE = tonumber(C.CT_FILE_NONE)
files.FILE_FOLDER = tonumber(C.CT_FILE_FOLDER)
files.FILE_DENIED = tonumber(C.CT_FILE_DENIED)
files.FILE_ODD = tonumber(C.CT_FILE_ODD)
files.FILE_VERSIONED = tonumber(C.CT_FILE_VERSIONED)
files.FILE_FRESH = tonumber(C.CT_FILE_FRESH)
files.FILE_COMPRESS = tonumber(C.CT_FILE_COMPRESS)
files.FILE_RANGES = tonumber(C.CT_FILE_RANGES)
files.FILE_SIBLING = tonumber(C.CT_FILE_SIBLING)

--- Answers a request with a file: the HTTP status sent, or FILE_*, CLOSED or ERROR.
function files.file_serve(handle, root, path, flags)
    local result = C.ct_abi_file_serve(vm, handle, root, #root, path, #path, flags)
    return result
end

local file_info = ffi.new("ct_file_info")

--- Size, time of the last change, version and content type of a file; or nil and FILE_* or ERROR.
function files.file_info(root, path, flags)
    local status = C.ct_abi_file_info(vm, root, #root, path, #path, flags, file_info)
    if status ~= C.CT_OK then return nil, status end
    return file_info.size, file_info.modified, from_view(file_info.version),
        from_view(file_info.type)
end

--- The form of a file that the client likes best: 0, GZIP or BROTLI; with FILE_SIBLING added, it
-- is a file beside it.
function files.file_coding(handle, root, path, flags)
    local coding = C.ct_abi_file_coding(vm, handle, root, #root, path, #path, flags)
    return coding
end

--- Replies with a file, or with the ranges of it that were asked for, behind the fields set so
-- far: the HTTP status sent, or FILE_*, CLOSED or ERROR.
function files.file_reply(handle, root, path, content_type, coding, flags)
    local result = C.ct_abi_file_reply(vm, handle, root, #root, path, #path, content_type,
        coding, flags)
    return result
end

--- Bytes of a file, or nil.
function files.file_read(root, path, from, size)
    local out = ffi.new("char[?]", size)
    local n = C.ct_abi_file_read(vm, root, #root, path, #path, from, out, size)
    if n < 0 then return nil end
    return to_string(out, n)
end

local range_from, range_size = ffi.new("double[1]"), ffi.new("double[1]")

--- What a Range field asks for: 1, its first byte and its size; 0 for all; -1 for none.
function files.file_range(field, total)
    local n = C.ct_abi_file_range(field, #field, total, range_from, range_size)
    return n, range_from[0], range_size[0]
end

--- The content type of a file of that name.
function files.file_type(name)
    return to_string(C.ct_abi_file_type(name, #name))
end

--- Seconds since 1970 of an HTTP date, or nil.
function files.http_date_parse(text)
    local at = C.ct_abi_http_date_parse(text, #text)
    return at >= 0 and at or nil
end

--- The process's working folder.
function files.working_folder()
    local out = ffi.new("char[4096]")
    if C.ct_abi_working_folder(out, 4096) == 0 then return "/" end
    return to_string(out)
end

--- Whether both paths lead to the same file or folder.
function files.file_same(a, b)
    return C.ct_abi_file_same(a, b) == 1
end

return files
