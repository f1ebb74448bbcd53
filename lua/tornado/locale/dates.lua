-- Dates in words: "2 minutes ago", "yesterday at 6:35 pm", "April 28, 2013".
local calendar = require "tornado.util.calendar"
local util = require "tornado.util"

local floor = math.floor

local dates = {}

local MINUTE, HOUR, DAY = 60, 3600, 86400

-- To the next integer, and from the middle to the even one, as Python does.
local function round(x)
    local low = floor(x)
    local rest = x - low
    if rest > 0.5 or rest == 0.5 and low % 2 == 1 then return low + 1 end
    return low
end

-- 0001-01-01 and the end of 9999-12-31.
local FIRST_TIME, LAST_TIME = -62135596800, 253402300799

local function seconds_of(date, level)
    local seconds = calendar.is_date(date) and calendar.to_seconds(date) or date
    if type(seconds) ~= "number" or seconds ~= seconds then
        error("bad date: expected seconds or a table with year, month and day, got " ..
            type(date), level + 1)
    end
    if not (seconds >= FIRST_TIME and seconds <= LAST_TIME) then
        error("bad date: expected one of the years 1 to 9999, got " .. seconds, level + 1)
    end
    return seconds
end

-- How long ago, in words.
local function ago(locale, seconds)
    if seconds < 50 then
        return util.interpolate(locale:translate("1 second ago", "%(seconds)d seconds ago",
            seconds), { seconds = seconds })
    end
    if seconds < 50 * MINUTE then
        local minutes = round(seconds / MINUTE)
        return util.interpolate(locale:translate("1 minute ago", "%(minutes)d minutes ago",
            minutes), { minutes = minutes })
    end
    local hours = round(seconds / HOUR)
    return util.interpolate(locale:translate("1 hour ago", "%(hours)d hours ago", hours),
        { hours = hours })
end

local MORNING, AFTERNOON = "上午", "下午"

local function clock(code, at)
    local hour, twelve = at.hour, at.hour % 12
    if twelve == 0 then twelve = 12 end
    if code == "zh_CN" then
        return ("%s%d:%02d"):format(hour >= 12 and AFTERNOON or MORNING, twelve, at.min)
    end
    if code == "en" or code == "en_US" then
        return ("%d:%02d %s"):format(twelve, at.min, hour >= 12 and "pm" or "am")
    end
    return ("%d:%02d"):format(hour, at.min)
end

-- Format with and without the time, by how long ago it was.
local FORMATS = {
    time = { "%(time)s", "%(time)s" },
    yesterday = { "yesterday at %(time)s", "yesterday" },
    weekday = { "%(weekday)s at %(time)s", "%(weekday)s" },
    day = { "%(month_name)s %(day)s at %(time)s", "%(month_name)s %(day)s" },
    full = { "%(month_name)s %(day)s, %(year)s at %(time)s", "%(month_name)s %(day)s, %(year)s" },
}

local function format_for(age, at, yesterday, relative)
    local days = floor(age / DAY)
    if days == 0 then return FORMATS.time end
    if days == 1 and at.day == yesterday.day and relative then return FORMATS.yesterday end
    if days < 5 then return FORMATS.weekday end
    if days < 334 then return FORMATS.day end -- 11 months: the same month of last year confuses
    return FORMATS.full
end

local function names(locale, at)
    return {
        month_name = locale._months[at.month],
        weekday = locale._weekdays[(at.wday + 5) % 7 + 1],
        day = at.day,
        year = at.year,
    }
end

local DATE = { gmt_offset = 0, relative = true, shorter = false, full_format = false }

--- See Locale:format_date(); `now` is in seconds.
function dates.format_date(locale, date, options, now)
    options = util.options(options, DATE, "format_date", 1)
    util.expect(options.gmt_offset, "number", "gmt_offset", 1)
    date = seconds_of(date, 3)
    local full, relative = options.full_format, options.relative
    if date > now then
        -- A clock that is a little ahead is no future.
        -- Tornado: looks at the seconds of the difference alone, so that "in a day" is now.
        if relative and date - now < 60 then date = now else full = true end
    end
    local age = now - date
    if relative and not full and age < DAY then return ago(locale, floor(age)) end
    local shift = options.gmt_offset * MINUTE
    local at = os.date("!*t", floor(date - shift))
    local yesterday = os.date("!*t", floor(now - shift - DAY))
    local formats = full and FORMATS.full or format_for(age, at, yesterday, relative)
    local values = names(locale, at)
    values.time = clock(locale.code, at)
    return util.interpolate(locale:translate(formats[options.shorter and 2 or 1]), values)
end

local DAY_OPTIONS = { gmt_offset = 0, dow = true }

--- See Locale:format_day().
function dates.format_day(locale, date, options)
    options = util.options(options, DAY_OPTIONS, "format_day", 1)
    util.expect(options.gmt_offset, "number", "gmt_offset", 1)
    local at = os.date("!*t", floor(seconds_of(date, 3) - options.gmt_offset * MINUTE))
    local text = options.dow and "%(weekday)s, %(month_name)s %(day)s" or "%(month_name)s %(day)s"
    return util.interpolate(locale:translate(text), names(locale, at))
end

return dates
