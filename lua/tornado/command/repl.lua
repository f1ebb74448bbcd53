-- `ctornado repl`: what is typed is run inside the event loop.
local core = require "tornado.core"
local Input = require "tornado.repl.input"
local ioloop = require "tornado.ioloop"
local Session = require "tornado.repl.session"
local show = require "tornado.repl.show"
local sites = require "tornado.sites"
local util = require "tornado.util"

local DONE, FAILED, USAGE = 0, 1, 2
local SIGINT = 2

local repl = {}

-- Sites that cannot be loaded are reason enough to be here.
local function load_sites(list, fail)
    local apps = {}
    for _, site in ipairs(list) do
        local app, why = sites.load(type(site) == "table" and site.path or site)
        if app then apps[#apps + 1] = app else fail(why) end
    end
    return apps
end

-- History ---------------------------------------------------------------------------------

local function history_file()
    local home = os.getenv "HOME"
    return home and home ~= "" and home .. "/.ctornado_history" or nil
end

local function read_history(path)
    local list = {}
    local file = path and io.open(path, "r")
    if not file then return list end
    for line in file:lines() do list[#list + 1] = line end
    file:close()
    for _ = 1, #list - 1000 do table.remove(list, 1) end
    return list
end

local function append(path, line)
    local file = path and io.open(path, "a")
    if not file then return end -- best effort
    file:write(line, "\n")
    file:close()
end

-- The loop ----------------------------------------------------------------------------------

local function print_values(ok, n, ...)
    if not ok then
        io.stdout:flush()
        io.stderr:write((...), "\n")
        return false
    end
    for i = 1, n do print(show((select(i, ...)))) end
    io.stdout:flush()
    return true
end

local function count(ok, ...)
    return ok, select("#", ...), ...
end

local function complain(why)
    io.stderr:write(why, "\n")
    return false
end

-- Runs what the line completes, if it does. Returns false when that was an error.
local function take(session, line)
    local chunk, why = session:take(line)
    if chunk then return print_values(count(session:run(chunk))) end
    return not why or complain(why)
end

-- Returns whether all went well.
local function converse(session, input, path)
    local good = true
    while true do
        local line, why = input:read(session:is_open() and ">> " or "> ")
        if line then
            if input.is_terminal and input.editor:remember(line) then append(path, line) end
            good = take(session, line) and good
        elseif why == "interrupt" then
            session:reset()
        else
            local left = session:finish()
            return not (left and not complain(left)) and good
        end
    end
end

-- Ctrl-C cancels what runs (between two lines it means nothing); other signals end the process,
-- whose terminal is as it was.
local function on_signal(session, is_terminal)
    return function(signal)
        if signal == SIGINT and (session:interrupt() or is_terminal) then return end
        core.terminal_raw(false)
        core.exit(128 + signal)
    end
end

local BANNER = "ctornado %s, %s. What waits may be called; Tab completes, Ctrl-C cancels, " ..
    "Ctrl-D ends."

--- Returns the exit code.
function repl.run(options, rest, _, fail)
    if #rest > 0 then
        fail(("repl takes no arguments, got %s; a script is run by ctornado run FILE.lua"):format(
            rest[1]))
        return USAGE
    end
    local session = Session(load_sites(options.sites, fail))
    local path = history_file()
    local input = Input(read_history(path), function(text) return session:complete(text) end)
    if input.is_terminal then
        print(BANNER:format(util.version, jit.version))
    end
    ioloop.on(core.EVENT_STOP, on_signal(session, input.is_terminal))
    local good = converse(session, input, path)
    return (good or input.is_terminal) and DONE or FAILED
end

return repl
