-- Compiles all templates of an application, and looks for those that its code names and for folders
-- of static files, for `ctornado check` and for reloads.
local core = require "tornado.core"
local ParseError = require("tornado.template").ParseError
local RequestHandler = require "tornado.web.handler"
local StaticFileHandler = require "tornado.web.static"
local absolute = require("tornado.util.path").absolute
local util = require "tornado.util"

-- Not what editors leave beside templates, nor pictures.
local function is_template(path)
    if path:find "[~#]$" then return false end
    local file = io.open(path, "rb")
    local text = file and file:read "*a"
    if file then file:close() end
    return text ~= nil and not text:find("\0", 1, true)
end

-- A link may lead to a folder above: whether that is one of those we are in.
local function is_inside(path, above)
    for _, folder in ipairs(above) do
        if core.file_same(path, folder) then return true end
    end
    return false
end

local MAX_DEPTH = 64

local function is_code(path)
    return path:find "%.lua$" ~= nil
end

-- Adds the files in a folder and below that found.wants(path); `above` are the folders on the way
-- there.
local function collect(found, folder, above)
    local list, why = core.folder(folder)
    if not list then
        found.problems[#found.problems + 1] = why
        return
    end
    above[#above + 1] = folder
    for _, name in ipairs(list) do
        local path = folder .. "/" .. name
        local kind = name:sub(1, 1) ~= "." and core.file_kind(path)
        if kind == "folder" and #above < MAX_DEPTH and not is_inside(path, above) then
            collect(found, path, above)
        elseif kind == "file" and found.wants(path) then
            found.names[#found.names + 1] = path:sub(#found.root + 2)
        end
    end
    above[#above] = nil
end

-- The names of all templates of a loader, sorted, and what is wrong with their folders.
local function names_of(loader)
    local found = { root = loader.root, names = {}, problems = {}, wants = is_template }
    if loader.root then
        collect(found, loader.root, {})
    else
        for name in pairs(loader.dict or {}) do found.names[#found.names + 1] = name end
    end
    table.sort(found.names)
    return found.names, found.problems
end

local function describe(err, loader)
    if not util.isinstance(err, ParseError) then return tostring(err) end
    local root = loader.root and loader.root .. "/" or ""
    return ("%s%s:%d: %s"):format(root, err.filename, err.lineno, err.message)
end

-- What handlers render by a name that stands in the code, with a suffix.
local RENDERED = {
    "[:.]render%(%s*[\"']([^\"']+%.%w+)[\"']", "[:.]render%s*[\"']([^\"']+%.%w+)[\"']",
    "[:.]render_string%(%s*[\"']([^\"']+%.%w+)[\"']",
}

-- Adds the templates that a file's code names and that there are not.
local function check_code(problems, path, loader)
    local number = 0
    for line in io.lines(path) do
        number = number + 1
        line = line:gsub("%-%-.*$", "")
        for _, pattern in ipairs(RENDERED) do
            for name in line:gmatch(pattern) do
                local at = loader:resolve_path(name)
                if not at or core.file_kind(loader.root .. "/" .. at) ~= "file" then
                    problems[#problems + 1] = ("%s:%d: no such template: %s/%s"):format(path,
                        number, loader.root, name)
                end
            end
        end
    end
end

local function check_site(problems, site, loader)
    local found = { root = site, names = {}, problems = problems, wants = is_code }
    collect(found, site, {})
    for _, name in ipairs(found.names) do
        check_code(problems, site .. "/" .. name, loader)
    end
end

-- Folders of StaticFileHandler that are not there, or not yet.
local function missing_folders(application)
    local list, seen = {}, {}
    for _, rule in ipairs(application.router.rules) do
        local path = util.isinstance(rule.target, StaticFileHandler) and rule.target_kwargs.path
        if type(path) == "string" and not seen[path] and core.file_kind(path) ~= "folder" then
            seen[path] = true
            list[#list + 1] = ("%s: no such folder for static files: %s"):format(
                rule.matcher.pattern, absolute(path))
        end
    end
    return list
end

-- How many templates the setting template_path or template_loader leads to, and a list of what is
-- wrong with them.
local function check_templates(application)
    local settings = application.settings
    if not settings.template_path and not settings.template_loader then return 0, {} end
    local stand_in = { settings = settings, application = application }
    local path = RequestHandler.get_template_path(stand_in)
    if not settings.template_loader and core.file_kind(path) ~= "folder" then
        return 0, { "template_path: no such folder: " .. path }
    end
    local loader = RequestHandler.create_template_loader(stand_in, path)
    local names, problems = names_of(loader)
    local seen = {}
    for _, name in ipairs(names) do
        local ok, err = pcall(loader.load, loader, name)
        local text = not ok and describe(err, loader)
        if text and not seen[text] then
            seen[text] = true
            problems[#problems + 1] = text
        end
    end
    if loader.root and application.path then check_site(problems, application.path, loader) end
    return #names, problems
end

--- Returns how many templates an application has, a list of what is wrong with them, as "file:line:
--- message", and a list of what may become wrong: folders that are not there.
return function(application)
    local count, problems = check_templates(application)
    return count, problems, missing_folders(application)
end
