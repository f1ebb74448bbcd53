-- tornado.process: child processes, by real programs.
local core = require "tornado.core"
local files = require "tornado.files"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local process = require "tornado.process"
local testing = require "tornado.testing"
local util = require "tornado.util"

local Subprocess = process.Subprocess

local function failure(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

local function shell(script, options)
    return Subprocess({ "/bin/sh", "-c", script }, options)
end

-- What a script prints, by way of a file.
local function output_of(script, options)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    options = options or {}
    options.stdout = file
    local one = shell(script, options)
    file:close()
    local code = one:wait()
    local text = files.read(path)
    os.remove(path)
    return text, code
end

-- Whether a process is there, and no zombie.
local function lives(pid)
    local file = io.open(("/proc/%d/stat"):format(pid))
    if not file then return false end
    local state = (file:read("*a") or ""):match("%) (%a)")
    file:close()
    return state ~= nil and state ~= "Z"
end

local function zombies()
    local count = 0
    local pipe = io.popen("cat /proc/[0-9]*/stat 2> /dev/null")
    local file = io.open("/proc/self/stat")
    local own = file:read("*n")
    file:close()
    for line in pipe:lines() do
        local state, parent = line:match("%) (%a) (%d+)")
        if state == "Z" and tonumber(parent) == own then count = count + 1 end
    end
    pipe:close()
    return count
end

describe("tornado.process", function()
    it("counts the CPUs that it may use", function()
        local file = assert(io.open("/proc/self/status"))
        local status = file:read("*a")
        file:close()
        local first = status:match "Cpus_allowed_list:%s*(%d+)"
        local pid = status:match "\nPid:%s*(%d+)"
        local script = os.tmpname()
        file = assert(io.open(script, "w"))
        file:write("print(require('tornado.process').cpu_count())")
        file:close()
        local _, out = process.run { "taskset", "-c", first, "/proc/" .. pid .. "/exe", "run",
            script }
        os.remove(script)
        assert.equal("1\n", out)
    end)

    it("counts CPUs, has no task, and does not fork", function()
        assert.is_true(process.cpu_count() >= 1)
        assert.is_nil(process.task_id())
        assert.matches("process_spec.lua:%d+: .*option workers", failure(function()
            process.fork_processes(2)
        end))
    end)

    it("waits for the exit code", function()
        for code = 0, 3 do
            local one = shell("exit " .. code)
            assert.is_true(one.pid > 0)
            assert.is_nil(one.returncode)
            assert.equal(code, one:wait_for_exit { raise_error = false })
            assert.equal(code, one.returncode)
            assert.equal(code, one:wait())
            assert.is_false(one:kill())
        end
        assert.equal(-9, shell("kill -9 $$"):wait())
    end)

    it("raises CalledProcessError for a code that is not 0", function()
        assert.equal(0, shell("exit 0"):wait_for_exit())
        local one = shell "exit 7"
        local err = failure(one.wait_for_exit, one)
        assert.is_true(util.isinstance(err, process.CalledProcessError))
        assert.equal(7, err.returncode)
        assert.equal(one.pid, err.pid)
        assert.equal("exit 7", err.cmd[3])
        assert.equal('Command "/bin/sh" exited with status 7', err.message)
        one = shell "kill -TERM $$"
        assert.matches("was killed by signal 15", failure(one.wait_for_exit, one).message)
    end)

    it("calls back once, also when it has ended already", function()
        local one, codes = shell "exit 4", {}
        one:set_exit_callback(function(code) codes[#codes + 1] = code end)
        testing.wait_until(function() return codes[1] end)
        one:set_exit_callback(function(code) codes[#codes + 1] = code + 1 end)
        gen.moment()
        gen.moment()
        assert.same({ 4, 5 }, codes)
    end)

    it("gives children none of the server's descriptors", function()
        local run = Subprocess({ "/proc/self/exe", "run", "spec/tornado/process/inheritors.lua" },
            { stdout = Subprocess.STREAM })
        local children = 0
        for number, name in run.stdout:read_until_close():gmatch "(%d+) %-> (%S+)" do
            if number == "0" then children = children + 1 end
            assert.is_true(tonumber(number) < 3 or name:match "^/proc/%d+/fd$" ~= nil,
                number .. " is " .. name)
        end
        assert.equal(3, children)
        assert.equal(0, run:wait())
    end)

    it("says at once what cannot be started", function()
        for text, fn in pairs {
            ["/no/such/program: No such file or directory"] = function()
                Subprocess { "/no/such/program" }
            end,
            ["nosuchprogram: No such file or directory"] = function()
                Subprocess "nosuchprogram"
            end,
            ["/etc/passwd: Permission denied"] = function() Subprocess { "/etc/passwd" } end,
            ["/no/such/folder: No such file or directory"] = function()
                Subprocess({ "/bin/true" }, { cwd = "/no/such/folder" })
            end,
            ["/bin/true: Bad file descriptor"] = function()
                Subprocess({ "/bin/true" }, { stdout = 99999 })
            end,
        } do
            local err = failure(fn)
            assert.is_true(util.isinstance(err, process.ProcessError), tostring(err))
            assert.equal(text, err.message)
            assert.is_true(err.errno > 0)
        end
    end)

    it("raises for bad arguments at the caller's line", function()
        for text, fn in pairs {
            ["bad arguments: expected a list"] = function() Subprocess() end,
            ["bad argument 2: expected string, got table"] = function()
                Subprocess { "/bin/true", {} }
            end,
            ["bad argument 1: expected string"] = function() Subprocess { "a\0b" } end,
            ['unknown option "shell"'] = function() Subprocess({ "x" }, { shell = true }) end,
            ["bad stdin: expected STREAM"] = function() Subprocess({ "x" }, { stdin = "y" }) end,
            ["bad name in env"] = function() Subprocess({ "x" }, { env = { ["a=b"] = 1 } }) end,
        } do
            local err = failure(fn)
            assert.matches("process_spec.lua:%d+: ", tostring(err))
            assert.truthy(err:find(text, 1, true), err)
        end
    end)

    it("gives folder, environment and the file of another program", function()
        assert.equal("/usr\n", output_of("pwd", { cwd = "/usr" }))
        assert.equal("1 x=y\n", output_of("echo $A $B $HOME",
            { env = { A = 1, B = "x=y" } }))
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        Subprocess({ "name", "-c", "echo $0" }, { executable = "/bin/sh", stdout = file }):wait()
        file:close()
        assert.equal("name\n", files.read(path))
        os.remove(path)
        assert.equal("both\n", output_of("echo both >&2", { stderr = Subprocess.STDOUT }))
        assert.equal("", output_of("cat", { stdin = Subprocess.NULL }))
    end)

    it("starts with clean signals and no other descriptors", function()
        local text = output_of("grep -E '^Sig(Blk|Ign)' /proc/self/status")
        -- But for 32 and 33, which are the C library's own.
        for value in text:gmatch("%x+\n") do assert.matches("0000000\n$", value) end
        -- ls itself opens the folder.
        assert.equal("0\n1\n2\n3\n", output_of("exec /bin/ls /proc/self/fd"))
    end)

    it("waits with a timeout, which ends the whole group", function()
        local path = os.tmpname()
        local one = shell(("sh -c 'trap \"\" TERM; echo $$ > %s; while :; do sleep 1; done' & wait")
            :format(path))
        local grandchild = testing.wait_until(function()
            return tonumber(files.read(path):match("^(%d+)\n"))
        end)
        assert.is_true(lives(grandchild))
        local err = failure(one.wait, one, { timeout = 0.01 })
        assert.is_true(util.isinstance(err, util.TimeoutError))
        assert.equal('"/bin/sh" did not end within 0.01 seconds', err.message)
        assert.equal(-15, one.returncode)
        testing.wait_until(function() return not lives(grandchild) end)
        os.remove(path)
    end)

    it("kills what ignores SIGTERM", function()
        local path = os.tmpname()
        local one = shell("trap '' TERM; echo ready > " .. path .. "; while :; do sleep 1; done")
        testing.wait_until(function() return files.read(path) == "ready\n" end)
        os.remove(path)
        assert.equal(-9, one:stop(0.01))
        assert.equal(-9, one:stop())
    end)

    it("goes on when a wait for it is cancelled", function()
        local one = shell "sleep 1000"
        local co
        local future = gen.spawn(function()
            co = coroutine.running()
            return failure(one.wait, one)
        end)
        ioloop.cancel(ioloop.waiter_of(co), "enough")
        assert.equal("enough", gen.await(future))
        assert.is_nil(one.returncode)
        assert.is_true(one:kill "KILL")
        assert.equal(-9, one:wait())
    end)

    it("wakes all who wait, and times out one of them", function()
        local one = shell "sleep 1000"
        local futures = {}
        for i = 1, 3 do futures[i] = gen.spawn(one.wait, one) end
        one:kill(10)
        for i = 1, 3 do assert.equal(-10, gen.await(futures[i])) end
        assert.matches("process_spec.lua:%d+: bad signal", failure(function() one:kill "NOSIG" end))
    end)

    it("leaves neither zombies nor descriptors, held or not", function()
        testing.set_timeout(300)
        local before = core.counts().descriptors
        for i = 1, 1000 do
            local one = Subprocess { "/bin/true" }
            if i % 2 == 0 then assert.equal(0, one:wait()) end
        end
        testing.wait_until(function() return core.counts().processes == 0 end)
        collectgarbage()
        assert.equal(before, core.counts().descriptors)
        assert.equal(0, zombies())
    end)

    it("ends with this process, but for what is detached", function()
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write [[
            local process = require "tornado.process"
            local one = process.Subprocess { "/bin/sleep", "1000" }
            local stubborn = process.Subprocess { "/bin/sh", "-c",
                "trap '' TERM; echo; while :; do sleep 1; done" }
            local other = process.Subprocess({ "/bin/sleep", "1000" }, { detached = true,
                stdout = process.Subprocess.NULL, stderr = process.Subprocess.NULL })
            print(("\n%d %d %d"):format(one.pid, stubborn.pid, other.pid))
        ]]
        file:close()
        local code, out = testing.run_command { "run", path }
        os.remove(path)
        assert.equal(0, code)
        local one, stubborn, other = out:match("(%d+) (%d+) (%d+)")
        assert.is_false(lives(one))
        assert.is_false(lives(stubborn))
        assert.is_true(lives(other))
        os.execute("kill -KILL " .. other)
    end)

    describe("streams", function()
        it("carry input and output", function()
            local one = Subprocess({ "/bin/cat" }, {
                stdin = Subprocess.STREAM, stdout = Subprocess.STREAM,
            })
            assert.is_nil(one.stderr)
            one.stdin:write "one\ntwo\n"
            assert.equal("one\n", one.stdout:read_until "\n")
            one.stdin:close()
            assert.equal("two\n", one.stdout:read_until_close())
            assert.equal(0, one:wait())
        end)

        it("hold back who writes until the program reads", function()
            local size = 4 * 1048576
            local one = Subprocess({ "/bin/sh", "-c", "kill -STOP $$; exec wc -c" }, {
                stdin = Subprocess.STREAM, stdout = Subprocess.STREAM,
            })
            testing.wait_until(function()
                local file = assert(io.open(("/proc/%d/status"):format(one.pid)))
                local text = file:read "*a"
                file:close()
                return text:find "State:\tT"
            end)
            local writing = gen.spawn(one.stdin.write, one.stdin, ("x"):rep(size))
            for _ = 1, 200 do gen.moment() end
            assert.is_false(writing:done())
            assert.is_true(one.stdin._unsent > size - 1048576) -- what a pipe holds at most
            one:kill "CONT"
            gen.await(writing)
            one.stdin:close()
            assert.equal(size, tonumber(one.stdout:read_until_close { timeout = 5 }))
            assert.equal(0, one:wait())
        end)

        it("break when the program ends without reading", function()
            local one = Subprocess({ "/bin/sh", "-c", "exit 3" }, { stdin = Subprocess.STREAM })
            local ok, err = pcall(one.stdin.write, one.stdin, ("x"):rep(4 * 1048576))
            assert.is_false(ok)
            assert.equal("EPIPE", err.real_error.code)
            one.stdin:close()
            assert.equal(3, one:wait())
        end)

        it("end with what was written last", function()
            for _ = 1, 20 do
                local one = Subprocess({ "/bin/echo", "all" }, { stdout = Subprocess.STREAM })
                one:wait() -- so that bytes and end come at once
                assert.equal("all\n", one.stdout:read_until("\n", { timeout = 5 }))
                assert.equal("", one.stdout:read_until_close { timeout = 5 })
            end
        end)
    end)

    describe("run()", function()
        it("returns code, output and errors", function()
            local code, out, err = process.run({ "/bin/sh", "-c", "cat; echo no >&2; exit 3" },
                { input = "in" })
            assert.same({ 3, "in", "no\n" }, { code, out, err })
            assert.same({ 0, "", "" }, { process.run { "/bin/true" } })
            assert.same({ 0, "", "" }, { process.run({ "/bin/true" },
                { input = ("x"):rep(1000000) }) })
        end)

        it("takes 10 MiB through both pipes", function()
            testing.set_timeout(300)
            local data = ("0123456789abcdef"):rep(655360)
            local code, out = process.run({ "/bin/cat" }, { input = data })
            assert.equal(0, code)
            assert.is_true(out == data)
        end)

        it("limits the output", function()
            assert.equal(5, #select(2, process.run({ "/bin/echo", "1234" }, { max_output = 5 })))
            local err = failure(process.run, { "/bin/cat", "/dev/zero" }, { max_output = 100000 })
            assert.is_true(util.isinstance(err, process.ProcessError))
            assert.equal('"/bin/cat" printed more than 100000 bytes', err.message)
        end)

        it("has a timeout", function()
            local err = failure(process.run, { "/bin/sh", "-c", "sleep 1000 & sleep 1000" },
                { timeout = 0.02 })
            assert.is_true(util.isinstance(err, util.TimeoutError))
            assert.equal('"/bin/sh" did not end within 0.02 seconds', err.message)
        end)

        it("leaves nothing when it is cancelled", function()
            local co
            local future = gen.spawn(function()
                co = coroutine.running()
                return failure(process.run, { "/bin/sleep", "1000" })
            end)
            ioloop.cancel(ioloop.waiter_of(co), "enough")
            assert.equal("enough", gen.await(future))
        end)

        it("raises what Subprocess() does, at the caller's line", function()
            assert.equal("/no/such/program: No such file or directory",
                failure(process.run, { "/no/such/program" }).message)
            for _, fn in ipairs {
                function() process.run() end,
                function() process.run({ "x" }, { input = 5 }) end,
                function() process.run({ "x" }, { out = 5 }) end,
                function() process.run({ "x" }, { cwd = 5 }) end,
            } do
                assert.matches("process_spec.lua:%d+: ", failure(fn))
            end
        end)
    end)
end)
