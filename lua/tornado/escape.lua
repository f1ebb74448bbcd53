-- Escaping and unescaping for HTML, URLs and JSON, after tornado.escape.
-- The scanning is done in C (tornado.core); JSON is in tornado.escape.json and
-- linkify in tornado.escape.linkify, both reachable from here by Tornado's names.

local core = require "tornado.core"
local entities = require "tornado.entities"
local json = require "tornado.escape.json"
local linkify = require "tornado.escape.linkify"

local find, format, gsub, sub = string.find, string.format, string.gsub, string.sub
local is_utf8, url_decode, url_encode = core.is_utf8, core.url_decode, core.url_encode
local html_escape = core.html_escape

local escape = {}

escape.json_encode = json.encode
escape.json_decode = json.decode
escape.JSONError = json.Error
escape.null = json.null
escape.array = json.array
escape.object = json.object
escape.is_array = json.is_array
escape.linkify = linkify

local function bad_text(value, level)
    error("bad value: expected string, got " .. type(value), level + 1)
end

-- A number is text for whoever writes a page; other types are mistakes.
local function text_of(value, level)
    if type(value) == "number" then return tostring(value) end
    bad_text(value, level + 1)
end

--- Takes a string (or a number) and returns it with & < > " ' as entities.
function escape.xhtml_escape(value)
    if type(value) ~= "string" then value = text_of(value, 2) end
    return html_escape(value)
end

-- What HTML5 makes of the numbers of windows-1252's upper half, and of CR and NUL.
local WINDOWS_1252 = {
    [0x00] = 0xFFFD, [0x0D] = 0x0D,
    [0x80] = 0x20AC, [0x82] = 0x201A, [0x83] = 0x0192, [0x84] = 0x201E, [0x85] = 0x2026,
    [0x86] = 0x2020, [0x87] = 0x2021, [0x88] = 0x02C6, [0x89] = 0x2030, [0x8A] = 0x0160,
    [0x8B] = 0x2039, [0x8C] = 0x0152, [0x8E] = 0x017D, [0x91] = 0x2018, [0x92] = 0x2019,
    [0x93] = 0x201C, [0x94] = 0x201D, [0x95] = 0x2022, [0x96] = 0x2013, [0x97] = 0x2014,
    [0x98] = 0x02DC, [0x99] = 0x2122, [0x9A] = 0x0161, [0x9B] = 0x203A, [0x9C] = 0x0153,
    [0x9E] = 0x017E, [0x9F] = 0x0178, [0x81] = 0x81, [0x8D] = 0x8D, [0x8F] = 0x8F,
    [0x90] = 0x90, [0x9D] = 0x9D,
}

-- Code points that name no character: controls and Unicode's noncharacters.
local function is_invalid(code)
    return code >= 0x01 and code <= 0x08 or code == 0x0B or code >= 0x0E and code <= 0x1F
        or code == 0x7F or code >= 0xFDD0 and code <= 0xFDEF or code % 0x10000 >= 0xFFFE
end

local function number_reference(code)
    if WINDOWS_1252[code] then return entities.utf8(WINDOWS_1252[code]) end
    if code > 0x10FFFF or code >= 0xD800 and code <= 0xDFFF then return "\239\191\189" end
    if is_invalid(code) then return "" end
    return entities.utf8(code)
end

-- `body` is at most 32 bytes of what follows "&". The longest known name wins.
local function named_reference(body, closed)
    local text = closed and entities.find(body, true) or entities.find(body, false)
    if text then return text, #body, closed and entities.find(body, true) end
    for n = #body - 1, 2, -1 do
        text = entities.find(sub(body, 1, n), false)
        if text then return text, n, false end
    end
end

-- Reads one reference whose "&" is at `at`; returns its text and the next position.
local function reference(s, at)
    local _, last, digits = find(s, "^#([0-9]+);?", at + 1)
    if digits then return number_reference(tonumber(digits, 10)), last + 1 end
    _, last, digits = find(s, "^#[xX](%x+);?", at + 1)
    if digits then
        digits = gsub(digits, "^0+", "")
        return number_reference(#digits > 6 and 0x110000 or tonumber("0" .. digits, 16)), last + 1
    end
    _, last = find(s, "^[^\t\n\f <&#;]+", at + 1)
    if not last then return nil end
    local body = sub(s, at + 1, math.min(last, at + 32))
    local text, used, closed = named_reference(body, sub(s, at + 1 + #body, at + 1 + #body) == ";")
    if text then return text, at + 1 + used + (closed and 1 or 0) end
end

--- Takes HTML text and returns it with all character references of HTML5 replaced;
--- what is none is left as it is.
function escape.xhtml_unescape(value)
    if type(value) ~= "string" then bad_text(value, 2) end
    local at = find(value, "&", 1, true)
    if not at then return value end
    local pieces, n, from = {}, 0, 1
    while at do
        local text, after = reference(value, at)
        if text then
            pieces[n + 1], pieces[n + 2] = sub(value, from, at - 1), text
            n, from = n + 2, after
        end
        at = find(value, "&", after or at + 1, true)
    end
    pieces[n + 1] = sub(value, from)
    return table.concat(pieces)
end

--- Takes a string and returns it with each run of controls and spaces as one space,
--- and none at either end.
function escape.squeeze(value)
    if type(value) ~= "string" then bad_text(value, 2) end
    local text = gsub(value, "[%z\1-\32]+", " ")
    local first = find(text, "^ ") and 2 or 1
    local last = find(text, " ", -1, true) and -2 or -1
    return sub(text, first, last)
end

--- Takes a string (or a number) and returns it percent-encoded: a space is "+" and a
--- slash "%2F", or with plus=false "%20" and "/".
function escape.url_escape(value, plus)
    if type(value) ~= "string" then value = text_of(value, 2) end
    return url_encode(value, plus ~= false)
end

-- Replaces each byte that is no part of valid UTF-8 by U+FFFD.
local function repair(s)
    local pieces, n, i = {}, 0, 1
    while i <= #s do
        local _, last = find(s, "^[%z\1-\127]+", i)
        if not last then
            _, last = find(s, "^[\194-\244][\128-\191]+", i)
            last = last and math.min(last, i + 3)
            while last and last > i and not is_utf8(sub(s, i, last)) do last = last - 1 end
            if last == i then last = nil end
        end
        n = n + 1
        pieces[n] = last and sub(s, i, last) or "\239\191\189"
        i = (last or i) + 1
    end
    return table.concat(pieces)
end

--- Takes a percent-encoded string and returns the bytes; "+" is a space unless plus is
--- false, a bad %zz stays. With encoding "utf-8" what is not UTF-8 becomes U+FFFD.
-- Tornado: encoding is "utf-8" by default; a Lua string is bytes, so here it is nil.
function escape.url_unescape(value, encoding, plus)
    if type(value) ~= "string" then bad_text(value, 2) end
    local bytes = url_decode(value, plus ~= false)
    if encoding == nil then return bytes end
    if encoding ~= "utf-8" and encoding ~= "utf8" then
        error(format('bad encoding: expected nil or "utf-8", got %s', tostring(encoding)), 2)
    end
    return is_utf8(bytes) and bytes or repair(bytes)
end

--- Takes a query string and returns a map from each name to the list of its values.
--- Blank values are dropped unless keep_blank_values; with strict_parsing a piece
--- without "=" raises.
function escape.parse_qs_bytes(qs, keep_blank_values, strict_parsing)
    if type(qs) ~= "string" then bad_text(qs, 2) end
    if strict_parsing then
        for piece in qs:gmatch("[^&]+") do
            if not find(piece, "=", 1, true) then
                error(format("bad query field: %q", piece), 2)
            end
        end
    end
    local _, separators = gsub(qs, "&", "")
    local pairs_list = core.form_pairs(qs, separators + 1)
    local result = {}
    for i = 1, #pairs_list, 2 do
        local name, value = pairs_list[i], pairs_list[i + 1]
        if value ~= "" or keep_blank_values then
            local values = result[name]
            if values then values[#values + 1] = value else result[name] = { value } end
        end
    end
    return result
end

--- Takes a string or nil and returns it unchanged; raises for any other type.
function escape.utf8(value)
    if value ~= nil and type(value) ~= "string" then
        error("bad value: expected string or nil, got " .. type(value), 2)
    end
    return value
end

--- Takes a string or nil and returns it unchanged; raises for any other type, and for
--- bytes that are not UTF-8.
function escape.to_unicode(value)
    if value == nil then return nil end
    if type(value) ~= "string" then
        error("bad value: expected string or nil, got " .. type(value), 2)
    end
    if not is_utf8(value) then error("bad value: expected UTF-8 text", 2) end
    return value
end

escape.native_str = escape.to_unicode
escape.to_basestring = escape.to_unicode
escape._unicode = escape.to_unicode

local function check_strings(value, depth)
    if type(value) == "string" then return is_utf8(value) end
    if type(value) ~= "table" then return true end
    if depth == 0 then return false end
    for key, item in pairs(value) do
        if not check_strings(key, depth - 1) or not check_strings(item, depth - 1) then
            return false
        end
    end
    return true
end

--- Takes any value and returns it unchanged when all strings in it are UTF-8 (up to 64
--- tables deep); raises otherwise.
-- Tornado: makes a converted copy; bytes and text are one type here.
function escape.recursive_unicode(value)
    if not check_strings(value, 64) then error("bad value: expected UTF-8 text", 2) end
    return value
end

return escape
