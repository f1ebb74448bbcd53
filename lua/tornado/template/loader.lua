-- Templates, and where they come from: a folder, or a table.
local compiler = require "tornado.template.compiler"
local core = require "tornado.core"
local files = require "tornado.autoreload.files"
local parser = require "tornado.template.parser"
local runtime = require "tornado.template.runtime"
local util = require "tornado.util"

local buffer_new = require("string.buffer").new
local setfenv, setmetatable, xpcall = setfenv, setmetatable, xpcall

local NONE = util.NONE

-- Template -------------------------------------------------------------------------------

local Template = util.Object:extend "Template"

local OPTIONS = {
    name = "<string>", loader = NONE, autoescape = NONE, whitespace = NONE,
    compress_whitespace = NONE,
}

local function whitespace_of(options)
    local mode = options.whitespace
    if options.compress_whitespace ~= nil then
        if mode then error("cannot set both whitespace and compress_whitespace", 4) end
        mode = options.compress_whitespace and "single" or "all"
    end
    mode = mode or options.loader and options.loader.whitespace
    local name = options.name
    if not mode then mode = (name:find "%.html$" or name:find "%.js$") and "single" or "all" end
    parser.filter_whitespace(mode, "")
    return mode
end

local function autoescape_of(options)
    local fn = options.autoescape
    if fn == nil and options.loader then fn = options.loader.autoescape end
    if fn == nil then return "xhtml_escape" end
    return fn
end

local function parse(text, options)
    local file = { name = options.name, autoescape = autoescape_of(options) }
    return parser.parse(text, file, whitespace_of(options))
end

--- Takes a template's text, and options: name ("<string>"), loader (for extends and include),
-- autoescape (a function's name; false: off), whitespace ("all", "single", "oneline") or
-- compress_whitespace. Raises ParseError.
function Template:init(text, options)
    if type(text) ~= "string" then
        error("bad template: expected string, got " .. type(text), 3)
    end
    options = util.options(options, OPTIONS, "Template", 1)
    self:_compile(parse(text, options), options.loader)
end

function Template:_compile(file, loader)
    self.name, self.file, self.loader = file.name, file, loader
    self._chunk, self._map, self.code = compiler.compile(file, loader)
    self._names = loader and loader:_names() or runtime.names
    self._base = { __index = self._names }
    self._free, self._free_count = {}, 0
end

local EMPTY = {}
local KEPT_BUFFER = 65536

local function take(self)
    local count = self._free_count
    local instance = self._free[count]
    if instance then
        self._free_count = count - 1
        self._free[count] = nil
        return instance
    end
    return { run = runtime.instance(self._chunk), buffer = buffer_new() }
end

-- The instance is used again, without what this time was in it.
local function give_back(self, instance)
    local buffer = instance.buffer
    if #buffer > KEPT_BUFFER then buffer:free() else buffer:reset() end
    setfenv(instance.run, EMPTY)
    self._free_count = self._free_count + 1
    self._free[self._free_count] = instance
end

--- Renders with `env` as the environment, which {% set %} writes to. For the framework.
function Template:_render(env)
    local instance = take(self)
    local buffer = instance.buffer
    setfenv(instance.run, env)
    local ok, err = xpcall(instance.run, runtime.on_error, buffer, env)
    if not ok then runtime.raise(err) end
    local text = buffer:tostring()
    give_back(self, instance)
    return text
end

--- Renders with the names in the table `namespace`; returns the text.
function Template:generate(namespace)
    if namespace ~= nil and type(namespace) ~= "table" then
        error("bad namespace: expected table, got " .. type(namespace), 2)
    end
    local env = {}
    for name, value in pairs(namespace or EMPTY) do env[name] = value end
    local text = self:_render(setmetatable(env, self._base))
    return text
end

-- Loaders --------------------------------------------------------------------------------

local BaseLoader = util.Object:extend "BaseLoader"

local LOADER = { autoescape = NONE, namespace = NONE, whitespace = NONE }

--- Options: autoescape ("xhtml_escape"; false: off), namespace (names for all templates),
-- whitespace.
function BaseLoader:init(options, level)
    options = util.options(options, LOADER, "Loader", level or 1)
    self.autoescape = options.autoescape
    if self.autoescape == nil then self.autoescape = "xhtml_escape" end
    self.namespace = options.namespace or {}
    self.whitespace = options.whitespace
    if self.whitespace then parser.filter_whitespace(self.whitespace, "") end
    self:reset()
end

--- Forgets all templates, which are then read again.
function BaseLoader:reset()
    self.templates, self._files = {}, {}
end

function BaseLoader:_names()
    if not self._all_names then
        self._all_names = setmetatable({}, getmetatable(runtime.names))
        for name, value in pairs(runtime.names) do self._all_names[name] = value end
        for name, value in pairs(self.namespace) do self._all_names[name] = value end
    end
    return self._all_names
end

local function normalize(path)
    local parts = {}
    for part in path:gmatch "[^/]+" do
        if part == ".." then
            if #parts == 0 then return nil end
            parts[#parts] = nil
        elseif part ~= "." then
            parts[#parts + 1] = part
        end
    end
    return table.concat(parts, "/")
end

--- Returns `name` as seen from the template `parent`: relative to its folder, or with "/" at
-- the beginning to the root; nil when it leaves the root.
-- Tornado: a name given to load() may leave it.
function BaseLoader:resolve_path(name, parent)
    if name:find("\0", 1, true) then return nil end
    local from_root = name:sub(1, 1) == "/" or not parent or parent:sub(1, 1) == "<"
    local path = normalize(from_root and name or (parent:match "^(.*/)" or "") .. name)
    return path ~= "" and path or nil
end

-- The parsed file, or nil and why not.
function BaseLoader:_parse(name, parent)
    local path = self:resolve_path(name, parent)
    if not path then return nil, ("bad template name: %s leaves the root"):format(name) end
    local file = self._files[path]
    if file then return file end
    local text, why = self:_read(path)
    if not text then return nil, why end
    file = parse(text, { name = path, loader = self })
    self._files[path] = file
    return file
end

--- Returns a Template, which is kept; raises ParseError, or a text when there is none.
function BaseLoader:load(name, parent)
    if type(name) ~= "string" then
        error("bad template name: expected string, got " .. type(name), 2)
    end
    local template = not parent and self.templates[name]
    if template then return template end
    local path = self:resolve_path(name, parent)
    template = path and self.templates[path]
    if template then return template end
    local file, why = self:_parse(name, parent)
    if type(why) == "string" then util.app_error(why) end
    if not file then error(why, 2) end
    template = setmetatable({}, Template)
    template:_compile(file, self)
    self.templates[path] = template
    return template
end

--- Templates of a folder.
local Loader = BaseLoader:extend "Loader"

function Loader:init(root, options)
    if type(root) ~= "string" or root == "" then
        error("bad root: expected the path of a folder, got " .. util.shown(root), 3)
    end
    self.root = root
    BaseLoader.init(self, options, 2)
end

function Loader:_read(name)
    local path = self.root .. "/" .. name
    files.note(path)
    if core.file_kind(path) ~= "file" then return nil, "no such template: " .. path end
    local file, why = io.open(path, "rb")
    if not file then return nil, why end
    local text = file:read "*a"
    file:close()
    return text
end

--- Templates of a table from names to texts.
local DictLoader = BaseLoader:extend "DictLoader"

function DictLoader:init(dict, options)
    if type(dict) ~= "table" then
        error("bad dict: expected table, got " .. type(dict), 3)
    end
    self.dict = dict
    BaseLoader.init(self, options, 2)
end

function DictLoader:_read(name)
    local text = self.dict[name]
    if text then return text end
    return nil, "no such template: " .. name
end

return {
    BaseLoader = BaseLoader,
    DictLoader = DictLoader,
    Loader = Loader,
    Template = Template,
}
