-- Small things every other module stands on: classes, error classes, checked
-- option tables, import by name. Nothing here knows about HTTP or the loop.
--
-- A class is its objects' metatable (`Class.__index == Class`); its own
-- metatable points to the parent, so a method added to the parent later is seen.

local debug_getinfo = debug.getinfo
local bxor = bit.bxor
local byte, find, format, lower, sub = string.byte, string.find, string.format,
    string.lower, string.sub
local floor, max, min = math.floor, math.max, math.min

local util = {}

util.version = "0.1.0"
util.version_info = { 0, 1, 0, 0 }

-- Lua looks these up in the metatable itself, so a subclass gets its own copy.
local METAMETHODS = {
    "__tostring", "__eq", "__lt", "__le", "__call", "__len", "__concat",
}

-- Every class that there is: who made a function that is only seen by its place is found here.
local classes = setmetatable({}, { __mode = "k" })

local function construct(class, ...)
    local object = setmetatable({}, class)
    object:init(...)
    return object
end

local function class_name(class)
    return class.__name
end

local Object = { __name = "Object", __tostring = class_name }
Object.__index = Object
Object.class = Object
setmetatable(Object, { __call = construct, __tostring = class_name })

--- The root of all classes; `Object:extend()` makes one, calling it an object.
util.Object = Object

--- Constructor hook: gets the arguments of `Class(...)`; returns nothing.
function Object:init() -- luacheck: ignore 212/self
end

local function default_name()
    local info = debug_getinfo(3, "Sl")
    if not info or info.currentline < 0 then return "anonymous class" end
    return info.short_src .. ":" .. info.currentline
end

--- Makes a subclass called `name` (default: file:line of the caller) and returns it;
--- `super` is the parent, `class` the class itself, tostring(class) its name.
function Object:extend(name)
    if name ~= nil and type(name) ~= "string" then
        error("bad class name: expected string or nil, got " .. type(name), 2)
    end
    local class = { __name = name or default_name(), super = self }
    for i = 1, #METAMETHODS do
        local event = METAMETHODS[i]
        class[event] = rawget(self, event)
    end
    class.__index = class
    class.class = class
    classes[class] = true
    return setmetatable(class, {
        __index = self, __call = construct, __tostring = class_name,
    })
end

--- Returns whether this class is `parent` or descends from it.
function Object:is_subclass(parent)
    local class = self.class
    while class do
        if class == parent then return true end
        class = class.super
    end
    return false
end

--- Returns whether this object is of `class` or of a class that descends from it.
Object.is = Object.is_subclass

--- The set of all classes.
util.classes = classes

--- Returns whether `value` is an object (or a class) made from `class`; takes any value.
function util.isinstance(value, class)
    if type(value) ~= "table" then return false end
    local is = value.is_subclass
    return is == Object.is_subclass and value:is_subclass(class)
end

--- The base of error objects: `Error(message, ...)` formats its message.
local Error = Object:extend "Error"
util.Error = Error

--- Takes a message, a format when arguments follow; keeps it in `message`.
function Error:init(message, ...)
    if select("#", ...) > 0 then message = format(message, ...) end
    self.message = message or ""
end

function Error:__tostring()
    if self.message == "" then return self.__name end
    return self.__name .. ": " .. self.message
end

--- Raised when a deadline passed; shared by gen, httpclient, queues and locks.
util.TimeoutError = Error:extend "TimeoutError"

--- Raised where something waits that was cancelled; shared by gen, concurrent, locks.
util.CancelledError = Error:extend "CancelledError"

--- Returns a shallow copy of `fields` (nil: an empty table).
-- Tornado: a dict with attributes; every Lua table is one, a missing name is nil.
function util.ObjectDict(fields)
    local dict = {}
    for name, value in pairs(fields or {}) do dict[name] = value end
    return dict
end

--- Returns whether `value` can be called: a function, or anything with `__call`.
function util.is_callable(value)
    if type(value) == "function" then return true end
    local meta = getmetatable(value)
    return type(meta) == "table" and type(meta.__call) == "function"
end

local ESCAPES = {
    ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\",
}

local function escape_control(char)
    return ESCAPES[char] or format("\\x%02x", byte(char))
end

--- Returns a string in quotes as an error message shows it: at most 60 bytes, controls
--- as escapes; of other values their type, of numbers and booleans the value.
function util.shown(value)
    local kind = type(value)
    if kind == "number" or kind == "boolean" then return tostring(value) end
    if kind ~= "string" then return kind end
    local text = sub(value, 1, 60):gsub("[%z\1-\31\127\"\\]", escape_control)
    return '"' .. text .. (#value > 60 and '..."' or '"')
end

--- As tostring(), for values of others: an error of __tostring is said in the text.
function util.text(value)
    local ok, text = pcall(tostring, value)
    if ok then return text end
    if type(text) ~= "string" then text = type(text) end
    return ("%s (its __tostring raised: %s)"):format(type(value), text)
end

-- Requires `name`; a missing module is nil, a broken one raises its own error.
local function try_require(name)
    local ok, result = pcall(require, name)
    if ok then return result end
    local missing = "module '" .. name .. "' not found"
    if type(result) == "string" and find(result, missing, 1, true) then return nil end
    error(result, 0)
end

--- Takes "a.b.C" and returns field C of module a.b, or else module a.b.C itself;
--- raises `No module named a.b.C` when there is neither.
function util.import_object(name)
    if type(name) ~= "string" then
        error("bad name: expected string, got " .. type(name), 2)
    end
    local parent, field = name:match("^(.+)%.([^.]+)$")
    local module = parent and try_require(parent)
    local object = type(module) == "table" and module[field] or nil
    if object == nil then object = try_require(name) end
    if object == nil then error("No module named " .. name, 2) end
    return object
end

--- Runs Lua text (a function, too) with `globals` as its globals, where it leaves its own;
--- returns what it returns. Raises what is wrong with it.
function util.exec_in(code, globals)
    if type(globals) ~= "table" then
        error("bad globals: expected table, got " .. type(globals), 2)
    end
    local chunk, why = code, nil
    if type(code) == "string" then chunk, why = loadstring(code, "=<string>") end
    if type(chunk) ~= "function" then
        error(why or "bad code: expected string or function, got " .. type(code), 2)
    end
    return setfenv(chunk, globals)()
end

--- Returns the number of the system's error that an error object has (`errno`, or the first of
--- its `args`), or nil. Takes any value.
function util.errno_from_exception(err)
    if type(err) ~= "table" then return nil end
    if err.errno ~= nil then return err.errno end
    return type(err.args) == "table" and err.args[1] or nil
end

--- Returns the seconds of a timedelta.
function util.timedelta_to_seconds(span)
    if type(span) ~= "table" or type(span.total_seconds) ~= "function" then
        error("bad timedelta: expected timedelta, got " .. util.shown(span), 2)
    end
    return span:total_seconds()
end

-- Tornado: has raise_exc_info, which is error(err, 0) here: what was caught keeps its traceback.

--- Undoes the escaping of a regular expression and returns the plain text; raises
--- when `s` holds an escape with a meaning of its own, such as \d.
function util.re_unescape(s)
    local special
    local plain = s:gsub("\\(.)", function(char)
        if find(char, "^%w") then special = special or char end
        return char
    end)
    if special then error("cannot unescape '\\\\" .. special .. "'", 2) end
    return plain
end

--- Fills in "%(name)s" and "%(name)d" from a table of values, as Python's % does; "%%" is "%".
-- Raises for a name that has no value.
function util.interpolate(text, values)
    local out, at = {}, 1
    while true do
        local mark = find(text, "%", at, true)
        out[#out + 1] = sub(text, at, (mark or 0) - 1)
        if not mark then return table.concat(out) end
        local name, how, behind = text:match("^%(([^)]*)%)([%d.-]*[ds])()", mark + 1)
        if name then
            local value = values[name]
            if value == nil then error(format('no value for "%%(%s)%s"', name, how), 2) end
            if sub(how, -1) == "s" then value = tostring(value) end
            out[#out + 1] = format("%" .. how, value)
            at = behind
        else
            out[#out + 1] = "%"
            at = mark + (byte(text, mark + 1) == 37 and 2 or 1)
        end
    end
end

-- Edit distance where a swap of two neighbours costs 1, as one slip of the hand.
local function distance(a, b)
    local before, row = {}, {}
    local older
    for j = 0, #b do row[j] = j end
    for i = 1, #a do
        older, before, row = before, row, { [0] = i }
        for j = 1, #b do
            local same = byte(a, i) == byte(b, j)
            local cost = before[j - 1] + (same and 0 or 1)
            cost = min(cost, before[j] + 1, row[j - 1] + 1)
            if i > 1 and j > 1 and byte(a, i) == byte(b, j - 1)
                and byte(a, i - 1) == byte(b, j) then
                cost = min(cost, older[j - 2] + 1)
            end
            row[j] = cost
        end
    end
    return row[#b]
end

--- Returns the name in the array `list` that `name` is most likely a misspelling of,
--- or nil when none is near (about one slip in three letters).
function util.nearest(name, list)
    local best, least
    local wanted = lower(sub(tostring(name), 1, 64))
    for i = 1, #list do
        local known = list[i]
        if type(known) == "string" and #known <= 64 then
            local d = distance(wanted, lower(known))
            local near = d <= floor(max(#wanted, #known) / 3)
            if near and (not least or d < least) then best, least = known, d end
        end
    end
    return best
end

--- The default of an option that has none: known to util.options, absent unless given.
util.NONE = setmetatable({}, { __tostring = function() return "util.NONE" end })
local NONE = util.NONE

local function unknown_option(key, known, what)
    local names = {}
    for name in pairs(known) do names[#names + 1] = name end
    table.sort(names)
    local near = util.nearest(key, names)
    if near then
        return format('%s: unknown option "%s" (did you mean "%s"?)', what, tostring(key), near)
    end
    return format('%s: unknown option "%s" (known: %s)', what, tostring(key),
        table.concat(names, ", "))
end

local OWN_PREFIX = debug.getinfo(1, "S").source:gsub("util%.lua$", "")

--- Raises `message` at the first line on the stack that is not the framework's own.
function util.app_error(message)
    local level = 2
    while true do
        local info = debug.getinfo(level, "S")
        if not info then error(message, 2) end
        local own = sub(info.source, 1, #OWN_PREFIX) == OWN_PREFIX
        if info.what ~= "C" and not own then error(message, level) end
        level = level + 1
    end
end

--- Raises "bad WHAT: expected KIND, got ..." unless type(value) is `kind`: at the line that called
--- the function which calls this one (not as a tail call), or `level` frames further up.
function util.expect(value, kind, what, level)
    if type(value) == kind then return end
    error(format("bad %s: expected %s, got %s", what, kind, type(value)), 3 + (level or 0))
end

--- Takes the options table a caller gave (or nil), the known names with their defaults
--- (util.NONE: no default) and the function's name; returns a new table of values over
--- defaults. Raises at the line that called the function which calls this one (not as a
--- tail call), or `level` frames further up.
function util.options(given, known, what, level)
    level = 3 + (level or 0)
    local result = {}
    for name, default in pairs(known) do
        if default ~= NONE then result[name] = default end
    end
    if given == nil then return result end
    if type(given) ~= "table" then
        error(format("%s: bad options: expected table, got %s", what, type(given)), level)
    end
    for name, value in pairs(given) do
        if known[name] == nil then
            error(unknown_option(name, known, what), level)
        end
        result[name] = value
    end
    return result
end

package.loaded["tornado.util"] = util -- which it requires
util.Configurable = require "tornado.util.configurable"

-- ArgReplacer --------------------------------------------------------------------------

--- Finds and replaces one argument of calls to a function, by its parameter's name: for wrappers.
util.ArgReplacer = Object:extend "ArgReplacer"

--- Takes a Lua function and the name of one of its parameters, or of an option that it takes in
-- the table behind them.
function util.ArgReplacer:init(fn, name)
    self.name = name
    for i = 1, debug_getinfo(fn, "u").nparams do
        if debug.getlocal(fn, i) == name then self.position = i end
    end
end

--- Returns the argument's value in a list of arguments or a table of options, or `default`.
function util.ArgReplacer:get_old_value(arguments, options, default)
    local position = self.position
    local value
    if position and position <= #arguments then
        value = arguments[position]
    else
        value = options and options[self.name]
    end
    if value == nil then return default end
    return value
end

--- Puts `new` in the argument's place. Returns the old value, the arguments and the options, new
-- ones where they changed.
function util.ArgReplacer:replace(new, arguments, options)
    local old = self:get_old_value(arguments, options)
    local position = self.position
    if position and position <= #arguments then
        arguments = { unpack(arguments) }
        arguments[position] = new
    else
        options = util.ObjectDict(options)
        options[self.name] = new
    end
    return old, arguments, options
end

-- Bytes ----------------------------------------------------------------------------------

--- Returns `data` xor the four bytes of `mask`, over and over (RFC 6455 §5.3).
function util._websocket_mask(mask, data)
    if type(mask) ~= "string" or #mask ~= 4 then error("mask must be 4 bytes", 2) end
    local i = -1
    return (data:gsub(".", function(c)
        i = i + 1
        return string.char(bxor(byte(c), byte(mask, i % 4 + 1)))
    end))
end

util.GzipDecompressor = require("tornado.util.gzip")(util)

return util
