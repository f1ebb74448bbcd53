-- Dates of the Gregorian calendar, in UTC: between seconds since 1970 and tables like those
-- of os.date("!*t"). Nothing here asks what time it is.
local floor = math.floor

local calendar = {}

--- Days from 1970-01-01 to a day; months may overflow.
function calendar.days(year, month, day)
    year = year + floor((month - 1) / 12)
    month = (month - 1) % 12 + 1
    if month <= 2 then year, month = year - 1, month + 12 end
    local leaps = floor(year / 4) - floor(year / 100) + floor(year / 400)
    return 365 * year + leaps + floor((153 * (month - 3) + 2) / 5) + day - 719469
end

--- Returns whether a value is a table with year, month and day.
function calendar.is_date(value)
    return type(value) == "table" and type(value.year) == "number" and
        type(value.month) == "number" and type(value.day) == "number"
end

--- Seconds since 1970 of such a table; hour, min and sec may be missing.
function calendar.to_seconds(date)
    return calendar.days(date.year, date.month, date.day) * 86400 + (date.hour or 0) * 3600 +
        (date.min or 0) * 60 + (date.sec or 0)
end

--- Returns whether there is such a day, in the years 1 to 9999.
function calendar.is_valid(year, month, day)
    if year < 1 or year > 9999 or month < 1 or month > 12 or day < 1 then return false end
    return calendar.days(year, month, day) < calendar.days(year, month + 1, 1)
end

return calendar
