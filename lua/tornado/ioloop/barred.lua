-- Where a coroutine cannot be suspended: below a C function that calls back into Lua. LuaJIT's own
-- message names neither that function nor the callback.
local getinfo = debug.getinfo

-- These can be suspended, though they are C functions.
local FINE = { [pcall] = true, [xpcall] = true, [coroutine.resume] = true, [error] = true }

local NAMES = {}
for _, library in ipairs { "table", "string", "debug", "io", "os", "math" } do
    for name, fn in pairs(_G[library]) do
        if type(fn) == "function" then NAMES[fn] = library .. "." .. name end
    end
end
for name, fn in pairs(_G) do
    if type(fn) == "function" then NAMES[fn] = name end
end

-- The callback's place and the C function's name; nil when there is none such, as on the main
-- coroutine.
local function find(level)
    local callback
    while true do
        local info = getinfo(level, "Slnf")
        if not info then return nil end
        if info.what == "C" and not FINE[info.func] and callback then
            return callback, NAMES[info.func] or info.name or "a C function"
        end
        if info.what ~= "C" then callback = info.short_src .. ":" .. info.currentline end
        level = level + 1
    end
end

--- Raises the error that says so, at `level` (2: the caller's caller).
return function(level)
    local callback, name = find(level)
    if not callback then
        error("cannot wait here: not in a coroutine of the loop", level + 1)
    end
    error(("cannot wait here: %s is called by %s, which is C and cannot be suspended. Collect " ..
        "first, then wait: call what waits before or behind %s, not inside of it"):format(callback,
        name, name), level + 1)
end
