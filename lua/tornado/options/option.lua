-- One option: its type, its default, its value.
local util = require "tornado.util"
local values = require "tornado.options.values"

local Error = util.Error:extend "Error"

local UNSET = {} -- nil is a value, too

local Option = util.Object:extend "Option"
Option.Error = Error

--- Made by OptionParser:define(); `fields` are the option's, checked.
function Option:init(fields)
    for name, value in pairs(fields) do self[name] = value end
    if self.default == nil and self.multiple then self.default = {} end
    self._value = UNSET
end

--- The value, or else the default.
function Option:value()
    if self._value == UNSET then return self.default end
    return self._value
end

--- Returns whether it was given a value.
function Option:is_given()
    return self._value ~= UNSET
end

-- What messages call its type.
local function type_name(self)
    return type(self.type) == "string" and self.type or "value"
end

local function parse_one(self, text)
    local parse = values.parse[self.type] or self.type
    local value, why = parse(text)
    if value ~= nil then return value end
    why = why or ("invalid value '%s'"):format(text)
    if not why:find("^Unrecognized") then why = ("Option '%s': %s"):format(self.name, why) end
    error(Error("%s", why), 0)
end

-- "3", or "3:5": both ends belong to it.
local function add_range(self, list, text)
    local low, high = text:match("^(.-):(.*)$")
    low = parse_one(self, low or text)
    high = high and high ~= "" and parse_one(self, high) or low
    for value = low, high do list[#list + 1] = value end
end

local function parse_list(self, text)
    local list = {}
    for part in (text .. ","):gmatch("([^,]*),") do
        if self.type == "int" then
            add_range(self, list, part)
        else
            list[#list + 1] = parse_one(self, part)
        end
    end
    return list
end

local function assign(self, value)
    self._value = value
    if self.callback then self.callback(value) end
end

--- Reads the value from text; raises Error.
function Option:parse(text)
    assign(self, self.multiple and parse_list(self, text) or
        not self.multiple and parse_one(self, text))
end

local function is_list(value)
    if type(value) ~= "table" then return false end
    local n = 0
    for _ in pairs(value) do n = n + 1 end
    return n == #value
end

--- Takes a value of the type, or nil; raises Error.
function Option:set(value)
    local check = values.check[self.type]
    local list = self.multiple and value or { value }
    local good = not self.multiple or is_list(value)
    if good and check then
        for _, item in ipairs(list) do good = good and check(item) end
    end
    if not good and self.multiple then
        error(Error("Option '%s' is required to be a list of %s", self.name, type_name(self)), 0)
    elseif not good then
        error(Error("Option '%s' is required to be a %s (%s given)", self.name, type_name(self),
            values.type_of(value)), 0)
    end
    assign(self, value)
end

return Option
