-- The limit of what Lua may keep (core/vm/memory.c), and the error of who reaches it.
local core = require "tornado.core"
local util = require "tornado.util"

local memory = {}

--- Raised inside of what uses up more memory than the limit, although all garbage was collected; a
-- request is answered 500. It can be caught, to drop what takes so much.
memory.MemoryLimitError = util.Error:extend "MemoryLimitError"

local MAX = 2 ^ 40
local limit = 0

--- Limits this Lua state to so many bytes (0: no limit).
function memory.set_limit(bytes)
    if type(bytes) ~= "number" or not (bytes >= 0 and bytes <= MAX) then
        error("bad limit: expected bytes (0 to 2^40), got " .. tostring(bytes), 2)
    end
    limit = bytes
    core.memory_limit(bytes, memory.MemoryLimitError(
        "lua_memory_limit: more than %d MiB are in use", bytes / 2 ^ 20))
end

--- What it is limited to: bytes; 0: no limit.
function memory.limit()
    return limit
end

return memory
