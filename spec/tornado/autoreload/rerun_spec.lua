-- tornado.autoreload.rerun: scripts that are run again when one of their files changes.
local autoreload = require "tornado.autoreload"
local testing = require "tornado.testing"

describe("tornado.autoreload.rerun", function()
    local folder, command

    local function write(name, text)
        local file = assert(io.open(folder .. "/" .. name, "w"))
        file:write(text)
        file:close()
    end

    local function start(...)
        command = testing.start_command { "run", ... }
        finally(function()
            assert.equal(143, (testing.stop_command(command, "TERM")))
            os.execute("rm -r " .. folder)
        end)
    end

    local function await(text)
        testing.wait_until(function()
            return testing.output_of(command):find(text, 1, true)
        end)
    end

    before_each(function()
        folder = os.tmpname()
        os.remove(folder)
        assert(os.execute("mkdir " .. folder) == 0)
        write("part.lua", "return 'one'")
        write("script.lua", ("package.path = %q .. package.path\n"):format(folder .. "/?.lua;") ..
            "print('says', require 'part', ...)")
    end)

    it("runs it again when it has ended", function()
        start("--autoreload", folder .. "/script.lua", "a b")
        await "says\tone\ta b"
        await "ended with exit code 0"
        write("part.lua", "return 'two'")
        await "part.lua modified; restarting"
        await "says\ttwo\ta b"
    end)

    it("runs it again when it has failed, or could not be read", function()
        write("part.lua", "return (")
        start("--autoreload", folder .. "/script.lua")
        await "ended with exit code 1"
        write("part.lua", "return 'three'")
        await "says\tthree"
        write("script.lua", "print(")
        await "script.lua:1: unexpected symbol"
        write("script.lua", "print 'says four' os.exit(4)")
        await "says four"
        await "ended with exit code 4"
        write("script.lua", "print 'says five'")
        await "says five"
    end)

    it("does so while it waits, too, and calls hooks before", function()
        write("script.lua", [[
            require("tornado.autoreload").add_reload_hook(function() print "hook" end)
            require("tornado.autoreload").start()
            print "begun" io.flush()
            require("tornado.gen").sleep(600)]])
        start(folder .. "/script.lua")
        await "begun"
        write("script.lua", "print 'again' require('tornado.autoreload').wait()")
        await "hook"
        await "again"
        write("script.lua", "print 'last' require('tornado.autoreload').wait()")
        await "last"
    end)

    it("is not for servers", function()
        os.execute("rm -r " .. folder)
        local ok, err = pcall(autoreload.wait)
        assert.is_false(ok)
        assert.matches("wait%(%) is for scripts", err)
    end)
end)
