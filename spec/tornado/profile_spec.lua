-- `ctornado profile`: what a worker of a running server spends its time with.
local escape = require "tornado.escape"
local flamegraph = require "tornado.profile.flamegraph"
local stacks = require "tornado.profile.stacks"
local testing = require "tornado.testing"

local new_folder = dofile "spec/tornado/new_folder.lua"

local run = testing.run_command

-- It computes for most of the time, in a function that is known; and when it is told to.
local SITE = [[
local gen = require "tornado.gen"
local template = require "tornado.template"
local web = require "tornado.web"

local Busy = web.RequestHandler:extend "Busy"

function Busy:initialize()
end

function Busy.burn(n)
    local sum = 0
    for i = 1, n do sum = sum + i %% 7 end
    return sum
end

local page = template.Template("{{ burn(1e6) }}", { name = "page.html" })

local function generator()
    while true do coroutine.yield(page:generate { burn = Busy.burn }) end
end

local function work()
    local next_one = coroutine.wrap(generator)
    while %s do
        next_one()
        gen.sleep(0.001)
    end
end

local Spin = web.RequestHandler:extend "Spin"

function Spin:get()
    while true do end
end

return web.Application {
    { "/", Busy }, { "/spin", Spin }, on_start = function() gen.spawn(work) end,
}
]]

local function read(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read "*a"
    file:close()
    return text
end

local function start(...)
    local command = testing.start_command { ... }
    finally(function()
        if command.pipe then testing.stop_command(command, "INT") end
    end)
    return command
end

-- Serves a site that computes (or rests); returns its folder, the option that finds the server,
-- and its address. The case gets a time that only what hangs takes.
local function serve(busy, ...)
    testing.set_timeout(300)
    local path, put = new_folder(finally)
    put("app.lua", SITE:format(tostring(busy)))
    local control = "--control=" .. path .. "/control"
    local command = start("serve", "--port=0", "--site=" .. path, control, "--stall-warning=0", ...)
    local address = testing.wait_until(function()
        return testing.output_of(command):match(" on http://(%S+)")
    end)
    testing.wait_until(function() return (run { "status", control }) == 0 end)
    return path, control, address
end

local function profile(...)
    return run { "profile", ... }
end

-- As often as it takes: the worker may have had no processor meanwhile. Returns what it prints,
-- to stdout and stderr.
local function profile_of(...)
    local code, out, err
    local options = { ... }
    testing.wait_until(function()
        code, out, err = profile(unpack(options))
        return code == 0 or not err:find("no samples", 1, true)
    end)
    assert.equal(0, code, err)
    return out, err
end

-- Starts a long one, and returns it when it is under way: the question whether it is would be one
-- itself, and may come first.
local function start_profile(control, ...)
    local options = { ... }
    local command
    repeat
        command = start("profile", "5m", control, "--output=/dev/null", unpack(options))
        testing.wait_until(function()
            local _, _, err = profile("50ms", control, "--output=/dev/null", unpack(options))
            return err:find("under way already", 1, true) or not testing.is_running(command)
        end)
    until testing.is_running(command)
    return command
end

-- Ends a profile that was started, by a reload; returns what it prints.
local function end_profile(command, control)
    assert.equal(0, (run { "reload", control }))
    testing.wait_until(function() return not testing.is_running(command) end)
    return testing.output_of(command)
end

-- Python's parser, since there is none here.
local function is_well_formed(path)
    return os.execute("python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' " ..
        path) == 0
end

describe("tornado.profile", function()
    it("names the function that takes the time", function()
        local path, control = serve(true)
        local output = path .. "/out.svg"
        local out, err = profile_of("700ms", control, "--hz=500", "--output=" .. output)
        assert.equal("", err)
        assert.matches("^worker 1, generation 1: %d+ samples%. Lua held the loop for %d+ %%", out)
        assert.matches("with what it calls\n +%d+%.%d %% +%d+%.%d %%  Busy:burn " ..
            path:gsub("%-", "%%-") .. "/app%.lua:10\n", out)
        assert.matches("\nwrote " .. output:gsub("%p", "%%%0") .. ": open it in a browser\n$", out)
        local svg = read(output)
        assert.truthy(is_well_formed(output))
        assert.matches("<title>Busy:burn [^\n]+ samples, %d+%.%d %%", svg)
        assert.truthy(svg:find("<title>all - ", 1, true))
    end)

    it("writes whole stacks, through coroutines, for other tools", function()
        local _, control = serve(true)
        local out, err = profile_of("500ms", control, "--format=collapsed", "--output=-")
        assert.matches("^worker 1", err)
        local path = out:match("[^\n]*;work [^;]*;generator [^;]*;.*;template page%.html;" ..
            "Busy:burn [^\n]* %d+\n")
        assert.truthy(path, out)
        assert.falsy(path:find("tornado/ioloop.lua:", 1, true) and path:find("drain", 1, true))
        for line in out:gmatch "[^\n]+" do assert.matches("^[^ ].* %d+$", line) end
    end)

    it("says so when there is nothing to see", function()
        local path, control = serve(false)
        local code, out, err = profile("200ms", control, "--output=" .. path .. "/none.svg")
        assert.equal("1 ", code .. " " .. out)
        assert.matches("no samples: no Lua code ran in worker 1 for %d+%.%d s", err)
        assert.is_nil(io.open(path .. "/none.svg"))
    end)

    it("finds the busy one of several workers, and any that is named", function()
        local path, control = serve(true, "--workers=2")
        local output = "--output=" .. path .. "/out.svg"
        assert.matches("^worker 2, ", (profile_of("300ms", control, output, "--worker=2")))
        assert.matches("^worker [12], .* Busy:burn ", (profile_of("300ms", control, output)))
        local code, out, err = profile("1s", control, output, "--worker=3")
        assert.equal("1 ctornado: profile: no such worker\n", code .. out .. " " .. err)
    end)

    it("ends when its client is gone", function()
        local _, control = serve(true)
        local first = start_profile(control)
        testing.stop_command(first, "KILL")
        first.pipe = nil
        testing.wait_until(function()
            return (profile("100ms", control, "--output=/dev/null")) == 0
        end)
    end)

    it("ends early when the server is reloaded", function()
        local _, control = serve(true)
        local first = start_profile(control)
        assert.matches("generation 1: .*It ended early: the server was reloaded",
            end_profile(first, control))
        assert.matches("generation 2: ", (profile_of("200ms", control, "--output=/dev/null")))
    end)

    it("says so when its worker ends, and the server goes on", function()
        local _, control = serve(true, "--workers=2")
        local function pid_of(worker)
            local _, out = run { "status", "json", control }
            return escape.json_decode(out).workers[worker].pid
        end
        local first = start_profile(control, "--worker=2")
        assert.equal(0, os.execute("kill -9 " .. pid_of(2)))
        testing.wait_until(function() return not testing.is_running(first) end)
        assert.matches("profile: worker 2 has ended meanwhile, .* the server goes on\n$",
            testing.output_of(first))
        assert.equal(1, testing.stop_command(first))
        first.pipe = nil
    end)

    it("leaves the watchdog at work", function()
        local _, control, address = serve(false, "--cpu-limit=0.3")
        local first = start_profile(control, "--hz=1000")
        local connection = testing.connect(address)
        finally(function() connection:close() end)
        connection:send "GET /spin HTTP/1.1\r\nHost: a\r\n\r\n"
        assert.equal(503, connection:read_response().code)
        assert.matches("calls\n[^\n]+ Spin:get ", end_profile(first, control))
    end)

    it("ends with 2 for what it does not know", function()
        for _, case in ipairs {
            { { "now" }, "profile: expected a time up to 5m, such as 10s, got now" },
            { { "6m" }, "expected a time up to 5m" }, { { "0s" }, "expected a time" },
            { { "1s", "2s" }, "profile takes one argument" },
            { { "1s", "--format=png" }, 'option format: expected svg or collapsed, got "png"' },
            { { "1s", "--hz=5000" }, "option hz: 5000 is out of range %(1 to 1000%)" },
            { { "1s", "--ouput=x" }, 'unknown option "ouput" %(did you mean "output"%?%)' },
            { { "1s", "--port=0" }, "these options name no control socket" },
        } do
            local code, out, err = profile(unpack(case[1]))
            assert.equal("2 ", code .. " " .. out)
            assert.matches("^ctornado: .*" .. case[2], err)
        end
        local code, _, err = profile("1s", "--control=/nonexistent/socket")
        assert.equal(1, code)
        assert.matches("no server answers on /nonexistent/socket", err)
        code, _, err = profile("5m", "--control=/nonexistent/socket", "--output=/nonexistent/a")
        assert.equal(1, code)
        assert.matches("profile: /nonexistent/a: No such file or directory", err)
    end)
end)

describe("tornado.profile.stacks", function()
    -- a(1) -> b(2) -> a(4), and c(8) beside them.
    local result = {
        frames = { "", "a", "b;x", "c <&>" },
        nodes = { 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 1, 4, 0, 3, 8 },
    }

    it("makes a tree, lines, and the list of the highest", function()
        local root = stacks.tree(result)
        assert.equal(15, root.total)
        assert.equal("a 1\na;b,x 2\na;b,x;a 4\nc <&> 8\n", stacks.collapsed(root))
        assert.same({
            { label = "c <&>", own = 8, total = 8 }, { label = "a", own = 5, total = 7 },
        }, stacks.top(root, 2))
    end)

    it("makes a picture that is XML", function()
        local folder, put = new_folder(finally)
        local path = folder .. "/out.svg"
        put("out.svg", flamegraph(stacks.tree(result), "A \255\1 <title>", "& more"))
        assert.truthy(is_well_formed(path))
        assert.matches("<title>c &lt;&amp;&gt; %- 8 samples, 53%.3 %%</title>", read(path))
        assert.matches("A %?%? &lt;title&gt;", read(path))
    end)

    it("leaves out what nobody could see", function()
        local wide = { frames = { "", "wide", "thin" }, nodes = { 0, 0, 0, 0, 1, 1e6, 0, 2, 1 } }
        local svg = flamegraph(stacks.tree(wide), "", "")
        assert.truthy(svg:find("<title>wide", 1, true))
        assert.falsy(svg:find("<title>thin", 1, true))
        assert.equal(1000001, escape.json_decode(svg:match('data%-x="0" data%-w="(%d+)"')))
    end)
end)
