-- `ctornado test`: runs busted inside the loop, so that specs may wait like handlers do,
-- and holds every case to leaving nothing behind (see case.lua).
local case = require "tornado.testing.case"

-- busted forgets what a spec file loads when the file is over. These stay: classes would
-- exist twice otherwise, and FFI declarations cannot be made twice.
local STAY = {
    "tornado.testing", "tornado.web", "tornado.gen", "tornado.routing", "tornado.httputil",
    "tornado.escape", "tornado.command", "tornado.files", "tornado.process",
    "tornado.websocket",
    "tornado.tcpserver", "tornado.tcpclient",
}

-- Makes a case be watched. busted's own `finally` comes after the body however it ended.
local function watch(busted, element)
    local body = element.run
    case.begin()
    element.env.finally(case.abandon)
    element.env.finally = case.finally
    element.run = function()
        element.run = body
        case.guard()
        body()
        local why = case.finish()
        if why then
            local at = element.trace
            busted.fail(("%s:%d: %s"):format(at.short_src, at.currentline, why), 0)
        end
    end
end

-- What happened: busted itself only says whether something failed.
local function observe(busted, seen)
    busted.subscribe({ "test", "start" }, function(element)
        if element.descriptor == "it" then watch(busted, element) end
        return nil, true
    end)
    busted.subscribe({ "test", "end" }, function(_, _, status)
        seen.ran = true
        seen[status] = (seen[status] or 0) + 1
        return nil, true
    end)
    busted.subscribe({ "suite", "start" }, function()
        seen.started = true
        return nil, true
    end)
    for _, kind in ipairs { "error", "failure" } do
        busted.subscribe({ kind }, function(element)
            seen.bad = true
            if element.descriptor ~= "it" then seen.outside = (seen.outside or 0) + 1 end
            return nil, true
        end)
    end
end

-- busted makes itself in here; its name in messages is that of the chunk that calls it.
local function run_busted(seen)
    local make = require "busted.core"
    package.loaded["busted.core"] = function()
        local busted = make()
        observe(busted, seen)
        return busted
    end
    local call = loadstring("local run = ... run { standalone = false } return true",
        "@ctornado test")
    local exit = os.exit
    os.exit = function(code) error({ code = code }, 0) end -- luacheck: ignore 122
    local ok, err = pcall(call, require "busted.runner")
    os.exit = exit -- luacheck: ignore 122
    if ok or err == nil or type(err) == "table" and err.code then return end
    seen.bad = true
    io.stderr:write("ctornado test: ", tostring(err), "\n")
end

local function has_any(arguments, patterns)
    for _, argument in ipairs(arguments) do
        for _, pattern in ipairs(patterns) do
            if argument:find(pattern) then return true end
        end
    end
    return false
end

local OTHER_OUTPUT = { "^%-o", "^%-%-output" }
local ASKS_ONLY = { "^%-h$", "^%-%-help$", "^%-%-version$", "^%-l$", "^%-%-list$" }

-- The exit code, and what busted leaves unsaid.
local function conclude(seen, arguments)
    if has_any(arguments, ASKS_ONLY) then return 0 end
    if not seen.started then return 2 end
    if not seen.ran and not seen.bad then
        io.stderr:write("ctornado test: no case was run\n")
        return 1
    end
    if not seen.bad then return 0 end
    if not has_any(arguments, OTHER_OUTPUT) then
        -- Once more, behind the failures, whose text may have counts of its own.
        io.write(("\n%d successes / %d failures / %d errors\n"):format(seen.success or 0,
            seen.failure or 0, (seen.error or 0) + (seen.outside or 0)))
    end
    return 1
end

--- Runs specs; takes busted's arguments, by default the folder spec. Returns the exit code: 0
--- when all passed, 1 when not, 2 when the arguments are wrong.
return function(arguments)
    for _, name in ipairs(STAY) do require(name) end
    if not pcall(require, "busted.core") then
        io.stderr:write("ctornado: test needs busted (Debian: lua-busted)\n")
        return 1
    end
    local list = { [0] = "ctornado test" }
    for i, argument in ipairs(arguments) do list[i] = argument end
    rawset(_G, "arg", list)
    case.take_log()
    local seen = {}
    run_busted(seen)
    local code = conclude(seen, arguments)
    io.flush()
    return code
end
