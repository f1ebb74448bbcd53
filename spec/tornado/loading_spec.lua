-- tornado.loading: modules that wait while they are loaded, and those that require them meanwhile.
local gen = require "tornado.gen"
local loading = require "tornado.loading"
local sites = require "tornado.sites"

local function error_of(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

-- Has require find these chunks.
local function preload(chunks)
    for name, chunk in pairs(chunks) do package.preload[name] = chunk end
    finally(function()
        for name in pairs(chunks) do package.preload[name], package.loaded[name] = nil, nil end
    end)
end

describe("require", function()
    it("is this one, in programs and specs", function()
        assert.equal(loading.require, _G.require)
        assert.equal(loading.dofile, _G.dofile)
    end)

    it("loads once, and lets the module wait", function()
        local count = 0
        preload {
            waits = function(name)
                gen.moment()
                count = count + 1
                return { name = name, inner = require "waits.inner" }
            end,
            ["waits.inner"] = function() gen.sleep(0.001) end,
        }
        local module = require "waits"
        assert.same({ name = "waits", inner = true }, module)
        assert.equal(module, require "waits")
        assert.equal(1, count)
    end)

    it("lets a second coroutine wait for what the first loads", function()
        local count = 0
        preload { slow = function() count = count + 1 gen.sleep(0.002) return { "slow" } end }
        local results = gen.all { function() return require "slow" end,
            function() return require "slow" end, function() return require "slow" end }
        assert.equal(1, count)
        assert.truthy(results[1] == results[2] and results[2] == results[3])
    end)

    it("lets the next one try when the first has failed or was cancelled", function()
        local count = 0
        preload { flaky = function()
            count = count + 1
            gen.sleep(count == 1 and 60 or 0.001)
            if count == 2 then error("second") end
            return "third"
        end }
        local first = gen.spawn(require, "flaky")
        local others = { gen.spawn(require, "flaky"), gen.spawn(require, "flaky") }
        local impatient = gen.spawn(gen.with_timeout, 0, require, "flaky")
        assert.matches("TimeoutError", tostring(error_of(gen.await, impatient)))
        first:cancel()
        error_of(gen.await, first)
        assert.matches("loading_spec.lua:%d+: second", error_of(gen.await, others[1]))
        assert.equal("third", gen.await(others[2]))
    end)

    it("sees circles, in one coroutine and across two", function()
        preload {
            circle = function() return (require "circle.back") end,
            ["circle.back"] = function() return (require "circle") end,
            left = function() gen.moment() return (require "right") end,
            right = function() gen.moment() return (require "left") end,
        }
        assert.matches("loading_spec.lua:%d+: loop or previous error loading module 'circle'",
            error_of(require, "circle"))
        local one = gen.spawn(function() return select(2, pcall(require, "left")) end)
        local two = gen.spawn(function() return select(2, pcall(require, "right")) end)
        assert.matches("loop or previous error loading module", gen.await(one))
        assert.matches("loop or previous error loading module", gen.await(two))
    end)

    it("says where it looked, and what is wrong with a file", function()
        local err = error_of(function() local x = require "no.such.module" return x end)
        assert.matches("^spec/tornado/loading_spec.lua:%d+: module 'no.such.module' not found:\n",
            err)
        assert.matches("no module 'no.such.module' in the binary", err)
        assert.matches("no file '[^\n]*no/such/module.lua'", err)
        assert.matches("bad module name", error_of(require, {}))
        err = error_of(function() local x = require "tornado.tempalte" return x end)
        assert.matches("'tornado.tempalte' not found %(did you mean 'tornado.template'%?%):", err)
        local env = require("tornado.loading").environment "some/site"
        err = error_of(function() local x = env.require "own.part" return x end)
        assert.matches("module 'own.part' not found:\n\tno file 'some/site/own/part.lua'\n" ..
            "\tno file 'some/site/own/part/init.lua'\n\tno field", err)
    end)

    it("of a site waits, too", function()
        local folder = os.tmpname()
        os.remove(folder)
        os.execute("mkdir " .. folder)
        finally(function() os.execute("rm -r " .. folder) end)
        local function put(name, text)
            local file = assert(io.open(folder .. "/" .. name, "w"))
            file:write(text)
            file:close()
        end
        put("app.lua", [[require("tornado.gen").moment()
            return require("tornado.web").Application({}, { made = require "part" })]])
        put("part.lua", [[require("tornado.gen").sleep(0.001) return "part"]])
        local app = assert(sites.load(folder))
        assert.equal("part", app.settings.made)
        put("part.lua", "return (require 'part')")
        assert.matches("part.lua:1: loop or previous error loading module 'part'",
            select(2, sites.load(folder)))
        put("script.lua", "require('tornado.gen').moment() return 1, 2")
        assert.same({ 1, 2 }, { dofile(folder .. "/script.lua") })
        assert.matches("cannot open", error_of(dofile, folder .. "/none.lua"))
    end)
end)
