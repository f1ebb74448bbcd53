-- Query strings and urlencoded bodies as maps from a name to the list of its values.
-- More arguments than MAX_ARGUMENTS are an error, never cut off silently (CVE-2018-9230).

local core = require "tornado.core"
local errors = require "tornado.httputil.errors"
local multipart = require "tornado.httputil.multipart"
local util = require "tornado.util"

local find, sub = string.find, string.sub
local form_pairs, url_encode = core.form_pairs, core.url_encode
local HTTPInputError = errors.HTTPInputError

local MAX_ARGUMENTS = 1000

local query = {}

--- Takes a query string and returns a map from names to lists of values, blank ones
--- included; with `into` the values are appended to that map. Raises HTTPInputError
--- above 1000 arguments.
function query.parse_qs(text, into)
    util.expect(text, "string", "query")
    if into ~= nil then util.expect(into, "table", "arguments") end
    local result = into or {}
    if text == "" then return result end
    local flat = form_pairs(text, MAX_ARGUMENTS)
    if not flat then error(HTTPInputError("too many arguments"), 0) end
    for i = 1, #flat, 2 do
        local name, value = flat[i], flat[i + 1]
        local values = result[name]
        if values then values[#values + 1] = value else result[name] = { value } end
    end
    return result
end

--- Takes a request's Content-Type, body, the maps of arguments and of files (to which the
--- body's are appended), the HTTPHeaders (or nil) and a ParseBodyConfig (or nil); other types
--- than the two of forms are ignored. Raises HTTPInputError for an encoded or malformed body
--- and for too many arguments.
function query.parse_body_arguments(content_type, body, arguments, files, headers, config)
    util.expect(content_type, "string", "Content-Type")
    util.expect(body, "string", "body")
    util.expect(arguments, "table", "arguments")
    util.expect(files, "table", "files")
    local urlencoded = find(content_type, "application/x-www-form-urlencoded", 1, true) == 1
    if not urlencoded and find(content_type, "multipart/form-data", 1, true) ~= 1 then return end
    local encoding = headers and headers:get("Content-Encoding")
    if encoding then
        error(HTTPInputError("Unsupported Content-Encoding: %s", encoding:sub(1, 60)), 0)
    end
    if urlencoded then
        query.parse_qs(body, arguments)
    else
        multipart.parse(content_type, body, arguments, files, config and config.multipart)
    end
end

--- Takes a map as parse_qs makes it and returns an iterator over its (name, value).
function query.qs_to_qsl(qs)
    util.expect(qs, "table", "arguments")
    local name, values, i = nil, nil, 0
    return function()
        while true do
            i = i + 1
            if values and values[i] ~= nil then return name, values[i] end
            name, values = next(qs, name)
            i = 0
            if name == nil then return nil end
        end
    end
end

local SCALAR = { string = true, number = true, boolean = true }

local function put(out, name, value, level)
    if not SCALAR[type(name)] or not SCALAR[type(value)] then
        error("bad argument: expected names and values to be strings or numbers, got "
            .. type(name) .. " and " .. type(value), level + 1)
    end
    out[#out + 1] = url_encode(tostring(name), true) .. "=" .. url_encode(tostring(value), true)
end

local function put_arguments(out, arguments, level)
    if arguments[1] ~= nil then
        for _, pair in ipairs(arguments) do
            if type(pair) ~= "table" then
                error("bad arguments: expected {name, value} pairs, got " .. type(pair), level + 1)
            end
            put(out, pair[1], pair[2], level + 1)
        end
        return
    end
    local names = {}
    for name in pairs(arguments) do names[#names + 1] = name end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    for _, name in ipairs(names) do
        local value = arguments[name]
        if type(value) == "table" then
            for _, item in ipairs(value) do put(out, name, item, level + 1) end
        else
            put(out, name, value, level + 1)
        end
    end
end

--- Takes a URL and arguments - a list of {name, value} pairs, or a map (added in
--- alphabetical order; a value may be a list) - and returns the URL with them after its
--- own query; nil leaves the URL unchanged.
-- Tornado: a list as a value is written as Python's text of it.
function query.url_concat(url, arguments)
    util.expect(url, "string", "URL")
    if arguments == nil then return url end
    if type(arguments) ~= "table" then
        error("bad arguments: expected table or nil, got " .. type(arguments), 2)
    end
    local hash = find(url, "#", 1, true)
    local base, fragment = url, ""
    if hash then base, fragment = sub(url, 1, hash - 1), sub(url, hash) end
    local mark = find(base, "?", 1, true)
    local out = {}
    if mark then
        local _, separators = string.gsub(base, "&", "")
        local old = form_pairs(sub(base, mark + 1), separators + 1)
        for i = 1, #old, 2 do put(out, old[i], old[i + 1], 1) end
        base = sub(base, 1, mark - 1)
    end
    put_arguments(out, arguments, 2)
    if #out > 0 then base = base .. "?" .. table.concat(out, "&") end
    return base .. (fragment == "#" and "" or fragment)
end

return query
