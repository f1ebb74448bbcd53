-- The admin listener (option `admin`): health, readiness and numbers of the server, on an address
-- of its own, which is not for strangers. Any worker answers for all. Sites may add to it:
--
--     local admin = require "tornado.admin"
--     admin.ready_check("database", function() return db:ping() end)
--     admin.add_handlers { { "/jobs", JobsHandler } }
--
-- They belong to their generation, as the sites do: a reload has them anew.
local core = require "tornado.core"
local errors = require "tornado.web.errors"
local httpserver = require "tornado.httpserver"
local log = require "tornado.log"
local readiness = require "tornado.admin.readiness"
local Application = require "tornado.web.app"

local admin = {}

local app, is_public -- the Application; whether others can reach it

-- A page of a stranger can have a browser on this machine ask here, if a name of the stranger's
-- leads to 127.0.0.1 (DNS rebinding): then Host has that name.
local function check_host(handler)
    if is_public then return end
    local name = handler.request.host_name
    if name == "localhost" or name:find "^[%d.]+$" or name:find ":" then return end
    error(errors.HTTPError(403, "the admin listener has no name: use its IP address, got %s", name),
        0)
end

local function nothing() end

--- The Application of the admin listener, whether there is one or not.
function admin.application()
    if not app then
        app = Application(require "tornado.admin.handlers", {
            before = check_host, log_function = nothing,
        })
    end
    return app
end

--- Adds rules, as those of web.Application. Paths that begin with "/" and are not taken are free:
--- see tornado/admin/handlers.lua.
function admin.add_handlers(rules)
    admin.application():add_handlers(".*", rules)
end

--- Adds a check to /ready: fn() may wait, for at most options.timeout seconds (1). It fails when it
--- raises, or returns false and maybe why. A later check of the same name takes its place.
admin.ready_check = readiness.add

-- The listener ----------------------------------------------------------------------------

local server

local function listen(address)
    server = httpserver.HTTPServer(admin.application())
    local bound = server:listen_on(address)
    core.listen_uncounted(server.listeners[1])
    core.history_begin()
    is_public = not httpserver.is_local(bound)
    log.gen_log:info("admin listener: %s%s", bound:find "^unix:" and "" or "http://", bound)
    if is_public then
        log.gen_log:warning("THE ADMIN LISTENER %s CAN BE REACHED FROM OTHER MACHINES: it tells " ..
            "everybody how the server is, with no password. Use 127.0.0.1 or unix:/PATH, or see " ..
            "to it that a firewall keeps strangers away.", bound)
    end
end

--- Opens the listener, unless it is open, or `address` is "": none. Returns true, or nil and why
--- not.
function admin.open(address)
    if address == "" or server then return true end
    local ok, err = pcall(listen, address)
    if ok then return true end
    return nil, "admin: " .. (type(err) == "table" and err.message or tostring(err))
end

--- Opens it when no worker serves yet, so that probes are answered while the sites are loaded;
--- but in an upgrade the process of before answers them.
function admin.open_early(address)
    if core.generation() > 1 or core.is_heir() then return true end
    if core.server_state() ~= "starting" then return true end
    return admin.open(address)
end

--- Ends the replies there that have no end of their own.
function admin.end_streams()
    if server then server:end_streams() end
end

--- Accepts no more: a newer generation answers.
function admin.close()
    if server then server:stop() end
end

return admin
