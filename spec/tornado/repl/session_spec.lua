-- tornado.repl.session: lines that become chunks, what they see, how they are cancelled; and the
-- command without a terminal.
local gen = require "tornado.gen"
local Session = require "tornado.repl.session"
local testing = require "tornado.testing"

-- Takes lines; returns what the last one does when it is run.
local function run(session, ...)
    local chunk, why
    for _, line in ipairs { ... } do chunk, why = session:take(line) end
    assert(chunk, why or "not complete")
    return session:run(chunk)
end

describe("tornado.repl.session", function()
    it("runs expressions and statements", function()
        local session = Session {}
        assert.same({ true, 2, "x" }, { run(session, "1 + 1, 'x'") })
        assert.same({ true, 2 }, { run(session, "= 2") })
        assert.same({ true }, { run(session, "a = 3") })
        assert.same({ true, 3 }, { run(session, "a") })
        assert.same({ true, 4 }, { run(session, "return a + 1") })
        assert.same({ true }, { run(session, "") })
        assert.is_nil(rawget(_G, "a"))
    end)

    it("joins lines until they are complete", function()
        local session = Session {}
        assert.is_nil(session:take "for i = 1, 2 do")
        assert.is_true(session:is_open())
        assert.same({ true }, { run(session, "b = i", "end") })
        assert.is_false(session:is_open())
        assert.same({ true, 2 }, { run(session, "b") })
        assert.same({ true, "x\ny" }, { run(session, "[[x", "y]]") })
        session:take "f("
        session:reset()
        assert.is_nil(session:finish())
        session:take "f("
        assert.matches("near '<eof>'", session:finish())
    end)

    it("says what is wrong, without its own part of the stack", function()
        local session = Session {}
        local chunk, why = session:take "a b"
        assert.is_nil(chunk)
        assert.matches("^input:1: ", why)
        assert.same({ false, "no" }, { run(session, "error('no', 0)") })
        local ok, text = run(session, "local t = nil; t.x = 1")
        assert.is_false(ok)
        assert.matches("^input:1: attempt to index local 't'", text)
        assert.falsy(text:find("tornado/ioloop", 1, true))
        assert.same({ false, "HTTP 404: Not Found" }, { run(session, "error(web.HTTPError(404))") })
    end)

    it("has the modules by their names, and those of a site", function()
        assert.same({ true, true }, { run(Session {}, "gen == require 'tornado.gen'") })
        local app = assert(require("tornado.sites").load "sites/blog")
        local session = Session { app }
        assert.same({ true, app, 1 }, { run(session, "app, #sites") })
        assert.same({ true, "table" }, { run(session, "type(require 'markdown')") })
    end)

    it("waits, and can be cancelled meanwhile", function()
        local session = Session {}
        assert.same({ true, 1 }, { run(session, "gen.sleep(0.001) return 1") })
        assert.is_false(session:interrupt())
        local interrupted
        gen.spawn(function()
            gen.moment()
            interrupted = session:interrupt()
        end)
        assert.same({ false, "CancelledError: interrupted" }, { run(session, "gen.sleep(1000)") })
        assert.is_true(interrupted)
    end)

    it("completes names and fields", function()
        local session = Session {}
        assert.same({ "eep" }, session:complete "x = gen.sl")
        assert.same({ "rt" }, session:complete "table.so")
        assert.same({ "lient" }, session:complete "httpc")
        assert.same({}, session:complete "nothing.at.all")
        assert.same({}, session:complete "1 + ")
    end)
end)

describe("ctornado repl, without a terminal,", function()
    -- What it prints for these lines, once from a file and once from a pipe; the exit code last.
    local function expect(output, lines)
        local path = os.tmpname()
        finally(function() os.remove(path) end)
        local file = assert(io.open(path, "w"))
        file:write(lines)
        file:close()
        for _, input in ipairs { "exec < " .. path .. "; ", "cat " .. path .. " | " } do
            local pipe = assert(io.popen(input .. "/proc/$PPID/exe repl 2>&1; echo $?"))
            assert.equal(output, pipe:read "*a")
            pipe:close()
        end
    end

    it("runs lines of files and pipes", function()
        expect('2\n1\n2\n"x"\n0\n',
            "1 + 1\nfor i = 1, 2 do\nprint(i)\nend\ngen.sleep(0.001) return 'x'")
    end)

    it("goes on behind errors, and ends with 1", function()
        expect("no\n1\ninput:1: '<name>' expected near '<eof>'\n1\n", "error('no', 0)\n1\nfor")
    end)

    it("takes no arguments", function()
        local code, _, err = testing.run_command { "repl", "this" }
        assert.equal(2, code)
        assert.matches("^ctornado: repl takes no arguments, got this; a script is run by", err)
    end)
end)
