-- tornado.control: what `ctornado status` prints. What a server answers,
-- spec/integration/workers.py has.
local control = require "tornado.control"
local core = require "tornado.core"
local escape = require "tornado.escape"

local function worker(number, fields)
    local out = {
        worker = number, pid = 0, state = "down", generation = 0, old_generations = 0,
        connections = 0, requests = 0, handled = 0, lua_bytes = 0, started = 0, memory = {},
    }
    for name, value in pairs(fields or {}) do out[name] = value end
    return out
end

describe("tornado.control", function()
    it("has a line for each worker, and no age for one that is down", function()
        local text = control.describe(escape.json_encode {
            version = "1", pid = 7, started = core.now() - 7300, handled = 5, replaced = 2,
            workers = { worker(1), worker(2, { pid = 8, state = "serving", generation = 3,
                handled = 5, lua_bytes = 2048, started = core.now() - 30 }) },
        })
        assert.matches("^ctornado 1, pid 7, up 2 h: 5 requests, 2 workers, 2 replaced\n", text)
        assert.matches("\n1 +0 +down +0 +0 +0 +0 +0 +%-\n", text)
        assert.matches("\n2 +8 +serving +3 +0 +0 +5 +2 +3%d s", text)
    end)

    it("tells the age of the service from that of the program behind an upgrade", function()
        local text = control.describe(escape.json_encode {
            version = "1", pid = 7, started = core.now() - 7300, handled = 5, replaced = 0,
            program_started = core.now() - 130, upgrades = 2, workers = { worker(1) },
        })
        assert.matches("^ctornado 1, pid 7, up 2 h, of which this program 2 min, " ..
            "after 2 upgrades: 5 ", text)
    end)
end)
