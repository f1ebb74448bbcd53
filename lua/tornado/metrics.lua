-- Metrics: counters, gauges and histograms that handlers keep, in memory that all workers share, so
-- that they are the server's and go on through reloads and the death of workers; counters and
-- histograms through upgrades, too. The admin listener shows them (option `admin`), together with
-- those of the server itself.
--
--     local metrics = require "tornado.metrics"
--     local jobs = metrics.counter("jobs_total", { help = "Jobs done.", labels = { "kind" } })
--     jobs:inc(1, "mail")
--
-- Without a server (ctornado run, specs) they are this process's own. Functions of an executor's
-- threads cannot count: they raise.
local core = require "tornado.core"
local log = require "tornado.log"
local util = require "tornado.util"

local metrics = {}

local type, tostring, select = type, tostring, select
local metric_add, metric_set, metric_observe = core.metric_add, core.metric_set, core.metric_observe

local NAME_MOST, HELP_MOST, LABELS_MOST = 200, 1000, 10
local NONE = {}

-- Names and options ------------------------------------------------------------------------

local RESERVED = { le = true, quantile = true, worker = true }

local function check_name(name)
    if type(name) ~= "string" or not name:find "^[%a_:][%w_:]*$" or #name > NAME_MOST then
        error(("bad name: expected letters, digits, _ and : (at most %d), got %s"):format(NAME_MOST,
            util.shown(name)), 4)
    end
    if name:find "^ctornado_" then
        error(("bad name: %s: those with ctornado_ are the server's own"):format(name), 4)
    end
end

local function check_labels(labels)
    if type(labels) ~= "table" or #labels > LABELS_MOST then
        error(("bad labels: expected a list of names (at most %d), got %s"):format(LABELS_MOST,
            util.shown(labels)), 4)
    end
    local seen = {}
    for _, label in ipairs(labels) do
        if type(label) ~= "string" or not label:find "^[%a_][%w_]*$" or label:find "^__" or
            RESERVED[label] or seen[label] or #label > NAME_MOST then
            error("bad label: expected a name, none twice, not le, quantile or worker, got " ..
                util.shown(label), 4)
        end
        seen[label] = true
    end
end

local function check_help(help)
    if type(help) ~= "string" or #help > HELP_MOST or not core.is_utf8(help) then
        error(("bad help: expected a text (at most %d bytes), got %s"):format(HELP_MOST,
            util.shown(help)), 4)
    end
end

local function check_buckets(buckets)
    if type(buckets) ~= "table" or #buckets == 0 or #buckets > core.METRICS_BOUNDS then
        error(("bad buckets: expected a list of 1 to %d numbers, got %s"):format(
            core.METRICS_BOUNDS, util.shown(buckets)), 3)
    end
    for i, bound in ipairs(buckets) do
        if type(bound) ~= "number" or bound ~= bound or bound == math.huge or
            (i > 1 and bound <= buckets[i - 1]) then
            error("bad buckets: expected rising numbers, got " .. util.shown(bound), 3)
        end
    end
end

-- Series -----------------------------------------------------------------------------------

local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

local function byte_text(c)
    return ("\\\\x%02x"):format(c:byte())
end

-- As it stands between quotes, in Prometheus' format and in JSON: what is no UTF-8, and control
-- characters, as \\xff.
local function escaped(value)
    if value:find '[\\"%c]' then
        value = value:gsub('[\\"\n]', ESCAPES):gsub("%c", byte_text)
    end
    if not core.is_utf8(value) then value = value:gsub("[\128-\255]", byte_text) end
    return value
end

local Metric = util.Object:extend "Metric"

-- The values of labels as one text: how a series is printed.
local function print_labels(self, ...)
    local list = {}
    for i, label in ipairs(self.labels) do
        local value = select(i, ...)
        if type(value) ~= "string" then value = tostring(value) end
        list[i] = ('%s="%s"'):format(label, escaped(value))
    end
    return table.concat(list, ",")
end

local told = false

-- Once; ctornado_metrics_dropped_total counts how often.
local function tell(what)
    if told then return nil end
    told = true
    log.app_log:error("metrics: there is no room for %s: it is not counted, nor is what " ..
        "finds no room later. Do labels take values that clients choose?", what)
end

local VALUES = { string = true, number = true, boolean = true }

-- Level 5: check_values, find_more, find, the method, its caller.
local function check_values(self, count, ...)
    if count ~= #self.labels then
        error(("%s: expected %d label values, got %d"):format(self.name, #self.labels, count), 5)
    end
    for i = 1, count do
        local value = select(i, ...)
        if not VALUES[type(value)] then
            error(("%s: bad value of label %s: expected string, number or boolean, got %s"):format(
                self.name, self.labels[i], type(value)), 5)
        end
    end
end

-- The series of these label values; nil: there is no room.
local function find_more(self, ...)
    check_values(self, select("#", ...), ...)
    local text = print_labels(self, ...)
    local series = self._series[text]
    if series then return series end
    series = self._metric and core.metric_series(self._metric, text)
    if not series then return tell(self.name) end
    self._series[text] = series
    return series
end

-- The same; a text as the only label, as most have it, is looked up by itself.
local function find(self, ...)
    local value = ...
    local series = self._by_value[value]
    if series and select("#", ...) == 1 then return series end
    if value == nil and self._only and select("#", ...) == 0 then return self._only end
    series = find_more(self, ...)
    if series and #self.labels == 1 and type(value) == "string" then
        self._by_value[value] = series
    end
    return series
end

-- Metrics ----------------------------------------------------------------------------------

local Counter = Metric:extend "Counter"
local Gauge = Metric:extend "Gauge"
local Histogram = Metric:extend "Histogram"

local known = {} -- name -> metric

local function is_same(a, class, how, labels, buckets)
    return a.class == class and a._how == how and table.concat(a.labels, ",") ==
        table.concat(labels, ",") and table.concat(a._buckets, ",") == table.concat(buckets, ",")
end

local SUFFIXES = { "_bucket", "_sum", "_count" }

-- A histogram has lines of further names, which no other metric may have.
local function check_free(class, name)
    for _, suffix in ipairs(SUFFIXES) do
        local base = name:sub(-#suffix) == suffix and name:sub(1, -#suffix - 1)
        if base and known[base] and known[base].class == Histogram then
            error(("bad name: %s is a line of the histogram %s"):format(name, base), 4)
        end
        if class == Histogram and known[name .. suffix] then
            error(("bad name: the histogram %s has a line %s, which is a metric already"):format(
                name, name .. suffix), 4)
        end
    end
end

-- A metric of that name: the one that there is, if all but its help is the same.
local function define(class, name, how, options)
    if not options.of_server then check_name(name) end
    check_labels(options.labels)
    check_help(options.help)
    local buckets = options.buckets or NONE
    local old = known[name]
    if old then
        if is_same(old, class, how, options.labels, buckets) then return old end
        error(("bad name: %s is a %s already, with other options"):format(name,
            tostring(old.class):lower()), 3)
    end
    check_free(class, name)
    local self = class()
    self.name, self.labels, self.help = name, options.labels, options.help
    self._how, self._buckets, self._series, self._by_value = how, buckets, {}, {}
    self._metric = core.metric(name, how, self.labels, self.help, buckets)
    if not self._metric then tell(name) end
    known[name] = self
    if #self.labels == 0 then self._only = find_more(self) end
    return self
end

local function check_number(self, n)
    if type(n) ~= "number" then
        error(("%s: expected a number, got %s"):format(self.name, type(n)), 3)
    end
end

--- Adds `n` (1), which must be finite and not negative, to the series of these label values.
function Counter:inc(n, ...)
    if n == nil then n = 1 end
    check_number(self, n)
    if not (n >= 0 and n < math.huge) then
        error(("%s: a counter only grows, got %g"):format(self.name, n), 2)
    end
    local series = find(self, ...)
    if series then metric_add(series, n) end
end

--- Sets, raises and lowers what this worker adds to the whole.
function Gauge:set(n, ...)
    check_number(self, n)
    local series = find(self, ...)
    if series then metric_set(series, n) end
end

function Gauge:inc(n, ...)
    if n == nil then n = 1 end
    check_number(self, n)
    local series = find(self, ...)
    if series then metric_add(series, n) end
end

function Gauge:dec(n, ...)
    if n == nil then n = 1 end
    check_number(self, n)
    local series = find(self, ...)
    if series then metric_add(series, -n) end
end

--- Adds a value.
function Histogram:observe(value, ...)
    check_number(self, value)
    local series = find(self, ...)
    if series and value == value then metric_observe(self._metric, series, value) end
end

--- Begins to take the time: the function that it returns observes the seconds since, and returns
--- them. It is for one call.
function Histogram:timer(...)
    local series, started = find(self, ...), core.precise()
    return function()
        local seconds = core.precise() - started
        if series then metric_observe(self._metric, series, seconds) end
        series = nil
        return seconds
    end
end

local COUNTER = { help = "", labels = NONE }

--- A number that only grows: name, and maybe { help =, labels = { "NAME", ... } }, of which each
--- combination of values is a series of its own. Names are Prometheus' (_total ends a counter's).
--- The same call again returns the same metric; another one of that name raises. A later generation
--- may define it otherwise.
function metrics.counter(name, options)
    local metric = define(Counter, name, "counter", util.options(options, COUNTER, "counter", 2))
    return metric -- no tail call: errors are at the caller's line
end

local GAUGE = { help = "", labels = NONE, merge = "sum" }
local MERGES = { sum = true, max = true, min = true }

--- A number that rises and falls. Options as of a counter, and merge: what is shown is the "sum",
--- "max" or "min" of those of the workers. That of a worker that ends is gone.
function metrics.gauge(name, options)
    options = util.options(options, GAUGE, "gauge", 2)
    if not MERGES[options.merge] then
        error("bad merge: expected sum, max or min, got " .. util.shown(options.merge), 2)
    end
    local metric = define(Gauge, name, options.merge, options)
    return metric
end

--- For the framework: a gauge of the server's own. `options`: labels, merge.
function metrics.of_server(name, help, options)
    options = options or NONE
    return define(Gauge, name, options.merge or "sum",
        { help = help, labels = options.labels or NONE, of_server = true })
end

--- Upper bounds for seconds, from 0.5 ms to a minute.
metrics.BUCKETS = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
}

local HISTOGRAM = { help = "", labels = NONE, buckets = metrics.BUCKETS }

--- How values are spread. Options as of a counter, and buckets: upper bounds, rising.
function metrics.histogram(name, options)
    options = util.options(options, HISTOGRAM, "histogram", 2)
    check_buckets(options.buckets)
    local metric = define(Histogram, name, "histogram", options)
    return metric
end

-- Showing ----------------------------------------------------------------------------------

--- All metrics of the server, in Prometheus' text format 0.0.4.
function metrics.text()
    return core.metrics_text(false)
end

--- The same as JSON: { time =, metrics = { { name, type, help, series = { { labels, value }, or of
--- a histogram { labels, buckets = { { bound, count }, ... }, sum, count }, ... } }, ... } }.
function metrics.json()
    return core.metrics_text(true)
end

--- The last errors of the log of each worker, as JSON: a list of { time, worker, logger, request,
--- message }.
function metrics.errors()
    return core.metrics_errors()
end

--- The flag by which C counts the replies of a handler class; 0 for none.
function metrics.handler_flag(class)
    return core.handler_flag(('handler="%s"'):format(escaped(tostring(class):sub(-NAME_MOST))))
end

return metrics
