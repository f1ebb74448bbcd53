-- tornado.autoreload.watcher: what is told of changed files, and when.
local core = require "tornado.core"
local gen = require "tornado.gen"
local log = require "tornado.log"
local testing = require "tornado.testing"
local Watcher = require "tornado.autoreload.watcher"

local function shell(command, ...)
    assert.equal(0, os.execute(command:format(...)))
end

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text or "x")
    file:close()
end

-- A folder and a Watcher; `told` is a list of what it said, without the folder.
local function watch()
    local folder = os.tmpname()
    os.remove(folder)
    shell("mkdir %s", folder)
    local told = {}
    local watcher = Watcher(function(changed)
        local short = {}
        for path, kind in pairs(changed) do short[path:sub(#folder + 2)] = kind end
        told[#told + 1] = short
    end)
    finally(function()
        watcher:close()
        shell("rm -rf %s", folder)
    end)
    return watcher, folder, told
end

-- The next thing told.
local function next_of(told)
    testing.wait_until(function() return told[1] end)
    return table.remove(told, 1)
end

describe("tornado.autoreload.watcher", function()
    it("tells of a file that is written, replaced, removed, and made again", function()
        local watcher, folder, told = watch()
        local path = folder .. "/a.lua"
        write(path)
        watcher:watch(path, "code")
        write(path, "in place")
        assert.same({ ["a.lua"] = "code" }, next_of(told))
        write(folder .. "/.a.new")
        assert(os.rename(folder .. "/.a.new", path))
        assert.same({ ["a.lua"] = "code" }, next_of(told))
        os.remove(path)
        assert.same({ ["a.lua"] = "code" }, next_of(told))
        write(path)
        assert.same({ ["a.lua"] = "code" }, next_of(told))
    end)

    it("tells of a burst of changes once, when it is over", function()
        local folder, told, late
        repeat -- where a machine that is busy makes a pause too long
            local watcher
            watcher, folder, told = watch()
            watcher:watch_tree(folder, "code", "%.lua$")
            late = false
            for i = 1, 5 do
                local began = core.precise()
                write(folder .. "/" .. i .. "x.lua")
                gen.sleep(0.02)
                late = late or core.precise() - began > 0.08
            end
        until not late
        assert.same({}, told)
        local all = next_of(told)
        for i = 1, 5 do assert.equal("code", all[i .. "x.lua"]) end
        gen.sleep(0.15)
        assert.same({}, told)
    end)

    it("does not tell of a file while it is written", function()
        local watcher, folder, told = watch()
        watcher:watch_tree(folder, "code")
        local file = assert(io.open(folder .. "/slow", "wb"))
        file:write("one")
        file:flush()
        gen.sleep(0.2)
        assert.same({}, told)
        file:close()
        assert.same({ slow = "code" }, next_of(told))
    end)

    it("sees new folders with what is in them, and nothing else", function()
        local watcher, folder, told = watch()
        watcher:watch_tree(folder, "code", "%.lua$")
        shell("mkdir -p %s/new/deep && echo > %s/new/deep/b.lua && echo > %s/new/b.txt", folder,
            folder, folder)
        assert.same({ ["new/deep/b.lua"] = "code" }, next_of(told))
        for _, name in ipairs { ".c.lua", "c.lua~", "new/c.txt", "4913" } do
            write(folder .. "/" .. name)
        end
        write(folder .. "/new/deep/c.lua")
        assert.same({ ["new/deep/c.lua"] = "code" }, next_of(told))
    end)

    it("waits for a file whose folder is missing, and follows folders that are replaced", function()
        local watcher, folder, told = watch()
        watcher:watch(folder .. "/one/two/./a.html", "code")
        shell("mkdir -p %s/one/two && echo > %s/one/two/a.html", folder, folder)
        assert.equal("code", next_of(told)["one/two/a.html"])
        shell("mv %s/one %s/old", folder, folder)
        assert.equal("code", next_of(told)["one/two/a.html"])
        shell("mkdir -p %s/one/two && echo > %s/one/two/a.html", folder, folder)
        assert.equal("code", next_of(told)["one/two/a.html"])
        write(folder .. "/one/two/a.html")
        assert.equal("code", next_of(told)["one/two/a.html"])
    end)

    it("calls a file what the deepest tree says, or what it was watched as itself", function()
        local watcher, folder, told = watch()
        shell("mkdir %s/static", folder)
        watcher:watch_tree(folder, "code", "%.[lh]%w+$")
        watcher:watch_tree(folder .. "/static", "static")
        watcher:watch(folder .. "/static/page.html", "code")
        write(folder .. "/static/a.lua")
        write(folder .. "/static/page.html")
        write(folder .. "/b.lua")
        assert.same({ ["static/a.lua"] = "static", ["static/page.html"] = "code",
            ["b.lua"] = "code" }, next_of(told))
    end)

    it("is not caught by a folder that leads to itself, nor by two ways to one", function()
        local watcher, folder, told = watch()
        shell("mkdir %s/a && ln -s .. %s/a/up && ln -s a %s/b", folder, folder, folder)
        watcher:watch_tree(folder, "code", "%.lua$")
        watcher:watch(folder .. "/b/x.lua", "code")
        write(folder .. "/a/x.lua")
        local all = next_of(told)
        assert.equal("code", all["a/x.lua"])
        assert.equal("code", all["b/x.lua"])
    end)

    it("says once when the system allows no more", function()
        local watcher, folder = watch()
        local add, count = core.inotify_add, 0
        core.inotify_add = function()
            count = count + 1
            return nil, core.LIMIT
        end
        finally(function() core.inotify_add = add end)
        local expected = testing.ExpectLog(log.gen_log, ".*max_user_watches")
        shell("mkdir %s/a", folder)
        watcher:watch(folder .. "/x.lua", "code")
        watcher:watch_tree(folder .. "/a", "code")
        assert.equal(2, count)
        assert.equal(1, expected.matched)
    end)

    it("says nothing when it was closed", function()
        local watcher, folder, told, began
        repeat
            watcher, folder, told = watch()
            watcher:watch(folder .. "/a", "code")
            began = core.precise()
            write(folder .. "/a")
            gen.sleep(0.05)
            watcher:close()
        until core.precise() - began < 0.09 -- it was not too late
        watcher:close()
        gen.sleep(0.15)
        assert.same({}, told)
    end)
end)
