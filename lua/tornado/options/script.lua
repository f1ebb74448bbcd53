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

--- Runs the file with these globals; true, or nil and what is wrong, with file:line.
function script.run(path, globals)
    files.note(path)
    local text, why = read(path)
    if not text then return nil, why end
    local chunk, err = loadstring(text, "@" .. path)
    if not chunk then return nil, err end
    local ok
    ok, err = pcall(setfenv(chunk, globals))
    if not ok then return nil, tostring(err) end
    return true
end

return script
