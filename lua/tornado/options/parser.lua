-- A set of options: what there is, the command line and files that set it, and what it is set
-- to. `parser.port` and `parser["log-file"]` are values of options, unless the parser has a
-- method of that name; "-" and "_" are the same in names.
local core = require "tornado.core"
local help = require "tornado.options.help"
local mockable = require "tornado.options.mockable"
local Option = require "tornado.options.option"
local script = require "tornado.options.script"
local util = require "tornado.util"
local values = require "tornado.options.values"

local Error = Option.Error

local OptionParser = util.Object:extend "OptionParser"

local function normal(name)
    return (name:gsub("_", "-"))
end

local function find(self, name)
    return type(name) == "string" and self._options[normal(name)] or nil
end

local function known(self, name)
    local option = find(self, name)
    if not option then error(Error("Unrecognized option '%s'", tostring(name)), 0) end
    return option
end

OptionParser.__index = function(self, name)
    local method = OptionParser[name]
    if method ~= nil then return method end
    return known(self, name):value()
end

OptionParser.__newindex = function(self, name, value)
    known(self, name):set(value)
end

-- Definitions ---------------------------------------------------------------------------

local DEFINE = {
    default = util.NONE, type = util.NONE, help = util.NONE, metavar = util.NONE,
    multiple = false, group = util.NONE, callback = util.NONE,
}

local function type_for(fields)
    if fields.type ~= nil then return fields.type end
    if fields.multiple or fields.default == nil then return "string" end
    return values.type_of(fields.default)
end

-- The file that a definition stands in: the first that is none of ours.
local function file_of_caller()
    for level = 3, 10 do
        local info = debug.getinfo(level, "S")
        if not info then break end
        local file = info.source:gsub("^@", "")
        if not file:find("^tornado/options[/.]") and info.what ~= "C" then return file end
    end
    return "<unknown>"
end

local function add(self, name, fields, file, level)
    local key = normal(name)
    local before = self._options[key]
    if before then
        error(Error("Option '%s' already defined in %s", key, before.file), 0)
    end
    fields.type = type_for(fields)
    if not values.parse[fields.type] and type(fields.type) ~= "function" then
        error(("bad type: expected int, float, string, bool, datetime, timedelta or a " ..
            "function, got %s"):format(tostring(fields.type)), level + 1)
    end
    fields.name, fields.file = name, file
    if not fields.group or fields.group == "" then fields.group = file end
    local option = Option(fields)
    self._options[key] = option
    self._order[#self._order + 1] = option
end

--- A parser with one option, help.
function OptionParser:init()
    rawset(self, "_options", {})
    rawset(self, "_order", {})
    rawset(self, "_callbacks", {})
    add(self, "help", {
        type = "bool", help = "show this help information", multiple = false,
        callback = function(value)
            if not value then return end
            self:print_help()
            os.exit(0)
        end,
    }, "", 2)
end

--- Defines an option. Options: default, type ("int", "float", "string", "bool", "datetime",
-- "timedelta", or a function(text) that returns the value; by default that of `default`, or
-- "string"), help, metavar, multiple=false (a list), group (by default the file's name),
-- callback(value).
function OptionParser:define(name, options, level)
    level = level or 0
    if type(name) ~= "string" or name == "" then
        error("bad name: expected string, got " .. util.shown(name), 2 + level)
    end
    local fields = util.options(options, DEFINE, "define", level)
    add(self, name, fields, file_of_caller(), 2 + level)
end

-- What there is ---------------------------------------------------------------------------

--- Returns whether there is such an option.
function OptionParser:contains(name)
    return find(self, name) ~= nil
end

--- Returns whether an option was set, by whatever means.
function OptionParser:is_given(name)
    return known(self, name):is_given()
end

--- Iterates over names and values, in the order of definition.
function OptionParser:items()
    local i = 0
    return function()
        i = i + 1
        local option = self._order[i]
        if option then return option.name, option:value() end
    end
end

--- The names of all groups, sorted.
function OptionParser:groups()
    local list, seen = {}, {}
    for _, option in ipairs(self._order) do
        if not seen[option.group] then list[#list + 1] = option.group end
        seen[option.group] = true
    end
    table.sort(list)
    return list
end

--- Names and values of a group; "": of all.
function OptionParser:group_dict(group)
    local dict = {}
    for _, option in ipairs(self._order) do
        if group == "" or not group or option.group == group then
            dict[option.name] = option:value()
        end
    end
    return dict
end

--- Names and values of all options.
function OptionParser:as_dict()
    local dict = self:group_dict("")
    return dict
end

--- Writes all options to `file` (default: stderr).
function OptionParser:print_help(file, level)
    local writes = type(file) == "table" and util.is_callable(file.write)
    if file ~= nil and io.type(file) ~= "file" and not writes then
        error("bad file: expected an open file, got " .. (io.type(file) or type(file)),
            2 + (level or 0))
    end
    help.print(file or io.stderr, self._order)
end

-- The command line ----------------------------------------------------------------------------

local function take_argument(self, argument)
    local text = argument:gsub("^%-+", "")
    local name, value = text:match("^([^=]*)=(.*)$")
    name = normal(name or text)
    local option = self._options[name]
    if not option then
        self:print_help()
        error(Error("Unrecognized command line option: '%s'", name), 0)
    end
    if not value then
        if option.type ~= "bool" then error(Error("Option '%s' requires a value", name), 0) end
        value = "true"
    end
    option:parse(value)
end

--- Parses --name=value and --flag from `args` (default: the global `arg`); args[0], the
-- program, is not looked at. Returns a list of what is behind the options. Runs the parse
-- callbacks, unless final is false. Raises Error.
function OptionParser:parse_command_line(args, final, level)
    if args ~= nil then util.expect(args, "table", "arguments", level) end
    args = args or rawget(_G, "arg") or {}
    for _, text in ipairs(args) do util.expect(text, "string", "argument", level) end
    local rest, at = {}, 1
    while args[at] and args[at]:sub(1, 1) == "-" and args[at] ~= "--" do
        take_argument(self, args[at])
        at = at + 1
    end
    if args[at] == "--" then at = at + 1 end
    for i = at, #args do rest[#rest + 1] = args[i] end
    if final ~= false then self:run_parse_callbacks() end
    return rest
end

-- Files ----------------------------------------------------------------------------------------

-- A file's globals; what it assigns is in `names`, in order, and in `assigned`.
local function sandbox(path, names, assigned)
    local globals = {
        __file__ = path, env = script.env, tonumber = tonumber, tostring = tostring,
    }
    return setmetatable(globals, {
        __metatable = false,
        __index = function(_, name)
            local value = assigned[name]
            if value ~= nil then return value end
            error(('nothing here is called "%s"; the file may use env(name, default), ' ..
                "__file__ and what it has set"):format(tostring(name)), 2)
        end,
        __newindex = function(_, name, value)
            if assigned[name] == nil then names[#names + 1] = name end
            assigned[name] = value
        end,
    })
end

local function take_global(option, value)
    if option.multiple and type(value) ~= "table" and type(value) ~= "string" then
        error(Error("Option '%s' is required to be a list of %s or a comma-separated string",
            option.name, type(option.type) == "string" and option.type or "value"), 0)
    end
    if type(value) == "string" and (option.type ~= "string" or option.multiple) then
        option:parse(value)
    else
        option:set(value)
    end
end

--- Runs a file of Lua in a sandbox, and sets the options that have the names of its globals:
-- to a value of their type, or to text as on the command line. Raises Error.
-- Tornado: the file is Python, and may do whatever the program may.
function OptionParser:parse_config_file(path, final, level)
    util.expect(path, "string", "path", level)
    local names, assigned = {}, {}
    local ok, why = script.run(path, sandbox(core.absolute(path), names, assigned))
    if not ok then error(Error("%s", why), 0) end
    for _, name in ipairs(names) do
        local option = find(self, name)
        if option then take_global(option, assigned[name]) end
    end
    if final ~= false then self:run_parse_callbacks() end
end

--- For tests: a view of the options. `view.port = 1` sets one, `view.port = nil` undoes that.
OptionParser.mockable = mockable

-- Callbacks ------------------------------------------------------------------------------------

--- Has fn() called when parsing is done.
function OptionParser:add_parse_callback(fn, level)
    if not util.is_callable(fn) then
        error("bad callback: expected function, got " .. type(fn), 2 + (level or 0))
    end
    self._callbacks[#self._callbacks + 1] = fn
end

--- Calls what add_parse_callback() was given.
function OptionParser:run_parse_callbacks()
    for _, fn in ipairs(self._callbacks) do fn() end
end

return OptionParser
