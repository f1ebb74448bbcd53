-- testing.ExpectLog: what it takes, what it leaves to others, what it says. PARITY §25.
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local testing = require "tornado.testing"

describe("testing.ExpectLog", function()
    it("takes what its logger logs, and nothing else", function()
        local expected = testing.ExpectLog(log.gen_log, "a .*b")
        log.gen_log:warning("a to b, and more")
        log.gen_log:error("a b")
        assert.equal(2, expected.matched)
        assert.is_false(expected.logged_stack)
        local others = testing.expect_log("^[xa]")
        log.app_log:warning("a b")
        log.gen_log:warning("xa b") -- matches at the start, as Python's re.match
        assert.same({ "a b", "xa b" }, others.lines)
    end)

    it("holds for a block, and returns what that does", function()
        local expected = testing.ExpectLog("tornado.general", "careful", { level = "warning" })
        assert.same({ 1, nil, 3 }, { expected:run(function(...)
            gen.moment()
            log.gen_log:warning("careful")
            return ...
        end, 1, nil, 3) })
        testing.expect_log("careful")
        log.gen_log:warning("careful") -- is not for it any more
        assert.equal(1, expected.matched)
    end)

    it("raises when nothing came, unless that is fine", function()
        local ok, err = pcall(function()
            testing.ExpectLog("app", "x"):run(function() end)
        end)
        assert.is_false(ok)
        assert.equal('did not get expected log message: app, "x"', err)
        testing.ExpectLog("app", "x", { required = false }):run(function() end)
        ok, err = pcall(function()
            testing.ExpectLog("app", "x"):run(error, "of the block", 0)
        end)
        assert.is_false(ok)
        assert.equal("of the block", err)
    end)

    it("reports a line of another level", function()
        testing.expect_log("warning",
            '^Got expected log message "x" at unexpected level %(error vs info%)$')
        local expected = testing.ExpectLog("app", "x", { level = "error", required = false })
        log.app_log:info("x")
        assert.equal(0, expected.matched)
    end)

    it("sees tracebacks", function()
        local expected = testing.ExpectLog("app", "(?s)Exception in callback: .*oops")
        ioloop.add_callback(error, "oops")
        gen.moment()
        assert.equal(1, expected.matched)
        assert.is_true(expected.logged_stack)
    end)

    it("refuses what it cannot take", function()
        for _, case in ipairs {
            { "web", "x", nil, 'bad logger: expected Logger, got "web"' },
            { "app", 1, nil, "bad pattern: expected string, got number" },
            { "app", "(", nil, "bad pattern: missing" },
            { "app", "x", { level = "loud" }, 'bad level: "loud"' },
            { "app", "x", { require = true }, 'did you mean "required"' },
        } do
            local ok, err = pcall(testing.ExpectLog, case[1], case[2], case[3])
            assert.is_false(ok)
            assert.truthy(tostring(err):find(case[4], 1, true), err)
        end
    end)
end)
