-- What functions are called by people who read a profile, from where they are defined: methods by
-- their class, functions of modules by their module, others as their first line says.
local core = require "tornado.core"
local trace = require "tornado.trace"
local util = require "tornado.util"

local getinfo = debug.getinfo

local function key_of(source, line)
    return source .. ":" .. line
end

-- One function may have several names (`Main.head = Main.get`): the first in the alphabet is taken.
local function add(names, fn, name)
    local info = getinfo(fn, "S")
    if info.what == "C" then return end
    local key = key_of(info.source, info.linedefined)
    if not names[key] or name < names[key] then names[key] = name end
end

local function add_all(names, from, prefix)
    for field, fn in pairs(from) do
        if type(fn) == "function" and type(field) == "string" then
            add(names, fn, prefix .. field)
        end
    end
end

local function is_plain(module)
    return type(module) == "table" and getmetatable(module) == nil
end

-- Key -> name, of all that is loaded now. Classes are more telling than modules.
local function collect()
    local names, of_modules = {}, {}
    for class in pairs(util.classes) do add_all(names, class, tostring(class) .. ":") end
    for name, module in pairs(package.loaded) do
        if is_plain(module) and name ~= "_G" then
            add_all(of_modules, module, name:match("[^.]*$") .. ".")
        end
    end
    for key, name in pairs(of_modules) do names[key] = names[key] or name end
    return names
end

-- The text of a file, or of the framework's own in the binary; "" when it cannot be read.
local function text_of(path)
    local module = path:match("^(tornado/.*)%.lua$")
    local own = module and core.script((module:gsub("/", ".")))
    if own then return own end
    local file = io.open(path, "r")
    if not file then return "" end
    local text = file:read "*a"
    file:close()
    return text
end

local function lines_of(path)
    local list = {}
    for line in text_of(path):gmatch "([^\n]*)\n" do list[#list + 1] = line end
    return list
end

local PATTERNS = {
    "function%s+([%w_.:]+)%s*%(", "([%w_.]+)%s*=%s*function%s*%(",
    "%[\"(.-)\"%]%s*=%s*function%s*%(",
}

local function name_in(line)
    for _, pattern in ipairs(PATTERNS) do
        local name = line:match(pattern)
        if name then return name end
    end
end

-- "page.html": the template of a chunk, or nil.
local function template_of(source)
    local map = trace.places[tonumber(source:match "^tt#(%d+)$")]
    return map and map[0]
end

--- Returns a function(frame) that gives the label of a frame { source, name, line } that
-- core.profile_stop() returned: "Main:get sites/blog/app.lua:12".
return function()
    local names, files = collect(), {}

    local function written(frame)
        local path = frame.source:match("^@(.*)")
        if not path then return nil end
        files[path] = files[path] or lines_of(path)
        return name_in(files[path][frame.line] or "")
    end

    return function(frame)
        local source, line = frame.source, frame.line
        if source == "=[C]" then return frame.name .. " [C]" end
        if source:sub(1, 1) == "=" then return source:sub(2) end
        local template = template_of(source)
        if template then return "template " .. template end
        local place = source:gsub("^@", "") .. ":" .. line
        if line == 0 then return "main chunk " .. place end
        local name = names[key_of(source, line)] or written(frame) or
            frame.name ~= "" and frame.name or "function"
        return name .. " " .. place
    end
end
