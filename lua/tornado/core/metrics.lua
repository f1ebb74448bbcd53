-- The boundary with C, of what the processes of a server show each other: states and numbers.
local ffi = require "ffi"
local abi = require "tornado.abi"

local C, vm = abi.C, abi.state

local part = {}

local STATES = {
    [tonumber(C.CT_SERVER_STARTING)] = "starting",
    [tonumber(C.CT_SERVER_SERVING)] = "serving",
    [tonumber(C.CT_SERVER_ENDING)] = "ending",
}

local view = ffi.new "ct_str"

--- "starting", "serving" when at least one worker does, or "ending".
function part.server_state()
    return STATES[C.ct_abi_server_state(vm)]
end

--- What `ctornado status json` shows.
function part.server_status()
    C.ct_abi_server_status(vm, view)
    return ffi.string(view.p, view.n)
end

--- All metrics: in Prometheus' text format, or as JSON.
function part.metrics_text(json)
    C.ct_abi_metrics_text(vm, json and 1 or 0, view)
    return ffi.string(view.p, view.n)
end

--- The last errors of the log, as JSON.
function part.metrics_errors()
    C.ct_abi_metrics_errors(vm, view)
    return ffi.string(view.p, view.n)
end

--- For a dashboard, as JSON: { workers, statuses, handlers }.
function part.overview()
    C.ct_abi_overview(vm, view)
    return ffi.string(view.p, view.n)
end

--- Has the server keep samples of its numbers, one a second.
function part.history_begin()
    C.ct_abi_history_begin(vm)
end

--- Samples of the last five minutes after that number (0: all), as JSON: a list of lists.
function part.history(after)
    C.ct_abi_history(vm, after, view)
    return ffi.string(view.p, view.n)
end

--- What they have: { columns =, bounds = }, as JSON.
function part.history_columns()
    C.ct_abi_history_columns(vm, view)
    return ffi.string(view.p, view.n)
end

part.METRICS_BOUNDS = tonumber(C.CT_METRICS_BOUNDS)

local TYPES = {
    counter = C.CT_METRIC_COUNTER, sum = C.CT_METRIC_GAUGE, max = C.CT_METRIC_GAUGE_MAX,
    min = C.CT_METRIC_GAUGE_MIN, histogram = C.CT_METRIC_HISTOGRAM,
}

-- An executor's thread may load what has metrics; counting raises there.
local IN_THREAD = 1

--- A metric's number, or nil when there is no room. `type` is counter, histogram, or of a gauge how
-- workers are put together: sum, max, min. `labels` is a list, `bounds` one of numbers.
function part.metric(name, type, labels, help, bounds)
    if abi.thread then return IN_THREAD end
    local wish, names = ffi.new "ct_metric_wish", table.concat(labels, ",")
    local numbers = ffi.new("double[?]", #bounds + 1, bounds)
    wish.name.p, wish.name.n = name, #name
    wish.labels.p, wish.labels.n = names, #names
    wish.help.p, wish.help.n = help, #help
    wish.bounds, wish.bound_count, wish.type = numbers, #bounds, TYPES[type]
    local metric = C.ct_abi_metric(vm, wish)
    return metric ~= 0 and metric or nil
end

--- The number of one of its series, or nil when there is no room. `labels` as they are printed.
function part.metric_series(metric, labels)
    if abi.thread then return IN_THREAD end
    local series = C.ct_abi_metric_series(vm, metric, labels, #labels)
    return series ~= 0 and series or nil
end

--- Adds to a series of a counter or gauge, and sets one.
function part.metric_add(series, n)
    C.ct_abi_metric_add(vm, series, n)
end

function part.metric_set(series, n)
    C.ct_abi_metric_set(vm, series, n)
end

--- Adds a value to a series of a histogram.
function part.metric_observe(metric, series, value)
    C.ct_abi_metric_observe(vm, metric, series, value)
end

local REPLY_HANDLER = tonumber(C.CT_REPLY_HANDLER)

--- The flag of replies of a handler class by which they are counted; 0: there is no room.
function part.handler_flag(labels)
    return C.ct_abi_handler(vm, labels, #labels) * REPLY_HANDLER
end

--- What comes to this listener is not counted.
function part.listen_uncounted(listener)
    C.ct_abi_listen_uncounted(vm, listener)
end

return part
