-- Executors: functions of modules, called off the loop. A thread has a Lua state of its own, so
-- a function is given by its names, arguments and results are copied, and nothing is shared.
local concurrent = require "tornado.concurrent"
local copy = require "tornado.concurrent.copy"
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local loading = require "tornado.loading"
local log = require "tornado.log"
local memory = require "tornado.memory"
local util = require "tornado.util"

local executor = {}

--- Raised for what a function on a thread raised: `message`, `traceback` (the thread's) and
-- `class_name`, that of the error's class if it had one.
local ExecutorError = util.Error:extend "ExecutorError"
executor.ExecutorError = ExecutorError

--- Raised when as many calls wait as may.
executor.ExecutorFull = ExecutorError:extend "ExecutorFull"

-- errno's of vm/executor.c
local ENOMEM, ETIMEDOUT, ECANCELED = 12, 110, 125

local waiters = {} -- job -> its waiter

ioloop.on(core.EVENT_JOB, function(job)
    local waiter = waiters[job]
    waiters[job] = nil
    if waiter then ioloop.wake(waiter) end
end)

local function give_back(job)
    waiters[job] = nil
    core.job_free(job)
end

--- Waits for a job; returns what core.job_result(job, about) does. It is given back in any case.
function executor.await_job(job, about)
    local waiter = ioloop.waiter()
    waiters[job] = waiter
    ioloop.wait(waiter, give_back, job)
    local text, errno = core.job_result(job, about)
    core.job_free(job)
    return text, errno
end

-- Calls ------------------------------------------------------------------------------

local function check_names(module, name, level)
    if type(module) ~= "string" then
        error(("bad module: expected its name, got %s (a function cannot go to another Lua " ..
            "state: name its module and it)"):format(type(module)), level + 1)
    end
    if type(name) ~= "string" then
        error("bad function: expected its name in the module, got " .. type(name), level + 1)
    end
end

-- The folder of the site that has the module, first of all that of the running request's; nil: it
-- is no site's.
local function folder_of(module)
    if #loading.folders == 0 or module:find "^tornado%." then return nil end
    local request = ioloop.root_of(ioloop.context())
    local handler = request and request.delegate
    local app = handler and handler.application
    return loading.folder_of(module, app and app.path)
end

local function encode_call(module, name, level, ...)
    local bytes, why = copy.encode {
        module = module, name = name, folder = folder_of(module), path = package.path,
        cpath = package.cpath, n = select("#", ...), ...
    }
    if not bytes then
        error(("bad argument: cannot copy %s to the thread"):format(why), level + 1)
    end
    return bytes
end

local CLASSES = { [ENOMEM] = memory.MemoryLimitError, [ETIMEDOUT] = util.TimeoutError }

local WHY = {
    [ENOMEM] = "the call needs more memory than it may have",
    [ETIMEDOUT] = "the call took longer than executor_timeout",
    [ECANCELED] = "the call was cancelled",
}

local function stopped(text, errno, where)
    local class = CLASSES[errno] or ExecutorError
    local err = class((WHY[errno] or "the call failed: " .. text) .. " (" .. where .. ")")
    err.traceback = text
    return err
end

local function raise_failure(out, where)
    local err
    if out.class_name == "MemoryLimitError" then
        err = memory.MemoryLimitError((out[1]:gsub("^MemoryLimitError: ", "")))
    else
        err = ExecutorError(out[1])
    end
    err.traceback, err.class_name, err.where = out.trace, out.class_name, where
    error(err, 0)
end

local function finish(job, where)
    local text, errno = executor.await_job(job)
    if errno ~= 0 then error(stopped(text, errno, where), 0) end
    local out = copy.decode(text)
    for _, line in ipairs(out.lines) do
        log.Logger(line[2]):log(line[1], line[3])
    end
    if not out.ok then raise_failure(out, where) end
    return unpack(out, 1, out.n)
end

-- Executors ---------------------------------------------------------------------------

local Executor = util.Object:extend "ThreadPoolExecutor"
executor.ThreadPoolExecutor = Executor

local DEFAULTS = {
    max_workers = util.NONE, max_queue = 10000, timeout = 0, memory_limit = util.NONE,
}

local function check_number(value, name, least, most)
    if type(value) ~= "number" or not (value >= least and value <= most) then
        error(("bad %s: expected a number from %d to %d, got %s"):format(name, least, most,
            util.shown(value)), 4)
    end
end

--- Threads of its own, made on demand. Options: max_workers (as many as there are CPUs, at least
-- 2; up to 256), max_queue (10000 calls that wait), timeout (seconds for a call; 0: none),
-- memory_limit (bytes for the Lua state of each thread; 0: none; as the option lua_memory_limit
-- says). With a timeout functions are interpreted: compiled code could not be stopped.
-- Tornado: concurrent.futures' own; functions there share all with who calls.
function Executor:init(options)
    local given = util.options(options, DEFAULTS, "ThreadPoolExecutor", 1)
    local threads = given.max_workers or math.max(2, core.cpu_count())
    check_number(threads, "max_workers", 1, 256)
    check_number(given.max_queue, "max_queue", 0, 1e6)
    check_number(given.timeout, "timeout", 0, 1e6)
    local bytes = given.memory_limit or memory.limit()
    check_number(bytes, "memory_limit", 0, 2 ^ 40)
    local handle, why = core.executor(threads, given.max_queue, given.timeout, bytes)
    if not handle then error(why, 3) end
    self._handle = handle
end

--- Calls `name` of the module, which may be a site's, on a thread and waits; returns its results.
-- Raises ExecutorError with what it raised, ExecutorFull, TimeoutError, memory.MemoryLimitError.
-- A wait that is cancelled returns at once: a call that has not begun never does, another one's
-- result is thrown away.
function Executor:run(module, name, ...)
    check_names(module, name, 2)
    local bytes = encode_call(module, name, 2, ...)
    local job, why = core.executor_call(self._handle, bytes)
    if not job then error(executor.ExecutorFull(why), 0) end
    return finish(job, module .. "." .. name)
end

local function settle(future, fn, arguments)
    local ok, result = ioloop.protect(fn, unpack(arguments, 1, arguments.n))
    if ok then return future:set_result(result) end
    future:set_exception(result)
end

--- As run(), in the background: returns a Future of the first result.
function Executor:submit(module, name, ...)
    check_names(module, name, 2)
    local future = concurrent.Future()
    ioloop.start(settle, future, self.run, { n = 3 + select("#", ...), self, module, name, ... })
    return future
end

--- Calls that wait or run.
function Executor:load()
    return core.executor_load(self._handle)
end

--- Has modules loaded anew: each Lua state is dropped when its call is over.
function Executor:reset()
    core.executor_reset(self._handle)
end

--- Takes no more calls; those under way go on, and then its threads end.
function Executor:shutdown()
    core.executor_close(self._handle)
end

--- An executor whose calls are made where the caller is, in its own Lua state.
local Dummy = util.Object:extend "DummyExecutor"

function Dummy:run(module, name, ...)
    check_names(module, name, 2)
    return require(module)[name](...)
end

function Dummy:submit(...)
    local future = concurrent.Future()
    settle(future, self.run, { n = 1 + select("#", ...), self, ... })
    return future
end

function Dummy:load() return 0 end

function Dummy:reset() end

function Dummy:shutdown() end

--- Calls functions at once, in the caller's coroutine.
executor.dummy_executor = Dummy()

--- A method that calls `name` of the module on a thread of self.executor, or of the field that the
-- option `executor` names, and returns a Future. `self` is not among the arguments.
-- Tornado: decorates a method, whose object the thread shares.
function executor.run_on_executor(module, name, options)
    check_names(module, name, 2)
    local field = util.options(options, { executor = "executor" }, "run_on_executor").executor
    return function(self, ...)
        return self[field]:submit(module, name, ...)
    end
end

-- The default one -----------------------------------------------------------------------

local default
local options = {}

--- Options of the default executor, for when it is made: the server's.
function executor.configure(given)
    options = given
end

--- The executor of run_in_executor(), made on first use.
function executor.default()
    if not default then default = Executor(options) end
    return default
end

--- Puts another executor in its place.
function executor.set_default(other)
    if type(other) ~= "table" or not other.run then
        error("bad executor: expected an executor, got " .. type(other), 2)
    end
    default = other
end

--- Calls a function of a module on a thread of the default executor, as Executor:run() does;
-- another executor may come first, as in Tornado; nil is the default one.
function executor.run_in_executor(first, ...)
    if first == nil then return executor.default():run(...) end
    if type(first) == "table" and first.run then return first:run(...) end
    return executor.default():run(first, ...)
end

concurrent.ThreadPoolExecutor = Executor
concurrent.DummyExecutor = Dummy
concurrent.dummy_executor = executor.dummy_executor
concurrent.run_on_executor = executor.run_on_executor
concurrent.ExecutorError = ExecutorError
ioloop.run_in_executor = executor.run_in_executor
ioloop.set_default_executor = executor.set_default

function ioloop.IOLoop:run_in_executor(...) return executor.run_in_executor(...) end

function ioloop.IOLoop:set_default_executor(other) executor.set_default(other) end

return executor
