-- tornado.admin: the pages of the admin listener. Those of a server that serves are in
-- spec/integration/metrics.py: here, none does.
local admin = require "tornado.admin"
local escape = require "tornado.escape"
local gen = require "tornado.gen"
local readiness = require "tornado.admin.readiness"
local testing = require "tornado.testing"
local web = require "tornado.web"

local function get(path, options)
    return testing.serve(admin.application()):fetch(path, options)
end

local function json(path, options)
    local reply = get(path, options)
    return escape.json_decode(reply.body), reply
end

describe("tornado.admin", function()
    it("says that the process answers", function()
        local health, reply = json "/health"
        assert.equal(200, reply.code)
        assert.same({ healthy = true, state = "starting" }, health)
        assert.equal("no-store", reply.headers:get("cache-control"))
        assert.is_nil(reply.headers:get("etag"))
    end)

    it("is not ready before a worker serves", function()
        local report, reply = json "/ready"
        assert.equal(503, reply.code)
        assert.same({ ready = false, state = "starting", checks = {} }, report)
    end)

    it("answers HEAD as GET", function()
        local reply = get("/health", { method = "HEAD" })
        assert.equal(200, reply.code)
        assert.equal("", reply.body)
        assert.equal(503, get("/ready", { method = "HEAD" }).code)
    end)

    it("shows the processes", function()
        local status = json "/status"
        assert.equal(1, #status.workers)
        assert.equal("starting", status.workers[1].state)
        assert.equal(status.pid, status.workers[1].pid)
    end)

    it("lists its pages", function()
        assert.matches("/ready", get("/").body)
    end)

    it("answers to addresses, and not to names", function()
        for host, code in pairs { ["127.0.0.1:9"] = 200, ["[::1]:9"] = 200, localhost = 200,
            ["evil.example"] = 403, ["localhost.evil.example"] = 403, ["1.2.3.4.example"] = 403 } do
            if code == 403 then testing.expect_log("no name") end
            assert.equal(code, get("/health", { headers = { Host = host } }).code)
        end
    end)

    it("takes rules of applications", function()
        local Jobs = web.RequestHandler:extend "Jobs"
        function Jobs:get() self:write("3 jobs") end
        admin.add_handlers { { "/jobs", Jobs } }
        assert.equal("3 jobs", get("/jobs").body)
        testing.expect_log("no name")
        assert.equal(403, get("/jobs", { headers = { Host = "evil.example" } }).code)
    end)
end)

describe("tornado.admin.ready_check", function()
    it("refuses what is no check", function()
        for _, bad in ipairs {
            { {}, "bad name: expected a string", "", print }, { {}, "bad name", 1, print },
            { {}, "bad check db: expected a function, got number", "db", 1 },
            { {}, "bad timeout", "db", print, { timeout = 0 } },
            { {}, "bad timeout", "db", print, { timeout = "1" } },
            { {}, "unknown option", "db", print, { time = 1 } },
        } do
            local ok, err = pcall(admin.ready_check, bad[3], bad[4], bad[5])
            assert.is_false(ok)
            assert.matches(bad[2], err, 1, true)
            assert.is_nil(err:find("readiness.lua", 1, true))
        end
    end)

    it("runs checks side by side, each with a deadline, and says why one fails", function()
        admin.ready_check("good", function() gen.moment() end)
        admin.ready_check("bad", function() return false, "no connection" end)
        admin.ready_check("unsaid", function() return false end)
        admin.ready_check("broken", function() error("on purpose", 0) end)
        admin.ready_check("slow", function() gen.sleep(60) end, { timeout = 0.01 })
        admin.ready_check("slow too", function() gen.sleep(60) end, { timeout = 0.01 })
        local got = readiness.run_checks()
        assert.same({
            good = "ok", bad = "no connection", unsaid = "failed", broken = "on purpose",
            slow = "Timeout", ["slow too"] = "Timeout",
        }, got)
        for name in pairs(got) do admin.ready_check(name, function() end) end
        for _, text in pairs(readiness.run_checks()) do assert.equal("ok", text) end
    end)
end)
