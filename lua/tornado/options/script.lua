-- Runs a configuration file: Lua text, with nothing in its hands but the globals it is given.
local files = require "tornado.autoreload.files"

local script = {}

local function read(path)
    local file, why = io.open(path, "rb")
    if not file then return nil, why end
    local text
    text, why = file:read("*a")
    file:close()
    if not text then return nil, path .. ": " .. why end
    if text:byte(1) == 27 then return nil, path .. ": expected Lua text, got bytecode" end
    return text
end

--- What a file may read of the environment: env(name, default).
function script.env(name, default)
    local value = os.getenv(name)
    if value == nil then return default end
    return value
end

local MOST = 1e7 -- instructions

-- As pcall() of a chunk, which is stopped when it has no end.
local function try(chunk)
    local hook, mask, count = debug.gethook()
    jit.off(chunk, true)
    debug.sethook(function() error("the file does not come to an end", 2) end, "", MOST)
    local ok, err = pcall(chunk)
    debug.sethook(hook, mask, count)
    return ok, err
end

--- Runs the file with these globals; true, or nil and what is wrong, with file:line.
function script.run(path, globals)
    files.note(path)
    local text, why = read(path)
    if not text then return nil, why end
    local chunk, err = loadstring(text, "@" .. path)
    if not chunk then return nil, err end
    local ok
    ok, err = try(setfenv(chunk, globals))
    if not ok then return nil, tostring(err) end
    return true
end

return script
