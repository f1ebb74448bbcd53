-- What specs need: servers on free ports, connections that speak raw HTTP, log lines
-- that are expected, the binary's own commands. Loaded by specs and `ctornado test`
-- alone; nothing that serves requires it.
local case = require "tornado.testing.case"
local classes = require "tornado.testing.classes"
local Clock = require "tornado.testing.clock"
local Connection = require "tornado.testing.connection"
local ExpectLog = require "tornado.testing.expect_log"
local reply = require "tornado.testing.reply"
local Server = require "tornado.testing.server"
local util = require "tornado.util"

local testing = {
    AsyncHTTPSTestCase = classes.AsyncHTTPSTestCase,
    AsyncHTTPTestCase = classes.AsyncHTTPTestCase,
    AsyncTestCase = classes.AsyncTestCase,
    BrokenReply = reply.BrokenReply,
    Connection = Connection,
    Server = Server,
    bind_unused_port = classes.bind_unused_port,
    gen_test = classes.gen_test,
    get_async_test_timeout = classes.get_async_test_timeout,
}

--- Serves an application, or a function(request), on a free port of 127.0.0.1 or on
--- { unix = path }. With { socket = false } nothing listens: connections are made inside of the
--- process, and come from the address `remote_ip` (127.0.0.1). `server` are options of the
--- HTTPServer. Returns the running Server; it stops by itself at the end of the case. The
--- application's on_start and on_stop are run.
function testing.serve(application, options)
    return Server(application, options)
end

local ONE_REQUEST = { remote_ip = util.NONE, server = util.NONE }
for name, default in pairs(Server.FETCH) do ONE_REQUEST[name] = default end

--- Runs one request through an application, or a function(request), without listening anywhere:
--- the whole way that requests go, from the bytes of the head on. Options as for Server:fetch(),
--- and `remote_ip` and `server` as for serve(). Returns the response as fetch() does; closes all.
function testing.request(application, path, options)
    options = util.options(options, ONE_REQUEST, "request")
    local server = Server(application, {
        socket = false, remote_ip = options.remote_ip, server = options.server,
    })
    options.remote_ip, options.server = nil, nil
    local ok, response = pcall(server.fetch, server, path, options)
    server:stop()
    if not ok then error(response, 0) end
    return response
end

--- Connects to "HOST:PORT" or "unix:/PATH"; returns a Connection, which the case must close.
function testing.connect(address)
    util.expect(address, "string", "address")
    return Connection(address)
end

--- Says that the case logs a line, at warning or above, in which the Lua pattern is found; or
--- at just that level: expect_log("info", pattern). Returns { lines = {}, text = the last }.
testing.expect_log = case.expect_log

--- Tornado's: expects of a Logger (or its name) a line that begins with the regular expression
--- `pattern`, which then appears nowhere. Options: required (true), level (any; another one than
--- this is reported). Holds for expected:run(fn, ...), or until expected:close(), which the end of
--- the case calls. Fields: matched, logged_stack.
-- Tornado: a context manager.
function testing.ExpectLog(logger, pattern, options)
    local expected = ExpectLog(logger, pattern, options)
    return expected
end

--- From here to the end of the case, core.now(), core.monotonic(), ioloop.time() and all timers
--- go on only by clock:advance(seconds); gen.sleep() in the case itself would wait for ever, so
--- what sleeps belongs into gen.spawn(). Also clock:elapsed(), clock:pending() (timers),
--- clock:restore(). The case's own timeout, wait_until() and connections stay with real time.
function testing.clock()
    local clock = Clock()
    return clock
end

--- Gives the running case `seconds` from now, instead of 5 or ASYNC_TEST_TIMEOUT.
testing.set_timeout = case.set_timeout

--- Calls fn over and over, a turn of the loop apart, until it returns something true, which is
--- returned; raises TimeoutError after `timeout` seconds (as many as the case has).
testing.wait_until = case.wait_until

-- Commands ---------------------------------------------------------------------------

local function quote(word)
    return "'" .. word:gsub("'", [['\'']]) .. "'"
end

local function take_file(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("*a")
    file:close()
    os.remove(path)
    return text
end

-- The shell's parent is this process; /proc has its binary even after a rebuild.
local BINARY = "/proc/$PPID/exe"

local function command_line(arguments)
    local words = {}
    for name, value in pairs(arguments.env or {}) do
        words[#words + 1] = name .. "=" .. quote(value)
    end
    words[#words + 1] = BINARY
    for _, argument in ipairs(arguments) do words[#words + 1] = quote(argument) end
    return table.concat(words, " ")
end

--- Runs this binary with a list of arguments (and `env`, a map), for at most `timeout` (60)
-- seconds, while the loop stands still. Returns exit code, stdout, stderr.
function testing.run_command(arguments)
    local out, err = os.tmpname(), os.tmpname()
    local pipe = assert(io.popen(("timeout -k 2 %d env %s > %s 2> %s < /dev/null; echo $?"):format(
        arguments.timeout or 60, command_line(arguments), out, err)))
    local code = pipe:read("*n")
    pipe:close()
    return code, take_file(out), take_file(err)
end

--- Starts this binary beside the case; `arguments` as for run_command(). Returns a command,
-- which the case must end with stop_command(): { pid =, output = path of what it prints }.
function testing.start_command(arguments)
    local output = os.tmpname()
    local pipe = assert(io.popen(("%s > %s 2>&1 < /dev/null & echo $!; wait $!; echo $?"):format(
        command_line(arguments), output)))
    return { pid = pipe:read("*n"), output = output, pipe = pipe }
end

--- What a command that was started has printed so far.
function testing.output_of(command)
    local file = assert(io.open(command.output, "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

--- Returns whether it still runs.
function testing.is_running(command)
    local file = io.open(("/proc/%d/stat"):format(command.pid))
    if not file then return false end
    local state = (file:read("*a") or ""):match("%) (%a)") -- nil: ended since open()
    file:close()
    return state ~= nil and state ~= "Z"
end

--- Sends a signal ("TERM") and waits until the command has ended; after as long as the case has it
-- is killed, and that is an error. Returns its exit code and what it printed.
function testing.stop_command(command, signal)
    os.execute(("kill -%s %d 2> /dev/null"):format(signal or "TERM", command.pid))
    local ended, why = pcall(case.wait_until, function()
        return not testing.is_running(command)
    end)
    if not ended then os.execute("kill -KILL " .. command.pid) end
    local code = command.pipe:read("*n")
    command.pipe:close()
    local text = take_file(command.output)
    if not ended then error(tostring(why) .. "\n" .. text, 2) end
    return code, text
end

return testing
