-- Certificates that expire: a warning when they are loaded and once a day, and for each of them the
-- time in a metric, so that somebody is told before clients refuse it.
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local metrics = require "tornado.metrics"

local certificates = {}

local DAY = 86400
local SOON = 14 * DAY

local NAME = "ctornado_tls_certificate_not_after_timestamp_seconds"
local HELP = "When a certificate of the sites expires, in seconds since 1970; NaN: it is not used."

local function date(at)
    return os.date("!%Y-%m-%d %H:%M:%S UTC", at)
end

-- What is wrong with its dates at the time `now`, or nil. One that is made for a few days is near
-- its end in the last third of them.
local function reason(one, now)
    if now >= one.not_after then
        return "expired on " .. date(one.not_after) .. ": clients refuse it"
    elseif now < one.not_before then
        return "is not valid before " .. date(one.not_before) .. ": clients refuse it"
    end
    local left = one.not_after - now
    if left > math.min(SOON, (one.not_after - one.not_before) / 3) then return nil end
    return ("expires on %s, in %d days"):format(date(one.not_after), left / DAY)
end

-- Those that come from files, each once.
local function each(servers)
    local list, seen = {}, {}
    for _, server in ipairs(servers) do
        for _, one in ipairs(server:certificates()) do
            if one.certfile and not seen[one.certfile] then
                seen[one.certfile] = true
                list[#list + 1] = one
            end
        end
    end
    return list
end

local function warn_of(list, place)
    for _, one in ipairs(list) do
        local text = reason(one, core.now())
        if text then
            log.gen_log:warning("%s%s: the certificate of %s %s", place, one.certfile, one.subject,
                text)
        end
    end
end

--- Logs a warning for each certificate of a list of HTTPServers that has expired, is not valid yet
--- or expires soon. `place`: where the options have them ("ctornado.conf:7: ").
function certificates.warn(servers, place)
    warn_of(each(servers), place)
end

-- What a generation before has shown, and this one has not.
local function forget_others(family)
    for line in core.metrics_text(false):gmatch "[^\n]+" do
        local labels = line:match("^" .. NAME .. "{(.*)} [^ ]+$")
        local series = labels and core.metric_series(family._metric, labels)
        if series and not family._series[labels] then core.metric_set(series, 0 / 0) end
    end
end

local function show(list)
    if #list == 0 and core.generation() == 1 then return end
    local family = metrics.of_server(NAME, HELP, { labels = { "file", "subject" }, merge = "min" })
    for _, one in ipairs(list) do family:set(one.not_after, one.certfile, one.subject) end
    if core.generation() > 1 and family._metric then forget_others(family) end
end

local timer

local function look(list, place)
    timer = nil
    if core.worker() <= 1 then warn_of(list, place) end -- all workers have the same
    if #list > 0 then timer = ioloop.call_later(DAY, look, list, place) end
end

--- Looks at the certificates of a list of HTTPServers, now and each day, until stop().
function certificates.watch(servers, place)
    certificates.stop()
    local list = each(servers)
    show(list)
    look(list, place)
end

--- No more is said of them: others are in use now.
function certificates.stop()
    if timer then ioloop.remove_timeout(timer) end
    timer = nil
end

return certificates
