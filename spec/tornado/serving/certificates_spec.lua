-- Certificates that expire. What a server says of real ones, and after a reload, is in
-- spec/integration/tls_kept.py.
local certificates = require "tornado.serving.certificates"
local core = require "tornado.core"
local metrics = require "tornado.metrics"
local testing = require "tornado.testing"

local DAY = 86400
local NAME = "ctornado_tls_certificate_not_after_timestamp_seconds"

describe("tornado.serving.certificates", function()
    -- Something like an HTTPServer; times in days from now.
    local function server(...)
        local list = {}
        for i, days in ipairs { ... } do
            list[i] = { certfile = days[3], subject = "CN=" .. days[3] .. ".test",
                not_before = core.now() + days[1] * DAY, not_after = core.now() + days[2] * DAY }
        end
        return { certificates = function() return list end }
    end

    local function lines_of(servers)
        local log = testing.expect_log "x.conf:7: "
        certificates.warn(servers, "x.conf:7: ")
        return log.lines
    end

    it("warns of those that are over, not good yet, or near their end", function()
        local lines = lines_of { server({ -90, -1, "a" }, { 1, 90, "b" }, { -80, 13.5, "c" },
            { -80, 14.1, "d" }) }
        local date = " on %d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d UTC"
        assert.equal(3, #lines)
        assert.matches("x.conf:7: a: the certificate of CN=a.test expired" .. date ..
            ": clients refuse it$", lines[1])
        assert.matches("x.conf:7: b: the certificate of CN=b.test is not valid before 20", lines[2])
        assert.matches("x.conf:7: c: the certificate of CN=c.test expires" .. date ..
            ", in 13 days$", lines[3])
    end)

    it("warns late of those that last for days only, and once of a file", function()
        local short = server({ -3, 3.1, "a" }, { -4, 1.9, "b" })
        local lines = lines_of { short, short }
        assert.equal(1, #lines)
        assert.matches("b: .* in 1 days$", lines[1])
    end)

    it("says nothing of those that were made here", function()
        certificates.warn({ { certificates = function()
            return { { subject = "CN=localhost", not_before = 0, not_after = 1 } }
        end } }, "")
    end)

    it("looks each day, and shows when", function()
        finally(certificates.stop)
        local clock = testing.clock()
        local one = server { -80, 15.5, "day" }
        certificates.watch({ one }, "y.conf:1: ")
        local value = metrics.text():match(NAME .. '{file="day",subject="CN=day.test"} (%S+)')
        assert.is_true(math.abs(tonumber(value) - one:certificates()[1].not_after) < 1)
        clock:advance(2 * DAY - 1)
        local log = testing.expect_log "y.conf:1: day: .* expires on .*, in 13 days"
        clock:advance(1)
        assert.equal(1, #log.lines)
        certificates.stop()
        clock:advance(20 * DAY)
        assert.equal(1, #log.lines)
    end)
end)
