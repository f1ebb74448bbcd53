-- on_start and on_stop of applications: order, waiting, errors, deadlines; by serve and in specs.
local core = require "tornado.core"
local gen = require "tornado.gen"
local lifecycle = require "tornado.web.lifecycle"
local testing = require "tornado.testing"
local web = require "tornado.web"

-- Sites (name -> text of app.lua) in a folder for the length of the case; returns that folder.
local function folder(list)
    local root = os.tmpname()
    os.remove(root)
    for name, text in pairs(list) do
        os.execute(("mkdir -p %s/%s"):format(root, name))
        local file = assert(io.open(("%s/%s/app.lua"):format(root, name), "w"))
        file:write(text)
        file:close()
    end
    finally(function() os.execute("rm -rf " .. root) end)
    return root
end

local function start(...)
    local command = testing.start_command { "serve", "--port=0", ... }
    finally(function()
        if command.pipe then testing.stop_command(command, "KILL") end
    end)
    return command
end

local function address_of(command)
    return testing.wait_until(function()
        return testing.output_of(command):match(" on http://(%S+)")
    end)
end

local function stop(command, signal)
    local code, text = testing.stop_command(command, signal)
    command.pipe = nil
    return code, text
end

local SITE = [[
    local gen, log = require "tornado.gen", require "tornado.log"
    local web = require "tornado.web"
    local Main = web.RequestHandler:extend "Main"
    function Main:get()
        gen.sleep(tonumber(self:get_argument("seconds", "0")))
        self:write(self.application.database)
    end
    return web.Application {
        { "/%s", Main },
        on_start = function(app)
            gen.sleep(0.01)
            app.database = "open"
            log.app_log:info("%s starts")
        end,
        on_stop = function(app)
            gen.sleep(0.01)
            log.app_log:info("%s stops, " .. app.database)
        end,
    }
]]

describe("an application", function()
    it("starts before the first request and stops behind the last; both may wait", function()
        local seen = {}
        local app
        app = web.Application({ { "GET /", function(self) self:write(seen[1]) end },
            on_start = function(given)
                gen.sleep(0.001)
                seen[1] = given == app and "started" or "?"
            end,
        }, {
            on_stop = function(given)
                gen.sleep(0.001)
                seen[2] = given == app and "stopped" or "?"
            end,
        })
        local server = testing.serve(app)
        assert.equal("started", server:fetch("/").body)
        assert.same({ "started" }, seen)
        server:stop()
        server:stop()
        assert.same({ "started", "stopped" }, seen)
    end)

    it("has them as methods of its class, too", function()
        local Mine = web.Application:extend "Mine"
        function Mine:on_start() self.started = true end
        function Mine:on_stop() self.started = false end
        local app = Mine {}
        local server = testing.serve(app)
        assert.is_true(app.started)
        server:stop()
        assert.is_false(app.started)
        server = testing.serve(web.Application {})
        server:stop()
    end)

    it("refuses hooks that are no functions", function()
        local _, err = pcall(function() return { web.Application { on_start = 5 } } end)
        assert.matches("lifecycle_spec.lua:%d+: bad on_start: expected function, got number", err)
        _, err = pcall(function() return { web.Application({}, { on_stop = "x" }) } end)
        assert.matches("bad on_stop: expected function, got string", err)
    end)

    it("says where on_start failed, and those that had started stop", function()
        local order = {}
        local function app(name, fn)
            return { index = name, app = web.Application { on_start = function()
                order[#order + 1] = "start " .. name
                if fn then fn() end
            end, on_stop = function() order[#order + 1] = "stop " .. name end } }
        end
        -- Mounts are in the order of their prefixes; hooks follow the configuration's.
        local mounts = { list = { app(2), app(3, function() error("no") end), app(1), app(4) } }
        local ok, why = lifecycle.start(mounts)
        assert.is_nil(ok)
        assert.matches("^on_start: .*lifecycle_spec.lua:%d+: no\nstack traceback", why)
        assert.same({ "start 1", "start 2", "start 3", "stop 2", "stop 1" }, order)
        lifecycle.stop(mounts)
        assert.equal(5, #order)
        local _, err = pcall(testing.serve, mounts.list[2].app)
        assert.matches("on_start: .*: no", err)
    end)

    it("stops in spite of errors, and in time", function()
        local ended
        local late = { index = 1, app = web.Application { on_stop = function()
            local ok, err = pcall(gen.sleep, 60)
            ended = not ok
            error(err, 0)
        end } }
        local bad = { index = 2, app = web.Application {
            on_stop = function() error("broken") end,
        } }
        local mounts = { list = { late, bad } }
        assert.is_true(lifecycle.start(mounts))
        testing.expect_log("error", "^on_stop: .*lifecycle_spec.lua:%d+: broken\nstack")
        testing.expect_log("error", "^on_stop: TimeoutError")
        local began = core.precise()
        lifecycle.stop(mounts, 0.02)
        assert.is_true(core.precise() - began < 25)
        assert.is_true(ended)
    end)
end)

describe("ctornado serve", function()
    it("runs the hooks of its sites, the first that starts stops last", function()
        local root = folder { a = SITE:gsub("%%s", "a"), b = SITE:gsub("%%s", "b") }
        local file = assert(io.open(root .. "/conf", "w"))
        file:write(('sites = { { path = "%s/a" }, { path = "%s/b", prefix = "/in" } }'):format(root,
            root))
        file:close()
        local command = start("--config=" .. root .. "/conf")
        local address = address_of(command)
        local connection = testing.connect(address)
        finally(function() connection:close() end)
        connection:send("GET /in/b HTTP/1.1\r\nHost: a\r\n\r\nGET /a?seconds=0.2 HTTP/1.1\r\n"
            .. "Host: a\r\n\r\n")
        assert.equal("open", connection:read_response().body)
        os.execute("kill -TERM " .. command.pid)
        assert.equal("open", connection:read_response().body)
        local code, text = stop(command, "CONT")
        assert.equal(0, code)
        assert.matches("a starts.*b starts.* on http://.*stopping: 1 request.*b stops, open.*"
            .. "a stops, open", text)
    end)

    it("does not serve when on_start fails", function()
        local root = folder { a = [[
            local web = require "tornado.web"
            return web.Application { on_start = function()
                require("tornado.gen").sleep(0.001)
                error("no database")
            end }
        ]] }
        local code, out, err = testing.run_command { "serve", "--port=0", "--site=" .. root ..
            "/a" }
        assert.same({ 1, "" }, { code, out })
        assert.matches("^ctornado: " .. root:gsub("%p", "%%%0") .. "/a/app.lua: on_start: ", err)
        assert.matches("a/app.lua:4: no database\nstack traceback", err)
        assert.is_nil(err:find(" on http://", 1, true))
    end)

    it("can be ended while it starts; stops what started when it cannot listen", function()
        local root = folder {
            a = [[
                local web, log = require "tornado.web", require "tornado.log"
                return web.Application { on_start = function()
                    log.app_log:info("begins")
                    require("tornado.gen").sleep(60)
                end }
            ]],
            b = SITE:gsub("%%s", "b"),
        }
        local command = start("--site=" .. root .. "/a")
        testing.wait_until(function() return testing.output_of(command):find "begins" end)
        local code = stop(command, "TERM")
        assert.equal(0, code)
        local _, _, err = testing.run_command { "serve", "--address=nonsense", "--site=" .. root ..
            "/b" }
        assert.matches("b starts.*b stops, open.*nonsense", err)
    end)

    it("does not run hooks for check", function()
        local root = folder { a = [[
            return require("tornado.web").Application { on_start = function() error("no") end }
        ]] }
        assert.equal(0, (testing.run_command { "check", "--site=" .. root .. "/a" }))
    end)
end)
