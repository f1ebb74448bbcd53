-- The three loggers of Tornado (access, application, general) over the process
-- log, which is C: levels, one line a message, control bytes escaped.
-- A message is formatted only when its level is on.
local core = require "tornado.core"
local util = require "tornado.util"

local log = {}

local LEVELS = { debug = 0, info = 1, warning = 2, error = 3, none = 4 }
log.LEVELS = LEVELS

local Logger = util.Object:extend "Logger"
log.Logger = Logger

--- Takes the name that stands in each line.
function Logger:init(name)
    self.name = name
end

-- Specs take messages here: a function(level, name, text, id) that returns true to keep a message
-- from the log.
local filter

local function write(self, level, text, ...)
    if level < core.log_level() and not filter then return end
    if select("#", ...) > 0 then text = text:format(...) end
    self:log(level, text)
end

--- Logs at that level; takes a text, or a format and its arguments.
function Logger:debug(text, ...) write(self, 0, text, ...) end

function Logger:info(text, ...) write(self, 1, text, ...) end

function Logger:warning(text, ...) write(self, 2, text, ...) end

function Logger:error(text, ...) write(self, 3, text, ...) end

--- Writes a text as it is at level 0 (debug) to 3 (error); `id` is that of the request it is
-- about.
function Logger:log(level, text, id)
    if level < core.log_level() and not filter then return end
    text = tostring(text)
    if filter and filter(level, self.name, text, id) then return end
    core.log(level, self.name, text, id)
end

log.access_log = Logger "access"
log.app_log = Logger "app"
log.gen_log = Logger "general"

--- Sets the level: "debug", "info", "warning", "error" or "none".
function log.set_level(name)
    local level = LEVELS[name]
    if not level then
        error(('bad level "%s": expected debug, info, warning, error or none'):format(
            tostring(name)), 2)
    end
    core.log_set_level(level)
end

--- Makes each line of the log text, `[I 261122 10:15:00 app] text`, or with "json" an object
-- of time, level, logger, message, and request when it is about one.
function log.set_format(name)
    if name ~= "text" and name ~= "json" then
        error(('bad format "%s": expected text or json'):format(tostring(name)), 2)
    end
    core.log_json(name == "json")
end

--- Puts `fn(level, name, text, id)` before the log (nil: none); true from it drops the message.
-- Returns the filter that was there.
function log.set_filter(fn)
    local before = filter
    filter = fn
    return before
end

return log
