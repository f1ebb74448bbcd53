-- Values as the development error page shows them: short, and without secrets. Nothing of the
-- application's is called for it, no __tostring and no __index.
local util = require "tornado.util"

local format, getmetatable, lower, sub, type = string.format, getmetatable, string.lower,
    string.sub, type

local shown = {}

local HIDDEN = "[hidden]"
local MAX_TEXT, MAX_FIELDS, MAX_DEPTH = 160, 12, 2

local SECRETS = {
    "secret", "password", "passwd", "passphrase", "token", "authorization", "cookie", "api_key",
    "apikey", "private_key", "credential", "session", "xsrf", "csrf",
}

--- Returns whether the value of a variable, field or header of that name must not be shown.
function shown.is_secret(name)
    if type(name) ~= "string" then return false end
    name = lower(name):gsub("-", "_")
    for _, word in ipairs(SECRETS) do
        if name:find(word, 1, true) then return true end
    end
    return false
end

local function hide_pair(name, between, value)
    if value == "" or not shown.is_secret(name) then return nil end
    return name .. between .. HIDDEN
end

--- Returns a text with the values of what is called a secret in it hidden: "token=x", '"password":
-- "x"', "Bearer x".
function shown.mask(text)
    text = text:gsub("([Bb][Ee][Aa][Rr][Ee][Rr]%s+)%S+", "%1" .. HIDDEN)
    text = text:gsub("([Bb][Aa][Ss][Ii][Cc]%s+)%S+", "%1" .. HIDDEN)
    return (text:gsub('([%w_%-%%]+)("?%s*[=:]%s*"?)([^&"%s,;]*)', hide_pair))
end

--- The same for a line of source: only what stands in quotes.
function shown.mask_source(line)
    return (line:gsub("([%w_]+)(\"?%]?%s*=%s*[\"'])([^\"']*)", hide_pair))
end

local function text_of(value)
    local text = shown.mask(sub(value, 1, 1000))
    local quoted = format("%q", sub(text, 1, MAX_TEXT)):gsub("\\\n", "\\n")
    if #value <= MAX_TEXT then return quoted end
    return format("%s... (%d bytes)", quoted, #value)
end

local function function_of(value)
    local info = debug.getinfo(value, "S")
    if info.what == "C" then return "function: builtin" end
    return format("function: %s:%d", info.short_src, info.linedefined)
end

-- An object is its class's name: what is in a handler or a request is too much, and may be secret.
local function object_of(value, meta)
    local name = type(meta) == "table" and rawget(meta, "__name")
    if rawget(value, "__name") and rawget(value, "__index") == value then
        return "class " .. tostring(rawget(value, "__name"))
    end
    return type(name) == "string" and "<" .. name .. ">" or nil
end

local value_of

local function key_of(key)
    if type(key) == "string" and key:find("^[%a_][%w_]*$") then return sub(key, 1, 60) end
    return "[" .. value_of(key, MAX_DEPTH) .. "]"
end

local function table_of(value, depth)
    local object = object_of(value, getmetatable(value))
    if object then return object end
    if next(value) == nil then return "{}" end
    if depth >= MAX_DEPTH then return "{...}" end
    local out, length = {}, #value
    for key, item in next, value do
        if #out == MAX_FIELDS then
            out[#out + 1] = "..."
            break
        end
        local text = shown.is_secret(key) and HIDDEN or value_of(item, depth + 1)
        local is_item = type(key) == "number" and key >= 1 and key <= length
        out[#out + 1] = is_item and text or key_of(key) .. " = " .. text
    end
    return "{ " .. table.concat(out, ", ") .. " }"
end

function value_of(value, depth)
    local kind = type(value)
    if kind == "string" then return text_of(value) end
    if kind == "table" then return table_of(value, depth) end
    if kind == "function" then return function_of(value) end
    if kind == "nil" or kind == "number" or kind == "boolean" then return tostring(value) end
    if kind == "userdata" and value == require("tornado.escape").null then return "null" end
    return kind
end

--- Returns the text for a value that is called `name`.
function shown.value(value, name)
    if shown.is_secret(name) and value ~= nil and type(value) ~= "function" then return HIDDEN end
    return value_of(value, 0)
end

--- What an error is: its message, without the place in front of it.
function shown.message(err)
    if type(err) == "string" then return (err:gsub("^[^\n:]+:%d+: ", "", 1)) end
    if util.isinstance(err, util.Error) then return tostring(err) end
    return value_of(err, 0)
end

return shown
