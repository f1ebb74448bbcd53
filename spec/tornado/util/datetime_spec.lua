-- The datetime that templates have. PARITY §5.2.
local datetime = require "tornado.util.datetime"
local template = require "tornado.template"

local D, timedelta = datetime.datetime, datetime.timedelta

describe("datetime", function()
    it("has moments with fields and forms", function()
        local d = D(2026, 11, 22, 10, 15, 30)
        assert.equal("2026-11-22 10:15:30", tostring(d))
        assert.equal("2026-11-22T10:15:30", d:isoformat())
        assert.equal("22.11.26", d:strftime("%d.%m.%y"))
        assert.equal(6, d:weekday())
        assert.equal(0, D(2026, 1, 5):weekday())
        assert.equal("1970-01-01 00:00:01", tostring(D.utcfromtimestamp(1.9)))
        assert.equal(1234567890, D.fromtimestamp(1234567890):timestamp())
        assert.equal(D.now().year, tonumber(os.date("%Y")))
        assert.equal(D.utcnow().year, tonumber(os.date("!%Y")))
    end)

    it("compares and counts", function()
        local a, b = D(2024, 2, 28), D(2024, 3, 1)
        assert.is_true(a < b and a <= b and a <= a and a == D(2024, 2, 28))
        assert.equal(2 * 86400, (b - a):total_seconds())
        assert.equal(b, a + timedelta { days = 2 })
        assert.equal(b, timedelta { days = 2 } + a)
        assert.equal(a, b - timedelta { days = 2 })
    end)

    it("refuses days that there are not", function()
        assert.has_error(function() D(2023, 2, 29) end, "day is out of range for month")
        assert.has_error(function() D(2023, "x", 29) end, "bad month: expected number, got string")
        assert.is_nil(datetime.nothing)
    end)

    it("is seen by templates", function()
        local text = "{{ datetime.datetime.now():strftime('%Y') }} " ..
            "{{ datetime.datetime(2026, 1, 2) }}"
        assert.equal(os.date("%Y") .. " 2026-01-02 00:00:00",
            template.Template(text):generate())
    end)
end)
