-- tornado.log: loggers and levels, and the lines that C writes. PARITY §24.
local core = require "tornado.core"
local escape = require "tornado.escape"
local log = require "tornado.log"
local testing = require "tornado.testing"

-- Takes the log's messages while fn runs; returns them as { level, name, text }.
local function taken(fn)
    local lines = {}
    local before = log.set_filter(function(level, name, text)
        lines[#lines + 1] = { level, name, text }
        return true
    end)
    local ok, err = pcall(fn)
    log.set_filter(before)
    assert(ok, err)
    return lines
end

-- What C writes for these messages, from a child: the log of this process is the runner's.
local function written(script)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write('local log = require "tornado.log"\n' .. script)
    file:close()
    local code, _, err = testing.run_command { "run", path }
    os.remove(path)
    assert.equal(0, code)
    return err
end

describe("tornado.log", function()
    it("has the loggers of Tornado", function()
        local lines = taken(function()
            log.access_log:info("a")
            log.app_log:info("b")
            log.gen_log:info("c")
            log.Logger("mine"):info("d")
        end)
        assert.same({ { 1, "access", "a" }, { 1, "app", "b" }, { 1, "general", "c" },
            { 1, "mine", "d" } }, lines)
    end)

    it("has levels", function()
        local lines = taken(function()
            for _, level in ipairs { "debug", "info", "warning", "error" } do
                log.gen_log[level](log.gen_log, level)
            end
            log.gen_log:log(2, "at 2")
        end)
        local levels = {}
        for i, line in ipairs(lines) do levels[i] = line[1] end
        assert.same({ 0, 1, 2, 3, 2 }, levels)
    end)

    it("says what cannot be formatted, and does not raise", function()
        local odd = setmetatable({}, { __tostring = function() error("no", 0) end })
        local odder = setmetatable({}, { __tostring = function() error({}) end })
        local lines = taken(function()
            log.gen_log:info("%d items", "x")
            log.gen_log:info("%s", nil, 1)
            log.gen_log:info(nil, 1)
            log.gen_log:info("%y", 1)
            log.gen_log:info(odd)
            log.gen_log:info("%s", odd)
            log.gen_log:log(1, odder)
        end)
        local texts = {}
        for i, line in ipairs(lines) do texts[i] = line[3] end
        assert.matches("^%%d items %(the log's arguments do not fit: .*number expected", texts[1])
        assert.equal("nil", texts[2])
        assert.equal("nil", texts[3])
        assert.matches("^%%y %(the log's arguments do not fit: .*invalid option", texts[4])
        assert.equal("table (its __tostring raised: no)", texts[5])
        assert.matches("^%%s %(the log's arguments do not fit: ", texts[6])
        assert.equal("table (its __tostring raised: table)", texts[7])
        assert.equal(7, #texts)
    end)

    it("formats only when there are arguments", function()
        local lines = taken(function()
            log.gen_log:info("100%")
            log.gen_log:info("%d%% of %s", 5, "x")
            log.gen_log:info({ 1 } and 42)
        end)
        assert.same({ "100%", "5% of x", "42" }, { lines[1][3], lines[2][3], lines[3][3] })
    end)

    it("sets the level by name", function()
        local before = core.log_level()
        finally(function() core.log_set_level(before) end)
        for name, number in pairs(log.LEVELS) do
            log.set_level(name)
            assert.equal(number, core.log_level())
        end
        local ok, err = pcall(function() log.set_level("loud") end)
        assert.is_false(ok)
        assert.matches('log_spec.lua:%d+: bad level "loud": expected debug, info, warning', err)
    end)

    it("writes one line a message, with level, time and name", function()
        local lines = written [[
            log.app_log:info("hello")
            log.gen_log:warning("two\nlines")
            log.gen_log:error("bell\7 and \27[31m and \r")
            log.gen_log:debug("not shown")
        ]]
        assert.matches("^%[I %d%d%d%d%d%d %d%d:%d%d:%d%d app%] hello\n", lines)
        assert.matches("%[W [%d: ]+ general%] two", lines)
        assert.is_nil(lines:find("[\7\27\r]"))
        assert.is_nil(lines:find("\nlines", 1, true))
        assert.is_nil(lines:find("not shown", 1, true))
    end)

    it("writes what is at its level and above", function()
        local lines = written [[
            log.set_level "error"
            log.gen_log:warning("quiet")
            log.gen_log:error("loud")
            log.set_level "debug"
            log.gen_log:debug("all")
            log.set_level "none"
            log.gen_log:error("nothing")
        ]]
        assert.is_nil(lines:find("quiet"))
        assert.is_nil(lines:find("nothing"))
        assert.matches("%[E [^\n]*loud\n", lines)
        assert.matches("%[D [^\n]*all\n", lines)
    end)

    it("goes to a file, or says why not", function()
        local path = os.tmpname()
        finally(function() os.remove(path) end)
        local err = written(([[
            local core = require "tornado.core"
            log.gen_log:info("to stderr")
            assert(core.log_open(%q))
            log.gen_log:info("to the file")
            local ok, why = core.log_open("/no/such/folder/log")
            assert(ok == nil and why:find("No such file"), why)
            log.gen_log:info("still to the file")
        ]]):format(path))
        local file = assert(io.open(path))
        local text = file:read("*a")
        file:close()
        assert.matches("to stderr\n$", err)
        assert.matches("^%[I [^\n]*to the file\n%[I [^\n]*still to the file\n$", text)
    end)

    -- Runs a program that parses these arguments and logs; returns the folder of its log.
    local function logged_to_files(arguments, script)
        local folder = os.tmpname()
        os.remove(folder)
        assert(os.execute("mkdir " .. folder) == 0)
        finally(function() os.execute("rm -r " .. folder) end)
        local list = { [0] = "x", "--log-file-prefix=" .. folder .. "/log" }
        for _, argument in ipairs(arguments) do list[#list + 1] = argument end
        written(("require('tornado.options').parse_command_line(%s)\n"):format(
            ("{%q, %q, %q, %q}"):format(unpack(list, 1, 4)):gsub('"nil"', '"--"')) .. script)
        return folder
    end

    it("rotates files by size", function()
        local folder = logged_to_files({ "--log-file-max-size=1000", "--log-file-num-backups=2",
            "--logging=warning" }, [[
            log.gen_log:info("too quiet")
            for i = 1, 40 do log.gen_log:warning("line %d %s", i, ("x"):rep(60)) end
        ]])
        assert.same({ "log", "log.1", "log.2" }, core.folder(folder))
        local last = {}
        for i, name in ipairs { "log.2", "log.1", "log" } do
            local file = assert(io.open(folder .. "/" .. name))
            local text = file:read("*a")
            file:close()
            assert.truthy(#text <= 1000, name .. " has " .. #text)
            last[i] = tonumber(text:match(".*line (%d+)"))
        end
        assert.truthy(last[1] < last[2] and last[2] < last[3])
        assert.equal(40, last[3])
    end)

    it("rotates files by time", function()
        local folder = logged_to_files({ "--log-rotate-mode=time", "--log-rotate-when=S",
            "--log-file-num-backups=1" }, [[
            local gen = require "tornado.gen"
            local core = require "tornado.core"
            log.gen_log:info("one")
            local rotation = require "tornado.log.rotation"
            local path = require("tornado.options").options.log_file_prefix
            for due = 10, 12 do
                assert(rotation.rotate(path, "S", 1, 1, due))
                log.gen_log:info("two")
            end
            rotation.stop()
        ]])
        local names = core.folder(folder)
        assert.equal("log", names[1])
        assert.equal("log." .. os.date("%Y-%m-%d_%H-%M-%S", 11), names[2])
        assert.equal(2, #names)
    end)

    it("knows when files end", function()
        local rotation = require "tornado.log.rotation"
        local thursday = os.time { year = 2026, month = 1, day = 1, hour = 13, min = 30, sec = 5 }
        local function ends(when, interval)
            return os.date("%Y-%m-%d %H:%M:%S", rotation.next(when, interval, thursday))
        end
        assert.equal("2026-01-01 13:30:07", ends("S", 2))
        assert.equal("2026-01-01 13:35:05", ends("M", 5))
        assert.equal("2026-01-01 14:30:05", ends("h", 1))
        assert.equal("2026-01-02 00:00:00", ends("midnight", 1))
        assert.equal("2026-01-02 00:00:00", ends("W3", 1)) -- the end of this Thursday
        assert.equal("2026-01-06 00:00:00", ends("W0", 1))
        assert.equal("2026-01-08 00:00:00", ends("W2", 1))
    end)

    it("rotates by itself when the time has come", function()
        logged_to_files({ "--log-rotate-mode=time", "--log-rotate-when=S" }, [[
            local core = require "tornado.core"
            local gen = require "tornado.gen"
            local path = require("tornado.options").options.log_file_prefix
            log.gen_log:info("one")
            for _ = 1, 300 do
                if #core.folder(path:match("^(.*)/")) > 1 then break end
                gen.sleep(0.01)
            end
            assert(#core.folder(path:match("^(.*)/")) > 1)
        ]])
    end)

    it("refuses other modes and times", function()
        for argument, message in pairs {
            ["--log-rotate-mode=moon"] = 'should be \\"size\\" or \\"time\\", not \\"moon\\"',
            ["--log-rotate-when=X"] = "Invalid rollover interval specified: X",
        } do
            logged_to_files({}, ([[
                local ok, err = pcall(require("tornado.options").parse_command_line,
                    { [0] = "x", "--log-file-prefix=/tmp/x", "--log-rotate-mode=time", %q })
                assert(not ok and tostring(err):find("%s", 1, true), err)
            ]]):format(argument, message))
        end
    end)

    it("writes JSON, an object a line", function()
        local lines = written [[
            log.set_format "json"
            log.app_log:error('say "hi"\n\27[31m')
            log.app_log:log(3, "about one", "0123456789abcdef")
            log.set_format "text"
            log.app_log:log(2, "in text", "0123456789abcdef")
            local ok, why = pcall(log.set_format, "xml")
            assert(not ok and why:find('bad format "xml": expected text or json', 1, true), why)
        ]]
        local first, second, third = lines:match("^([^\n]+)\n([^\n]+)\n([^\n]+)\n$")
        first, second = escape.json_decode(first), escape.json_decode(second)
        assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", first.time)
        first.time = nil
        assert.same({ level = "error", logger = "app", message = 'say "hi"\n\27[31m' }, first)
        assert.equal("0123456789abcdef", second.request)
        assert.matches("^%[W [%d: ]+ app 0123456789abcdef%] in text$", third)
    end)

    it("has a formatter for those who write elsewhere", function()
        local record = { level = 3, name = "app", time = 0, message = "one\ntwo\27[0m \255\r\n" }
        local when = os.date("%y%m%d %H:%M:%S", 0)
        assert.equal("[E " .. when .. " app] one\n    two\\x1b[0m \\xff\\x0d",
            log.LogFormatter():format(record))
        record.message = "é"
        assert.equal("\27[31m[E " .. when .. " app]\27[0m é",
            log.LogFormatter({ color = true }):format(record))
        assert.equal("ERROR é 100%", log.LogFormatter({
            fmt = "%(levelname)s %(message)s 100%%" }):format(record))
        assert.has_error(function() log.LogFormatter { format = "x" } end)
    end)

    it("writes long messages and odd bytes", function()
        local lines = written [[
            log.gen_log:info(("x"):rep(100000))
            log.gen_log:info("\0\255")
        ]]
        assert.matches("x+[^\n]*\n%[I ", lines)
        assert.is_nil(lines:find("%z"))
    end)
end)
