-- What has been typed so far, and its globals: lines become chunks, chunks are run, one at a time,
-- in a scope that can be cancelled.
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local Scope = require "tornado.ioloop.scope"
local util = require "tornado.util"

local Session = util.Object:extend "Session"

local NAME = "=input"

-- Modules that are there by their names, loaded when first used.
local MODULES = {}
for name in ([[concurrent escape files gen httpclient httpserver httputil ioloop iostream locale
    locks log netutil options process pubsub queues routing schema tcpclient tcpserver template
    testing util web websocket]]):gmatch "%l+" do
    MODULES[name] = true
end

-- A site's require finds its own modules first, and then everybody's.
local function environment_of(apps)
    local env = { app = apps[1], sites = apps }
    env.require = apps[1] and apps[1].environment.require or require
    return setmetatable(env, {
        __index = function(_, name)
            local value = rawget(_G, name)
            if value ~= nil or not MODULES[name] then return value end
            return require("tornado." .. name)
        end,
    })
end

--- Takes the applications of the sites, which may be none.
function Session:init(apps)
    self.environment = environment_of(apps)
    self._lines = {}
    self._scope = false
end

--- Whether lines are waiting for more.
function Session:is_open()
    return #self._lines > 0
end

--- Forgets them.
function Session:reset()
    self._lines = {}
end

-- A chunk that returns the values of an expression, or else a statement's. Nil, why not, and
-- whether only the end is missing.
local function compile(text)
    local chunk = loadstring("return " .. text, NAME)
    if chunk then return chunk end
    local why
    chunk, why = loadstring(text, NAME)
    return chunk, why, why and why:find("near '<eof>'", 1, true) ~= nil
end

--- Takes a line. Returns a function when the lines so far are complete; nil when they are not; or
-- nil and what is wrong with them.
function Session:take(line)
    if not self:is_open() then line = line:gsub("^%s*=", "") end
    self._lines[#self._lines + 1] = line
    local text = table.concat(self._lines, "\n")
    if not text:find "%S" then
        self:reset()
        return function() end
    end
    local chunk, why, is_open = compile(text)
    if is_open then return nil end
    self:reset()
    if not chunk then return nil, why end
    return setfenv(chunk, self.environment)
end

--- What is wrong with lines that nothing more follows; nil when there are none.
function Session:finish()
    local _, why = compile(table.concat(self._lines, "\n"))
    local was_open = self:is_open()
    self:reset()
    return was_open and why or nil
end

-- The part of a traceback that is not this program's own.
local function shorten(trace)
    local list = {}
    for line in trace:gmatch "[^\n]+" do
        if line:find("^\t[^\n]*tornado/ioloop") or line:find("^\t%[C%]: in function 'xpcall'") then
            break
        end
        if not line:find "^\t%[builtin#" then list[#list + 1] = line end -- error() itself
    end
    if list[#list]:find "^stack traceback:" then list[#list] = nil end
    return table.concat(list, "\n")
end

local function leave(self, scope, ok, ...)
    self._scope = false
    scope:leave()
    if ok then return true, ... end
    local err, trace = ...
    return false, type(err) == "string" and trace and shorten(trace) or tostring(err)
end

--- Runs a chunk, which may wait. Returns true and what it returns, or false and the error as text.
function Session:run(chunk)
    local scope = Scope(false)
    self._scope = scope
    return leave(self, scope, ioloop.try_in(ioloop.derive(false, scope), chunk))
end

--- Cancels what runs, where it waits. Returns whether anything did.
function Session:interrupt()
    if not self._scope then return false end
    ioloop.cancel_scope(self._scope, util.CancelledError("interrupted"))
    core.wake()
    return true
end

local function add_names(names, from, prefix)
    while type(from) == "table" do
        for name in pairs(from) do
            if type(name) == "string" and name:find("^[%a_][%w_]*$") and
                name:sub(1, #prefix) == prefix then
                names[name] = true
            end
        end
        local meta = getmetatable(from)
        from = type(meta) == "table" and rawget(meta, "__index")
    end
end

-- The table that "a.b." leads to, without calling anything but what indexing calls.
local function walk(env, path)
    local at = env
    for name in path:gmatch "[^.:]+" do
        if type(at) ~= "table" then return nil end
        local ok, value = pcall(function() return at[name] end)
        at = ok and value or nil
    end
    return at
end

--- What the name at the end of `text` may be completed with: a sorted list of endings.
function Session:complete(text)
    local path, prefix = text:match("([%w_.:]*[.:])([%w_]*)$")
    local names = {}
    if path then
        add_names(names, walk(self.environment, path), prefix)
    else
        prefix = text:match("[%w_]*$")
        if prefix == "" then return {} end
        for _, from in ipairs { self.environment, _G, MODULES } do
            add_names(names, from, prefix)
        end
    end
    local list = {}
    for name in pairs(names) do list[#list + 1] = name:sub(#prefix + 1) end
    table.sort(list)
    return list
end

return Session
