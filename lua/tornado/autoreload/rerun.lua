-- Scripts that are run again when one of their files changes: the process becomes a new one, as in
-- Tornado. What is watched is what the script has loaded (files.lua).
local core = require "tornado.core"
local files = require "tornado.autoreload.files"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local Watcher = require "tornado.autoreload.watcher"

local rerun = {}

--- The command line of a script, argv[0] first; nil: this process runs none.
rerun.arguments = nil

--- Functions to call before it is run again.
rerun.hooks = {}

local watcher

local function on_change(changed)
    local list = {}
    for path, kind in pairs(changed) do
        if kind == "code" then list[#list + 1] = path end
    end
    if #list == 0 then return end
    table.sort(list)
    log.gen_log:info("%s modified; restarting", list[1])
    for _, fn in ipairs(rerun.hooks) do ioloop.log_errors(fn) end
    log.gen_log:error("autoreload: %s", core.restart(rerun.arguments))
end

--- Begins to watch.
function rerun.start()
    if watcher then return end
    watcher = Watcher(on_change)
    files.give_to(watcher)
end

--- Waits until the script is run again: for ever, but for being cancelled.
function rerun.wait()
    io.flush()
    ioloop.wait(ioloop.waiter())
end

return rerun
