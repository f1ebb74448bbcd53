-- Cookies: reading the Cookie field as Tornado does (linear, ";" always separates) and
-- writing Set-Cookie values as Python's http.cookies does.

local core = require "tornado.core"
local util = require "tornado.util"
local lines = require "tornado.httputil.lines"
local nkeys = require "table.nkeys"

local byte, char, find, format, gsub = string.byte, string.char, string.find, string.format,
    string.gsub
local lower, sub = string.lower, string.sub

local cookie_class = core.cookie_class

local cookies = {}

-- The part of `s` from `first` to `last` without white space at its ends.
local function strip(s, first, last)
    first = find(s, "[^ \t-\r]", first) or last + 1
    while last >= first and find(s, "^[ \t-\r]", last) do last = last - 1 end
    return sub(s, first, last)
end

local function unescape(text)
    if find(text, "^[0-3][0-7][0-7]$") then return char(tonumber(text, 8)) end
    return text
end

-- \ooo and \x mean something only inside quotes; one pass (CVE-2024-7592).
local function unquote(value)
    if #value < 2 or byte(value, 1) ~= 34 or byte(value, -1) ~= 34 then return value end
    value = sub(value, 2, -2)
    if not find(value, "\\", 1, true) then return value end
    return (gsub(value, "\\(.[0-7]?[0-7]?)", unescape))
end

--- Takes the value of a Cookie field (several fields joined by "; ") and returns a map
--- from names to values; the last of a name wins, a piece without "=" has the name "".
function cookies.parse(header)
    util.expect(header, "string", "cookies")
    local result = {}
    local at, length, equals = 1, #header, 0
    while at <= length do
        local stop = find(header, ";", at, true) or length + 1
        if equals < at then equals = find(header, "=", at, true) or length + 1 end
        local name, value
        if equals < stop then
            name = strip(header, at, equals - 1)
            value = strip(header, equals + 1, stop - 1)
        else
            name, value = "", strip(header, at, stop - 1)
        end
        if name ~= "" or value ~= "" then result[name] = unquote(value) end
        at = stop + 1
    end
    return result
end

local ESCAPES = {}
for code = 0, 255 do ESCAPES[char(code)] = format("\\%03o", code) end
ESCAPES['"'], ESCAPES["\\"] = '\\"', "\\\\"

local function quote(value)
    if value ~= "" and cookie_class(value) == 0 then return value end
    return '"' .. gsub(value, "[^%w!#$%%&'*+%-.^_`|~: ()/<=>?@%[%]{}]", ESCAPES) .. '"'
end

-- Attribute names; old parsers would take a cookie of such a name for an attribute.
local RESERVED = {
    comment = true, domain = true, expires = true, httponly = true, ["max-age"] = true,
    partitioned = true, path = true, samesite = true, secure = true, version = true,
}

local SAME_SITE = { strict = true, lax = true, none = true }

local KNOWN = {
    domain = true, expires = true, expires_days = true, max_age = true, path = true,
    httponly = true, secure = true, samesite = true, partitioned = true,
}

local function bad(what, expected, got, level)
    error(format("bad %s: expected %s, got %s", what, expected, util.shown(got)), level + 1)
end

--- Whether a cookie may be set with that name.
function cookies.is_name(name)
    return core.is_token(name) and not RESERVED[lower(name)]
end

local function check_name(name, level)
    if type(name) ~= "string" or not core.is_token(name) then
        bad("cookie name", "a token", name, level + 1)
    end
    if RESERVED[lower(name)] then
        bad("cookie name", "no attribute's name", name, level + 1)
    end
end

-- The text of an attribute, or nil when it is absent (nil, false or ""). Raises for what could
-- end it.
local function attribute(options, key, level)
    local value = options[key]
    if value == nil or value == false or value == "" then return nil end
    if type(value) ~= "string" or cookie_class(value) > 1 then
        bad("cookie " .. key, "text without spaces, controls and ';'", value, level + 1)
    end
    return value
end

local function check_numbers(options, level)
    local max_age, days, expires = options.max_age, options.expires_days, options.expires
    if max_age ~= nil and (type(max_age) ~= "number" or max_age % 1 ~= 0) then
        bad("cookie max_age", "whole seconds", max_age, level + 1)
    end
    if days ~= nil and (type(days) ~= "number" or days ~= days) then
        bad("cookie expires_days", "a number", days, level + 1)
    end
    if expires ~= nil and type(expires) ~= "number" and type(expires) ~= "table" then
        bad("cookie expires", "seconds or a date table", expires, level + 1)
    end
end

local NONE = {}

local function given(value)
    return value ~= nil and 1 or 0
end

-- How many of the options are known; a loop over them would end a trace.
local function count_known(o)
    return given(o.domain) + given(o.expires) + given(o.expires_days) + given(o.max_age) +
        given(o.path) + given(o.httponly) + given(o.secure) + given(o.samesite) +
        given(o.partitioned)
end

local function check_options(options, level)
    if type(options) ~= "table" then
        error("cookie: bad options: expected table, got " .. type(options), level + 1)
    end
    if nkeys(options) ~= count_known(options) then
        util.options(options, KNOWN, "cookie", level - 1) -- has the words for an unknown one
    end
    check_numbers(options, level + 1)
    if options.partitioned and not options.secure then
        error("bad cookie partitioned: expected secure=true with it", level + 1)
    end
end

-- RFC 6265bis §4.1.3: what browsers demand of names with these prefixes.
local function check_prefix(name, options, path, level)
    if byte(name, 1) ~= 95 then return end
    name = lower(name)
    local host = find(name, "__host-", 1, true) == 1
    if not host and find(name, "__secure-", 1, true) ~= 1 then return end
    if not options.secure then
        error("bad cookie: a __Host- or __Secure- name needs secure=true", level + 1)
    end
    if host and (options.domain or path ~= "/") then
        error('bad cookie: a __Host- name needs path="/" and no domain', level + 1)
    end
end

local function expiry(options, level)
    local at = options.expires
    if at == nil then
        if options.expires_days == nil then return nil end
        at = core.now() + options.expires_days * 86400
    end
    local text = lines.format_timestamp(at, level + 1)
    return text
end

-- "; Name=value" for each, in alphabetical order.
local function attributes(options, path, level)
    local domain = attribute(options, "domain", level + 1)
    local same_site = attribute(options, "samesite", level + 1)
    if same_site and not SAME_SITE[lower(same_site)] then
        bad("cookie samesite", "Strict, Lax or None", same_site, level + 1)
    end
    local expires = expiry(options, level + 1)
    local out = domain and "; Domain=" .. domain or ""
    if expires then out = out .. "; expires=" .. expires end
    if options.httponly then out = out .. "; HttpOnly" end
    if options.max_age then out = out .. format("; Max-Age=%d", options.max_age) end
    if options.partitioned then out = out .. "; Partitioned" end
    if path then out = out .. "; Path=" .. path end
    if same_site then out = out .. "; SameSite=" .. same_site end
    if options.secure then out = out .. "; Secure" end
    return out
end

--- Takes a name, a value and options (domain, expires, expires_days, max_age, path="/",
--- httponly, secure, samesite, partitioned) and returns the value of a Set-Cookie field.
--- Raises for what a cookie cannot hold, at the caller's line or `level` frames above.
-- Tornado: expires=0 and max_age=0 are ignored there; samesite is not checked.
function cookies.format(name, value, options, level)
    level = 2 + (level or 0)
    check_name(name, level)
    if type(value) ~= "string" or cookie_class(value) == 3 then
        bad("cookie value", "text without spaces and controls", value, level)
    end
    local out = name .. "=" .. quote(value)
    if options == nil then
        check_prefix(name, NONE, "/", level)
        return out .. "; Path=/"
    end
    check_options(options, level)
    local path = options.path == nil and "/" or attribute(options, "path", level)
    check_prefix(name, options, path, level)
    return out .. attributes(options, path, level)
end

return cookies
