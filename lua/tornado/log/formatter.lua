-- LogFormatter: a line of a log as C writes it, for those who take messages with
-- log.set_filter() and write them elsewhere.
local core = require "tornado.core"
local util = require "tornado.util"

local LogFormatter = util.Object:extend "LogFormatter"

LogFormatter.DEFAULT_FORMAT =
    "%(color)s[%(levelname)1.1s %(asctime)s %(name)s]%(end_color)s %(message)s"
LogFormatter.DEFAULT_DATE_FORMAT = "%y%m%d %H:%M:%S"
-- Colours of the terminal by level.
LogFormatter.DEFAULT_COLORS = { [0] = 4, 2, 3, 1 }

local NAMES = { [0] = "DEBUG", "INFO", "WARNING", "ERROR" }

local DEFAULTS = {
    fmt = LogFormatter.DEFAULT_FORMAT, datefmt = LogFormatter.DEFAULT_DATE_FORMAT,
    color = false, colors = LogFormatter.DEFAULT_COLORS,
}

--- Options: fmt, with %(levelname)s, %(asctime)s, %(name)s, %(message)s, %(color)s and
-- %(end_color)s; datefmt, as for os.date; color=false; colors (level -> number).
function LogFormatter:init(options)
    for name, value in pairs(util.options(options, DEFAULTS, "LogFormatter", 1)) do
        self[name] = value
    end
end

local function escape(char)
    return ("\\x%02x"):format(char:byte())
end

local function safe(text)
    if not core.is_utf8(text) then text = text:gsub("[\128-\255]", escape) end
    return (text:gsub("[%z\1-\8\11-\31\127]", escape))
end

--- Takes { level (0 to 3), name, message, time (now) } and returns the line without its end;
-- a newline in the message is followed by four spaces, so that it cannot look like a line.
function LogFormatter:format(record)
    local color = self.color and self.colors[record.level]
    local line = util.interpolate(self.fmt, {
        levelname = NAMES[record.level] or "?",
        asctime = os.date(self.datefmt, record.time or os.time()),
        name = safe(tostring(record.name)),
        message = safe(tostring(record.message)),
        color = color and ("\27[3%dm"):format(color) or "",
        end_color = color and "\27[0m" or "",
    })
    return (line:gsub("%s+$", ""):gsub("\n", "\n    "))
end

return LogFormatter
