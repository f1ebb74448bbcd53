-- tornado.metrics, as this process has them to itself. What workers share is in
-- spec/integration/metrics.py; the store in spec/core/test_metrics.c.
local core = require "tornado.core"
local escape = require "tornado.escape"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local metrics = require "tornado.metrics"
local testing = require "tornado.testing"
local web = require "tornado.web"

local inf = math.huge

-- A strict reader of Prometheus' text format 0.0.4: { name = { type =, help =, samples } }, of
-- which each sample is { suffix, labels (name -> value), number }. Raises at the first fault.
local UNESCAPE = { ["\\\\"] = "\\", ['\\"'] = '"', ["\\n"] = "\n" }

local function read_labels(text)
    local labels, at = {}, 1
    while at <= #text do
        local name, open = text:match('^([%a_][%w_]*)="()', at)
        assert(name, "bad labels: " .. text)
        assert(labels[name] == nil, "label twice: " .. text)
        local last = open
        while text:sub(last, last) ~= '"' do
            assert(last <= #text, "open quote: " .. text)
            if text:sub(last, last) == "\\" then
                assert(UNESCAPE[text:sub(last, last + 1)], "bad escape: " .. text)
                last = last + 1
            end
            last = last + 1
        end
        labels[name] = text:sub(open, last - 1):gsub('\\[\\"n]', UNESCAPE)
        at = last + 1
        if at <= #text then
            assert(text:sub(at, at) == ",", "no comma: " .. text)
            at = at + 1
        end
    end
    return labels
end

local NUMBERS = { ["+Inf"] = inf, ["-Inf"] = -inf, NaN = 0 / 0 }

local function read_sample(line, family)
    local name, labels, value = line:match "^([%a_:][%w_:]*){(.*)} (%S+)$"
    if not name then name, value = line:match "^([%a_:][%w_:]*) (%S+)$" end
    assert(name, "bad line: " .. line)
    local suffix = name:sub(#family.name + 1)
    assert(name:sub(1, #family.name) == family.name, "of another family: " .. line)
    if family.type == "histogram" then
        assert(suffix == "_bucket" or suffix == "_sum" or suffix == "_count", line)
    else
        assert(suffix == "", line)
    end
    local number = NUMBERS[value] or tonumber(value)
    assert(number, "bad number: " .. line)
    return { suffix, read_labels(labels or ""), number }
end

local function check_histogram(family)
    local last, most
    for _, sample in ipairs(family.samples) do
        if sample[1] == "_bucket" then
            local bound = NUMBERS[sample[2].le] or tonumber(sample[2].le)
            assert(bound, family.name .. ": bad le")
            assert(not last or (bound > last and sample[3] >= most), family.name .. " falls")
            last, most = bound, sample[3]
        elseif sample[1] == "_sum" then
            assert.equal(inf, last)
            last = nil
        else
            assert.equal(most, sample[3])
        end
    end
end

local function read(text)
    assert(core.is_utf8(text))
    assert.equal("\n", text:sub(-1))
    local families, seen, family, help = {}, {}, nil, nil
    for line in text:gmatch "([^\n]*)\n" do
        local name, rest = line:match "^# HELP ([%a_:][%w_:]*) (.*)$"
        if name then
            help = { name, rest }
        elseif line:find "^# TYPE" then
            local of, kind = line:match "^# TYPE ([%a_:][%w_:]*) (%l+)$"
            assert(kind == "counter" or kind == "gauge" or kind == "histogram", line)
            assert.equal(help[1], of)
            assert(not families[of], of .. " twice")
            family = { name = of, type = kind, help = help[2], samples = {} }
            families[of] = family
        else
            local series = line:match "^(.*) "
            assert(not seen[series], "twice: " .. series)
            seen[series] = true
            family.samples[#family.samples + 1] = read_sample(line, family)
        end
    end
    for _, one in pairs(families) do
        if one.type == "histogram" then check_histogram(one) end
    end
    return families
end

local count = 0

-- A name that no other case has.
local function name(suffix)
    count = count + 1
    return ("spec_%d_%s"):format(count, suffix)
end

-- The value of the series of `of` with these labels, or with none.
local function value_of(of, labels)
    for _, sample in ipairs(read(metrics.text())[of].samples) do
        local same = true
        for label, value in pairs(labels or {}) do same = same and sample[2][label] == value end
        if same then return sample[3] end
    end
end

local function series_of(of)
    for _, family in ipairs(escape.json_decode(metrics.json()).metrics) do
        if family.name == of then return family.series, family end
    end
end

local function refuses(pattern, fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    assert.matches(pattern, err)
    return err
end

describe("tornado.metrics", function()
    it("counts", function()
        local n = name "total"
        local counter = metrics.counter(n, { help = "A \\ line\nand another." })
        assert.equal(0, value_of(n) or 0)
        counter:inc()
        counter:inc(2.5)
        counter:inc(0)
        assert.equal(3.5, value_of(n))
        local family = read(metrics.text())[n]
        assert.equal("counter", family.type)
        assert.equal("A \\\\ line\\nand another.", family.help)
        local series, as_json = series_of(n)
        assert.same({ { labels = {}, value = 3.5 } }, series)
        assert.equal("A \\ line\nand another.", as_json.help)
    end)

    it("counts by labels, whatever is in them", function()
        local n = name "total"
        local counter = metrics.counter(n, { labels = { "kind", "other" } })
        local values = { 'a"b', "back\\slash", "new\nline", "", "ü", "a=b,c", "}", '\\"' }
        for i, value in ipairs(values) do counter:inc(i, value, "x") end
        counter:inc(100, "ü", "y")
        counter:inc(100, 12, true)
        for i, value in ipairs(values) do
            assert.equal(i, value_of(n, { kind = value, other = "x" }))
        end
        assert.equal(100, value_of(n, { kind = "12", other = "true" }))
        local by_kind = {}
        for _, one in ipairs(series_of(n)) do
            if one.labels.other == "x" then by_kind[one.labels.kind] = one.value end
        end
        for i, value in ipairs(values) do assert.equal(i, by_kind[value]) end
    end)

    it("shows what is no text, and control characters, as \\xff", function()
        local n = name "total"
        local counter = metrics.counter(n, { labels = { "kind" } })
        counter:inc(1, "\255\0\27[1m")
        assert.equal(1, value_of(n, { kind = "\\xff\\x00\\x1b[1m" }))
        assert.equal("\\xff\\x00\\x1b[1m", series_of(n)[1].labels.kind)
    end)

    it("has one label by its value", function()
        local n = name "total"
        local counter = metrics.counter(n, { labels = { "kind" } })
        for _ = 1, 3 do
            counter:inc(1, "1")
            counter:inc(1, 1)
            counter:inc(1, false)
            counter:inc(1, 0 / 0)
        end
        assert.equal(6, value_of(n, { kind = "1" }))
        assert.equal(3, value_of(n, { kind = "false" }))
    end)

    it("has gauges", function()
        local n = name "jobs"
        local gauge = metrics.gauge(n, { labels = { "queue" } })
        gauge:set(5, "a")
        gauge:inc(nil, "a")
        gauge:inc(2, "a")
        gauge:dec(nil, "a")
        gauge:dec(10, "a")
        gauge:set(-1.5, "b")
        assert.equal(-3, value_of(n, { queue = "a" }))
        assert.equal(-1.5, value_of(n, { queue = "b" }))
        assert.equal("gauge", read(metrics.text())[n].type)
        gauge:set(0 / 0, "b")
        local nan = value_of(n, { queue = "b" })
        assert.is_true(nan ~= nan)
        gauge:set(-inf, "b")
        assert.equal(-inf, value_of(n, { queue = "b" }))
        for _, one in ipairs(series_of(n)) do
            if one.labels.queue == "b" then assert.is_false(one.value == -inf) end -- but null
        end
    end)

    it("has the largest and the smallest of the workers", function()
        for _, merge in ipairs { "max", "min" } do
            local n = name "age"
            local gauge = metrics.gauge(n, { merge = merge })
            gauge:set(0)
            assert.equal(0, value_of(n))
            gauge:set(-7)
            assert.equal(-7, value_of(n))
        end
        refuses("bad merge: expected sum, max or min", metrics.gauge, name "age", { merge = "all" })
    end)

    it("has histograms", function()
        local n = name "size"
        local histogram = metrics.histogram(n, { buckets = { 1, 2.5, 10 }, labels = { "kind" } })
        for _, value in ipairs { 0.5, 1, 1.1, 2.5, 9, 11, inf } do histogram:observe(value, "a") end
        histogram:observe(0 / 0, "a")
        histogram:observe(3, "b")
        local at = {}
        for _, sample in ipairs(read(metrics.text())[n].samples) do
            if sample[2].kind == "a" then at[sample[2].le or sample[1]] = sample[3] end
        end
        assert.same({
            ["1"] = 2, ["2.5"] = 4, ["10"] = 5, ["+Inf"] = 7, _count = 7, _sum = inf,
        }, at)
        assert.same({ labels = { kind = "b" }, buckets = { { 1, 0 }, { 2.5, 0 }, { 10, 1 } },
            sum = 3, count = 1 }, series_of(n)[2])
    end)

    it("takes the time", function()
        local n = name "seconds"
        local done = metrics.histogram(n):timer()
        gen.moment()
        local seconds = done()
        assert.is_true(seconds >= 0 and seconds < 5)
        done()
        local one = series_of(n)[1]
        assert.equal(1, one.count)
        assert.is_true(math.abs(one.sum - seconds) < 1e-9)
        assert.equal(#metrics.BUCKETS, #one.buckets)
    end)

    it("gives the same metric for the same name, and refuses another one", function()
        local n = name "total"
        local counter = metrics.counter(n, { labels = { "a" }, help = "one" })
        assert.equal(counter, metrics.counter(n, { labels = { "a" }, help = "two" }))
        for _, fn in ipairs {
            function() metrics.counter(n) end,
            function() metrics.gauge(n, { labels = { "a" } }) end,
            function() metrics.histogram(n, { labels = { "a" } }) end,
        } do
            refuses("metrics_spec.lua:%d+: bad name: .* is a counter already", fn)
        end
        local h = name "size"
        metrics.histogram(h, { buckets = { 1 } })
        refuses("is a histogram already", metrics.histogram, h, { buckets = { 2 } })
    end)

    it("refuses names that are lines of a histogram", function()
        local size, total = name "size", name "total"
        metrics.histogram(size)
        for _, suffix in ipairs { "_bucket", "_sum", "_count" } do
            refuses("metrics_spec.lua:%d+: bad name: .* is a line of the histogram", function()
                metrics.counter(size .. suffix)
            end)
            metrics.gauge(total .. suffix)
            refuses("metrics_spec.lua:%d+: bad name: the histogram .* is a metric already",
                function() metrics.histogram(total) end)
        end
        metrics.counter(size .. "_count_total")
    end)

    it("refuses what is no name, at the caller's line", function()
        for _, bad in ipairs { "", "1a", "a-b", "a b", "ü", ("x"):rep(201), 5, false } do
            for _, kind in ipairs { "counter", "gauge", "histogram" } do
                refuses("metrics_spec.lua:%d+: bad name: expected letters", function()
                    metrics[kind](bad)
                end)
            end
        end
        refuses("are the server's own", metrics.counter, "ctornado_x_total")
        for _, bad in ipairs { { "1" }, { "a", "a" }, { "__a" }, { "le" }, { "worker" }, { "a:b" },
            { 1 }, { "" }, "a" } do
            refuses("metrics_spec.lua:%d+: bad label", function()
                metrics.counter(name "total", { labels = bad })
            end)
        end
        for _, bad in ipairs { 1, "\255", ("x"):rep(1001) } do
            refuses("metrics_spec.lua:%d+: bad help", function()
                metrics.counter(name "total", { help = bad })
            end)
        end
        for _, bad in ipairs { {}, { 2, 1 }, { 1, 1 }, { 0 / 0 }, { inf }, { "1" }, 5 } do
            refuses("metrics_spec.lua:%d+: bad buckets", function()
                metrics.histogram(name "size", { buckets = bad })
            end)
        end
        refuses("unknown option", metrics.counter, name "total", { label = {} })
        refuses("unknown option", metrics.counter, name "total", { buckets = { 1 } })
    end)

    it("refuses what is no number or label value, at the caller's line", function()
        local none = metrics.counter(name "total")
        local one = metrics.gauge(name "value", { labels = { "a" } })
        local two = metrics.histogram(name "size", { labels = { "a", "b" } })
        for pattern, fn in pairs {
            ["a counter only grows, got %-1"] = function() none:inc(-1) end,
            ["a counter only grows, got inf"] = function() none:inc(inf) end,
            ["a counter only grows, got %-?nan"] = function() none:inc(0 / 0) end,
            ["expected a number, got string"] = function() none:inc("1") end,
            ["expected a number, got nil"] = function() one:set(nil, "x") end,
            ["expected 0 label values, got 1"] = function() none:inc(1, "x") end,
            ["expected 1 label values, got 0"] = function() one:set(1) end,
            ["expected 1 label values, got 2"] = function() one:set(1, "x", "y") end,
            ["bad value of label a: .* got nil"] = function() one:set(1, nil) end,
            ["bad value of label b: .* got table"] = function() two:observe(1, "x", {}) end,
            ["expected 2 label values, got 1"] = function() two:timer("x") end,
        } do
            refuses("metrics_spec.lua:%d+: .*" .. pattern, fn)
        end
        one:set(1, "x")
        refuses("expected 1 label values, got 2", one.set, one, 1, "x", "y")
    end)

    it("can be loaded by threads, which cannot count", function()
        refuses("cannot wait on the thread pool: metric_add", ioloop.run_in_executor,
            "spec.tornado.concurrent.jobs", "count_metric")
    end)

    it("does not count what finds no room, and says so once", function()
        local n = name "total"
        local counter = metrics.counter(n, { labels = { "kind" } })
        local logged = testing.expect_log("error", "metrics: there is no room for " .. n)
        local before = value_of "ctornado_metrics_dropped_total"
        local long = ("x"):rep(2041) -- 2048 with kind=""
        counter:inc(1, long .. "x")
        counter:inc(1, long .. "x")
        assert.equal(1, #logged.lines)
        assert.equal(before + 2, value_of "ctornado_metrics_dropped_total")
        assert.is_nil(value_of(n, { kind = long .. "x" }))
        counter:inc(1, long)
        assert.equal(1, value_of(n, { kind = long }))
    end)
end)

describe("the server's own metrics", function()
    local function requests(method, status)
        return value_of("ctornado_http_requests_total", { method = method, status = status }) or 0
    end

    local function handler(of)
        local out = {}
        for _, what in ipairs { "requests_total", "errors_total", "seconds_total",
            "seconds_max" } do
            out[what] = value_of("ctornado_handler_" .. what, { handler = of }) or 0
        end
        return out
    end

    local Answer = web.RequestHandler:extend "AnswerOfMetricsSpec"
    function Answer:get(what)
        if what == "slow" then gen.sleep(0.02) end
        if what == "hang" then gen.sleep(60) end
        if what == "broken" then error "on purpose" end
        if what == "streamed" then
            self:write("one")
            self:flush()
        end
        self:write("two")
    end
    Answer.cancel_on_disconnect = true
    function Answer:post() self:set_status(201) end
    local app = web.Application { { "/(.*)", Answer } }

    it("are of the requests", function()
        local server = testing.serve(app)
        local before = { requests("GET", "2xx"), requests("POST", "2xx"), requests("GET", "5xx"),
            value_of("ctornado_http_request_duration_seconds", { le = "+Inf" }),
            value_of "ctornado_http_sent_bytes_total" }
        server:fetch("/")
        server:fetch("/streamed")
        server:fetch("/", { method = "POST", body = "" })
        testing.expect_log "on purpose"
        server:fetch("/broken")
        assert.equal(before[1] + 2, requests("GET", "2xx"))
        assert.equal(before[2] + 1, requests("POST", "2xx"))
        assert.equal(before[3] + 1, requests("GET", "5xx"))
        assert.equal(before[4] + 4,
            value_of("ctornado_http_request_duration_seconds", { le = "+Inf" }))
        assert.is_true(value_of "ctornado_http_sent_bytes_total" > before[5] + 400)
        assert.is_true(value_of("ctornado_http_responses_total", { code = "201" }) >= 1)
    end)

    it("are of each handler class", function()
        local server = testing.serve(app)
        server:fetch("/")
        local before = handler "AnswerOfMetricsSpec"
        testing.expect_log "on purpose"
        for _, path in ipairs { "/", "/slow", "/streamed", "/broken" } do server:fetch(path) end
        local after = handler "AnswerOfMetricsSpec"
        assert.equal(before.requests_total + 4, after.requests_total)
        assert.equal(before.errors_total + 1, after.errors_total)
        assert.is_true(after.seconds_max >= 0.02)
        assert.is_true(after.seconds_total >= before.seconds_total + 0.02)
    end)

    it("are of requests that are refused, and of those that are cut", function()
        local server = testing.serve(app)
        local before = value_of("ctornado_http_refused_total", { code = "400" }) or 0
        local cut = value_of "ctornado_http_requests_cut_total"
        local c = server:connect()
        c:send("GET / HTTP/1.1\r\nBad Field: x\r\n\r\n")
        assert.equal(400, c:read_response().code)
        assert.equal(before + 1, value_of("ctornado_http_refused_total", { code = "400" }))
        c = server:connect()
        c:send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        testing.wait_until(function() return core.counts().requests > 0 end)
        c:close()
        testing.wait_until(function() return core.counts().requests == 0 end)
        assert.equal(cut + 1, value_of "ctornado_http_requests_cut_total")
    end)

    it("are of event streams", function()
        local Stream = web.RequestHandler:extend "Stream"
        function Stream:get() self:event_stream() end
        local server = testing.serve(web.Application { { "/", Stream } })
        local function streams() return value_of "ctornado_event_streams_open" end
        local before, c = streams(), server:connect()
        c:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        testing.wait_until(function() return streams() == before + 1 end)
        c:close()
        testing.wait_until(function() return streams() == before end)
    end)

    it("have the last errors of the log", function()
        local errors = value_of("ctornado_log_lines_total", { level = "error" })
        local level = core.log_level()
        core.log_set_level(4) -- it is kept all the same
        core.log(3, "app", 'broken here: "quoted"\nand\255', "request-1")
        core.log_set_level(level)
        assert.equal(errors + 1, value_of("ctornado_log_lines_total", { level = "error" }))
        local last = escape.json_decode(metrics.errors())[1]
        assert.equal("app", last.logger)
        assert.equal("request-1", last.request)
        assert.matches('broken here: "quoted"\nand\\xff', last.message, 1, true)
        assert.is_true(math.abs(last.time - core.now()) < 5)
    end)
end)
