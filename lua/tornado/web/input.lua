-- What a handler reads: arguments, cookies, JSON.
local core = require "tornado.core"
local errors = require "tornado.web.errors"
local escape = require "tornado.escape"
local RequestHandler = require "tornado.web.handler"

local byte, find, gsub, sub = string.byte, string.find, string.gsub, string.sub
local select = select
local is_clean = core.is_clean
local HTTPError, MissingArgumentError = errors.HTTPError, errors.MissingArgumentError

local function hex(char)
    return ("\\x%02x"):format(char:byte())
end

--- Checks that bytes from the request are UTF-8 and returns them; raises 400. `name` is nil for
-- a part of the path. May be replaced.
function RequestHandler:decode_argument(value, name) -- luacheck: ignore 212/self
    if core.is_utf8(value) then return value end
    local shown = gsub(value:sub(1, 40), "[^\32-\126]", hex)
    error(HTTPError(400, "Invalid unicode in %s: '%s'", name or "url", shown), 0)
end

local decode_argument = RequestHandler.decode_argument

-- What Unicode has of white space beside ASCII's, each as its bytes: U+0085 and so on.
local WIDE = {}
for char in ("\194\133 \194\160 \225\154\128 \226\128\168 \226\128\169 \226\128\175 " ..
    "\226\129\159 \227\128\128"):gmatch("%S+") do
    WIDE[char] = #char
end
for last = 128, 138 do WIDE["\226\128" .. string.char(last)] = 3 end -- U+2000 to U+200A

-- How many bytes the white space has that begins at `first`, or ends at `last`; nil for none.
local function space_from(value, first)
    if find(value, "^%s", first) then return 1 end
    return WIDE[sub(value, first, first + 1)] or WIDE[sub(value, first, first + 2)]
end

local function space_to(value, last)
    if find(value, "^%s", last) then return 1 end
    return WIDE[sub(value, last - 1, last)] or WIDE[sub(value, last - 2, last)]
end

local function trim(value)
    local first, last = 1, #value
    while first <= last do
        local size = space_from(value, first)
        if not size then break end
        first = first + size
    end
    while last >= first do
        local size = space_to(value, last)
        if not size then break end
        last = last - size
    end
    return sub(value, first, last)
end

-- Control characters (but tab, newline, VT, FF, CR) become spaces; then white space goes.
local function clean(self, value, name, strip)
    if is_clean(value) then return value end
    value = self:decode_argument(value, name)
    value = gsub(value, "[%z\1-\8\14-\31]", " ")
    if strip then value = trim(value) end
    return value
end

-- A list that is [] as JSON when it is empty.
local function clean_all(self, values, name, strip)
    local out = escape.array()
    for i = 1, values and #values or 0 do
        out[#out + 1] = clean(self, values[i], name, strip)
    end
    return out
end

local function missing(self, value, name, count, default, strip)
    if value then return clean(self, value, name, strip ~= false) end
    if type(name) ~= "string" then
        error("bad name: expected string, got " .. type(name), 2) -- called as a tail
    end
    if count > 0 then return default end
    error(MissingArgumentError(name), 0)
end

--- The last value of an argument from body or query, stripped unless strip is false. Without a
-- default, a missing one raises MissingArgumentError (400).
function RequestHandler:get_argument(name, ...)
    local request = self.request
    local value = request:last_body_argument(name) or request:last_query_argument(name)
    local default, strip = ...
    return missing(self, value, name, select("#", ...), default, strip)
end

--- As get_argument(), from the query alone.
function RequestHandler:get_query_argument(name, ...)
    local value = self.request:last_query_argument(name)
    local default, strip = ...
    return missing(self, value, name, select("#", ...), default, strip)
end

--- As get_argument(), from the body alone.
function RequestHandler:get_body_argument(name, ...)
    local value = self.request:last_body_argument(name)
    local default, strip = ...
    return missing(self, value, name, select("#", ...), default, strip)
end

local function check_strip(strip)
    if strip ~= nil and type(strip) ~= "boolean" then
        error("bad strip: expected boolean, got " .. type(strip), 3)
    end
    return strip ~= false
end

--- All values of an argument, query first; an empty list when there are none.
function RequestHandler:get_arguments(name, strip)
    strip = check_strip(strip)
    return clean_all(self, self.request.arguments[name], name, strip)
end

--- As get_arguments(), from the query alone.
function RequestHandler:get_query_arguments(name, strip)
    return clean_all(self, self.request.query_arguments[name], name, check_strip(strip))
end

--- As get_arguments(), from the body alone.
function RequestHandler:get_body_arguments(name, strip)
    return clean_all(self, self.request.body_arguments[name], name, check_strip(strip))
end

--- The form of the body as a map from names to their last values, as they are (not stripped);
-- raises 400 for what is not UTF-8.
function RequestHandler:form()
    local map, ascii = self.request:form()
    if ascii and self.decode_argument == decode_argument then return map end
    for name, value in pairs(map) do
        self:decode_argument(name, "a form's name")
        self:decode_argument(value, name)
    end
    return map
end

--- A cookie of the request, or `default`.
function RequestHandler:get_cookie(name, default)
    if type(name) ~= "string" then error("bad name: expected string, got " .. type(name), 2) end
    local request = self.request
    local value = core.request_cookie(request.handle, name)
    if value == nil or not core.is_token(name) then return default end
    if byte(value, 1) == 34 then value = request.cookies[name] end -- quoted
    return value
end

--- The request's cookies: a map from their names to their values.
-- Tornado: a property.
function RequestHandler:cookies()
    return self.request.cookies
end
