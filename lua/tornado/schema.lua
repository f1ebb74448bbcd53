-- Schemas: what arguments and JSON bodies must look like, said once. A check returns the value
-- with its defaults, or every fault with the place where it is (a JSON pointer, RFC 6901).
--   schema.object { name = schema.string { max = 80 }, age = schema.integer {}:optional() }
-- Schemas are made when a site is loaded and never change, so they may be shared. What a
-- handler does with them is in web/json_body.lua.
local core = require "tornado.core"
local escape = require "tornado.escape"
local formats = require "tornado.schema.formats"
local util = require "tornado.util"

local floor, gsub, type, tonumber = math.floor, string.gsub, type, tonumber
local NONE = util.NONE
local null = escape.null

local MAX_FAULTS = 100
local MAX_EXACT = 2 ^ 53

local schema = {}

-- Faults -----------------------------------------------------------------------------

-- What is being checked: the keys that lead to the value, and the faults found so far.
local Check = {}
Check.__index = Check

-- At most `max` bytes of a text, and no half of a character; and whether that was all.
local function cut(text, max)
    if #text <= max then return text, true end
    return (gsub(text:sub(1, max), "[\192-\247][\128-\191]*$", "")), false
end

local function pointer_of(check)
    local out = {}
    for i = 1, check.depth do
        local key = cut(tostring(check.keys[i]), 80)
        out[i] = "/" .. gsub(gsub(key, "~", "~0"), "/", "~1")
    end
    return table.concat(out)
end

function Check:fault(text, ...)
    self.count = self.count + 1
    if self.count > MAX_FAULTS then return nil end
    if select("#", ...) > 0 then text = text:format(...) end
    self.faults[self.count] = { path = pointer_of(self), message = text }
    return nil
end

local function got(value)
    if value == nil then return "nothing" end
    if value == null then return "null" end
    if type(value) == "string" then
        local text, whole = cut(value, 60)
        text = util.shown(text)
        return whole and text or text:sub(1, -2) .. '..."'
    end
    if type(value) ~= "table" then return util.shown(value) end
    if next(value) == nil then return "an empty array or object" end
    return value[1] ~= nil and "an array" or "an object"
end

function Check:expected(what, value)
    return self:fault("expected %s, got %s", what, got(value))
end

-- The base ---------------------------------------------------------------------------

--- What the functions here return: a check, which does not change.
local Schema = util.Object:extend "Schema"
schema.Schema = Schema

local function clone(self)
    local copy = setmetatable({}, getmetatable(self))
    for name, value in pairs(self) do copy[name] = value end
    return copy
end

--- Returns a copy that may be missing.
function Schema:optional()
    local copy = clone(self)
    copy._optional = true
    return copy
end

--- Returns a copy for which JSON's null is good too; it comes out as escape.null.
function Schema:nullable()
    local copy = clone(self)
    copy._nullable = true
    return copy
end

local function describe(faults)
    local first = faults[1]
    return (first.path ~= "" and first.path .. ": " or "") .. first.message
end

--- Returns a copy that is `value` when it is missing; raises when the value does not fit.
function Schema:default(value)
    local good, faults = self:check(value)
    if faults then error("bad default: " .. describe(faults), 2) end
    local copy = self:optional()
    copy._default = good
    return copy
end

-- The value of a schema, or nil after a fault. Text becomes what the schema is of when the
-- check is of arguments.
local function take(self, value, check)
    if value == null then
        if self._nullable then return null end
        return check:expected(self.what, value)
    end
    if check.coerce and type(value) == "string" then
        local converted = self:from_text(value)
        if converted == nil then return check:expected(self.what, value) end
        value = converted
    end
    return self:accept(value, check)
end

local function copy_of(value)
    if type(value) ~= "table" then return value end
    local copy = setmetatable({}, getmetatable(value))
    for key, item in pairs(value) do copy[key] = copy_of(item) end
    return copy
end

-- The value of the field `key` of something larger.
local function take_field(self, key, value, check)
    local depth = check.depth + 1
    check.depth, check.keys[depth] = depth, key
    if value ~= nil then
        value = take(self, value, check)
    elseif self._optional then
        value = copy_of(self._default)
    else
        check:fault("missing")
    end
    check.depth = depth - 1
    return value
end

--- The value that an argument's text stands for.
function Schema:from_text(text) return text end -- luacheck: ignore 212/self

local function finish(check, value)
    if check.count == 0 then return value end
    if check.count > MAX_FAULTS then
        check.faults[MAX_FAULTS + 1] = {
            path = "", message = ("and %d more faults"):format(check.count - MAX_FAULTS),
        }
    end
    return nil, check.faults
end

local function new_check(coerce)
    return setmetatable({ keys = {}, depth = 0, faults = {}, count = 0, coerce = coerce }, Check)
end

--- Takes a value as json_decode gives it. Returns it with defaults filled in (tables are
-- copies), or nil and a list of faults { path = "/a/0", message = "..." }.
function Schema:check(value)
    local check = new_check(false)
    if value == nil then
        if self._optional then return copy_of(self._default) end
        check:fault("missing")
        return nil, check.faults
    end
    return finish(check, take(self, value, check))
end

local function check_limit(value, what, level)
    if value ~= nil and (type(value) ~= "number" or value ~= value) then
        error(("bad %s: expected number, got %s"):format(what, util.shown(value)), level + 1)
    end
end

local function new(class, given, known, name)
    local self = class()
    for key, value in pairs(util.options(given, known, "schema." .. name, 1)) do
        self[key] = value
    end
    check_limit(self.min, "min", 3)
    check_limit(self.max, "max", 3)
    return self
end

local function check_range(self, n, unit, check)
    local min, max = self.min, self.max
    if min and n < min then
        return check:fault("expected at least %s%s, got %s", min, unit(min), n)
    end
    if max and n > max then
        return check:fault("expected at most %s%s, got %s", max, unit(max), n)
    end
    return true
end

-- Text -------------------------------------------------------------------------------

local String = Schema:extend "schema.string"
String.what = "a string"
String.keeps_empty = true

local function characters(n) return n == 1 and " character" or " characters" end

function String:accept(value, check)
    if type(value) ~= "string" then return check:expected("a string", value) end
    if self.min or self.max then
        local _, continuing = gsub(value, "[\128-\191]", "")
        if not check_range(self, #value - continuing, characters, check) then return nil end
    end
    if self.format and not formats.fits(self.format, value) then
        return check:expected(formats.what(self.format), value)
    end
    if self.regex and not self.regex:match(value) then
        return check:expected("text that matches " .. self.pattern, value)
    end
    return value
end

local STRING = { min = NONE, max = NONE, pattern = NONE, format = NONE }

--- Text; options: min and max (characters), pattern (PCRE2, of the whole text), format ("email",
-- "url", "uuid", "date", "datetime"). Returns the schema.
function schema.string(options)
    local self = new(String, options, STRING, "string")
    if self.pattern then
        local regex, why = core.regex("(?:" .. self.pattern .. ")\\z")
        if not regex then error(("bad pattern %q: %s"):format(self.pattern, why), 2) end
        self.regex = regex
    end
    if self.format and not formats.what(self.format) then
        error(("bad format: expected %s, got %s"):format(formats.names, util.shown(self.format)), 2)
    end
    return self
end

-- Numbers and booleans -----------------------------------------------------------------

local function no_unit() return "" end

local Number = Schema:extend "schema.number"
Number.what = "a number"

function Number:accept(value, check)
    if type(value) ~= "number" then return check:expected(self.what, value) end
    return check_range(self, value, no_unit, check) and value
end

function Number:from_text(text) -- luacheck: ignore 212/self
    if not text:find("^-?%d+%.?%d*[eE]?[+-]?%d*$") then return nil end
    local value = tonumber(text)
    return value and value - value == 0 and value or nil
end

local Integer = Number:extend "schema.integer"
Integer.what = "an integer"

function Integer:accept(value, check)
    if type(value) ~= "number" or value ~= floor(value) or value > MAX_EXACT or
        value < -MAX_EXACT then
        return check:expected("an integer", value)
    end
    return check_range(self, value, no_unit, check) and value
end

function Integer:from_text(text) -- luacheck: ignore 212/self
    return text:find("^-?%d+$") and tonumber(text, 10) or nil
end

local RANGE = { min = NONE, max = NONE }

--- A number; options: min and max. Returns the schema.
function schema.number(options)
    local self = new(Number, options, RANGE, "number")
    return self
end

--- A whole number of at most 2^53; options: min and max. Returns the schema.
function schema.integer(options)
    local self = new(Integer, options, RANGE, "integer")
    return self
end

local Boolean = Schema:extend "schema.boolean"
Boolean.what = "true or false"

function Boolean:accept(value, check) -- luacheck: ignore 212/self
    if type(value) ~= "boolean" then return check:expected("true or false", value) end
    return value
end

local WORDS = {
    ["true"] = true, ["1"] = true, on = true, yes = true,
    ["false"] = false, ["0"] = false, off = false, no = false,
}

function Boolean:from_text(text) return WORDS[text:lower()] end -- luacheck: ignore 212/self

--- true or false; of an argument also 1, 0, on, off, yes, no. Returns the schema.
function schema.boolean()
    return Boolean()
end

-- Enumerations ---------------------------------------------------------------------------

local Enum = Schema:extend "schema.enum"

function Enum:accept(value, check)
    if type(value) == "table" or not self.known[value] then
        return check:expected(self.what, value)
    end
    return value
end

function Enum:from_text(text)
    return self.texts[text]
end

--- One of a list of strings, numbers or booleans. Returns the schema.
function schema.enum(values)
    if type(values) ~= "table" or values[1] == nil then
        error("bad values: expected a list, got " .. got(values), 2)
    end
    local self, shown = Enum(), {}
    self.known, self.texts = {}, {}
    for i, value in ipairs(values) do
        if type(value) == "table" then error("bad value: expected no table", 2) end
        self.known[value] = true
        self.texts[tostring(value)] = value
        shown[i] = util.shown(value)
    end
    self.what = (#shown > 1 and "one of " or "") .. table.concat(shown, ", ")
    return self
end

-- Arrays and objects -----------------------------------------------------------------------

local Array = Schema:extend "schema.array"
Array.what = "an array"

local function items(n) return n == 1 and " item" or " items" end

function Array:accept(value, check)
    if type(value) ~= "table" or value[1] == nil and next(value) ~= nil then
        return check:expected("an array", value)
    end
    local out = escape.array()
    if not check_range(self, #value, items, check) then return nil end
    for i = 1, #value do out[i] = take_field(self.item, i - 1, value[i], check) end
    return out
end

local function check_schema(value, what, level)
    if not util.isinstance(value, Schema) then
        error(("bad %s: expected a schema, got %s"):format(what, type(value)), level + 1)
    end
end

--- A list whose items all fit a schema; options: min and max (items). Returns the schema.
function schema.array(item, options)
    check_schema(item, "item", 2)
    local self = new(Array, options, RANGE, "array")
    self.item = item
    return self
end

local ObjectSchema = Schema:extend "schema.object"
ObjectSchema.what = "an object"

local function refuse_unknown(self, value, check)
    local names = {}
    for name in pairs(value) do
        if not self.fields[name] then names[#names + 1] = name end
    end
    table.sort(names)
    for _, name in ipairs(names) do
        local near = check.count < MAX_FAULTS and util.nearest(name, self.names)
        local depth = check.depth + 1
        check.depth, check.keys[depth] = depth, name
        check:fault(near and ('unknown, did you mean "%s"?'):format(near) or "unknown")
        check.depth = depth - 1
    end
end

function ObjectSchema:accept(value, check)
    if type(value) ~= "table" or value[1] ~= nil then
        return check:expected("an object", value)
    end
    local out = {}
    for _, name in ipairs(self.names) do
        out[name] = take_field(self.fields[name], name, value[name], check)
    end
    if not self.open then
        refuse_unknown(self, value, check)
        return out
    end
    for name, item in pairs(value) do
        if not self.fields[name] then out[name] = item end
    end
    return out
end

--- A table of named fields, each with a schema; other fields are faults, unless the options
-- have open = true. Returns the schema.
function schema.object(fields, options)
    if type(fields) ~= "table" then
        error("bad fields: expected table, got " .. type(fields), 2)
    end
    local self = new(ObjectSchema, options, { open = false }, "object")
    self.fields, self.names = {}, {}
    for name, field in pairs(fields) do
        if type(name) ~= "string" then error("bad field: expected a name, got " .. got(name), 2) end
        check_schema(field, "field " .. name, 2)
        self.fields[name] = field
        self.names[#self.names + 1] = name
    end
    table.sort(self.names)
    return self
end

-- Arguments ----------------------------------------------------------------------------------

-- A list for an array, else the last value; an empty one is as good as none.
local function argument(field, values)
    if util.isinstance(field, Array) then
        if #values == 0 and field._optional then return nil end
        return values
    end
    local value = values[#values]
    if value == "" and not field.keeps_empty then return nil end
    return value
end

--- Takes the names of all arguments that were sent, and a function that returns the list of the
-- values of one: text, which becomes what the schema says. Returns as check() does.
function ObjectSchema:check_arguments(sent, values_of)
    local given = {}
    for name in pairs(sent) do
        local field = self.fields[name]
        if field then
            given[name] = argument(field, values_of(name))
        else
            given[name] = self.open and values_of(name) or true
        end
    end
    for _, name in ipairs(self.names) do
        local field = self.fields[name]
        if given[name] == nil and util.isinstance(field, Array) then
            given[name] = argument(field, {})
        end
    end
    local check = new_check(true)
    return finish(check, take(self, given, check))
end

return schema
