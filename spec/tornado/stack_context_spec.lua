-- tornado.stack_context: values and contexts that follow through waits, tasks and callbacks.
-- PARITY §23.
local concurrent = require "tornado.concurrent"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local stack_context = require "tornado.stack_context"
local testing = require "tornado.testing"
local util = require "tornado.util"
local web = require "tornado.web"

local get, set, run = stack_context.get, stack_context.set, stack_context.run

local function error_of(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

describe("stack_context values", function()
    it("are those of run, and not there before and behind", function()
        assert.is_nil(get "a")
        assert.same({ 1, 2 }, { run({ a = 1 }, function(x)
            run({ b = 2 }, function() assert.same({ 1, 2 }, { get "a", get "b" }) end)
            assert.is_nil(get "b")
            assert.equal("bad", error_of(run, { a = 5 }, error, "bad", 0))
            assert.equal(1, get "a")
            return get "a", x
        end, 2) })
        assert.is_nil(get "a")
    end)

    it("follow through waits, tasks, callbacks, timers and futures", function()
        local seen, go = {}, concurrent.Future()
        local function note(name) return function() seen[name] = get "who" end end
        run({ who = "me" }, function()
            gen.spawn(function()
                gen.moment()
                note "task"()
                gen.spawn(note "grandchild")
            end)
            ioloop.add_callback(note "callback")
            ioloop.call_later(0, note "timer")
            go:add_done_callback(note "future")
            gen.with_timeout(5, function() gen.moment() note "timeout"() end)
            gen.scope(function(scope) scope:spawn(note "scope") end)
        end)
        run({ who = "other" }, function() go:set_result(nil) gen.moment() end)
        testing.wait_until(function() return seen.timer and seen.grandchild end)
        for _, name in ipairs { "task", "grandchild", "callback", "timer", "future", "timeout",
            "scope" } do
            assert.equal("me", seen[name], name)
        end
        ioloop.spawn_callback(function() seen.none = get "who" == nil end)
        gen.moment()
        assert.is_true(seen.none)
    end)

    it("are a task's own once it sets them", function()
        run({ n = 0 }, function()
            local child
            local task = gen.spawn(function()
                set("n", 1)
                child = gen.spawn(function() gen.moment() return get "n" end)
                set("n", 2)
                gen.moment()
                return get "n"
            end)
            assert.equal(0, get "n")
            assert.equal(2, gen.await(task))
            assert.equal(1, gen.await(child))
            assert.equal(0, get "n")
        end)
        assert.matches("stack_context_spec.lua:%d+: bad key",
            error_of(function() set(nil, 1) end))
    end)

    it("are kept by wrap, wherever the function is called", function()
        local fn = run({ a = 1 }, function()
            local wrapped = stack_context.wrap(function(x) return get "a", x end)
            assert.equal(wrapped, stack_context.wrap(wrapped))
            return wrapped
        end)
        assert.same({ 1, 2 }, { fn(2) })
        run({ a = 5 }, function() assert.equal(1, (fn())) end)
        assert.is_nil(stack_context.wrap(nil))
    end)
end)

describe("a request", function()
    -- What a handler and all that it starts log, as "text id".
    it("is known in what its handler starts, and its id stands in their log lines", function()
        local lines, requests, done = {}, {}, 0
        local Handler = web.RequestHandler:extend "Handler"
        function Handler:get()
            requests[self.request.path] = self.request
            assert(get "request" == self.request and get "handler" == self)
            log.app_log:info("%s", self.request.path)
            gen.spawn(function()
                gen.sleep(0.002)
                log.app_log:info("%s", self.request.path)
                assert(get "request_id" == self.request.id)
                ioloop.add_callback(function()
                    log.app_log:info("%s", self.request.path)
                    done = done + 1
                end)
            end)
            gen.moment()
            self:write(self.request.id)
        end
        local server = testing.serve(web.Application { { "/.*", Handler } })
        local before = log.set_filter(function(_, name, text, id)
            if name == "app" then lines[#lines + 1] = { text, id } end
            return true
        end)
        finally(function() log.set_filter(before) end)
        gen.all { function() server:fetch("/a") end, function() server:fetch("/b") end }
        testing.wait_until(function() return done == 2 end)
        assert.equal(6, #lines)
        for _, line in ipairs(lines) do assert.equal(requests[line[1]].id, line[2]) end
        assert.is_nil(get "request")
        log.app_log:info("outside")
        assert.is_nil(lines[7][2])
    end)
end)

describe("contexts", function()
    it("StackContext is entered around each callback that is made inside", function()
        local depth, most, entered = 0, 0, 0
        local context = stack_context.StackContext(function()
            depth, entered = depth + 1, entered + 1
            most = math.max(most, depth)
            return function() depth = depth - 1 end
        end)
        local inside = {}
        stack_context.with(context, function()
            inside[1] = depth
            ioloop.add_callback(function()
                inside[2] = depth
                ioloop.call_later(0, function() inside[3] = depth end)
            end)
        end)
        assert.equal(0, depth)
        testing.wait_until(function() return inside[3] end)
        assert.same({ 1, 1, 1 }, inside)
        assert.same({ 0, 1, 3 }, { depth, most, entered })
    end)

    it("StackContext does nothing any more once it is deactivated", function()
        local entered, seen = 0, false
        stack_context.with(stack_context.StackContext(function() entered = entered + 1 end),
            function(deactivate)
                deactivate()
                ioloop.add_callback(function() seen = true end)
            end)
        gen.moment()
        assert.is_true(seen)
        assert.equal(1, entered)
    end)

    it("ExceptionStackContext gets what is raised inside, the inner one first", function()
        local order = {}
        local Mine = util.Error:extend "Mine"
        local function catcher(name, swallows)
            return stack_context.ExceptionStackContext(function(class, err, trace)
                assert(class == Mine and util.isinstance(err, Mine) and trace)
                order[#order + 1] = name
                return swallows
            end)
        end
        stack_context.with(catcher("outer", true), function()
            stack_context.with(catcher("inner", false), function()
                ioloop.add_callback(function() error(Mine "bad", 0) end)
                gen.spawn(function() gen.moment() error(Mine "bad", 0) end)
            end)
            gen.moment()
            gen.moment()
            error(Mine "bad", 0)
        end)
        assert.same({ "inner", "outer", "inner", "outer", "outer" }, order)
    end)

    it("ExceptionStackContext lets what it does not want pass", function()
        local context = stack_context.ExceptionStackContext(function() end)
        assert.equal("bad", error_of(stack_context.with, context, function() error("bad", 0) end))
        assert.matches("bad handler", error_of(stack_context.ExceptionStackContext, 1))
        assert.matches("bad factory", error_of(stack_context.StackContext, 1))
    end)

    it("NullContext is without any", function()
        local entered = 0
        local context = stack_context.StackContext(function() entered = entered + 1 end)
        run({ a = 1 }, stack_context.run_with_stack_context, context, function()
            stack_context.with(stack_context.NullContext(), function()
                assert.is_nil(get "a")
                ioloop.add_callback(function() assert(get "a" == nil) end)
            end)
            assert.equal(1, get "a")
            gen.moment()
        end)
        assert.equal(1, entered)
    end)
end)
