-- Tornado's ExpectLog: one logger, a regular expression, and a block of code that must log.
local case = require "tornado.testing.case"
local core = require "tornado.core"
local log = require "tornado.log"
local util = require "tornado.util"

local ExpectLog = util.Object:extend "ExpectLog"

local NAMES = {} -- "app", and "tornado.app" as in Tornado -> "app"
for _, logger in ipairs { log.access_log, log.app_log, log.gen_log } do
    NAMES[logger.name], NAMES["tornado." .. logger.name] = logger.name, logger.name
end
NAMES["tornado.application"] = log.app_log.name

local LEVEL_NAMES = {}
for name, level in pairs(log.LEVELS) do LEVEL_NAMES[level] = name end

local function name_of(logger)
    if util.isinstance(logger, log.Logger) then return logger.name end
    local name = NAMES[logger]
    if not name then error("bad logger: expected Logger, got " .. util.shown(logger), 4) end
    return name
end

local function level_of(name)
    if name == nil then return nil end
    local level = log.LEVELS[name]
    if not level then error("bad level: " .. util.shown(name), 4) end
    return level
end

--- See testing.ExpectLog(). Fields: matched, how many lines were dropped; logged_stack, whether
--- any line had a traceback.
function ExpectLog:init(logger, pattern, options)
    options = util.options(options, { required = true, level = util.NONE }, "ExpectLog", 1)
    self.name = name_of(logger)
    self.level = level_of(options.level)
    if type(pattern) ~= "string" then
        error("bad pattern: expected string, got " .. type(pattern), 3)
    end
    local why
    self.regex, why = core.regex(pattern)
    if not self.regex then error("bad pattern: " .. why, 3) end
    self.pattern, self.required = pattern, options.required
    self.matched, self.logged_stack = 0, false
    case.add_filter(self)
    case.finally(function() self:close() end)
end

--- From the case: whether this takes a line. A level other than the one expected is reported,
--- and the line counts as unexpected.
function ExpectLog:takes(level, name, text)
    if name ~= self.name then return false end
    if text:find("stack traceback:", 1, true) then self.logged_stack = true end
    if not self.regex:match(text) then return false end
    if self.level and self.level ~= level then
        log.app_log:warning("Got expected log message %q at unexpected level (%s vs %s)", text,
            LEVEL_NAMES[self.level], LEVEL_NAMES[level])
        return false
    end
    self.matched = self.matched + 1
    return true
end

--- Ends it; raises when nothing was logged that was required.
function ExpectLog:close()
    if self.closed then return end
    self.closed = true
    case.remove_filter(self)
    if self.required and self.matched == 0 then
        error(("did not get expected log message: %s, %q"):format(self.name, self.pattern), 0)
    end
end

local function end_run(self, ...)
    self:close()
    return ...
end

local function on_error(self, err)
    if not self.closed then
        self.closed = true
        case.remove_filter(self)
    end
    error(err, 0)
end

local function pass(self, ok, ...)
    if not ok then on_error(self, (...)) end
    return end_run(self, ...)
end

--- Calls fn(...), which must log, and ends; returns what fn returned. An error of fn comes
--- through, and says enough.
function ExpectLog:run(fn, ...)
    return pass(self, pcall(fn, ...))
end

return ExpectLog
