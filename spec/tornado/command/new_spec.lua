-- `ctornado new`: the site that it makes is good, has specs that pass, and says what to do next.
local testing = require "tornado.testing"

local run = testing.run_command

local function place()
    local path = os.tmpname()
    os.remove(path)
    finally(function() os.execute("chmod -R u+w " .. path .. " && rm -rf " .. path) end)
    return path
end

describe("tornado.command.new", function()
    it("makes a site that passes", function()
        local path = place() .. "/a site"
        local code, out, err = run { "new", path .. "/" }
        assert.equal("0 ", code .. " " .. err)
        assert.truthy(out:find("made a site in " .. path .. ": app.lua, templates/", 1, true))
        -- as the program was called: in a PATH it need not be
        assert.truthy(out:match("\n  (/%S+) test '"), out)
        assert.truthy(out:find(" test '" .. path .. "'/spec ", 1, true))
        code, out, err = run { "check", "--site=" .. path }
        assert.equal("0 " .. path .. ": good, 2 templates\n", code .. " " .. out .. err)
        code, out = run { "test", path .. "/spec" }
        assert.equal(0, code)
        assert.matches("3 successes / 0 failures / 0 errors", out)
        code, out = run { "routes", "--site=" .. path }
        assert.equal(0, code)
        assert.matches("GET +/api/hello/%(%[%^/%]%+%) +Greeting +[^\n]+/app.lua:%d+ +greeting\n",
            out)
    end)

    it("needs no good configuration, and takes an empty folder", function()
        local path = place()
        os.execute("mkdir " .. path)
        assert.equal(0, (run { "new", path, "--config=/nonexistent" }))
    end)

    it("leaves alone what is there", function()
        local path = place()
        os.execute("mkdir " .. path .. " && touch " .. path .. "/mine")
        local code, out, err = run { "new", path }
        assert.equal("1 ", code .. " " .. out)
        assert.equal("ctornado: new: " .. path .. " is not empty (it has mine): give the name " ..
            "of a new folder\n", err)
        code, out, err = run { "new", path .. "/mine" }
        assert.equal("1 ctornado: new: " .. path .. "/mine is a file\n", code .. " " .. out .. err)
        code, out, err = run { "new", path .. "/mine/x" }
        assert.equal("1 ", code .. " " .. out)
        assert.matches("^ctornado: new: .*mine/x: [^\n]+\n$", err)
    end)

    it("ends with 2 when it is not told where", function()
        for _, arguments in ipairs { { "new" }, { "new", "a", "b" }, { "new", "" } } do
            local code, out, err = run(arguments)
            assert.equal("2 ", code .. " " .. out)
            assert.matches("^ctornado: new takes one argument, the folder to make", err)
        end
    end)
end)
