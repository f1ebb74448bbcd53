-- Child processes: Subprocess, and run() for those of which only the output matters. Their end is
-- an event of the loop, so there is no SIGCHLD handler and nothing to initialize().
local core = require "tornado.core"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local util = require "tornado.util"

local process = {}

--- Raised by wait_for_exit() for a code other than 0: `returncode`, `pid`, `cmd` (the arguments).
local CalledProcessError = util.Error:extend "CalledProcessError"
process.CalledProcessError = CalledProcessError

--- Raised when a program cannot be started: `errno`, and the reason in `message`.
local ProcessError = util.Error:extend "ProcessError"
process.ProcessError = ProcessError

local SIGNALS = {
    HUP = 1, INT = 2, QUIT = 3, ABRT = 6, KILL = 9, USR1 = 10, USR2 = 12, PIPE = 13, ALRM = 14,
    TERM = 15, CHLD = 17, CONT = 18, STOP = 19, TSTP = 20, WINCH = 28,
}

local running = {} -- handle -> Subprocess: kept until it has ended, whoever holds it

--- The number of CPUs that this process may use (taskset, systemd's CPUAffinity), or that its
-- control group has time for, rounded up, if that is less (a container's limit, systemd's
-- CPUQuota); at least 1.
-- Tornado: counts all that there are.
function process.cpu_count()
    return core.cpu_count()
end

--- The number of this worker among its siblings; nil when it is alone.
function process.task_id()
    return nil
end

--- Raises: the option `workers` says how many processes serve.
-- Tornado: forks. The supervisor does it here, before anything is open.
function process.fork_processes()
    error("fork_processes() does not exist here: the option workers says how many processes " ..
        "serve", 2)
end

-- Starting ---------------------------------------------------------------------------

local Subprocess = util.Object:extend "Subprocess"
process.Subprocess = Subprocess

Subprocess.STREAM = setmetatable({}, { __tostring = function() return "Subprocess.STREAM" end })
Subprocess.NULL = setmetatable({}, { __tostring = function() return "Subprocess.NULL" end })
Subprocess.STDOUT = setmetatable({}, { __tostring = function() return "Subprocess.STDOUT" end })

local DEFAULTS = {
    stdin = util.NONE, stdout = util.NONE, stderr = util.NONE, cwd = util.NONE, env = util.NONE,
    executable = util.NONE, group = true, detached = false,
}

local ENDS = { "stdin", "stdout", "stderr" }

local function check_text(text, what)
    if type(text) ~= "string" or text:find("\0", 1, true) then
        error(("bad %s: expected string, got %s"):format(what, util.shown(text)), 5)
    end
    return text
end

local function arguments_of(args)
    if type(args) == "string" then args = { args } end
    if type(args) ~= "table" or #args == 0 then
        error("bad arguments: expected a list of strings, the program first, got " ..
            util.shown(args), 4)
    end
    local list = {}
    for i = 1, #args do
        local arg = type(args[i]) == "number" and tostring(args[i]) or args[i]
        list[i] = check_text(arg, "argument " .. i)
    end
    if list[1] == "" then error("bad program: expected its name, got \"\"", 4) end
    return list
end

local function environment_of(env)
    if env == nil then return nil end
    if type(env) ~= "table" then
        error("bad env: expected table, got " .. type(env), 4)
    end
    local list = {}
    for name, value in pairs(env) do
        check_text(name, "name in env")
        if name == "" or name:find("=", 1, true) then
            error("bad name in env: " .. util.shown(name), 4)
        end
        list[#list + 1] = name .. "=" .. check_text(tostring(value), "env." .. name)
    end
    table.sort(list)
    return list
end

local function descriptor_of(what, name)
    if what == nil then return core.SPAWN_INHERIT end
    if what == Subprocess.STREAM then
        require "tornado.iostream" -- now, while nothing is open that could be left open
        return core.SPAWN_STREAM
    end
    if what == Subprocess.NULL then return core.SPAWN_NULL end
    if what == Subprocess.STDOUT and name == "stderr" then return core.SPAWN_STDOUT end
    if type(what) == "number" and what >= 0 and what % 1 == 0 then return what end
    if io.type(what) == "file" then return core.file_descriptor(what) end
    error(("bad %s: expected STREAM, NULL, an open file or a descriptor, got %s"):format(name,
        util.shown(what)), 4)
end

local function flags_of(given, program)
    return (given.group and core.SPAWN_GROUP or 0)
        + (given.detached and core.SPAWN_DETACHED or 0)
        + (program:find("/", 1, true) and 0 or core.SPAWN_SEARCH)
end

-- Our ends of the pipes become streams; if one cannot be made, nothing is left.
local function open_streams(self, fds)
    local PipeIOStream = require("tornado.iostream").PipeIOStream
    for i, name in ipairs(ENDS) do
        if fds[i] >= 0 then
            local ok, stream = pcall(PipeIOStream, fds[i])
            if not ok then
                for k = i, 3 do
                    if fds[k] >= 0 then core.close_descriptor(fds[k]) end
                end
                self:kill "KILL"
                error(stream, 0)
            end
            self[name], fds[i] = stream, -1
        end
    end
end

--- Starts a program; `args` is a list, the program first, which is looked for in PATH when it has
-- no "/"; no shell is involved. Raises ProcessError when it cannot be started. Options:
-- stdin, stdout, stderr: nil (this process's own), STREAM (a PipeIOStream, in the field of that
-- name), NULL, an open file or a descriptor, and for stderr STDOUT; cwd; env (a table in place of
-- this process's); executable (what to run in place of args[1]); group (true: a process group of
-- its own, so that a signal reaches what it starts); detached (false; true: a session of its own,
-- which is left alone when this process ends; others get SIGTERM, and a second later SIGKILL).
-- Fields: pid, returncode (nil while it runs; minus the signal that killed it), args.
-- Tornado: takes what subprocess.Popen does, which makes no group.
function Subprocess:init(args, options)
    local given = util.options(options, DEFAULTS, "Subprocess", 1)
    local list = arguments_of(args)
    local fds = {}
    for i, name in ipairs(ENDS) do fds[i] = descriptor_of(given[name], name) end
    local cwd = given.cwd and check_text(given.cwd, "cwd")
    local program = given.executable and check_text(given.executable, "executable")
    local handle, pid, a, b, c = core.spawn(list, environment_of(given.env), program, cwd, fds,
        flags_of(given, program or list[1]))
    if not handle then
        local err = ProcessError(pid)
        err.errno = a
        error(err, 0)
    end
    self.pid, self.args, self._handle = pid, list, handle
    running[handle] = self
    if a >= 0 or b >= 0 or c >= 0 then open_streams(self, { a, b, c }) end
end

-- Its end -----------------------------------------------------------------------------

local function call_back(fn, code)
    local ok, err, trace = ioloop.protect(fn, code)
    if not ok then
        log.app_log:error("Exception in exit callback: " .. (trace or tostring(err)))
    end
end

local function on_end(handle)
    local self = running[handle]
    if not self then return end
    running[handle] = nil
    self.returncode = core.process_status(handle)
    core.process_free(handle)
    local waiters, callback = self._waiters or {}, self._callback
    self._waiters, self._callback = nil, nil
    for waiter in pairs(waiters) do ioloop.wake(waiter) end
    if callback then call_back(callback, self.returncode) end
end

ioloop.on(core.EVENT_PROCESS, on_end)

--- Calls fn(returncode) when it ends, or in the next turn when it has; one function at a time.
function Subprocess:set_exit_callback(fn)
    if not util.is_callable(fn) then
        error("bad callback: expected function, got " .. type(fn), 2)
    end
    if self.returncode then
        ioloop.add_callback(call_back, fn, self.returncode)
    else
        self._callback = fn
    end
end

local function leave(self, waiter)
    if self._waiters then self._waiters[waiter] = nil end
end

-- Waits for its end, or raises.
local function wait(self, seconds)
    if self.returncode then return self.returncode end
    local waiter = ioloop.waiter()
    self._waiters = self._waiters or {}
    self._waiters[waiter] = true
    ioloop.wait_for(waiter, seconds, leave, self, waiter)
    return self.returncode
end

local function raise_code(self)
    local code = self.returncode
    local how = code < 0 and "was killed by signal " .. -code or "exited with status " .. code
    local err = CalledProcessError("Command %s %s", util.shown(self.args[1]), how)
    err.returncode, err.pid, err.cmd = code, self.pid, self.args
    error(err, 0)
end

--- Waits until it ends; returns its code. With raise_error (true), a code other than 0 raises a
-- CalledProcessError. A wait that is cancelled leaves the process running.
function Subprocess:wait_for_exit(options)
    local given = util.options(options, { raise_error = true }, "wait_for_exit")
    local code = wait(self, nil)
    if code ~= 0 and given.raise_error then raise_code(self) end
    return code
end

local GRACE = 5

--- Ends it: SIGTERM, to its group if it has one, and after `grace` (5) seconds SIGKILL; what is
-- left of the group is killed, too. Waits for that, and returns its code.
function Subprocess:stop(grace)
    if self.returncode then return self.returncode end
    core.process_kill(self._handle, SIGNALS.TERM, true, true)
    local ok, err = pcall(wait, self, grace or GRACE)
    if ok then return self.returncode end
    -- Late, or cancelled: it does not survive either.
    if not self.returncode then core.process_kill(self._handle, SIGNALS.KILL, true, true) end
    if not util.isinstance(err, util.TimeoutError) then error(err, 0) end
    return wait(self, nil)
end

--- Waits until it ends; returns its code. Options: timeout (seconds), after which stop(grace) is
-- called and a TimeoutError raised; grace (5).
function Subprocess:wait(options)
    local given = util.options(options, { timeout = util.NONE, grace = GRACE }, "wait")
    if not given.timeout then return wait(self, nil) end
    local ok, err = pcall(wait, self, given.timeout)
    if ok then return self.returncode end
    if util.isinstance(err, util.TimeoutError) and not self.returncode then
        self:stop(given.grace)
        err = util.TimeoutError("%s did not end within %g seconds", util.shown(self.args[1]),
            given.timeout)
    end
    error(err, 0)
end

--- Sends a signal, a number or a name ("TERM", "KILL"), to its group if it has one; false when
-- it has ended.
function Subprocess:kill(signal)
    local number = SIGNALS[signal or "TERM"] or signal
    if type(number) ~= "number" or number % 1 ~= 0 or number < 0 or number > 64 then
        error("bad signal: expected a number or a name, got " .. util.shown(signal), 2)
    end
    if self.returncode then return false end
    return core.process_kill(self._handle, number, true, false) == core.OK
end

--- Nothing needs it; returns nothing.
-- Tornado: sets its SIGCHLD handler.
function Subprocess.initialize() end

--- Likewise.
function Subprocess.uninitialize() end

-- Only its output ---------------------------------------------------------------------

local RUN = {
    input = "", timeout = util.NONE, grace = GRACE, max_output = 64 * 1048576, cwd = util.NONE,
    env = util.NONE, executable = util.NONE,
}

-- What a run has: its child, what is left of max_output, how many of its parts have not ended.
local function start(args, given)
    local STREAM = Subprocess.STREAM
    local ok, child = pcall(Subprocess, args, {
        stdin = given.input ~= "" and STREAM or Subprocess.NULL, stdout = STREAM, stderr = STREAM,
        cwd = given.cwd, env = given.env, executable = given.executable,
    })
    if ok then
        return { child = child, left = given.max_output, parts = 0, waiter = ioloop.waiter() }
    end
    if type(child) ~= "string" then error(child, 0) end
    error(child:gsub("^tornado/process%.lua:%d+: ", ""), 3)
end

-- Reads to the stream's end, or until there is too much.
local function collect(state, stream, pieces)
    while state.left >= 0 do
        local ok, piece = pcall(stream.read_bytes, stream, 65536, { partial = true })
        if not ok then return end
        state.left = state.left - #piece
        pieces[#pieces + 1] = piece
    end
    state.over = true
    ioloop.wake(state.waiter)
end

-- A program need not read what it is given.
local function feed(_, stream, input)
    pcall(stream.write, stream, input)
    stream:close()
end

local function part(state, fn, ...)
    state.parts = state.parts + 1
    gen.spawn(function(...)
        fn(state, ...)
        state.parts = state.parts - 1
        if state.parts == 0 then ioloop.wake(state.waiter) end
    end, ...)
end

local function close_streams(child)
    for _, name in ipairs(ENDS) do
        if child[name] then child[name]:close() end
    end
end

-- For a wait that is cancelled: nothing is left behind, and nobody waits for it.
local function abandon(state)
    close_streams(state.child)
    if not state.child.returncode then
        core.process_kill(state.child._handle, SIGNALS.KILL, true, true)
    end
end

local function run_parts(state, given, out, err)
    local child = state.child
    part(state, collect, child.stdout, out)
    part(state, collect, child.stderr, err)
    part(state, function() pcall(wait, child, nil) end)
    if child.stdin then part(state, feed, child.stdin, given.input) end
    local ok, why = pcall(ioloop.wait_for, state.waiter, given.timeout)
    if ok and not state.over then return close_streams(child) end
    if not ok and not util.isinstance(why, util.TimeoutError) then
        abandon(state)
        error(why, 0)
    end
    close_streams(child)
    child:stop(given.grace)
    local name = util.shown(child.args[1])
    if ok then
        error(ProcessError("%s printed more than %d bytes", name, given.max_output), 0)
    end
    error(util.TimeoutError("%s did not end within %g seconds", name, given.timeout), 0)
end

--- Runs a program to its end; returns its code, what it wrote to stdout, and to stderr. Options:
-- input (for stdin), timeout (seconds; TimeoutError), grace (see stop()), max_output (64 MiB, of
-- both; ProcessError), cwd, env, executable. Whatever it raises, cancelled waits included, the
-- program and what it started in its group do not survive it. It ends when both outputs are
-- closed, by what the program started in the background, too.
function process.run(args, options)
    local given = util.options(options, RUN, "process.run")
    if type(given.input) ~= "string" then
        error("bad input: expected string, got " .. type(given.input), 2)
    end
    local state = start(args, given)
    local out, err = {}, {}
    run_parts(state, given, out, err)
    return state.child.returncode, table.concat(out), table.concat(err)
end

return process
