-- The three loggers of Tornado (access, application, general) over the process
-- log, which is C: levels, one line a message, control bytes escaped.
-- A message is formatted only when its level is on.
local core = require "tornado.core"
local rotation = require "tornado.log.rotation"
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

local find_request -- function(): the request that is worked on, or nil

-- Arguments that do not fit the format are no reason to fail: the line says so.
local function formatted(text, ...)
    text = util.text(text)
    local ok, result = pcall(string.format, text, ...)
    if ok then return result end
    return ("%s (the log's arguments do not fit: %s)"):format(text, util.text(result))
end

local function write(self, level, text, ...)
    if level < core.log_level() and not filter then return end
    if select("#", ...) > 0 then text = formatted(text, ...) end
    self:log(level, text)
end

--- Logs at that level; takes a text, or a format and its arguments.
function Logger:debug(text, ...) write(self, 0, text, ...) end

function Logger:info(text, ...) write(self, 1, text, ...) end

function Logger:warning(text, ...) write(self, 2, text, ...) end

function Logger:error(text, ...) write(self, 3, text, ...) end

--- Writes a text as it is at level 0 (debug) to 3 (error); `id` is that of the request it is
-- about (default: the one that the running coroutine works for).
function Logger:log(level, text, id)
    if level < core.log_level() and not filter then return end
    text = util.text(text)
    local request = find_request and find_request()
    if not id and request then id = request.id end
    if filter and filter(level, self.name, text, id) then return end
    local trace = log.is_json and request and request.id == id and request.trace
    core.log(level, self.name, text, id, trace and trace.trace_id)
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

log.is_json = false
--- Whether lines of the access log are objects.
log.access_json = false

local ACCESS_FORMATS = { tornado = true, combined = true, json = true, auto = true }
local access_format = "auto"

local function settle()
    log.access_json = access_format == "json" or access_format == "auto" and log.is_json
end

--- Makes each line of the log text, `[I 261122 10:15:00 app] text`, or with "json" an object
-- of time, level, logger, message, and request (its id) and trace when it is about one.
function log.set_format(name)
    if name ~= "text" and name ~= "json" then
        error(('bad format "%s": expected text or json'):format(tostring(name)), 2)
    end
    log.is_json = name == "json"
    core.log_json(log.is_json)
    settle()
end

--- Sends the access log to a file, which is appended to ("stderr": there; "": nowhere). `format`
-- is "tornado", "combined", "json", or "auto": JSON when the log is. True, or nil and why not: then
-- nothing has changed.
function log.open_access(path, format)
    util.expect(path, "string", "path")
    if format ~= nil and not ACCESS_FORMATS[format] then
        error(("bad format: expected tornado, combined, json or auto, got %s"):format(
            util.shown(format)), 2)
    end
    local ok, why = core.access_log_open(path, format)
    if not ok then return nil, why end
    access_format = format
    settle()
    return true
end

--- For the loop, which knows what is running: fn() returns its request, or nil.
function log.set_request_source(fn)
    find_request = fn
end

--- Puts `fn(level, name, text, id)` before the log (nil: none); true from it drops the message.
-- Returns the filter that was there.
function log.set_filter(fn)
    local before = filter
    filter = fn
    return before
end

--- A line in Lua, for those who write messages elsewhere.
log.LogFormatter = require "tornado.log.formatter"

-- Options --------------------------------------------------------------------------------

-- Opens the file as log_rotate_mode says; true, or nil and why not.
local function open_file(path, options)
    local mode, backups = options.log_rotate_mode or "size", options.log_file_num_backups or 0
    if mode == "time" then
        return rotation.start(path, options.log_rotate_when, options.log_rotate_interval, backups)
    elseif mode ~= "size" then
        error(('The value of log_rotate_mode option should be "size" or "time", not "%s".'):format(
            tostring(mode)), 3)
    end
    rotation.stop()
    return core.log_open_rotated(core.absolute(path), options.log_file_max_size or 0, backups)
end

--- Sets the log up by the options logging ("none" or nil: leave it alone), log_file_prefix,
-- log_to_stderr, log_format, and those of rotation: log_rotate_mode ("size" or "time"),
-- log_file_max_size (bytes), log_file_num_backups, log_rotate_when ("S", "M", "H", "D", "W0" to
-- "W6", "midnight"), log_rotate_interval. Raises why not.
-- Tornado: may write to several places; here there is one log, C's.
function log.enable_pretty_logging(options)
    util.expect(options, "table", "options")
    local level = options.logging
    if not level or level:lower() == "none" then return end
    log.set_level(level:lower())
    log.set_format(options.log_format)
    local path = options.log_file_prefix or ""
    if options.log_to_stderr then
        if path ~= "" then error("the log goes to log_file_prefix or to stderr, not to both", 2) end
        path = "stderr"
    end
    if path == "" then return end
    local open = path == "stderr" and core.log_open or open_file
    local ok, why = open(path, options)
    if not ok then error(why, 2) end
end

local OPTIONS = { "logging", "log_format", "log_file_prefix", "log_to_stderr" }

--- Defines these options, and applies them when parsing is done if one of them was given.
-- Tornado: applies them in any case. Here the log is set up already, by ctornado.conf.
function log.define_logging_options(options)
    if type(options) ~= "table" or not util.is_callable(options.define) then
        error("bad options: expected OptionParser, got " .. type(options), 2)
    end
    options:define("logging", { default = "info", metavar = "debug|info|warning|error|none",
        help = "Set the log level. If 'none', the logging configuration is left alone." })
    options:define("log_to_stderr", { type = "bool", help = "Send log output to stderr " ..
        "(colorized if possible). This is the default unless --log-file-prefix is set." })
    options:define("log_file_prefix", { type = "string", metavar = "PATH",
        help = "File for the log, which is appended to." })
    options:define("log_file_max_size", { default = 100000000,
        help = "Bytes of a log file before another one begins." })
    options:define("log_file_num_backups", { default = 10, help = "Number of log files to keep." })
    options:define("log_rotate_when", { default = "midnight",
        help = "The type of interval between log files: S, M, H, D, W0-W6, midnight." })
    options:define("log_rotate_interval", { default = 1,
        help = "The number of such intervals between log files." })
    options:define("log_rotate_mode", { default = "size", metavar = "size|time",
        help = "What ends a log file." })
    options:define("log_format", { default = "text", metavar = "text|json",
        help = "Lines of text, or an object a line." })
    options:add_parse_callback(function()
        for _, name in ipairs(OPTIONS) do
            if options:is_given(name) then return log.enable_pretty_logging(options) end
        end
    end)
end

return log
