-- Values as bytes and back, between Lua states: nil, booleans, numbers, strings, cdata numbers,
-- json.null, and tables of these. Metatables stay behind.
local buffer = require "string.buffer"

local type, pairs, format = type, pairs, string.format

local copy = {}

copy.MAX_DEPTH = 90 -- string.buffer has 100
copy.MAX_VALUES = 2000000
copy.MAX_BYTES = 64 * 1048576

local COPIED = { ["nil"] = true, boolean = true, number = true, cdata = true }

-- What one value costs is counted before it is encoded: tables that share parts may be
-- exponentially larger than they look.
local function check(value, left, depth)
    local kind = type(value)
    if COPIED[kind] then return nil end
    if kind == "string" then
        left.bytes = left.bytes - #value
        return left.bytes < 0 and format("more than %d bytes", copy.MAX_BYTES) or nil
    end
    if kind == "userdata" then return nil end -- json.null; string.buffer refuses others
    if kind ~= "table" then return "a " .. kind end
    if depth >= copy.MAX_DEPTH then
        return format("a table with a cycle, or deeper than %d", copy.MAX_DEPTH)
    end
    for key, item in pairs(value) do
        left.values = left.values - 1
        if left.values < 0 then return format("more than %d values", copy.MAX_VALUES) end
        local why = check(key, left, depth + 1) or check(item, left, depth + 1)
        if why then return why end
    end
end

--- The bytes of a table `list` of n values; nil and what cannot be copied.
function copy.encode(list)
    local why = check(list, { bytes = copy.MAX_BYTES, values = copy.MAX_VALUES }, 0)
    if why then return nil, why end
    local ok, bytes = pcall(buffer.encode, list)
    if not ok then return nil, (tostring(bytes):gsub("^.*cannot serialize ", "")) end
    return bytes
end

copy.decode = buffer.decode

return copy
