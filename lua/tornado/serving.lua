-- Serving sites: options become limits, logs and listeners; sites are loaded; and
-- the process, or this generation of it, ends when it was told to.
local addresses = require "tornado.serving.addresses"
local admin = require "tornado.admin"
local autoreload = require "tornado.autoreload"
local certificates = require "tornado.serving.certificates"
local checks = require "tornado.serving.checks"
local config = require "tornado.config"
local control = require "tornado.control"
local core = require "tornado.core"
local executor = require "tornado.concurrent.executor"
local generation = require "tornado.generation"
local handover = require "tornado.web.handover"
local httpserver = require "tornado.httpserver"
local ioloop = require "tornado.ioloop"
local lifecycle = require "tornado.web.lifecycle"
local log = require "tornado.log"
local memory = require "tornado.memory"
local sites = require "tornado.sites"
local tracing = require "tornado.tracing"
local watchdog = require "tornado.watchdog"

local serving = {}

local LIMITS = {
    "max_line_size", "max_header_size", "max_fields", "max_body_size", "body_buffer_size",
    "write_buffer_size", "header_timeout", "body_timeout", "body_min_rate", "idle_timeout",
    "write_timeout", "write_min_rate", "handler_timeout", "max_connections",
    "max_connections_per_ip", "max_keepalive_requests", "backlog", "static_coded_size",
}

local function set_logs(options)
    log.set_level(options.log_level)
    log.set_format(options.log_format)
    local ok, why = core.log_open(options.log_file)
    if not ok then return nil, config.place(options, "log_file") .. "log_file: " .. why end
    local access = options.access_log
    if access == "" and options.debug then access = "stderr" end
    require("tornado.web").Application.access_log = access ~= ""
    ok, why = log.open_access(access, options.access_log_format)
    if not ok then return nil, config.place(options, "access_log") .. "access_log: " .. why end
    tracing.configure { accept = options.trace_accept, begin = options.trace_begin }
    return true
end

-- For rotation: whoever moved the files away has new ones made.
local function reopen(options)
    local ok, why = set_logs(options)
    if ok then return log.gen_log:info("log files are open anew") end
    log.gen_log:error("reopen: " .. why)
end

local OTHER_FILES = 256 -- than connections, that a process may well have

local function set_open_files(options)
    local wanted = options.max_open_files
    local got = core.open_files(wanted, options.max_connections + OTHER_FILES)
    if got < wanted then
        log.gen_log:warning("max_open_files: %d, for the system allows no more (`ulimit -Hn`)", got)
    end
    local clients = got * core.workers()
    if options.max_connections > clients then
        log.gen_log:warning("max_connections is %d, but descriptors are there for %d: raise " ..
            "`ulimit -Hn` (LimitNOFILE), or lower it", options.max_connections, clients)
    end
end

local function set_limits(options)
    for _, name in ipairs(LIMITS) do core.set_option(name, options[name]) end
    httpserver.max_body_size = options.max_body_size
    httpserver.handler_timeout = options.handler_timeout
    if core.file_kind(options.body_temp_dir) ~= "folder" then
        return nil, config.place(options, "body_temp_dir") ..
            "body_temp_dir: no such folder: " .. options.body_temp_dir
    end
    core.set_temp_dir(options.body_temp_dir)
    return true
end

--- Sets up what scripts and sites need alike: threads and names. Returns true, or nil and why not.
function serving.set_tools(options)
    local threads = options.executor_threads
    executor.configure {
        max_workers = threads > 0 and threads or nil, max_queue = options.executor_queue,
        timeout = options.executor_timeout,
    }
    local ok, why = core.set_resolver {
        servers = options.resolver_servers, conf = options.resolver_conf,
        timeout = options.resolver_timeout, tries = options.resolver_tries,
        deadline = options.resolver_deadline, max_ttl = options.resolver_max_ttl,
    }
    if not ok then
        return nil, config.place(options, "resolver_servers") .. "resolver_servers: " .. why
    end
    return true
end

local function load_everything(options)
    if #options.sites == 0 then
        return nil, { "no site to serve: give --site=DIR, or sites = { ... } in " ..
            options.config .. "; ctornado new DIR makes one" }
    end
    local app, reasons = sites.load_all(options.sites, config.place(options, "sites"))
    if not app then return nil, reasons end
    return app
end

-- The applications, and where they are.
local function mounts_of(app)
    return app.list or { { app = app } }
end

local function settings_for(app, options)
    for _, mount in ipairs(mounts_of(app)) do
        local settings = mount.app.settings
        if options.debug and settings.debug == nil then settings.debug = true end
        mount.app:apply_debug()
    end
end

-- Ending -----------------------------------------------------------------------------------

-- Names what still runs when the time for it is over.
local function log_late(count)
    log.gen_log:warning("stop_timeout: %d requests, streams or WebSockets are cut off", count)
    for _, where in ipairs(ioloop.waiting()) do log.gen_log:warning("it waits here: %s", where) end
end

local PARTING = 6 -- seconds that streams and WebSockets have to end when they are told to

-- Ends this generation when nothing is under way, or after `seconds`: then late(count) is called,
-- which returns how many more it shall wait, or nil.
local function leave(app, seconds, late)
    generation.leave()
    local deadline = core.monotonic() + seconds
    local function look()
        local count = generation.count()
        if count > 0 and core.monotonic() <= deadline then
            generation.settle()
            return ioloop.call_later(0.05, look)
        end
        local more = count > 0 and late and late(count)
        if more then
            deadline, late = core.monotonic() + more, nil
            return look()
        end
        lifecycle.stop(app)
        core.exit(0)
    end
    look()
end

local SIGINT = 2
local stopping

local function count_unsent()
    return stopping and core.counts().unsent or 0
end

local function finish(app, servers, options)
    if stopping then return end
    stopping = true
    generation.hold("replies", count_unsent)
    for _, server in ipairs(servers) do server:stop() end
    log.gen_log:info("stopping: %d requests under way", httpserver.live_count())
    for _, server in ipairs(servers) do
        server:drain()
        server:end_streams()
    end
    admin.end_streams() -- it goes on: probes are told that the server ends
    generation.finish("stop")
    leave(app, options.stop_timeout, log_late)
end

local told -- to stop

-- Told again it waits no longer: for stop_delay, or for what is under way.
local function stop(app, servers, options, signal)
    if stopping or signal == SIGINT then return core.exit(0) end
    autoreload.stop()
    if told or options.stop_delay == 0 then return finish(app, servers, options) end
    told = true
    log.gen_log:info("stopping in %g s: not ready any more, but still there (stop_delay)",
        options.stop_delay)
    ioloop.call_later(options.stop_delay, finish, app, servers, options)
end

-- What generations leave to each other.
local function join_generations(app)
    local mounts = mounts_of(app)
    handover.begin(mounts)
    ioloop.on(core.EVENT_MOVED, function(handle)
        require("tornado.websocket.moving").receive(handle, function(name)
            return handover.find(mounts, name)
        end)
    end)
end

-- Its WebSockets go to the newer generation, if that has the same handlers.
local function move_websockets(app)
    if not package.loaded["tornado.websocket.handler"] then return end
    require("tornado.websocket.moving").begin(function(one)
        return handover.name(mounts_of(app), one)
    end)
end

local function count_connections()
    return core.counts().connections
end

-- Another process serves: connections stay here, and each may have one more request.
local function fade(servers)
    for _, server in ipairs(servers) do server:fade() end
    generation.hold("connections", count_connections)
end

-- A newer generation serves: this one answers what it has begun. With number 0 it is another
-- process.
local function retire(app, servers, options, number)
    local is_last = number == 0
    autoreload.retire()
    certificates.stop()
    if not is_last then move_websockets(app) end
    for _, server in ipairs(servers) do server:stop() end
    log.gen_log:info("generation %d retires for %s: %d requests, streams or WebSockets stay",
        core.generation(), is_last and "another process" or number, generation.count "kin")
    if is_last then fade(servers) end
    admin.close()
    leave(app, options.reload_grace, function()
        generation.finish("reload")
        admin.end_streams()
        for _, server in ipairs(servers) do server:end_streams() end
        return PARTING
    end)
end

-- Starting ---------------------------------------------------------------------------------

local function set_early(options)
    if core.generation() > 1 then return true end
    local ok, why = set_logs(options)
    if ok then ok, why = set_limits(options) end
    if not ok then return nil, { why } end
    ok, why = admin.open_early(options.admin)
    if not ok then return nil, { config.place(options, "admin") .. why } end
    return true
end

-- Of a later generation, behind all else that may fail: logs are the process's.
local function set_late(options)
    if core.generation() == 1 then return true end
    local ok, why = set_logs(options)
    return ok, { why }
end

-- Fills `servers`, and `lines` with what is to be logged in the end.
local function listen(app, servers, lines, options)
    if options.debug and autoreload.is_on() then
        app = require("tornado.autoreload.page").before(app)
    end
    for i, item in ipairs(addresses.list(options)) do
        local ok, result, line = pcall(addresses.listen, app, item, options)
        if not ok then return nil, { addresses.message(result, item[1], options) } end
        servers[i], lines[i] = result, line
    end
    local ok, why = admin.open(options.admin)
    if not ok then return nil, { config.place(options, "admin") .. why } end
    return true
end

-- The option, or else the setting of an application, of which `app` has all, when they are loaded.
local function wants_autoreload(options, app)
    if options.autoreload ~= "auto" then return options.autoreload end
    if options.debug then return true end
    for _, mount in ipairs(app and mounts_of(app) or {}) do
        if mount.app.settings.autoreload then return true end
    end
    return false
end

-- What a reload must not find out too late: templates.
local function check_templates(app)
    local reasons = {}
    for _, mount in ipairs(mounts_of(app)) do
        local _, broken = require "tornado.web.check"(mount.app)
        for _, reason in ipairs(broken) do reasons[#reasons + 1] = reason end
    end
    return #reasons == 0, reasons
end

-- A later generation changes nothing before its sites are loaded.
local function prepare(options)
    local app, ok, reasons
    memory.set_limit(options.lua_memory_limit) -- of this generation alone, from here on
    watchdog.start(0, options.cpu_limit) -- a script that never ends must not end those that serve
    if wants_autoreload(options) then autoreload.start() end
    ok, reasons = set_early(options)
    if not ok then return nil, reasons end
    app, reasons = load_everything(options)
    if not app then return nil, reasons end
    settings_for(app, options)
    if core.generation() > 1 then
        ok, reasons = check_templates(app)
        if not ok then return nil, reasons end
        ok, reasons = set_limits(options)
        if not ok then return nil, { reasons } end
    end
    if wants_autoreload(options, app) then autoreload.start() else autoreload.stop() end
    return app
end

local function pid_file(options)
    return options.pid_file ~= "" and core.absolute(options.pid_file) or ""
end

--- The path of the control socket of a server with these options: "" for none.
function serving.control_path(options)
    return control.path(options, addresses.list(options))
end

-- How many processes are to serve.
local function workers_of(options)
    if options.workers == "auto" then return require("tornado.process").cpu_count() end
    return tonumber(options.workers)
end

-- The master's lines are as its workers'. A file is not opened for it: workers may have to be
-- able to make it, as other users.
local function set_master_log(options)
    log.set_level(options.log_level)
    log.set_format(options.log_format)
    if not options.log_file:find "^journal%f[:%z]" then return true end
    local ok, why = core.log_open(options.log_file)
    return ok, why and config.place(options, "log_file") .. "log_file: " .. why
end

-- What a master needs to know; of one that is alone, what it does not do.
local function wishes(options)
    local lines = {}
    for i, item in ipairs(addresses.list(options)) do lines[i] = item[1] end
    return {
        addresses = table.concat(lines, "\n"), admin = options.admin,
        control = serving.control_path(options), pid_file = pid_file(options),
        user = options.user, group = options.group,
        stop_timeout = options.stop_delay + options.stop_timeout,
        worker_timeout = options.worker_timeout,
        ticket_rotation = options.tls_ticket_rotation, workers = workers_of(options),
        backlog = options.backlog, supervise = options.supervise and 1 or 0,
        no_new_privs = options.no_new_privs and 1 or 0,
    }
end

-- Whether a master is in front of this process, or is to be.
local function has_master(options)
    return core.worker() > 0 or workers_of(options) > 1 or options.supervise
end

--- Looks for what start() would find wrong with the options, certificates included, without
--- opening anything. Returns a list of reasons.
function serving.check(options)
    local reasons = checks.together(options, has_master(options))
    checks.from_outside(options, reasons)
    return reasons
end

-- What a process that serves strangers is kept from.
local function confine(options)
    core.core_dumps(options.core_dumps)
    core.confine(options.no_new_privs)
end

local function listen_to_process(app, servers, options)
    ioloop.on(core.EVENT_STOP, function(signal) stop(app, servers, options, signal) end)
    ioloop.on(core.EVENT_REOPEN, function() reopen(options) end)
    ioloop.on(core.EVENT_CONTROL, function(descriptor)
        require "tornado.control.answers"(descriptor)
    end)
    join_generations(app)
    ioloop.on(core.EVENT_RETIRE, function(number) retire(app, servers, options, number) end)
end

-- Nothing is there yet that would have to end well, and a script may wait for ever.
local function stop_loading()
    log.gen_log:info("told to end while the sites are loaded")
    core.exit(0)
end

-- Last: who reads it finds all as the options say.
local function announce(lines)
    for _, line in ipairs(lines) do log.gen_log:info("%s", line) end
end

--- Loads the sites of the options (see tornado.config), starts them and listens. Returns true, or
-- nil and a list of reasons.
function serving.start(options)
    local wrong = checks.together(options, has_master(options))
    if #wrong > 0 then return nil, wrong end
    local ok, why
    if core.generation() == 1 then confine(options) end
    if core.generation() == 1 and core.worker() == 0 and has_master(options) then
        ok, why = set_master_log(options)
        if not ok then return nil, { why } end
        core.supervise(wishes(options)) -- each worker comes here again, and serves
        return true
    end
    if core.generation() == 1 then ioloop.on(core.EVENT_STOP, stop_loading) end
    local app, reasons = prepare(options)
    if not app then return nil, reasons end
    local servers, lines = {}, {}
    generation.hold("requests", httpserver.live_count)
    listen_to_process(app, servers, options)
    ok, why = lifecycle.start(app)
    if not ok then return nil, { why } end
    ok, reasons = listen(app, servers, lines, options)
    if ok then ok, reasons = set_late(options) end
    if not ok then
        lifecycle.stop(app)
        return nil, reasons
    end
    set_open_files(options)
    confine(options)
    watchdog.start(options.stall_warning, options.cpu_limit) -- from here on not the one before
    core.tls_rotation(options.tls_ticket_rotation)
    core.control(serving.control_path(options))
    core.pid_file(pid_file(options))
    core.wishes(wishes(options))
    addresses.watch(servers, options)
    core.ready()
    if core.generation() == 1 then autoreload.begin() end
    if core.workers() > 1 then require("tornado.pubsub").join_workers() end
    announce(lines)
    return true
end

return serving
