-- Where C enters: start() once, with the command line; after each turn of the loop
-- that had events, the coroutine that next_pump() gave. The command runs in a
-- coroutine, so it may wait.
local command = require "tornado.command"
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local loading = require "tornado.loading"
require "tornado.concurrent.executor" -- gives ioloop its run_in_executor()

loading.install()

-- Ends the process when the turn of the loop is over, so that logs are written and what is open
-- is closed. Does not return.
function os.exit(code) -- luacheck: ignore 122
    if code == nil or code == true then code = 0 end
    core.exit(code or 1)
    coroutine.yield() -- nobody resumes it
end

local function run(arguments)
    local ok, code, trace = ioloop.protect(command.run, arguments)
    if not ok then
        command.fail(trace or tostring(code))
        code = 1
    end
    if not code then return end
    if code ~= 0 or core.generation() > 1 then core.failed(command.problems()) end
    if core.generation() == 1 then core.exit(code) end
end

return {
    next_pump = ioloop.next_pump,
    start = function(arguments)
        ioloop.add_callback(run, arguments)
    end,
}
