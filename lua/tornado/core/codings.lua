-- The part of tornado.core that is codings (gzip, brotli) and the scanner of
-- multipart/form-data. It has C from core.lua, which loads it.
local abi = require "tornado.abi"
local buffer = require "string.buffer"
local ffi = require "ffi"

local C, vm = abi.C, abi.state
local to_string = ffi.string

local codings = {
    GZIP = tonumber(C.CT_CODING_GZIP),
    BROTLI = tonumber(C.CT_CODING_BROTLI),
    ENCODE_ON = tonumber(C.CT_ENCODE_ON),
    ENCODE_FLUSH = tonumber(C.CT_ENCODE_FLUSH),
    ENCODE_FINISH = tonumber(C.CT_ENCODE_FINISH),

    MULTIPART_MORE = tonumber(C.CT_MULTIPART_MORE),
    MULTIPART_HEADER = tonumber(C.CT_MULTIPART_HEADER),
    MULTIPART_BEGIN = tonumber(C.CT_MULTIPART_BEGIN),
    MULTIPART_DATA = tonumber(C.CT_MULTIPART_DATA),
    MULTIPART_END = tonumber(C.CT_MULTIPART_END),
    MULTIPART_DONE = tonumber(C.CT_MULTIPART_DONE),
    MULTIPART_BAD = tonumber(C.CT_MULTIPART_BAD),
}

local view = ffi.new("ct_str")
local position = ffi.new("uint32_t[1]")

-- Codings ------------------------------------------------------------------------

--- Gives the request's reply an encoder: GZIP or BROTLI. A status.
function codings.encoder(request, coding, level)
    local status = C.ct_abi_encoder(vm, request, coding, level)
    return status
end

--- What becomes of `text`: ENCODE_FLUSH gives all so far, ENCODE_FINISH ends it.
function codings.encode(request, text, how)
    if C.ct_abi_encode(vm, request, text, #text, how, view) ~= C.CT_OK then return "" end
    local out = to_string(view.p, view.n)
    return out
end

--- Gives the request's body a decoder of gzip. A status.
function codings.decoder(request)
    local status = C.ct_abi_decoder(vm, request)
    return status
end

--- Decodes text from position `at` (0 on): at most 64 KiB, and the next position; nil when it is
-- corrupt. An empty string: nothing is left.
function codings.decode(request, text, at)
    position[0] = at
    if C.ct_abi_decode(vm, request, text, #text, position, view) ~= C.CT_OK then return nil end
    local out = to_string(view.p, view.n)
    return out, position[0]
end

--- Whether what was decoded so far is complete.
function codings.decode_end(request)
    return C.ct_abi_decode_end(vm, request) == C.CT_OK
end

local PIECE = 65536
local gunzipped = buffer.new()

--- A decoder of gzip, which ends with its last reference.
function codings.gunzip()
    local z = ffi.new("ct_gunzip")
    C.ct_abi_gunzip(z)
    return z
end

--- Decodes text from position `at` (0 on): at most `room` bytes (default 64 KiB), and the next
-- position; nil when it is corrupt. An empty string: nothing is left.
function codings.gunzip_run(z, text, at, room)
    position[0] = at
    room = room or PIECE
    local out = gunzipped:reset():reserve(room)
    local n = C.ct_abi_gunzip_run(z, text, #text, position, out, room)
    if n < 0 then return nil end
    return to_string(out, n), position[0]
end

--- Whether what was decoded so far is complete.
function codings.gunzip_end(z)
    return C.ct_abi_gunzip_end(z) ~= 0
end

-- Multipart ----------------------------------------------------------------------

--- A scanner, or nil for a boundary that cannot be one.
function codings.multipart(boundary, max_parts, max_header)
    local scan = ffi.new("ct_multipart")
    if C.ct_abi_multipart(scan, boundary, #boundary, max_parts, max_header) ~= C.CT_OK then
        return nil
    end
    return scan
end

--- The next event (MULTIPART_*) in text from position `at` (0 on), the position behind it, and
-- its bytes, or the reason of MULTIPART_BAD.
function codings.multipart_next(scan, text, at)
    local event = C.ct_abi_multipart_next(scan, text, at, #text, position, view)
    if event == C.CT_MULTIPART_BAD then return event, position[0], to_string(scan.reason) end
    local out = to_string(view.p, view.n)
    return event, position[0], out
end

--- How many looks at bytes the scanner took: for specs.
function codings.multipart_looks(scan)
    return scan.looked
end

return codings
