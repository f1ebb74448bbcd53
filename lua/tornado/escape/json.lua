-- JSON on lua-cjson. cjson is fast and lenient: it rounds numbers to 14 digits, turns
-- mixed tables into objects and passes broken UTF-8 on. So a scan first decides whether
-- cjson writes a value exactly; only what it would not is composed here, piece by piece,
-- and that is also where every error finds the path it names.

local core = require "tornado.core"
local util = require "tornado.util"
local cjson = require("cjson").new()
local buffer = require "string.buffer"
local nkeys = require "table.nkeys"

local find, format, gsub = string.find, string.format, string.gsub
local abs, floor = math.abs, math.floor
local is_utf8, has_large_number = core.is_utf8, core.has_large_number

local MAX_DEPTH = 64
local MAX_EXACT = 2 ^ 53
local MAX_PATH = 16 -- keys in an error message

cjson.encode_number_precision(14)
cjson.encode_max_depth(MAX_DEPTH)
cjson.decode_max_depth(MAX_DEPTH)
cjson.encode_invalid_numbers(false)
cjson.decode_invalid_numbers(false)
cjson.encode_sparse_array(false, 1, 0)
cjson.encode_keep_buffer(true)

local cjson_encode, cjson_decode = cjson.encode, cjson.decode

local json = {}

--- JSON's null, in both directions.
json.null = cjson.null
local null = cjson.null

--- Raised by json_decode; `message` says what is wrong and where.
json.Error = util.Error:extend "JSONError"

local ARRAY = { __name = "escape.array" }
local OBJECT = { __name = "escape.object" }

local function tag(value, meta)
    if type(value) ~= "table" then
        error("bad value: expected table, got " .. type(value), 3)
    end
    local old = getmetatable(value)
    if old and old ~= ARRAY and old ~= OBJECT then
        error(format("bad value: expected a plain table, got one with a metatable (%s)",
            tostring(value)), 3)
    end
    return setmetatable(value, meta)
end

--- Marks a table as an array, so that an empty one gives []; returns it.
function json.array(value)
    local tagged = tag(value == nil and {} or value, ARRAY)
    return tagged
end

--- Marks a table as an object, so that integer keys become strings; returns it.
function json.object(value)
    local tagged = tag(value == nil and {} or value, OBJECT)
    return tagged
end

--- Returns whether `value` is a table that escape.array has marked.
function json.is_array(value)
    return type(value) == "table" and getmetatable(value) == ARRAY
end

-- Whether %.14g writes `n` so that it reads back the same: small integers, and
-- decimals of at most six places (k / 1e6 is rounded correctly, as in strtod).
local function is_short(n)
    if n == floor(n) then return n < 1e14 and n > -1e14 end
    local k = floor(n * 1e6 + 0.5)
    return k / 1e6 == n and k < 1e14 and k > -1e14
end

local is_plain

local function is_plain_array(t, n, depth)
    if nkeys(t) ~= n then return false end
    for i = 1, n do
        local v = t[i]
        local kind = type(v)
        if kind == "number" then
            if not is_short(v) then return false end
        elseif kind == "table" then
            if not is_plain(v, depth) then return false end
        elseif kind == "userdata" then
            if v ~= null then return false end
        elseif kind ~= "string" and kind ~= "boolean" then
            return false
        end
    end
    return getmetatable(t) ~= OBJECT
end

-- Whether cjson writes the table `t` exactly (UTF-8 aside).
function is_plain(t, depth)
    if depth == MAX_DEPTH then return false end
    local n = #t
    if n > 0 then return is_plain_array(t, n, depth + 1) end
    for k, v in next, t do
        if type(k) ~= "string" then return false end
        local kind = type(v)
        if kind == "number" then
            if not is_short(v) then return false end
        elseif kind == "table" then
            if not is_plain(v, depth + 1) then return false end
        elseif kind == "userdata" then
            if v ~= null then return false end
        elseif kind ~= "string" and kind ~= "boolean" then
            return false
        end
    end
    return getmetatable(t) ~= ARRAY
end

-- ".user.items[3]" for the keys that lead to a value; "the top" for none.
local function path_text(path)
    if #path == 0 then return "the top" end
    local pieces = {}
    for i, key in ipairs(path) do
        if i > MAX_PATH then
            pieces[i] = "..."
            break
        end
        if type(key) ~= "string" then
            pieces[i] = "[" .. tostring(key) .. "]"
        elseif find(key, "^[%a_][%w_]*$") then
            pieces[i] = "." .. key
        else
            pieces[i] = format("[%q]", key:sub(1, 40))
        end
    end
    return table.concat(pieces)
end

-- Errors are values until they reach json.encode, whose caller's line they name.
local Failure = {}

local function fail(path, what)
    error(setmetatable({ text = "json_encode: cannot encode " .. what .. " at "
        .. path_text(path) }, Failure), 0)
end

local function put_number(out, n, path)
    if n ~= n then fail(path, "NaN") end
    if n == math.huge or n == -math.huge then fail(path, "an infinite number") end
    if n == floor(n) and abs(n) <= MAX_EXACT then
        out:put(format("%.0f", n))
        return
    end
    for digits = 15, 17 do
        local text = format("%." .. digits .. "g", n)
        if tonumber(text) == n then
            out:put(text)
            return
        end
    end
end

local function put_string(out, s, path)
    if not is_utf8(s) then fail(path, "a string that is not UTF-8") end
    out:put(cjson_encode(s))
end

local put

local function put_array(out, t, n, path)
    local level = #path + 1
    out:put("[")
    for i = 1, n do
        if i > 1 then out:put(",") end
        path[level] = i
        put(out, t[i], path)
    end
    path[level] = nil
    out:put("]")
end

-- The string form of an object's key; nil for a key that has none.
local function key_text(t, key, tagged)
    if type(key) == "string" then return key end
    if not tagged or type(key) ~= "number" or key ~= floor(key) or abs(key) > MAX_EXACT then
        return nil
    end
    local text = format("%.0f", key)
    return rawget(t, text) == nil and text or nil
end

local function put_object(out, t, path)
    local level = #path + 1
    local tagged = getmetatable(t) == OBJECT
    local first = true
    out:put("{")
    for key, value in next, t do
        local text = key_text(t, key, tagged)
        if not text then
            fail(path, "a table with the key " .. tostring(key) .. " (a " .. type(key) .. ")")
        end
        path[level] = text
        if not first then out:put(",") end
        first = false
        put_string(out, text, path)
        out:put(":")
        put(out, value, path)
    end
    path[level] = nil
    out:put("}")
end

-- The length of an array without holes; nil when `t` is an object.
local function array_length(t, path)
    local tagged = getmetatable(t) == ARRAY
    local count, others, top = 0, 0, 0
    for key in next, t do
        if type(key) == "number" and key == floor(key) and key >= 1 then
            count = count + 1
            if key > top then top = key end
        else
            others = others + 1
        end
    end
    if others > 0 then
        if tagged then fail(path, "an array with other keys") end
        if count > 0 then fail(path, "a table with mixed keys") end
        return nil
    end
    if top > count then fail(path, "a sparse array") end
    return count
end

local function put_table(out, t, path)
    if #path == MAX_DEPTH then fail(path, "tables more than 64 deep") end
    local open = path.open
    if open[t] then fail(path, "a table that contains itself") end
    open[t] = true
    local meta = getmetatable(t)
    local n = meta ~= OBJECT and (meta == ARRAY or next(t) ~= nil) and array_length(t, path)
    if n then put_array(out, t, n, path) else put_object(out, t, path) end
    open[t] = nil
end

-- Writes any value, or fails with the path to what cannot be written.
function put(out, value, path)
    local kind = type(value)
    if kind == "table" then
        put_table(out, value, path)
    elseif kind == "string" then
        put_string(out, value, path)
    elseif kind == "number" then
        put_number(out, value, path)
    elseif kind == "boolean" then
        out:put(value and "true" or "false")
    elseif kind == "userdata" and value == null then
        out:put("null")
    else
        fail(path, "a " .. kind)
    end
end

local function compose(value)
    local out = buffer.new()
    put(out, value, { open = {} })
    return out:tostring()
end

-- As a value: the text, or nil and the message.
local function try_compose(value)
    local ok, result = pcall(compose, value)
    if ok then return result end
    if getmetatable(result) == Failure then return nil, result.text end
    error(result, 0)
end

local LINE_ENDS = { ["\226\128\168"] = "\\u2028", ["\226\128\169"] = "\\u2029" }

--- Takes a value and returns it as JSON that is also safe inside <script>; raises, naming
--- the path, for what has no JSON form. An untagged {} is an object; nil is null.
-- Tornado: separators are "," and ":", other scripts stay UTF-8, every "/" is escaped, and
-- "<!--" is, too.
function json.encode(value)
    local kind = type(value)
    if value == nil then return "null" end
    local text, why
    if kind == "table" and is_plain(value, 0) or kind == "string" then
        text = cjson_encode(value)
    end
    -- Each string stands between quotes, so the text is UTF-8 when all of them are.
    if not text or not is_utf8(text) then
        text, why = try_compose(value)
        if not text then util.app_error(why) end
    end
    if find(text, "\226\128", 1, true) then
        text = gsub(text, "\226\128[\168\169]", LINE_ENDS)
    end
    -- Behind "<!--<script", </script> ends no script (HTML §4.12.1.3).
    if find(text, "<!--", 1, true) then text = gsub(text, "<!%-%-", "\\u003c!--") end
    return text
end

local function is_finite(value)
    if type(value) == "number" then return abs(value) ~= math.huge end
    if type(value) ~= "table" then return true end
    for _, item in pairs(value) do
        if not is_finite(item) then return false end
    end
    return true
end

--- Takes JSON text and returns its value: null is escape.null, [] and {} are both an
--- empty table. Raises escape.JSONError for text that is not JSON, not UTF-8, or more
--- than 64 deep, and for numbers that no double can hold.
-- Tornado: a control character in a string, and a number such as "1.", are errors too; 1e999 is
-- infinity.
function json.decode(text)
    if type(text) ~= "string" then
        error("bad text: expected string, got " .. type(text), 2)
    end
    if not is_utf8(text) then error(json.Error("json_decode: not UTF-8"), 0) end
    local ok, result = pcall(cjson_decode, text)
    if ok and has_large_number(text) and not is_finite(result) then
        ok, result = false, "a number is too large"
    end
    if ok then return result end
    local failure = json.Error("json_decode: " .. tostring(result))
    failure.offset = tonumber(tostring(result):match("at character (%d+)"))
    error(failure, 0)
end

return json
