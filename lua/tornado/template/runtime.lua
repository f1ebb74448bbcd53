-- What compiled templates call, the names that they see, and where their lines came from.
local buffer = require "string.buffer"
local datetime = require "tornado.util.datetime"
local escape = require "tornado.escape"
local trace = require "tornado.trace"
local util = require "tornado.util"

local getmetatable, tostring, type = getmetatable, tostring, type
local rawget, setmetatable = rawget, setmetatable
local html_escape = escape.xhtml_escape

local runtime = {}

-- Values --------------------------------------------------------------------------------

--- What is written for a value; nil is nothing.
-- Tornado: None is written as "None".
local function text(value)
    local kind = type(value)
    if kind == "string" or kind == "number" then return value end
    if value == nil then return "" end
    return tostring(value)
end

local function escaped(value)
    local kind = type(value)
    if kind == "string" then
        local out = html_escape(value)
        return out
    end
    if kind == "number" then return value end
    if value == nil then return "" end
    return html_escape(tostring(value))
end

-- The namespace may have an xhtml_escape of its own.
local function escaper(fn)
    if fn == html_escape then return escaped end
    return function(value) return text(fn(tostring(text(value)))) end
end

local function custom(fn, value)
    return text(fn(tostring(text(value))))
end

-- Loops ---------------------------------------------------------------------------------

local function next_of(state)
    local a, b, c, d = state.next(state.subject, state.control)
    if a == nil then return nil end
    state.control = a
    return true, a, b, c, d
end

local next_index = ipairs {}

-- {% for x in what %}: the elements of an array, or what an iterator gives; each behind a value
-- that nobody wants, as an array has an index there.
local function each(what, subject, control)
    local meta = getmetatable(what)
    if type(what) == "table" and not (meta and meta.__call) then return next_index, what, 0 end
    if type(what) == "function" or type(what) == "table" then
        return next_of, { next = what, subject = subject, control = control }
    end
    error("for: expected a list or an iterator, got " .. type(what), 2)
end

local function from(name, module, ...)
    local values = {}
    for i = 1, select("#", ...) do
        local wanted = select(i, ...)
        values[i] = type(module) == "table" and module[wanted] or nil
        if values[i] == nil then
            error(("cannot import name '%s' from '%s'"):format(wanted, name), 2)
        end
    end
    return unpack(values, 1, select("#", ...))
end

-- Lines ---------------------------------------------------------------------------------

local maps, last_id = trace.places, 0

--- Takes the map from the lines of a chunk to places in templates; returns the chunk's name.
function runtime.add_map(map)
    last_id = last_id + 1
    map[0] = map.name
    maps[last_id] = map
    return "=tt#" .. last_id
end

local function place(id, line)
    local map = maps[tonumber(id)]
    return map and (map[tonumber(line)] or map[0]) or nil
end

--- Returns a message or traceback with the lines of compiled templates as those of templates.
function runtime.rewrite(message)
    return (message:gsub("tt#(%d+):(%d+)", place))
end

local nested = false -- the error has come out of a template within

--- For xpcall: places the error in its template and keeps its traceback.
function runtime.on_error(err)
    local again = nested
    nested = false
    if type(err) == "table" and err.expected then return err end
    local kept = again and trace.take(err)
    local message = type(err) == "string" and runtime.rewrite(err) or err
    trace.keep(message, kept or runtime.rewrite(debug.traceback(util.text(err), 2)))
    return message
end

function runtime.raise(err)
    nested = true
    error(err, 0)
end

local function caught(err)
    return type(err) == "string" and runtime.rewrite(err) or err
end

-- Names ---------------------------------------------------------------------------------

local function undefined(_, name)
    local value = rawget(_G, name)
    if value == nil then error(("name '%s' is not defined"):format(tostring(name)), 2) end
    return value
end

--- What every template sees besides its namespace; raises for a name that nothing defines.
runtime.names = setmetatable({
    escape = escape.xhtml_escape,
    xhtml_escape = escape.xhtml_escape,
    url_escape = escape.url_escape,
    json_encode = escape.json_encode,
    squeeze = escape.squeeze,
    linkify = escape.linkify,
    datetime = datetime,
    _tt_from = from,
}, { __index = undefined })
for _, name in ipairs { "assert", "error", "ipairs", "math", "next", "pairs", "require", "select",
    "string", "table", "tonumber", "tostring", "type", "unpack" } do
    runtime.names[name] = _G[name]
end

--- The parameters of each chunk, by the names that the compiler writes for them.
runtime.parameters = "_tt_put, _tt_text, _tt_escaper, _tt_custom, _tt_each, _tt_new, " ..
    "_tt_pcall, _tt_error, _tt_caught, _tt_peek"

local function new_buffer()
    local fresh = buffer.new()
    return fresh
end

--- Makes a render function(buffer, env) of a chunk.
function runtime.instance(chunk)
    return chunk(buffer.new().put, text, escaper, custom, each, new_buffer, pcall, error, caught,
        rawget)
end

return runtime
