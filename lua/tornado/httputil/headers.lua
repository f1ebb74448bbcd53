-- HTTPHeaders: a case-insensitive multimap that keeps the order in which names came.
-- One value is stored as a string and several as a list, joined only when asked for, so
-- that adding n values takes time linear in n.

local core = require "tornado.core"
local util = require "tornado.util"
local errors = require "tornado.httputil.errors"
local clear = require "table.clear"

local shown = util.shown
local byte, find, format, gsub = string.byte, string.find, string.format, string.gsub
local lower, sub, upper = string.lower, string.sub, string.upper
local is_field_value, is_token = core.is_field_value, core.is_token
local HTTPInputError = errors.HTTPInputError

-- Names as they were spelt -> Capitalized-Words. Peers choose the names, so both the
-- number and the length of what is remembered are bounded.
local MEMO_NAMES, MEMO_LENGTH = 1000, 64
local memo, memo_count = {}, 0

-- Returns the normal form of a valid name, nil for an invalid one.
local function normalize(name)
    local normal = memo[name]
    if normal then return normal end
    if type(name) ~= "string" or not is_token(name) then return nil end
    normal = gsub(gsub(lower(name), "^%l", upper), "%-%l", upper)
    if #name <= MEMO_LENGTH then
        if memo_count == MEMO_NAMES then
            clear(memo)
            memo_count = 0
        end
        memo[name] = normal
        memo_count = memo_count + 1
    end
    return normal
end

local function check_name(name, level)
    local normal = memo[name] or normalize(name)
    if not normal then
        error("bad header name: expected a token (letters, digits, !#$%&'*+-.^_`|~), got "
            .. shown(name), level + 1)
    end
    return normal
end

local function check_value(value, level)
    if type(value) == "number" and value % 1 == 0 then return format("%.0f", value) end
    if type(value) ~= "string" or not is_field_value(value) then
        error("bad header value: expected text without control characters, got "
            .. shown(value), level + 1)
    end
    return value
end

local HTTPHeaders = util.Object:extend "HTTPHeaders"

-- _values: name -> string or list; _names: names in order; _joined: name -> joined list.

--- Takes nothing, other HTTPHeaders, a list of {name, value} pairs, or a map from names
--- to values or lists of values (added in alphabetical order).
function HTTPHeaders:init(source)
    self._names = {}
    self._values = {}
    self._joined = {}
    if source ~= nil then self:update(source, 1) end
end

local function append(self, name, value)
    local old = self._values[name]
    if old == nil then
        local names = self._names
        names[#names + 1] = name
        self._values[name] = value
    elseif type(old) == "string" then
        self._values[name] = { old, value }
    else
        old[#old + 1] = value
        self._joined[name] = nil
    end
end

--- Adds a value to those of `name`; raises for a name or value that HTTP does not allow.
function HTTPHeaders:add(name, value)
    append(self, check_name(name, 2), check_value(value, 2))
end

--- Makes `value` the only one of `name`; raises for what HTTP does not allow.
function HTTPHeaders:set(name, value)
    name, value = check_name(name, 2), check_value(value, 2)
    if self._values[name] == nil then
        local names = self._names
        names[#names + 1] = name
    end
    self._values[name] = value
    self._joined[name] = nil
end

--- Returns the value of `name`, several joined by ","; `default` (or nil) when absent.
function HTTPHeaders:get(name, default)
    name = memo[name] or normalize(name)
    local value = name and self._values[name]
    if value == nil then return default end
    if type(value) == "string" then return value end
    local joined = self._joined[name]
    if not joined then
        joined = table.concat(value, ",")
        self._joined[name] = joined
    end
    return joined
end

--- Returns the list of all values of `name`; an empty one when there are none.
function HTTPHeaders:get_list(name)
    name = memo[name] or normalize(name)
    local value = name and self._values[name]
    if value == nil then return {} end
    if type(value) == "string" then return { value } end
    local list = {}
    for i = 1, #value do list[i] = value[i] end
    return list
end

--- Returns an iterator over all (name, value), names in the order of their first value.
function HTTPHeaders:get_all()
    local names, values = self._names, self._values
    local i, j = 1, 0
    return function()
        while true do
            local name = names[i]
            if name == nil then return nil end
            local value = values[name]
            if type(value) == "string" then
                i = i + 1
                return name, value
            end
            j = j + 1
            if value[j] then return name, value[j] end
            i, j = i + 1, 0
        end
    end
end

--- Returns a new list of the names, in order and in normal form.
function HTTPHeaders:names()
    local list = {}
    for i = 1, #self._names do list[i] = self._names[i] end
    return list
end

--- Returns whether there is a value for `name`.
function HTTPHeaders:has(name)
    name = memo[name] or normalize(name)
    return name ~= nil and self._values[name] ~= nil
end

--- Removes all values of `name`; returns whether there were any.
-- Tornado: `del` raises KeyError for an absent name.
function HTTPHeaders:remove(name)
    name = memo[name] or normalize(name)
    if not name or self._values[name] == nil then return false end
    self._values[name] = nil
    self._joined[name] = nil
    for i, known in ipairs(self._names) do
        if known == name then
            table.remove(self._names, i)
            break
        end
    end
    return true
end

--- Returns the value of `name`, which is first set to `default` when absent.
function HTTPHeaders:setdefault(name, default)
    if not self:has(name) then
        append(self, check_name(name, 2), check_value(default, 2))
    end
    return self:get(name)
end

-- Replaces what `target` has of `name` by one value or by a list of them.
local function replace(target, name, value, level)
    name = check_name(name, level + 1)
    target:remove(name)
    if type(value) ~= "table" then
        append(target, name, check_value(value, level + 1))
        return
    end
    for i = 1, #value do append(target, name, check_value(value[i], level + 1)) end
end

--- Takes what HTTPHeaders() takes; its names replace those of this object.
function HTTPHeaders:update(source, level)
    level = 2 + (level and level + 1 or 0)
    if type(source) ~= "table" then
        error("bad headers: expected HTTPHeaders or table, got " .. type(source), level)
    end
    if type(source.get_all) == "function" then
        local seen = {}
        for name, value in source:get_all() do
            if not seen[name] then self:remove(name) end
            seen[name] = true
            append(self, check_name(name, level), check_value(value, level))
        end
    elseif source[1] ~= nil then
        for _, pair in ipairs(source) do
            if type(pair) ~= "table" then
                error("bad headers: expected {name, value} pairs, got " .. type(pair), level)
            end
            append(self, check_name(pair[1], level), check_value(pair[2], level))
        end
    else
        local names = {}
        for name in pairs(source) do names[#names + 1] = name end
        table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
        for _, name in ipairs(names) do replace(self, name, source[name], level) end
    end
end

--- Returns an independent copy.
function HTTPHeaders:copy()
    return HTTPHeaders(self)
end

-- The part of `s` from `first` to `last` without spaces and tabs at its ends.
local function strip(s, first, last)
    first = find(s, "[^ \t]", first) or last + 1
    while last >= first and (byte(s, last) == 32 or byte(s, last) == 9) do last = last - 1 end
    return sub(s, first, last)
end

-- Appends a folded line (RFC 9112 §5.2) to the last value.
local function continue_line(self, line)
    local name = self._names.last
    if not name or self._values[name] == nil then
        error(HTTPInputError("first header line cannot start with whitespace"), 0)
    end
    local part = " " .. strip(line, 1, #line)
    if not is_field_value(part) then
        error(HTTPInputError("Invalid header continuation %s", shown(part)), 0)
    end
    local value = self._values[name]
    if type(value) == "string" then
        self._values[name] = value .. part
    else
        value[#value] = value[#value] .. part
        self._joined[name] = nil
    end
end

--- Takes one line of a header block, with or without its end, and adds what it says;
--- raises HTTPInputError for a malformed one. A folded line continues the one before.
function HTTPHeaders:parse_line(line)
    util.expect(line, "string", "header line")
    if byte(line, -1) == 10 then
        line = sub(line, 1, byte(line, -2) == 13 and -3 or -2)
    end
    if line == "" then return end
    local first = byte(line, 1)
    if first == 32 or first == 9 then return continue_line(self, line) end
    local colon = find(line, ":", 1, true)
    if not colon then error(HTTPInputError("no colon in header line"), 0) end
    local name = normalize(sub(line, 1, colon - 1))
    if not name then
        error(HTTPInputError("Invalid header name %s", shown(sub(line, 1, colon - 1))), 0)
    end
    local value = strip(line, colon + 1, #line)
    if not is_field_value(value) then
        error(HTTPInputError("Invalid header value %s", shown(value)), 0)
    end
    append(self, name, value)
    self._names.last = name
end

-- The end of the folded lines that follow the line before `at`, and these lines joined.
local function unfold(text, line, at)
    local pieces = { (gsub(line, "\r$", "")) }
    local stop
    repeat
        stop = find(text, "\n", at, true) or #text + 1
        local last = byte(text, stop - 1) == 13 and stop - 2 or stop - 1
        pieces[#pieces + 1] = strip(text, at, last)
        at = stop + 1
    until not find(text, "^[ \t]", at)
    return table.concat(pieces, " "), at
end

--- Takes a whole header block (CRLF or LF) and returns its HTTPHeaders; raises
--- HTTPInputError for a malformed one.
function HTTPHeaders.parse(text)
    util.expect(text, "string", "headers")
    local headers = HTTPHeaders()
    local at, length = 1, #text
    while at <= length do
        local stop = find(text, "\n", at, true) or length + 1
        local line = sub(text, at, stop - 1)
        at = stop + 1
        if line ~= "" and line ~= "\r" and find(text, "^[ \t]", at)
            and not find(line, "^[ \t]") then
            line, at = unfold(text, line, at)
        end
        headers:parse_line(line .. "\n")
    end
    return headers
end

--- The headers as lines "Name: value", for people.
function HTTPHeaders:__tostring()
    local out = {}
    for name, value in self:get_all() do out[#out + 1] = name .. ": " .. value end
    return table.concat(out, "\n")
end

return HTTPHeaders
