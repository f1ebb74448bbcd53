-- tornado.concurrent.executor: functions on threads.
local concurrent = require "tornado.concurrent"
local core = require "tornado.core"
local escape = require "tornado.escape"
local executor = require "tornado.concurrent.executor"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local memory = require "tornado.memory"
local testing = require "tornado.testing"
local util = require "tornado.util"
local web = require "tornado.web"

local JOBS = "spec.tornado.concurrent.jobs"

-- An executor for the length of the case, and a call of a job.
local function new(options)
    local one = executor.ThreadPoolExecutor(options)
    local function call(...) return one:run(JOBS, ...) end
    return one, call
end

local function failure(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

describe("tornado.concurrent.executor", function()
    local function call(...) return ioloop.run_in_executor(JOBS, ...) end

    describe("copies", function()
        it("arguments and results, nil in all places", function()
            assert.equal(0, select("#", call("echo")))
            local got = { n = select("#", call("echo", nil, 1, nil)), call("echo", nil, 1, nil) }
            assert.same({ n = 3, nil, 1, nil }, got)
            local value = { 1, "two", { three = { true, false } }, [0.5] = "\0\255", s = "" }
            assert.same(value, call("echo", value))
            assert.equal(escape.null, call("echo", escape.null))
            assert.equal(2 ^ 53, call("echo", 2 ^ 53))
        end)

        it("large strings", function()
            local text = ("0123456789abcdef"):rep(256 * 1024)
            assert.is_true(call("echo", text) == text)
        end)

        it("not functions, coroutines, cycles; at the caller's line", function()
            local cycle = {}
            cycle.self = cycle
            local shared = { 1 }
            for _ = 1, 60 do shared = { shared, shared } end
            for what, value in pairs {
                ["a function"] = print, ["a thread"] = coroutine.create(print),
                ["a table with a cycle, or deeper than 90"] = cycle,
                ["more than 2000000 values"] = shared,
                ["a function "] = { { [1] = print } },
            } do
                local err = failure(function() ioloop.run_in_executor(JOBS, "echo", value) end)
                assert.matches("executor_spec.lua:%d+: bad argument: cannot copy ", err)
                assert.truthy(err:find(what:gsub(" $", ""), 1, true), err)
            end
            assert.matches("bad result: cannot copy a function", failure(call,
                "returns_function").message)
            assert.matches("bad result: cannot copy a table with a cycle",
                failure(call, "cycle").message)
        end)
    end)

    it("raises what was raised, with the thread's traceback", function()
        local err = failure(call, "fail", "too bad")
        assert.is_true(util.isinstance(err, concurrent.ExecutorError))
        assert.matches("concurrent/jobs.lua:%d+: too bad", err.message)
        assert.matches("in function 'deeper'", err.traceback)
        assert.is_nil(err.traceback:find("thread.lua", 1, true))
        err = failure(call, "fail_with_object")
        assert.equal("Own: an object", err.message)
        assert.equal("Own", err.class_name)
    end)

    it("says what is missing", function()
        assert.matches("has no nothing", failure(call, "nothing").message)
        assert.matches("no%.such%.module", failure(ioloop.run_in_executor, "no.such.module",
            "x").message)
        local err = failure(function() ioloop.run_in_executor(print) end)
        assert.matches("executor_spec.lua:%d+: bad module: expected its name, got function", err)
    end)

    it("has all that needs no loop", function()
        local own = require(JOBS).pure()
        assert.same(own, call("pure"))
    end)

    it("raises where something would wait or needs the loop", function()
        for _, name in ipairs { "sleeps", "awaits", "listens" } do
            local err = failure(call, name)
            assert.matches("cannot wait on the thread pool", err.message)
            assert.matches("jobs.lua", err.traceback)
        end
        assert.matches("cannot wait on the thread pool", call("waits_in_a_coroutine"))
    end)

    it("writes what functions log", function()
        local line = testing.expect_log("warning", "^from a thread$")
        assert.equal(1, call("logs"))
        assert.equal(1, #line.lines)
    end)

    it("digests on several threads at a time", function()
        local one = new { max_workers = 4 }
        local want, futures = require(JOBS).hmacs(300), {}
        for i = 1, 8 do futures[i] = one:submit(JOBS, "hmacs", 300) end
        for i = 1, 8 do assert.equal(want, gen.await(futures[i])) end
        one:shutdown()
    end)

    describe("the loop", function()
        local path

        before_each(function()
            path = os.tmpname()
            os.remove(path)
        end)

        after_each(function() os.remove(path) end)

        local function open_gate() assert(io.open(path, "w")):close() end

        it("goes on while a function works", function()
            local one = new { max_workers = 1 }
            local future = one:submit(JOBS, "spin_until", path)
            for _ = 1, 100 do
                gen.moment()
                assert.is_false(future:done())
            end
            open_gate()
            assert.is_true(gen.await(future))
            one:shutdown()
        end)

        it("refuses what the queue has no room for", function()
            local one, run = new { max_workers = 1, max_queue = 1 }
            local first = one:submit(JOBS, "spin_until", path)
            local second = one:submit(JOBS, "echo", 2)
            assert.equal(2, one:load())
            local err = failure(run, "echo", 3)
            assert.is_true(util.isinstance(err, executor.ExecutorFull))
            open_gate()
            assert.is_true(gen.await(first))
            assert.equal(2, gen.await(second))
            one:shutdown()
        end)

        it("forgets a wait that is cancelled, and a call that has not begun", function()
            local one = new { max_workers = 1 }
            local begun = path .. ".begun"
            local errors = {}
            local co
            local function wait(...)
                co = coroutine.running()
                errors[#errors + 1] = failure(one.run, one, JOBS, ...)
            end
            local first = gen.spawn(wait, "spin_until", path, begun)
            testing.wait_until(function() return io.open(begun) end):close()
            os.remove(begun)
            ioloop.cancel(ioloop.waiter_of(co), "enough")
            gen.await(first)
            local second = gen.spawn(wait, "spin_until", path)
            assert.equal(2, one:load())
            ioloop.cancel(ioloop.waiter_of(co), "enough")
            gen.await(second)
            assert.same({ "enough", "enough" }, errors)
            assert.equal(1, one:load())
            open_gate()
            testing.wait_until(function() return one:load() == 0 end)
            one:shutdown()
        end)

        it("ends an executor behind its calls", function()
            local one = new { max_workers = 1 }
            local future = one:submit(JOBS, "spin_until", path)
            one:shutdown()
            assert.matches("was shut down", failure(one.run, one, JOBS, "echo").message)
            open_gate()
            assert.is_true(gen.await(future))
            one:shutdown()
        end)
    end)

    it("keeps modules until reset()", function()
        local one, run = new { max_workers = 1 }
        assert.equal(1, run("count"))
        assert.equal(2, run("count"))
        one:reset()
        assert.equal(1, run("count"))
        one:shutdown()
    end)

    it("stops a function at its timeout, whatever it catches", function()
        local one, run = new { max_workers = 2, timeout = 0.02 }
        for _, name in ipairs { "endless", "stubborn" } do
            local err = failure(run, name)
            assert.is_true(util.isinstance(err, util.TimeoutError))
            assert.matches("took longer than executor_timeout %(.*jobs%." .. name, err.message)
            assert.matches("jobs.lua:%d+:", err.traceback)
        end
        assert.equal(5, run("echo", 5))
        one:shutdown()
    end)

    it("stops a cancelled function that has a timeout", function()
        local one = new { max_workers = 1, timeout = 1000 }
        local co
        local future = gen.spawn(function()
            co = coroutine.running()
            return pcall(one.run, one, JOBS, "endless")
        end)
        testing.wait_until(function() return one:load() == 1 end)
        ioloop.cancel(ioloop.waiter_of(co), "enough")
        assert.is_false(gen.await(future))
        testing.wait_until(function() return one:load() == 0 end)
        one:shutdown()
    end)

    describe("memory_limit", function()
        local MB = 2 ^ 20

        local function is_full(err)
            assert.is_true(util.isinstance(err, memory.MemoryLimitError), tostring(err))
            return err.message
        end

        for _, timeout in ipairs { 0, 60 } do
            for _, what in ipairs { "many tables", "strings of a megabyte", "arrays of the FFI",
                "one string of a gigabyte", "a pcall around it, again and again" } do
                it(("ends a call that needs more: %s, timeout %d"):format(what, timeout), function()
                    local one, ask = new { max_workers = 1, memory_limit = 8 * MB,
                        timeout = timeout }
                    assert.matches("^lua_memory_limit: ", is_full(failure(ask, "greedy", what)))
                    assert.equal(1, ask("count")) -- by a new state
                    one:shutdown()
                end)
            end

            it("is reached by no garbage, timeout " .. timeout, function()
                local one, ask = new { max_workers = 1, memory_limit = 8 * MB, timeout = timeout }
                for kept = 1, 4 do ask("wasteful", kept * MB, 20 * MB) end
                one:shutdown()
            end)
        end

        it("can be caught in the function", function()
            local one, ask = new { max_workers = 1, memory_limit = 8 * MB }
            local ok, err = ask("prudent")
            assert.is_false(ok)
            assert.matches("MemoryLimitError: lua_memory_limit: more than 8 MiB are in use", err)
            one:shutdown()
        end)

        it("is lua_memory_limit if nobody says", function()
            local limit = memory.limit
            finally(function() memory.limit = limit end)
            memory.limit = function() return 8 * MB end
            local one, ask = new { max_workers = 1 }
            local any, ask_any = new { max_workers = 1, memory_limit = 0 }
            is_full(failure(ask, "wasteful", 16 * MB, 0))
            ask_any("wasteful", 16 * MB, 0)
            one:shutdown()
            any:shutdown()
        end)
    end)

    it("takes another executor first, as Tornado does", function()
        local one = new { max_workers = 1 }
        local loop = ioloop.IOLoop.current()
        assert.equal(1, loop:run_in_executor(one, JOBS, "echo", 1))
        assert.equal(1, loop:run_in_executor(nil, JOBS, "echo", 1))
        assert.equal(1, loop:run_in_executor(concurrent.dummy_executor, JOBS, "echo", 1))
        assert.equal(2, gen.await(concurrent.dummy_executor:submit(JOBS, "echo", 2)))
        one:shutdown()
    end)

    it("makes methods that run there", function()
        local Worker = util.Object:extend "Worker"
        Worker.echo = concurrent.run_on_executor(JOBS, "echo")
        Worker.here = concurrent.run_on_executor(JOBS, "echo", { executor = "mine" })
        local one = new { max_workers = 1 }
        local worker = Worker()
        worker.executor, worker.mine = one, concurrent.DummyExecutor()
        assert.equal(5, gen.await(worker:echo(5)))
        assert.equal(6, gen.await(worker:here(6)))
        one:shutdown()
    end)

    it("lets other requests pass one that works hard", function()
        local path, begun = os.tmpname(), os.tmpname()
        os.remove(path)
        os.remove(begun)
        local Hard, Easy = web.RequestHandler:extend "Hard", web.RequestHandler:extend "Easy"
        local order = {}
        function Hard:get()
            self:write(tostring(call("spin_until", path, begun)))
            order[#order + 1] = "hard"
        end
        function Easy:get()
            order[#order + 1] = "easy"
            self:write("easy")
        end
        local server = testing.serve(web.Application { { "/hard", Hard }, { "/easy", Easy } })
        local hard = gen.spawn(server.fetch, server, "/hard")
        testing.wait_until(function() return core.file_kind(begun) end)
        for _ = 1, 20 do assert.equal("easy", server:fetch("/easy").body) end
        assert.same({ 20, "easy" }, { #order, order[20] })
        assert(io.open(path, "w")):close()
        assert.equal("true", gen.await(hard).body)
        assert.equal("hard", order[21])
        os.remove(path)
        os.remove(begun)
    end)

    it("rejects bad options", function()
        for text, options in pairs {
            ["bad max_workers: expected a number from 1 to 256, got 0"] = { max_workers = 0 },
            ["bad max_queue"] = { max_queue = -1 },
            ["bad timeout"] = { timeout = "1" },
            ['unknown option "workers"'] = { workers = 1 },
        } do
            local err = failure(function()
                local one = concurrent.ThreadPoolExecutor(options)
                return one
            end)
            assert.matches("executor_spec.lua:%d+: ", err)
            assert.truthy(err:find(text, 1, true), err)
        end
    end)

    it("does not hold up the end of the process", function()
        local path, begun = os.tmpname(), os.tmpname()
        os.remove(begun)
        local file = assert(io.open(path, "w"))
        file:write(([[
            local concurrent, gen = require "tornado.concurrent", require "tornado.gen"
            local one = concurrent.ThreadPoolExecutor { max_workers = 1 }
            one:submit("spec.tornado.concurrent.jobs", "endless", %q)
            while not io.open(%q) do gen.sleep(0.001) end
            print "done"
        ]]):format(begun, begun))
        file:close()
        local code, out, err = testing.run_command { "run", path }
        os.remove(path)
        os.remove(begun)
        assert.equal("done\n", out)
        assert.equal(0, code)
        assert.matches("a thread is still at work", err)
    end)
end)
