-- Compiles all templates of an application, for `ctornado check`.
local core = require "tornado.core"
local ParseError = require("tornado.template").ParseError
local RequestHandler = require "tornado.web.handler"
local util = require "tornado.util"

-- Files that templates lie beside, and that are none.
local function is_template(path)
    if path:find "/%." or path:find "[~#]$" then return false end
    local file = io.open(path, "rb")
    local text = file and file:read "*a"
    if file then file:close() end
    return text ~= nil and not text:find("\0", 1, true)
end

-- The names of all templates below a folder, sorted.
local function names_in(root)
    local quoted = "'" .. root:gsub("'", [['\'']]) .. "'"
    local pipe = assert(io.popen("find -L " .. quoted .. " -type f -print"))
    local names = {}
    for path in pipe:lines() do
        if is_template(path) then names[#names + 1] = path:sub(#root + 2) end
    end
    pipe:close()
    table.sort(names)
    return names
end

local function names_of(loader)
    if loader.root then return names_in(loader.root) end
    local names = {}
    for name in pairs(loader.dict or {}) do names[#names + 1] = name end
    table.sort(names)
    return names
end

local function describe(err, loader)
    if not util.isinstance(err, ParseError) then return tostring(err) end
    local root = loader.root and loader.root .. "/" or ""
    return ("%s%s:%d: %s"):format(root, err.filename, err.lineno, err.message)
end

--- Returns how many templates the setting template_path or template_loader leads to, and a list
-- of what is wrong with them, as "file:line: message".
return function(application)
    local settings = application.settings
    if not settings.template_path and not settings.template_loader then return 0, {} end
    local stand_in = { settings = settings, application = application }
    local path = RequestHandler.get_template_path(stand_in)
    if not settings.template_loader and core.file_kind(path) ~= "folder" then
        return 0, { "template_path: no such folder: " .. path }
    end
    local loader = RequestHandler.create_template_loader(stand_in, path)
    local names, problems, seen = names_of(loader), {}, {}
    for _, name in ipairs(names) do
        local ok, err = pcall(loader.load, loader, name)
        local text = not ok and describe(err, loader)
        if text and not seen[text] then
            seen[text] = true
            problems[#problems + 1] = text
        end
    end
    return #names, problems
end
