-- A little of Python's datetime, which templates have by that name: datetime.datetime is a class
-- of moments, with the fields that os.date("*t") gives; datetime.timedelta is the loop's.
local calendar = require "tornado.util.calendar"
local core = require "tornado.core"
local util = require "tornado.util"

local Datetime = util.Object:extend "datetime"

local NAMES = { "year", "month", "day", "hour", "min", "sec" }

--- Takes year, month, day, and maybe hour, minute and second. Raises for a day that there is not.
function Datetime:init(year, month, day, hour, min, sec)
    local values = { year, month, day, hour or 0, min or 0, sec or 0 }
    for i, name in ipairs(NAMES) do
        if type(values[i]) ~= "number" then
            error(("bad %s: expected number, got %s"):format(name, type(values[i])), 3)
        end
        self[name] = values[i]
    end
    if not calendar.is_valid(self.year, self.month, self.day) then
        error("day is out of range for month", 3)
    end
end

local function from(form, seconds)
    local date = os.date(form, math.floor(seconds))
    return Datetime(date.year, date.month, date.day, date.hour, date.min, date.sec)
end

--- The moment, in the time of this place, or in UTC.
function Datetime.now() return from("*t", core.now()) end

function Datetime.utcnow() return from("!*t", core.now()) end

--- That of seconds since 1970, in the time of this place, or in UTC.
function Datetime.fromtimestamp(seconds) return from("*t", seconds) end

function Datetime.utcfromtimestamp(seconds) return from("!*t", seconds) end

Datetime.today = Datetime.now

--- Formats it as os.date() would.
function Datetime:strftime(form)
    return os.date("!" .. form, calendar.to_seconds(self))
end

--- "2026-11-22T10:15:00".
function Datetime:isoformat(separator)
    return self:strftime("%Y-%m-%d" .. (separator or "T") .. "%H:%M:%S")
end

--- Seconds since 1970, if it is in the time of this place.
function Datetime:timestamp()
    return os.time { year = self.year, month = self.month, day = self.day, hour = self.hour,
        min = self.min, sec = self.sec }
end

--- 0 for Monday.
function Datetime:weekday()
    return (calendar.days(self.year, self.month, self.day) + 3) % 7
end

function Datetime:__tostring() return self:isoformat(" ") end

function Datetime.__eq(a, b) return calendar.to_seconds(a) == calendar.to_seconds(b) end

function Datetime.__lt(a, b) return calendar.to_seconds(a) < calendar.to_seconds(b) end

function Datetime.__le(a, b) return calendar.to_seconds(a) <= calendar.to_seconds(b) end

local function shifted(self, seconds)
    return from("!*t", calendar.to_seconds(self) + seconds)
end

local function timedelta(seconds)
    return require("tornado.ioloop").timedelta { seconds = seconds }
end

--- A moment and a timedelta make another moment.
function Datetime.__add(a, b)
    if not util.isinstance(a, Datetime) then a, b = b, a end
    return shifted(a, b:total_seconds())
end

--- As above; and two moments make a timedelta.
function Datetime.__sub(a, b)
    if not util.isinstance(b, Datetime) then return shifted(a, -b:total_seconds()) end
    return timedelta(calendar.to_seconds(a) - calendar.to_seconds(b))
end

-- The loop is above: it is loaded when somebody asks.
return setmetatable({ datetime = Datetime }, {
    __index = function(_, name)
        if name == "timedelta" then return require("tornado.ioloop").timedelta end
        return nil
    end,
})
