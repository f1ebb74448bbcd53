-- Header values of the form `key; a=b; c="d"`: Content-Type, Content-Disposition,
-- Sec-WebSocket-Extensions. Scanned once from left to right (CVE-2025-67726).

local core = require "tornado.core"
local escape = require "tornado.escape"
local util = require "tornado.util"

local byte, find, gsub, match, sub = string.byte, string.find, string.gsub, string.match,
    string.sub

local params = {}

local SEMICOLON, QUOTE, BACKSLASH = 59, 34, 92

-- The position of the next ";" outside quotes, at or after `at`; past the end if none.
local function piece_end(s, at)
    local quoted = false
    while true do
        at = find(s, '[;"\\]', at)
        if not at then return #s + 1 end
        local code = byte(s, at)
        if code == QUOTE then
            quoted = not quoted
        elseif code == BACKSLASH then
            if quoted or byte(s, at + 1) == QUOTE then at = at + 1 end
        elseif code == SEMICOLON and not quoted then
            return at
        end
        at = at + 1
    end
end

local function strip(s)
    local first = find(s, "[^ \t]")
    if not first then return "" end
    local last = #s
    while byte(s, last) == 32 or byte(s, last) == 9 do last = last - 1 end
    return sub(s, first, last)
end

local function unquote(value)
    if #value < 2 or byte(value, 1) ~= QUOTE or byte(value, -1) ~= QUOTE then return value end
    return (gsub(sub(value, 2, -2), '\\([\\"])', "%1"))
end

local function latin1_to_utf8(s)
    return (gsub(s, "[\128-\255]", function(char)
        local code = byte(char)
        return code < 192 and "\194" .. char or "\195" .. string.char(code - 64)
    end))
end

-- RFC 8187: charset'language'percent-encoded. What is not UTF-8 as promised has U+FFFD in its
-- place; an unknown charset is taken for UTF-8, or else for ISO-8859-1.
local function decode_extended(value)
    local charset, text = match(value, "^([^']*)'[^']*'(.*)$")
    if not charset then return value end
    charset = charset:lower()
    local bytes = core.url_decode(text, false)
    if charset ~= "iso-8859-1" and core.is_utf8(bytes) then return bytes end
    if charset == "utf-8" then return escape.url_unescape(text, "utf-8", false) end
    return latin1_to_utf8(bytes)
end

-- Joins RFC 2231's name*0, name*1*, ... of one parameter; nil when the first is missing.
local function join_sections(sections)
    local pieces, extended = {}, false
    for i = 0, #sections + 1 do
        local section = sections[i]
        if not section then break end
        if section.extended and i == 0 then extended = true end
        -- A plain section inside an extended value is text: keep its "%" as one.
        pieces[i + 1] = extended and not section.extended
            and gsub(section.value, "%%", "%%25") or section.value
    end
    if not pieces[1] then return nil end
    local value = table.concat(pieces)
    return extended and decode_extended(value) or value
end

-- Sorts one parameter into `result`, or into `sections` when it is a part of a value.
local function keep(result, sections, name, value)
    local base, index, star = match(name, "^(.-)%*(%d+)(%*?)$")
    if base and #index <= 2 then
        local list = sections[base] or {}
        sections[base] = list
        list[tonumber(index)] = { value = value, extended = star == "*" }
        return
    end
    base = match(name, "^(.+)%*$")
    if base then
        result[base] = decode_extended(value)
        result[1][base] = true -- RFC 6266 §4.3: preferred to the plain form
    elseif not result[1][name] then
        result[name] = value
    end
end

--- Takes a header value and returns its key and a map of its parameters: names in lower
--- case, values unquoted, `true` for a parameter without "=". `name*=` (RFC 8187) is
--- decoded and wins over `name=`.
-- Tornado: parameters without a value are dropped.
function params.parse(line)
    util.expect(line, "string", "header value")
    local stop = piece_end(line, 1)
    local key = strip(sub(line, 1, stop - 1))
    local result, sections = { {} }, {}
    while stop <= #line do
        local start = stop + 1
        stop = piece_end(line, start)
        local piece = strip(sub(line, start, stop - 1))
        local equals = find(piece, "=", 1, true)
        if equals then
            local name = strip(sub(piece, 1, equals - 1)):lower()
            keep(result, sections, name, unquote(strip(sub(piece, equals + 1))))
        elseif piece ~= "" then
            piece = piece:lower()
            if result[piece] == nil then result[piece] = true end
        end
    end
    for name, list in pairs(sections) do
        local value = join_sections(list)
        if value and not result[1][name] then result[name] = value end
    end
    result[1] = nil
    return key, result
end

--- Takes a key and a map of parameters and returns the header value: parameters sorted
--- by name, a value of true as the bare name.
-- Tornado: None is the bare name; a Lua table cannot hold nil.
function params.encode(key, values)
    util.expect(key, "string", "key")
    if values ~= nil then util.expect(values, "table", "parameters") end
    local names = {}
    for name in pairs(values or {}) do names[#names + 1] = name end
    table.sort(names)
    local out = { key }
    for i, name in ipairs(names) do
        local value = values[name]
        out[i + 1] = value == true and name or name .. "=" .. tostring(value)
    end
    return table.concat(out, "; ")
end

return params
