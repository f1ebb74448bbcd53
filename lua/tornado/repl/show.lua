-- Values as text for people: as one would write them in Lua, but never very long.
local util = require "tornado.util"

local DEPTH, ITEMS, STRING, LINE = 4, 40, 400, 96

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }

local function show_string(s)
    local text = s:sub(1, STRING):gsub('[%z\1-\31\127"\\]', function(c)
        return ESCAPES[c] or ("\\%03d"):format(c:byte())
    end)
    if #s <= STRING then return '"' .. text .. '"' end
    return ('"%s"... (%d bytes)'):format(text, #s)
end

local function show_function(fn)
    local info = debug.getinfo(fn, "S")
    if info.what == "C" then return "function: built in" end
    return ("function: %s:%d"):format(info.short_src, info.linedefined)
end

local function show_key(key, show)
    if type(key) == "string" and key:find("^[%a_][%w_]*$") then return key .. " = " end
    return "[" .. show(key) .. "] = "
end

-- Whether a value says itself what it is.
local function speaks(value)
    local meta = getmetatable(value)
    local fn = type(meta) == "table" and rawget(meta, "__tostring")
    return fn and fn ~= util.Object.__tostring
end

-- The keys of a table behind its list, sorted; of an object, without the private ones.
local function keys_of(t, n, is_object)
    local keys = {}
    for key in pairs(t) do
        local in_list = type(key) == "number" and key >= 1 and key <= n and key % 1 == 0
        local private = is_object and type(key) == "string" and key:find("^_")
        if not in_list and not private then keys[#keys + 1] = key end
    end
    table.sort(keys, function(a, b)
        if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then return a < b end
        return type(a) < type(b)
    end)
    return keys
end

local show

local function items_of(t, depth, seen, is_object)
    local items, n = {}, #t
    local keys = keys_of(t, n, is_object)
    for i = 1, math.min(n, ITEMS) do items[i] = show(t[i], depth + 1, seen) end
    local room = ITEMS - #items
    for i = 1, math.min(#keys, room) do
        items[#items + 1] = show_key(keys[i], function(key) return show(key, DEPTH, seen) end) ..
            show(t[keys[i]], depth + 1, seen)
    end
    local left = n + #keys - #items
    if left > 0 then items[#items + 1] = ("... (%d more)"):format(left) end
    return items
end

local function join(items, depth)
    local line = "{ " .. table.concat(items, ", ") .. " }"
    if #line + 4 * depth <= LINE and not line:find("\n", 1, true) then return line end
    local indent = (" "):rep(4 * (depth + 1))
    return "{\n" .. indent .. table.concat(items, ",\n" .. indent) .. "\n" ..
        (" "):rep(4 * depth) .. "}"
end

local function show_table(t, depth, seen)
    local class = rawget(t, "class") == nil and util.isinstance(t, util.Object) and t.class
    local name = class and tostring(class) .. " " or ""
    if seen[t] then return name .. "{ (shown above) }" end
    if depth >= DEPTH then return next(t) == nil and name .. "{}" or name .. "{ ... }" end
    seen[t] = true
    local items = items_of(t, depth, seen, class)
    return name .. (#items == 0 and "{}" or join(items, depth))
end

function show(value, depth, seen)
    local kind = type(value)
    if kind == "string" then return show_string(value) end
    if kind == "function" then return show_function(value) end
    if kind ~= "table" then return tostring(value) end
    if rawget(value, "class") == value then return "class " .. tostring(value) end
    if speaks(value) then return tostring(value) end
    return show_table(value, depth, seen)
end

--- Returns any value as text, at most a few levels deep and a screen or two long.
return function(value)
    local ok, text = pcall(show, value, 0, {})
    return ok and text or ("(%s that cannot be shown: %s)"):format(type(value), tostring(text))
end
