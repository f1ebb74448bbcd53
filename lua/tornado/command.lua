-- The commands of the command line. Each returns an exit code, or nothing when the
-- process is to go on serving.
local config = require "tornado.config"
local core = require "tornado.core"
local executor = require "tornado.concurrent.executor"
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local sites = require "tornado.sites"
local util = require "tornado.util"

local DONE, FAILED, USAGE = 0, 1, 2

local commands = {}

local HELP = [[
ctornado %s: web server, web framework and asynchronous network library in one process

  ctornado [serve] [--site=DIR] [--port=N] [--debug] [--NAME=VALUE ...]   serves sites
  ctornado check                loads the configuration, sites and templates, reports errors
  ctornado run FILE.lua [...]   runs a script inside the event loop
  ctornado test [...]           runs busted specs inside the runtime (busted's arguments)
  ctornado version | help

Options, each also a line of ctornado.conf [default]:
%s

Exit codes: 0 done, 1 the work failed, 2 wrong usage.
]]

local function fail(text)
    io.stderr:write("ctornado: ", text, "\n")
end

-- Serving -----------------------------------------------------------------------------

local LIMITS = {
    "max_line_size", "max_header_size", "max_fields", "max_body_size", "body_buffer_size",
    "write_buffer_size", "header_timeout", "body_timeout", "body_min_rate", "idle_timeout",
    "write_timeout", "handler_timeout", "max_connections", "max_keepalive_requests", "backlog",
    "static_coded_size",
}

local function set_logs(options)
    log.set_level(options.log_level)
    log.set_format(options.log_format)
    if options.log_file ~= "" then
        local ok, why = core.log_open(options.log_file)
        if not ok then return nil, "log_file: " .. why end
    end
    local access = options.access_log
    if access == "" and options.debug then access = "stderr" end
    require("tornado.web").Application.access_log = access ~= ""
    local ok, why = core.access_log_open(access)
    if not ok then return nil, "access_log: " .. why end
    return true
end

local function set_limits(options)
    for _, name in ipairs(LIMITS) do core.set_option(name, options[name]) end
    httpserver.max_body_size = options.max_body_size
    httpserver.handler_timeout = options.handler_timeout
    if core.file_kind(options.body_temp_dir) ~= "folder" then
        return nil, "body_temp_dir: no such folder: " .. options.body_temp_dir
    end
    core.set_temp_dir(options.body_temp_dir)
    return true
end

local function set_executor(options)
    local threads = options.executor_threads
    executor.configure {
        max_workers = threads > 0 and threads or nil, max_queue = options.executor_queue,
        timeout = options.executor_timeout,
    }
end

local function set_resolver(options)
    local ok, why = core.set_resolver {
        servers = options.resolver_servers, conf = options.resolver_conf,
        timeout = options.resolver_timeout, tries = options.resolver_tries,
        deadline = options.resolver_deadline, max_ttl = options.resolver_max_ttl,
    }
    if not ok then return nil, "resolver_servers: " .. why end
    return true
end

-- A list of { ADDRESS, ssl_options ... } and { ADDRESS, redirect = PORT }.
local function addresses(options)
    local list = {}
    for i, item in ipairs(options.listen) do
        list[i] = type(item) == "table" and item or { item }
    end
    if #list > 0 then return list end
    local host = options.address
    if host:find(":", 1, true) and host:sub(1, 1) ~= "[" then host = "[" .. host .. "]" end
    list[1] = { host .. ":" .. options.port }
    if options.certfile ~= "" then
        list[1].certfile = options.certfile
        list[1].keyfile = options.keyfile ~= "" and options.keyfile or nil
    end
    return list
end

local function load_everything(options)
    if #options.sites == 0 then
        return nil, { "no site to serve: give --site=DIR, or sites = { ... } in " ..
            options.config }
    end
    local app, reasons = sites.load_all(options.sites)
    if not app then return nil, reasons end
    return app
end

local function settings_for(app, options)
    for _, mount in ipairs(app.list or { { app = app } }) do
        local settings = mount.app.settings
        if options.debug and settings.debug == nil then settings.debug = true end
        mount.app:apply_debug()
    end
end

-- Listening --------------------------------------------------------------------------------

-- What stands beside an address, as ssl_options; nil: there is nothing.
local function ssl_options_of(item, options)
    local out
    for name, value in pairs(item) do
        if name ~= 1 and name ~= "redirect" then
            out = out or {}
            out[name] = value
        end
    end
    if not out or out.certfile ~= "self-signed" then return out end
    if not options.debug then
        error('certfile = "self-signed" is for debug = true: no client would trust it', 0)
    end
    out.certfile, out.self_signed = nil, true
    return out
end

local function listen_on(app, item, options)
    local ssl_options = ssl_options_of(item, options)
    local scheme = ssl_options and "https://" or "http://"
    if item.redirect then
        if ssl_options or type(item.redirect) ~= "number" then
            error("redirect: expected the port that HTTPS is on, without a certificate", 0)
        end
        app = httpserver.redirect_to_https(item.redirect)
    end
    local server = httpserver.HTTPServer(app, {
        xheaders = options.xheaders, trusted_downstream = options.trusted_downstream,
        decompress_request = options.decompress_request, ssl_options = ssl_options,
    })
    local bound = server:listen_on(item[1])
    log.gen_log:info("ctornado %s on %s%s", util.version, bound:find("^unix:") and "" or scheme,
        bound)
    return server
end

local stopping

local function stop(servers, signal)
    if stopping or signal == 2 then return core.exit(DONE) end
    stopping = true
    log.gen_log:info("stopping: %d requests under way", httpserver.live_count())
    for _, server in ipairs(servers) do
        server:stop()
        server:end_streams()
    end
    local deadline = core.monotonic() + 10
    local function look()
        local under_way = httpserver.live_count() + core.counts().unsent
        if under_way == 0 or core.monotonic() > deadline then return core.exit(DONE) end
        ioloop.call_later(0.05, look)
    end
    look()
end

function commands.serve(options, rest)
    if #rest > 0 then
        fail("serve takes no arguments, got " .. rest[1])
        return USAGE
    end
    local ok, why = set_logs(options)
    if ok then ok, why = set_limits(options) end
    if not ok then
        fail(why)
        return FAILED
    end
    local app, reasons = load_everything(options)
    if not app then
        for _, reason in ipairs(reasons) do fail(reason) end
        return FAILED
    end
    settings_for(app, options)
    local servers = {}
    for i, item in ipairs(addresses(options)) do
        local good, result = pcall(listen_on, app, item, options)
        if not good then
            fail(type(result) == "table" and result.message or tostring(result))
            return FAILED
        end
        servers[i] = result
    end
    ioloop.on(core.EVENT_STOP, function(signal) stop(servers, signal) end)
end

-- Returns how many templates of a site are broken.
local function check_templates(app, path)
    local count, problems = require "tornado.web.check"(app)
    for _, problem in ipairs(problems) do fail(problem) end
    if #problems == 0 then
        print(("%s: good%s"):format(path, count > 0 and (", %d templates"):format(count) or ""))
    end
    return #problems
end

function commands.check(options)
    local failed = 0
    if #options.sites == 0 then
        fail("no sites in " .. options.config .. " and no --site=DIR")
        return FAILED
    end
    for _, site in ipairs(options.sites) do
        local path = type(site) == "table" and site.path or site
        local app, why = sites.load(path)
        if app then
            failed = failed + check_templates(app, path)
        else
            fail(why)
            failed = failed + 1
        end
    end
    return failed == 0 and DONE or FAILED
end

-- Scripts and specs ---------------------------------------------------------------------

-- A script ends when it is told to, as one of Lua's own would.
local function end_script(signal)
    core.exit(128 + signal)
end

function commands.run(_, rest)
    local path = rest[1]
    if not path then
        fail("run needs a file: ctornado run FILE.lua [arguments]")
        return USAGE
    end
    local chunk, why = loadfile(path)
    if not chunk then
        fail(why)
        return FAILED
    end
    local arguments = {}
    for i = 1, #rest do arguments[i - 1] = rest[i] end
    rawset(_G, "arg", arguments)
    ioloop.on(core.EVENT_STOP, end_script)
    local ok, err, trace = ioloop.protect(chunk, unpack(arguments, 1))
    -- What went wrong beside it is logged in the next turns.
    collectgarbage()
    for _ = 1, 2 do gen.moment() end
    if ok then return DONE end
    fail(trace or tostring(err))
    return FAILED
end

function commands.test(_, rest)
    return require("tornado.testing.runner")(rest)
end

function commands.version()
    print("ctornado " .. util.version .. " (" .. jit.version .. ")")
    return DONE
end

function commands.help()
    io.write(HELP:format(util.version, config.help()))
    return DONE
end

-- Their arguments are their own.
local OWN_ARGUMENTS = { run = true, test = true }

local command = {}

--- Runs a command line (an array of arguments); returns an exit code, or nil to go on.
function command.run(arguments)
    local line, why = config.parse_command_line(arguments, OWN_ARGUMENTS)
    if not line then
        fail(why)
        return USAGE
    end
    local name = line.command or "serve"
    local run = commands[name]
    if not run then
        local list = {}
        for known in pairs(commands) do list[#list + 1] = known end
        local near = util.nearest(name, list)
        fail(('unknown command "%s"%s; see ctornado help'):format(name,
            near and (' (did you mean "%s"?)'):format(near) or ""))
        return USAGE
    end
    if name == "version" or name == "help" then return run() end
    local options
    options, why = config.load(line.options)
    if not options then
        fail(why)
        return FAILED
    end
    local ok
    set_executor(options)
    ok, why = set_resolver(options)
    if not ok then
        fail(why)
        return FAILED
    end
    return run(options, line.rest)
end

return command
