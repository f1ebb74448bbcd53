-- Reloads by itself when a file of the sites changes: for development (option `autoreload`). What
-- is watched: Lua modules, templates and locales that were loaded, the folders of the sites for
-- new modules, the configuration, and static files, which only browsers load again (page.lua).
--
-- Each worker watches, and the first one asks for the reload, which fails or succeeds as any other
-- (see generation.lua).
-- Tornado: compares times twice a second and starts the process anew.
local core = require "tornado.core"
local files = require "tornado.autoreload.files"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local rerun = require "tornado.autoreload.rerun"
local absolute = require("tornado.util.path").absolute
local util = require "tornado.util"
local Watcher = require "tornado.autoreload.watcher"

local autoreload = {}

local watcher       -- or nil: it is off
local serves = false -- this generation does, and not only load or retire
local dirty = false  -- something has changed while it was loaded
local hooks = rerun.hooks
local listeners = {}

local function tell(what, argument)
    for _, fn in ipairs(listeners) do ioloop.log_errors(fn, what, argument) end
end

local function names_of(changed, kind)
    local list, here = {}, absolute "." .. "/"
    for path, its in pairs(changed) do
        if its == kind then
            list[#list + 1] = path:sub(1, #here) == here and path:sub(#here + 1) or path
        end
    end
    table.sort(list)
    return list
end

local function reload()
    if core.worker() <= 1 then core.reload() end
end

-- What is wrong with modules that changed: some are loaded by the first request that needs them.
local function faults_of(paths)
    local list = {}
    for _, path in ipairs(paths) do
        if path:find "%.lua$" and core.file_kind(path) == "file" then
            local chunk, why = loadfile(path)
            if not chunk then list[#list + 1] = why end
        end
    end
    return list[1] and table.concat(list, "\n")
end

local function on_change(changed)
    local code = names_of(changed, "code")
    if #code == 0 then
        if serves then tell("static", names_of(changed, "static")) end
        return
    end
    if not serves then
        dirty = true
        return
    end
    local faults = faults_of(code)
    if core.worker() <= 1 then
        local more = #code > 1 and (" (and %d more)"):format(#code - 1) or ""
        log.gen_log:info("%s modified%s%s", code[1], more, faults and "" or ": reloading")
        if faults then log.gen_log:error("autoreload: %s", faults) end
    end
    if not faults then return reload() end
    tell("failed", faults)
end

--- This generation serves from now on.
function autoreload.begin()
    serves = true
    if dirty and watcher then reload() end
    dirty = false
end

ioloop.on(core.EVENT_RELOADED, function(ok)
    if ok == 1 then autoreload.begin() end
    tell(ok == 1 and "reloaded" or "failed", core.reload_report())
end)

--- Calls fn(what, argument) for what browsers should know: "static" and a list of files that
-- changed, "reloaded", "failed" and why, "retired".
function autoreload.listen(fn)
    listeners[#listeners + 1] = fn
end

--- Begins to watch what was loaded, and will be. Does nothing when it is repeated.
-- A script (`ctornado run`) is run again, in a new process in place of this one.
-- Tornado: takes check_time; here, the system tells at once.
function autoreload.start()
    if rerun.arguments then return rerun.start() end
    if watcher then return end
    local ok, result = pcall(Watcher, on_change)
    if not ok then
        log.gen_log:warning("autoreload: %s: changes of files are not noticed", tostring(result))
        return
    end
    watcher = result
    files.give_to(watcher)
end

--- Nothing is watched, now and later.
function autoreload.stop()
    if watcher then watcher:close() end
    watcher = nil
    files.give_to(false)
end

--- A newer generation serves.
function autoreload.retire()
    serves = false
    for _, fn in ipairs(hooks) do ioloop.log_errors(fn) end
    autoreload.stop()
    tell "retired"
end

--- Whether changes are watched for.
function autoreload.is_on()
    return watcher ~= nil
end

local function check(value, kind, what)
    local good = kind == "string" and type(value) == kind or
        kind == "function" and util.is_callable(value)
    if not good then error(("bad %s: expected %s, got %s"):format(what, kind, type(value)), 3) end
end

--- Reloads also when that file changes, or comes to be.
function autoreload.watch(path)
    check(path, "string", "path")
    files.note(path)
end

--- Has fn() called when this generation was replaced, by whatever reload. What is still under way
-- in it goes on.
-- Tornado: calls it before.
function autoreload.add_reload_hook(fn)
    check(fn, "function", "hook")
    hooks[#hooks + 1] = fn
end

--- In a script (`ctornado run`): waits until one of the files that it has loaded changes, and runs
-- it again, in a new process in place of this one. Does not return. For the end of what is run
-- again and again; `ctornado run --autoreload` does that by itself.
function autoreload.wait()
    if not rerun.arguments then
        error("autoreload.wait() is for scripts: a server reloads by the option autoreload", 2)
    end
    rerun.start()
    rerun.wait()
end

return autoreload
