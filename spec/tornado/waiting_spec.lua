-- An asynchronous call works everywhere: in each hook of a handler, in templates and modules, in
-- callbacks, iterators, metamethods. What LuaJIT cannot suspend is in ioloop_spec.lua.
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local template = require "tornado.template"
local testing = require "tornado.testing"
local web = require "tornado.web"

-- A method that waits, and notes that it went on behind.
local function waits(seen, name, fn)
    return function(...)
        gen.sleep(0.001)
        gen.moment()
        seen[name] = (seen[name] or 0) + 1
        if fn then return fn(...) end
    end
end

local function handler(members)
    local class = web.RequestHandler:extend "Waits"
    for name, member in pairs(members) do class[name] = member end
    return class
end

local function serve(members, settings)
    return testing.serve(web.Application({ { "/", handler(members) } }, settings))
end

describe("a handler may wait in", function()
    it("every hook on its way to the reply", function()
        local seen = {}
        local server = serve({
            init = waits(seen, "init"),
            set_default_headers = waits(seen, "set_default_headers"),
            initialize = waits(seen, "initialize"),
            prepare = waits(seen, "prepare"),
            get_current_user = waits(seen, "get_current_user", function() return "ann" end),
            get_user_locale = waits(seen, "get_user_locale"),
            compute_etag = waits(seen, "compute_etag", function() return '"tag"' end),
            on_finish = waits(seen, "on_finish"),
            get = function(self)
                self.locale = self:get_user_locale()
                self:write(self:current_user())
            end,
        }, { log_function = waits(seen, "log_function") })
        for _ = 1, 3 do
            local response = server:fetch("/")
            assert.same({ 200, "ann" }, { response.code, response.body })
        end
        testing.wait_until(function() return seen.on_finish == 3 end)
        for _, name in ipairs { "init", "set_default_headers", "initialize", "prepare",
            "get_current_user", "get_user_locale", "compute_etag", "on_finish", "log_function" } do
            assert.equal(3, seen[name], name)
        end
    end)

    it("write_error, log_exception and what errors call", function()
        local seen = {}
        local server = serve {
            get = function() error("broken") end,
            log_exception = waits(seen, "log_exception"),
            write_error = waits(seen, "write_error", function(self, status)
                self:finish("sorry " .. status)
            end),
        }
        local response = server:fetch("/")
        assert.same({ 500, "sorry 500" }, { response.code, response.body })
        assert.same({ log_exception = 1, write_error = 1 }, seen)
    end)

    it("data_received", function()
        local seen, size = {}, 0
        local server = serve {
            _stream_request_body = true,
            data_received = waits(seen, "data_received", function(_, chunk)
                size = size + #chunk
            end),
            post = function(self) self:write(tostring(size)) end,
        }
        local body = ("x"):rep(200000)
        assert.equal("200000", server:fetch("/", { method = "POST", body = body }).body)
        assert.truthy(seen.data_received >= 1)
    end)

    it("on_connection_close", function()
        local seen, entered = {}, false
        local connection = serve({
            cancel_on_disconnect = true,
            on_connection_close = waits(seen, "close"),
            get = function()
                entered = true
                gen.sleep(60)
            end,
        }):connect()
        connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        testing.wait_until(function() return entered end)
        connection:close(true)
        testing.wait_until(function() return seen.close end)
    end)

    it("templates, their functions, and modules", function()
        local seen = {}
        local loader = template.DictLoader {
            ["page"] = "{% for x in ipairs(list()) %}{{ later(x) }} {% end %}{% module Box(5) %}",
        }
        local Box = web.UIModule:extend "Box"
        Box.render = waits(seen, "module", function(_, n) return "box " .. n end)
        local server = serve({
            get = function(self)
                self:render("page", {
                    list = waits(seen, "list", function() return { 1, 2 } end),
                    later = waits(seen, "later", function(x) return "<" .. x .. ">" end),
                })
            end,
        }, { template_loader = loader, ui_modules = { Box = Box } })
        local pages = gen.all { function() return server:fetch("/").body end,
            function() return server:fetch("/").body end }
        assert.equal("&lt;1&gt; &lt;2&gt; box 5", pages[1])
        assert.equal(pages[1], pages[2])
        assert.same({ module = 2, list = 2, later = 4 }, seen)
    end)
end)

describe("what waits may be called from", function()
    it("callbacks, timers, futures' callbacks and their like", function()
        local seen = {}
        ioloop.add_callback(waits(seen, "callback"))
        ioloop.call_later(0, waits(seen, "timer"))
        gen.maybe_future(1):add_done_callback(waits(seen, "future"))
        local periodic
        periodic = ioloop.PeriodicCallback(waits(seen, "periodic", function()
            periodic:stop()
        end), 1)
        periodic:start()
        testing.wait_until(function()
            return seen.callback and seen.timer and seen.future and seen.periodic
        end)
    end)

    it("pcall, xpcall, iterators, metamethods, and table.foreach", function()
        local seen = {}
        assert.is_true(pcall(waits(seen, "pcall")))
        assert.is_true(xpcall(waits(seen, "xpcall"), debug.traceback))
        local turns = 0
        for _ in waits(seen, "iterator", function(_, i) return not i or nil end) do
            turns = turns + 1
        end
        assert.same({ 1, 2 }, { turns, seen.iterator })
        local object = setmetatable({}, {
            __index = waits(seen, "index"), __newindex = waits(seen, "newindex"),
            __call = waits(seen, "call"), __concat = waits(seen, "concat"),
            __add = waits(seen, "add"), __lt = waits(seen, "lt"), __eq = waits(seen, "eq"),
        })
        object.x = object.y
        assert.same({}, { object(), object .. "x", object + 1 })
        assert.is_false(object < object)
        table.foreach({ 1 }, waits(seen, "foreach"))
        for _, name in ipairs { "pcall", "xpcall", "index", "newindex", "call",
            "concat", "add", "lt", "foreach" } do
            assert.equal(1, seen[name], name)
        end
    end)

    it("coroutines of a program's own", function()
        local function numbers()
            return coroutine.wrap(function()
                for i = 1, 3 do
                    gen.sleep(0.001)
                    coroutine.yield(i)
                end
            end)
        end
        local tasks = {}
        for t = 1, 2 do
            tasks[t] = function()
                local sum = 0
                for i in numbers() do sum = sum + i end
                return sum
            end
        end
        assert.same({ 6, 6 }, gen.all(tasks))
        -- One in the other, with values both ways, errors, and a cancellation.
        local inner = coroutine.create(function(a)
            gen.moment()
            local b = coroutine.yield(a + 1)
            coroutine.wrap(gen.moment)()
            error("after " .. b, 0)
        end)
        assert.same({ true, 2 }, { coroutine.resume(inner, 1) })
        assert.same({ false, "after x" }, { coroutine.resume(inner, "x") })
        assert.equal("dead", coroutine.status(inner))
        local ok, err = pcall(gen.with_timeout, 0.001, coroutine.wrap(gen.sleep), 60)
        assert.is_false(ok)
        assert.equal("TimeoutError: Timeout", tostring(err))
    end)
end)
