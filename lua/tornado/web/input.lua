-- What a handler reads: arguments, cookies, JSON.
local core = require "tornado.core"
local errors = require "tornado.web.errors"
local RequestHandler = require "tornado.web.handler"

local find, gsub, select = string.find, string.gsub, select
local HTTPError, MissingArgumentError = errors.HTTPError, errors.MissingArgumentError

--- Checks that bytes from the request are UTF-8 and returns them; raises 400. `name` is nil for
-- a part of the path. May be replaced.
function RequestHandler:decode_argument(value, name) -- luacheck: ignore 212/self
    if core.is_utf8(value) then return value end
    local shown = gsub(value:sub(1, 40), "[^\32-\126]", function(char)
        return ("\\x%02x"):format(char:byte())
    end)
    error(HTTPError(400, "Invalid unicode in %s: '%s'", name or "url", shown), 0)
end

-- Control characters (but tab, newline, VT, FF, CR) become spaces; then white space goes.
local function clean(self, value, name, strip)
    if find(value, "[%z\1-\32\127-\255]") then
        value = self:decode_argument(value, name)
        value = gsub(value, "[%z\1-\8\14-\31]", " ")
        if strip then value = value:match("^%s*(.-)%s*$") end
    end
    return value
end

-- The last value of `name` in a flat list.
local function last(flat, name)
    for i = #flat - 1, 1, -2 do
        if flat[i] == name then return flat[i + 1] end
    end
end

local function append(out, self, flat, name, strip)
    for i = 1, #flat, 2 do
        if flat[i] == name then out[#out + 1] = clean(self, flat[i + 1], name, strip) end
    end
    return out
end

local function missing(self, value, name, count, default, strip)
    if value then return clean(self, value, name, strip ~= false) end
    if count > 0 then return default end
    error(MissingArgumentError(name), 0)
end

--- The last value of an argument from body or query, stripped unless strip is false. Without a
-- default, a missing one raises MissingArgumentError (400).
function RequestHandler:get_argument(name, ...)
    local request = self.request
    local value = last(request:body_pairs(), name) or last(request:query_pairs(), name)
    local default, strip = ...
    return missing(self, value, name, select("#", ...), default, strip)
end

--- As get_argument(), from the query alone.
function RequestHandler:get_query_argument(name, ...)
    local value = last(self.request:query_pairs(), name)
    local default, strip = ...
    return missing(self, value, name, select("#", ...), default, strip)
end

--- As get_argument(), from the body alone.
function RequestHandler:get_body_argument(name, ...)
    local value = last(self.request:body_pairs(), name)
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
    local out = append({}, self, self.request:query_pairs(), name, strip)
    return append(out, self, self.request:body_pairs(), name, strip)
end

--- As get_arguments(), from the query alone.
function RequestHandler:get_query_arguments(name, strip)
    return append({}, self, self.request:query_pairs(), name, check_strip(strip))
end

--- As get_arguments(), from the body alone.
function RequestHandler:get_body_arguments(name, strip)
    return append({}, self, self.request:body_pairs(), name, check_strip(strip))
end

--- A cookie of the request, or `default`.
function RequestHandler:get_cookie(name, default)
    local value = self.request.cookies[name]
    if value == nil then return default end
    return value
end
