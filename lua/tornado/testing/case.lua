-- One case of a spec: what was open when it began, how long it may take, which log lines
-- it expects. When its body is over, everything it opened must be closed again.
local core = require "tornado.core"
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local util = require "tornado.util"

local case = {}

local real_timer = core.timer -- testing.clock() puts another one in its place
local WARNING = log.LEVELS.warning
local SETTLE = 0.2 -- of the time that cases have: what connections get to close
local LEVEL_NAMES = {}
for name, level in pairs(log.LEVELS) do LEVEL_NAMES[level] = name end

local current -- the running case, or nil

-- What is open ---------------------------------------------------------------------

-- Count -> how a message calls one of them.
local COUNTED = {
    connections = "connection", requests = "request", timers = "timer", listeners = "listener",
    channels = "channel", descriptors = "descriptor", digests = "digest",
    resolves = "question for a name",
    jobs = "job", processes = "process",
    watches = "watched descriptor", websockets = "WebSocket",
    live = "live request", fetches = "fetch",
    waiting = "waiting coroutine",
}

local function count()
    local counts = core.counts()
    counts.live = httpserver.live_count()
    counts.waiting = ioloop.counts().waiting
    return counts
end

local function globals()
    local names = {}
    for name in next, _G do names[name] = true end
    return names
end

-- "2 timers, 1 listener" that were not there before; nil when there are none.
local function surplus(before)
    local now, list = count(), {}
    for key, what in pairs(COUNTED) do
        local more = now[key] - before[key]
        if more > 0 then
            list[#list + 1] = ("%d %s%s"):format(more, what, more > 1 and "s" or "")
        end
    end
    table.sort(list)
    return list[1] and table.concat(list, ", ") or nil
end

local function settle(before, seconds)
    local deadline = core.precise() + seconds
    local left = surplus(before)
    while left and core.precise() < deadline do
        gen.sleep(0.001)
        left = surplus(before)
    end
    return left
end

-- Tracebacks of coroutines that did not wait before; at most three.
local function new_waiters(before)
    local known = {}
    for _, trace in ipairs(before) do known[trace] = (known[trace] or 0) + 1 end
    local out = {}
    for _, trace in ipairs(ioloop.waiting()) do
        if (known[trace] or 0) > 0 then
            known[trace] = known[trace] - 1
        elseif #out < 3 then
            out[#out + 1] = "a coroutine that waits; " .. trace
        end
    end
    return out
end

local function new_globals(before)
    local names = {}
    for name in next, _G do
        if not before[name] then names[#names + 1] = tostring(name) end
    end
    table.sort(names)
    for _, name in ipairs(names) do rawset(_G, name, nil) end
    return names
end

-- Log ------------------------------------------------------------------------------

local function on_line(level, name, text)
    if not current then return level < WARNING end
    for _, one in ipairs(current.filters) do
        if one:takes(level, name, text) then return true end
    end
    local expected = false
    for _, wanted in ipairs(current.expected) do
        local fits = wanted.level and wanted.level == level
            or not wanted.level and level >= WARNING
        if fits and text:find(wanted.pattern) then
            wanted.lines[#wanted.lines + 1] = text
            wanted.text = text
            expected = true
        end
    end
    if level >= WARNING and not expected then
        current.unexpected[#current.unexpected + 1] =
            ("[%s] %s: %s"):format(LEVEL_NAMES[level], name, text)
    end
    return true
end

--- See testing.expect_log().
function case.expect_log(level, pattern)
    if pattern == nil then level, pattern = nil, level end
    if type(pattern) ~= "string" then
        error("bad pattern: expected string, got " .. type(pattern), 2)
    end
    if level ~= nil and not log.LEVELS[level] then
        error("bad level: " .. tostring(level), 2)
    end
    if not current then error("expect_log() works inside a case", 2) end
    local wanted = { level = level and log.LEVELS[level], pattern = pattern, lines = {} }
    current.expected[#current.expected + 1] = wanted
    return wanted
end

--- Puts an object before the case's own look at a line: takes(level, name, text) returns true
--- for one that nobody else shall see.
function case.add_filter(object)
    if not current then error("ExpectLog() works inside a case", 3) end
    table.insert(current.filters, 1, object)
end

function case.remove_filter(object)
    if not current then return end
    for i, one in ipairs(current.filters) do
        if one == object then
            table.remove(current.filters, i)
            return
        end
    end
end

--- Takes over the log, for as long as specs run.
function case.take_log()
    return log.set_filter(on_line)
end

local function complaints(before)
    local out = {}
    for _, line in ipairs(before.unexpected) do
        out[#out + 1] = "logged, but not expected (testing.expect_log): " .. line
    end
    for _, wanted in ipairs(before.expected) do
        if #wanted.lines == 0 then
            out[#out + 1] = ("expected to log %s%q, but it never came"):format(
                wanted.level and LEVEL_NAMES[wanted.level] .. " " or "", wanted.pattern)
        end
    end
    return out
end

-- Time ------------------------------------------------------------------------------

--- As ioloop.call_later(), by the real clock always.
function case.call_later(seconds, fn, ...)
    local timer = core.timer
    core.timer = real_timer
    local handle = ioloop.call_later(seconds, fn, ...)
    core.timer = timer
    return handle
end

-- As gen.sleep(), by the real clock always.
local function sleep(seconds)
    local waiter = ioloop.waiter()
    case.call_later(seconds, ioloop.wake, waiter)
    ioloop.wait(waiter)
end

--- See testing.get_async_test_timeout().
function case.default_timeout()
    return tonumber(os.getenv("ASYNC_TEST_TIMEOUT")) or 5
end

--- How long what waits in the running case may take, if nobody said so: as long as the case.
function case.patience()
    return current and current.timeout or case.default_timeout()
end

--- See testing.wait_until().
function case.wait_until(fn, timeout)
    timeout = timeout or case.patience()
    local deadline = core.precise() + timeout
    while true do
        local value = fn()
        if value then return value end
        if core.precise() > deadline then
            local info = debug.getinfo(fn, "S")
            error(util.TimeoutError("not true within %g s: the condition at %s:%d", timeout,
                info.short_src, info.linedefined), 0)
        end
        sleep(0.001)
    end
end

-- Without the frames of the runner and below, which are the same in all cases.
local function shorten(trace)
    return (trace:gsub("\n\ttornado/testing/runner%.lua.*$", ""))
end

local function where_it_waits(state)
    local own = debug.traceback(state.coroutine)
    local parts = { ("the case has not ended within %g s; it waits here, %s"):format(
        state.timeout, shorten(own)) }
    for _, trace in ipairs(ioloop.waiting()) do
        if trace ~= own and #parts < 4 then parts[#parts + 1] = "another coroutine: " .. trace end
    end
    return table.concat(parts, "\n")
end

-- Raises where the case waits; again and again, should it catch the error.
local function expire(state)
    local waiter = ioloop.waiter_of(state.coroutine)
    if not waiter then
        io.stderr:write(where_it_waits(state), "\nit has yielded past the loop: giving up\n")
        core.exit(1)
        return
    end
    ioloop.cancel(waiter, where_it_waits(state))
    state.timer = case.call_later(0.1, expire, state)
end

local function stop_timer(state)
    if state.timer then ioloop.remove_timeout(state.timer) end
    state.timer = nil
end

--- See testing.set_timeout().
function case.set_timeout(seconds)
    if not current then error("set_timeout() works inside a case", 2) end
    stop_timer(current)
    current.timeout = seconds
    current.timer = case.call_later(seconds, expire, current)
end

-- The life of a case -----------------------------------------------------------------

--- Begins a case: remembers what is open.
function case.begin()
    current = {
        counts = count(), waiting = ioloop.waiting(), globals = globals(),
        expected = {}, unexpected = {}, closers = {}, filters = {},
    }
end

--- The body begins, in the running coroutine.
function case.guard()
    current.coroutine = coroutine.running()
    case.set_timeout(case.default_timeout())
end

--- Calls `fn` when the body is over, the last one first. Outside of a case: does nothing.
function case.finally(fn)
    if not util.is_callable(fn) then
        error("bad function: expected function, got " .. type(fn), 2)
    end
    if current then current.closers[#current.closers + 1] = fn end
end

-- Runs what was given to finally(); returns the first error.
local function close(state)
    local first
    while #state.closers > 0 do
        local ok, err, trace = ioloop.protect(table.remove(state.closers))
        if not ok then first = first or shorten(trace or tostring(err)) end
    end
    stop_timer(state)
    return first
end

--- The body has returned: closes what it left to be closed, and returns what is wrong, or nil.
function case.finish()
    local state = current
    local problems = { close(state) }
    local left = settle(state.counts, SETTLE * case.default_timeout())
    if left then
        problems[#problems + 1] = "leaked " .. left
        for _, trace in ipairs(new_waiters(state.waiting)) do
            problems[#problems + 1] = trace
        end
    end
    local names = new_globals(state.globals)
    if names[1] then problems[#problems + 1] = "leaked global " .. table.concat(names, ", ") end
    for _, text in ipairs(complaints(state)) do problems[#problems + 1] = text end
    current = nil
    return problems[1] and table.concat(problems, "\n")
end

--- The body has ended, however: does what finish() does when it was not done, without judging.
-- What was logged may say why the body failed, so it is shown.
function case.abandon()
    local state = current
    if not state then return end
    close(state)
    settle(state.counts, SETTLE / 4 * case.default_timeout())
    new_globals(state.globals)
    current = nil
    for _, line in ipairs(state.unexpected) do io.stderr:write("logged: ", line, "\n") end
end

return case
