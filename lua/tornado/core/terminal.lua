-- The part of tornado.core that is the terminal, of standard input.
local abi = require "tornado.abi"
local ffi = require "ffi"

local C = abi.C
local SIZE = 4096
local INPUT = 0

local part = {}

--- With true, each key comes at once, unseen; with false lines come again. Returns whether standard
-- input is a terminal.
function part.terminal_raw(on)
    return C.ct_abi_terminal_raw(INPUT, on and 1 or 0) == C.CT_OK
end

--- How many columns it has; nil when standard input is no terminal.
function part.terminal_columns()
    local columns = C.ct_abi_terminal_columns(INPUT)
    return columns > 0 and columns or nil
end

--- What standard input has to read, which must be ready: "" at its end, nil when it fails.
function part.read_input()
    local buffer = ffi.new("char[?]", SIZE)
    local n = C.ct_abi_read_ready(INPUT, buffer, SIZE)
    return n >= 0 and ffi.string(buffer, n) or nil
end

return part
