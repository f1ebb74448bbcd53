-- tornado.concurrent: futures.
local concurrent = require "tornado.concurrent"

local Future = concurrent.Future

describe("tornado.concurrent", function()
    it("has futures that are done once they have a result", function()
        local future = Future()
        assert.is_false(future:done())
        future:set_result(5)
        assert.is_true(future:done())
        assert.equal(5, future:result())
        assert.is_nil(future:exception())
    end)

    it("has futures that raise the error they were given, any value", function()
        for _, err in ipairs { "text", { a = 1 }, false } do
            local future = Future()
            future:set_exception(err)
            assert.is_true(future:done())
            local ok, raised = pcall(future.result, future)
            assert.is_false(ok)
            assert.equal(err, raised)
            assert.equal(err, future:exception())
        end
    end)

    it("raises for what comes too early or twice, at the caller's line", function()
        local future = Future()
        local ok, err = pcall(function() local x = future:result() return x end)
        assert.is_false(ok)
        assert.matches("concurrent_spec.lua:%d+: the future is not done", err)
        future:set_result(1)
        for _, name in ipairs { "set_result", "set_exception" } do
            ok, err = pcall(function() future[name](future, 2) end)
            assert.is_false(ok)
            assert.matches("concurrent_spec.lua:%d+: the future is done already", err)
        end
        assert.equal(1, future:result())
    end)

    it("calls back once, in order, and at once when done", function()
        local future, seen = Future(), {}
        for i = 1, 3 do
            future:add_done_callback(function(f)
                assert.equal(future, f)
                seen[#seen + 1] = i
            end)
        end
        assert.same({}, seen)
        future:set_result("x")
        assert.same({ 1, 2, 3 }, seen)
        future:add_done_callback(function() seen[#seen + 1] = 4 end)
        assert.same({ 1, 2, 3, 4 }, seen)
    end)

    it("knows futures from other values", function()
        assert.is_true(concurrent.is_future(Future()))
        assert.is_true(concurrent.is_future(Future:extend("Mine")()))
        for _, value in ipairs { 1, "s", {}, print, true } do
            assert.is_false(concurrent.is_future(value))
        end
        assert.is_false(concurrent.is_future(nil))
    end)
end)
