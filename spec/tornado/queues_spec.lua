-- tornado.queues: order, limits, timeouts, and that no item is ever lost. PARITY §20.
local core = require "tornado.core"
local gen = require "tornado.gen"
local queues = require "tornado.queues"
local util = require "tornado.util"

local Queue = queues.Queue

local function error_of(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

local function is(err, class)
    return util.isinstance(err, class)
end

local function drain(queue)
    local out = {}
    while not queue:empty() do out[#out + 1] = queue:get_nowait() end
    return out
end

describe("queues.Queue", function()
    it("gives items in order", function()
        local queue = Queue()
        assert.is_true(queue:empty())
        assert.is_true(is(error_of(queue.get_nowait, queue), queues.QueueEmpty))
        for i = 1, 5 do queue:put(i) end
        queue:put(false)
        assert.equal(6, queue:qsize())
        assert.is_false(queue:full())
        assert.equal(1, queue:get())
        assert.same({ 2, 3, 4, 5, false }, drain(queue))
        assert.matches("queues_spec.lua:%d+: bad item",
            error_of(function() queue:put(nil) end))
    end)

    it("has a size, whole or not", function()
        local queue = Queue(1.3)
        queue:put_nowait(1)
        assert.is_false(queue:full())
        queue:put_nowait(2)
        assert.is_true(queue:full())
        assert.is_true(is(error_of(queue.put_nowait, queue, 3), queues.QueueFull))
        assert.is_true(is(error_of(queue.put, queue, 3, 0), util.TimeoutError))
        assert.matches("queues_spec.lua:%d+: maxsize can't be negative",
            error_of(function() return (Queue(-1)) end))
        assert.matches("bad maxsize: expected number", error_of(Queue, "1"))
    end)

    it("lets those wait who get, and those who put, in order", function()
        local queue, got, put = Queue(1), {}, {}
        for i = 1, 3 do
            gen.spawn(function()
                local item = queue:get()
                got[#got + 1] = i .. item
            end)
        end
        assert.equal("<Queue maxsize=1 getters[3]>", tostring(queue))
        for _, item in ipairs { "a", "b", "c" } do queue:put_nowait(item) end
        gen.moment()
        assert.same({ "1a", "2b", "3c" }, got)
        queue:put "d"
        for _, item in ipairs { "e", "f" } do
            gen.spawn(function()
                queue:put(item)
                put[#put + 1] = item
            end)
        end
        assert.equal("<Queue maxsize=1 queue[1] putters[2] tasks=4>",
            (tostring(queue):gsub("tasks=%d+", "tasks=4")))
        assert.same({ "d", "e", "f" }, { queue:get(), queue:get(), queue:get() })
        gen.moment()
        assert.same({ "e", "f" }, put)
    end)

    it("loses nothing when who gets is out of time or cancelled", function()
        local queue, timers = Queue(), core.counts().timers
        assert.is_true(is(error_of(queue.get, queue, 0), util.TimeoutError))
        assert.is_true(is(error_of(queue.get, queue, 0.001), util.TimeoutError))
        local cancelled, good = gen.spawn(queue.get, queue), gen.spawn(queue.get, queue)
        cancelled:cancel()
        queue:put "item" -- before the cancelled one has run
        assert.equal("item", gen.await(good))
        error_of(gen.await, cancelled)
        assert.equal(timers, core.counts().timers)

        -- What was handed out already is delivered.
        local handed = gen.spawn(queue.get, queue, 60)
        queue:put "handed"
        handed:cancel()
        assert.equal("handed", gen.await(handed))
        assert.is_true(queue:empty())
    end)

    it("puts nothing when who puts is out of time or cancelled", function()
        local queue = Queue(1)
        queue:put "first"
        assert.is_true(is(error_of(queue.put, queue, "late", 0.001), util.TimeoutError))
        local cancelled = gen.spawn(queue.put, queue, "cancelled")
        local good = gen.spawn(queue.put, queue, "good")
        cancelled:cancel()
        assert.equal("first", queue:get())
        assert.equal("good", queue:get())
        gen.await(good)
        error_of(gen.await, cancelled)
        assert.is_true(queue:empty())
    end)

    it("joins when all tasks are done", function()
        local queue, seen = Queue(), {}
        queue:join()
        for i = 1, 5 do queue:put(i) end
        assert.is_true(is(error_of(queue.join, queue, 0.001), util.TimeoutError))
        gen.scope(function(scope)
            for _ = 1, 2 do
                scope:spawn(function()
                    for item in queue:items() do
                        gen.moment()
                        seen[#seen + 1] = item
                        queue:task_done()
                    end
                end)
            end
            queue:join()
            scope:cancel()
        end)
        assert.same({ 1, 2, 3, 4, 5 }, seen)
        assert.matches("queues_spec.lua:%d+: task_done%(%) called too many times",
            error_of(function() queue:task_done() end))
        queue:join(0)
    end)

    it("gives items of any type to a loop", function()
        local queue, seen = Queue(), {}
        for _, item in ipairs { "a", "b", false, 3 } do queue:put(item) end
        for item in queue:items() do
            seen[#seen + 1] = item
            if #seen == 4 then break end
        end
        assert.same({ "a", "b", false, 3 }, seen)
    end)

    it("passes a hundred thousand items, and keeps none", function()
        local queue, sum = Queue(10), 0
        local consumer = gen.spawn(function()
            for _ = 1, 100000 do sum = sum + queue:get() end
        end)
        for i = 1, 100000 do queue:put(i) end
        gen.await(consumer)
        assert.equal(100000 * 100001 / 2, sum)
        assert.is_nil(next(queue._items))
    end)
end)

describe("queues.LifoQueue", function()
    it("gives the last item first", function()
        local queue = queues.LifoQueue(3)
        for i = 1, 3 do queue:put_nowait(i) end
        assert.is_true(queue:full())
        assert.same({ 3, 2, 1 }, drain(queue))
        queue:put(4)
        assert.equal(4, queue:get())
    end)
end)

describe("queues.PriorityQueue", function()
    it("gives the least item first, of equal ones the older", function()
        local queue = queues.PriorityQueue()
        for _, item in ipairs { { 2, "a" }, { 1, "b" }, { 2, "c" }, { 0, "d" }, { 1, "e" } } do
            queue:put(item)
        end
        local names = {}
        for _, item in ipairs(drain(queue)) do names[#names + 1] = item[2] end
        assert.equal("dbeac", table.concat(names))
    end)

    it("sorts a thousand numbers, and by what it is given", function()
        local function up(a, b) return a < b end
        local function down(a, b) return a > b end
        for _, less in ipairs { up, down } do
            local queue, all = queues.PriorityQueue(0, less), {}
            for i = 1, 1000 do
                all[i] = i * 7919 % 1009
                queue:put(all[i])
            end
            table.sort(all, less)
            assert.same(all, drain(queue))
        end
        assert.matches("bad less", error_of(queues.PriorityQueue, 0, 5))
    end)

    it("has a size and hands items to who waits", function()
        local queue = queues.PriorityQueue(2)
        local getter = gen.spawn(queue.get, queue)
        queue:put(5)
        assert.equal(5, gen.await(getter))
        queue:put(3)
        queue:put(2)
        local putter = gen.spawn(queue.put, queue, 1)
        assert.equal(1, queue:get())
        gen.await(putter)
        assert.same({ 2, 3 }, drain(queue))
    end)
end)
