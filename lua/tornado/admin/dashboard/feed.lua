-- What dashboards get: first all there is, then once a second what has changed. Any worker can tell
-- of all, from the memory that they share; while nobody looks, there is no timer.
--
-- A message is JSON: { now, state, samples, overview }; errors when they have changed; and in the
-- first one hello = { version, host, pid, started, columns, bounds, reasons }. samples and overview
-- are described in core/data/history.h and overview.h.
local core = require "tornado.core"
local escape = require "tornado.escape"
local generation = require "tornado.generation"
local httputil = require "tornado.httputil"
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"

local PERIOD = 1000 -- ms
local RESTARTS = 1012

local feed = {}

local function read_host()
    local file = io.open("/proc/sys/kernel/hostname", "rb")
    local name = file and file:read "*l" or "localhost"
    if file then file:close() end
    return name
end

--- What this machine is called.
feed.host = read_host()

local viewers = {} -- handler -> the errors that it was told of last
local last = 0     -- number of the sample that all viewers have
local over = false

-- Messages ---------------------------------------------------------------------------------

local function hello()
    local status = escape.json_decode(core.server_status())
    local columns = escape.json_decode(core.history_columns())
    local reasons = {}
    for code, text in pairs(httputil.responses) do reasons[tostring(code)] = text end
    return escape.json_encode {
        version = util.version, host = feed.host, pid = status.pid, started = status.started,
        columns = columns.columns, bounds = columns.bounds, reasons = reasons,
    }
end

-- Its parts are JSON already; `errors` and `greeting` may be nil.
local function message(samples, overview, errors, greeting)
    return ('{"now":%.3f,"state":"%s","samples":%s,"overview":%s%s%s}'):format(core.now(),
        core.server_state(), samples, overview, errors and ',"errors":' .. errors or "",
        greeting and ',"hello":' .. greeting or "")
end

-- Notes the errors only if the message is on its way.
local function send(viewer, text, errors)
    local ok, sent = pcall(viewer.write_message, viewer, text) -- fails when it has just left
    if ok and errors and sent:result() then viewers[viewer] = errors end
end

local function tell()
    local samples, overview, errors = core.history(last), core.overview(), core.metrics_errors()
    last = tonumber(samples:match ".*%[(%d+)" or last)
    local short, long
    for viewer, known in pairs(viewers) do
        if known == errors then
            short = short or message(samples, overview)
            send(viewer, short)
        else
            long = long or message(samples, overview, errors)
            send(viewer, long, errors)
        end
    end
end

local timer = ioloop.PeriodicCallback(tell, PERIOD)

-- Viewers ----------------------------------------------------------------------------------

--- Tells a WebSocket's handler everything, and from then on what is new.
function feed.add(viewer)
    if over then return viewer:close(RESTARTS) end
    local errors = core.metrics_errors()
    viewers[viewer] = ""
    send(viewer, message(core.history(0), core.overview(), errors, hello()), errors)
    timer:start()
end

function feed.remove(viewer)
    viewers[viewer] = nil
    if not next(viewers) then timer:stop() end
end

--- Whether this generation is to end, so that another one has to be asked.
function feed.is_over()
    return over
end

-- Pages connect again, to the newer generation if there is one.
generation.on_leave(function()
    over = true
    timer:stop()
    for viewer in pairs(viewers) do viewer:close(RESTARTS) end
end)

return feed
