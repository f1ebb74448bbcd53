-- The commands of the command line. Each returns an exit code, or nothing when the
-- process is to go on serving. The larger ones are files in command/.
local config = require "tornado.config"
local control = require "tornado.control"
local core = require "tornado.core"
local errors = require "tornado.ioloop.errors"
local files = require "tornado.autoreload.files"
local gen = require "tornado.gen"
local help = require "tornado.command.help"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local rerun = require "tornado.autoreload.rerun"
local serving = require "tornado.serving"
local sites = require "tornado.sites"
local util = require "tornado.util"
local watchdog = require "tornado.watchdog"

local DONE, FAILED, USAGE = 0, 1, 2

local commands = {}

local problems = {}

local program = "ctornado" -- as it was typed

-- A later generation tells whoever asked for it, not the terminal of the first.
local function fail(text)
    problems[#problems + 1] = text
    if core.generation() == 1 then io.stderr:write("ctornado: ", text, "\n") end
end

-- Serving and checking -----------------------------------------------------------------

function commands.serve(options, rest)
    if #rest > 0 then
        fail(("serve takes no arguments, got %s; a site is named by --site=DIR"):format(rest[1]))
        return USAGE
    end
    local ok, reasons = serving.start(options)
    if ok then return nil end
    for _, reason in ipairs(reasons) do fail(reason) end
    return FAILED
end

-- Returns how many templates of a site are broken.
local function check_templates(app, path)
    local count, broken, remarks = require "tornado.web.check"(app)
    for _, problem in ipairs(broken) do fail(problem) end
    for _, remark in ipairs(remarks) do io.stderr:write(path, ": note: ", remark, "\n") end
    if #broken == 0 then
        print(("%s: good%s"):format(path, count > 0 and (", %d templates"):format(count) or ""))
    end
    return #broken
end

function commands.check(options, rest)
    local failed = 0
    if #rest > 0 then
        fail(("check takes no arguments, got %s; a site is named by --site=DIR"):format(rest[1]))
        return USAGE
    end
    if #options.sites == 0 then
        fail("no sites in " .. options.config .. " and no --site=DIR; ctornado new DIR makes one")
        return FAILED
    end
    for _, reason in ipairs(serving.check(options)) do
        fail(reason)
        failed = failed + 1
    end
    watchdog.start(0, options.cpu_limit)
    for _, site in ipairs(options.sites) do
        local path = type(site) == "table" and site.path or site
        local app, why, is_path = sites.load(path)
        if app then
            failed = failed + check_templates(app, path)
        else
            fail((is_path and config.place(options, "sites") or "") .. why)
            failed = failed + 1
        end
    end
    return failed == 0 and DONE or FAILED
end

-- A running server ---------------------------------------------------------------------

-- How long an answer may take: a reload loads all sites first.
local ANSWER_TIME = { reload = 70, upgrade = 70 }

-- What is printed of a good answer: of a reload, what it could not change.
local function answer_of(name, text, as_json)
    if name ~= "status" then return name .. ": done" .. (text ~= "" and "; " .. text or "") end
    if as_json then return (text:gsub("%s+$", "")) end
    return control.describe(text)
end

-- What is wrong with what stands behind the command, or nil.
local function refusal_of(name, rest, allowed)
    if #rest <= allowed then return end
    return ("%s takes no arguments%s, got %s"):format(name,
        name == "status" and " but json" or "", rest[#rest])
end

-- Sends it to the server; returns the answer, or nil and why there is none.
local function send(path, name)
    local ok, text = control.ask(path, name, ANSWER_TIME[name] or 10)
    if ok == nil then return nil, ("no server answers on %s (%s)"):format(path, text) end
    if not ok then return nil, name .. ": nothing has changed: " .. text end
    return text
end

local function ask(name)
    return function(options, rest, own)
        local word = name == "status" and rest[1] == "json"
        local path = serving.control_path(options)
        local wrong = refusal_of(name, rest, word and 1 or 0)
        if not wrong and path == "" then
            wrong = "these options name no control socket: give --port, --listen or --control " ..
                "as the server has it"
        end
        if wrong then
            fail(wrong)
            return USAGE
        end
        local text, why = send(path, name)
        if not text then
            fail(why)
            return FAILED
        end
        print(answer_of(name, text, word or own.json))
        return DONE
    end
end

for _, name in ipairs { "reload", "upgrade", "stop", "quit", "status", "reopen" } do
    commands[name] = ask(name)
end

-- Scripts and specs ---------------------------------------------------------------------

-- A script ends when it is told to, as one of Lua's own would.
local function end_script(signal)
    core.exit(128 + signal)
end

local function run_script(path, rest)
    files.note(path)
    local chunk, why = loadfile(path)
    if not chunk then
        fail(why)
        return FAILED
    end
    local arguments = {}
    for i = 1, #rest do arguments[i - 1] = rest[i] end
    rawset(_G, "arg", arguments)
    local ok, err, trace = ioloop.protect(chunk, unpack(arguments, 1))
    -- What went wrong beside it is logged in the next turns.
    collectgarbage()
    for _ = 1, 2 do gen.moment() end
    if ok then return DONE end
    fail(trace and errors.own_part(trace) or tostring(err))
    return FAILED
end

-- Runs it, and again when one of its files changes, however it ends.
local function run_again(path, rest)
    local autoreload = require "tornado.autoreload"
    function os.exit(code) -- luacheck: ignore 122
        log.gen_log:info("the script ended with exit code %s", tostring(code or 0))
        autoreload.wait()
    end
    rerun.start()
    os.exit(run_script(path, rest))
end

function commands.run(options, rest)
    local again = options.autoreload == true
    if rest[1] == "--autoreload" then
        again = true
        table.remove(rest, 1)
    end
    local path = rest[1]
    if path == "--help" or path == "-h" then return commands.help(nil, { "run" }) end
    if not path then
        fail("run needs a file: ctornado run [--autoreload] FILE.lua [arguments]")
        return USAGE
    end
    ioloop.on(core.EVENT_STOP, end_script)
    return (again and run_again or run_script)(path, rest)
end

function commands.test(_, rest)
    for _, argument in ipairs(rest) do
        if argument == "--help" or argument == "-h" then return commands.help(nil, { "test" }) end
    end
    return require("tornado.testing.runner")(rest)
end

function commands.version()
    print("ctornado " .. util.version .. " (" .. jit.version .. ")")
    return DONE
end

-- Tools -----------------------------------------------------------------------------------

-- Files in command/: { options = , run = function(options, rest, own, fail) }.
local TOOLS = { new = true, profile = true, repl = true, routes = true }

local function tool(name)
    return TOOLS[name] and require("tornado.command." .. name)
end

for name in pairs(TOOLS) do
    commands[name] = function(options, rest, own)
        return tool(name).run(options, rest, own, fail, program)
    end
end

local STATUS_OPTIONS = { { "json", "boolean", false, "one line, for programs" } }

local function options_of(name)
    if name == "status" then return STATUS_OPTIONS end
    return tool(name) and tool(name).options
end

local function unknown_command(name)
    local list = {}
    for known in pairs(commands) do list[#list + 1] = known end
    local near = util.nearest(name, list)
    near = near and ('"%s"'):format(near) or
        core.file_kind(name) == "folder" and "--site=" .. name
    fail(('unknown command "%s"%s; see ctornado help'):format(name,
        near and (" (did you mean %s?)"):format(near) or ""))
    return USAGE
end

function commands.help(_, rest)
    local name = rest[1]
    if name and not commands[name] then return unknown_command(name) end
    io.write(name and help.of(name, options_of(name)) or help.all())
    return DONE
end

-- Their arguments are their own.
local OWN_ARGUMENTS = { run = true, test = true }

-- They need no options: a configuration that is broken is none of their business.
local WITHOUT_OPTIONS = { help = true, new = true, version = true }

local command = {}

--- Says that something went wrong.
command.fail = fail

--- What went wrong in the commands so far, as text.
function command.problems()
    return table.concat(problems, "\n")
end

--- Runs a command line (an array of arguments); returns an exit code, or nil to go on.
function command.run(arguments)
    program = arguments[0] or program
    local line, why = config.parse_command_line(arguments, OWN_ARGUMENTS, options_of)
    if not line then
        fail(why)
        return USAGE
    end
    local name = line.command or "serve"
    local run = commands[name]
    if not run then return unknown_command(name) end
    if WITHOUT_OPTIONS[name] then return run(line.options, line.rest, line.own) end
    local options
    options, why = config.load(line.options)
    if not options then
        fail(why)
        return FAILED
    end
    local ok
    ok, why = serving.set_tools(options)
    if not ok then
        fail(why)
        return FAILED
    end
    if name == "run" then rerun.arguments = { arguments[0] or "ctornado", unpack(arguments) } end
    return run(options, line.rest, line.own)
end

return command
