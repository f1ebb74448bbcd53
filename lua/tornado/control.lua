-- The control socket of a running server, from the outside: `ctornado reload` and
-- its kin say one line, and get "ok" or "error" and a text.
local core = require "tornado.core"
local escape = require "tornado.escape"

local control = {}

-- Where sockets of this user belong.
local function folder()
    local run = os.getenv("XDG_RUNTIME_DIR")
    if run and core.file_kind(run) == "folder" then return run, "" end
    if core.user_id() == 0 then return "/run", "" end
    return "/tmp", "-" .. core.user_id()
end

--- The path of the control socket of a server with these options, which listens on `addresses` (as
-- serving has them): "" for none.
function control.path(options, addresses)
    if options.control == "none" then return "" end
    if options.control ~= "auto" then return core.absolute(options.control) end
    local first = addresses[1][1]
    if first:find(":0$") then return "" end -- nobody could name it
    local where, user = folder()
    return ("%s/ctornado%s-%s.sock"):format(where, user, first:gsub("[^%w.]+", "-"))
end

--- Says a command to the server behind `path`. Returns true or false and the answer's text; nil and
-- why nobody answers, and true when that is because who was to answer has ended.
function control.ask(path, command, seconds)
    local stream = require("tornado.iostream").IOStream() -- a server has no need of it here
    local ok, err = pcall(stream.connect, stream, "unix:" .. path)
    if not ok then return nil, (err.real_error or err).message end
    local text
    ok, text = pcall(function()
        stream:write(command .. "\n")
        return stream:read_until_close { timeout = seconds }
    end)
    stream:close()
    if not ok then return nil, type(text) == "table" and text.message or tostring(text) end
    local word, rest = text:match("^(%l+)\n(.*)$")
    if not word then return nil, "the server has ended without an answer", true end
    return word == "ok", rest
end

local function ago(from, now)
    local seconds = math.max(0, math.floor(now - from))
    if seconds < 120 then return seconds .. " s" end
    if seconds < 7200 then return math.floor(seconds / 60) .. " min" end
    if seconds < 172800 then return math.floor(seconds / 3600) .. " h" end
    return math.floor(seconds / 86400) .. " days"
end

-- The service's, over all upgrades, and this program's. An older server has no `upgrades`.
local function up(status, now)
    local text = "up " .. ago(status.started, now)
    if (status.upgrades or 0) == 0 then return text end
    return ("%s, of which this program %s, after %d upgrade%s"):format(text,
        ago(status.program_started, now), status.upgrades, status.upgrades == 1 and "" or "s")
end

local ROW = "%-8s %-8s %-9s %-11s %12s %9s %12s %10s %8s"

--- What `status` answered, for people.
function control.describe(json)
    local status, now = escape.json_decode(json), core.now()
    local lines = {
        ("ctornado %s, pid %d, %s: %d request%s, %d worker%s, %d replaced"):format(status.version,
            status.pid, up(status, now), status.handled, status.handled == 1 and "" or "s",
            #status.workers, #status.workers == 1 and "" or "s", status.replaced),
        ROW:format("worker", "pid", "state", "generation", "connections", "requests", "handled",
            "Lua KiB", "up"),
    }
    for _, w in ipairs(status.workers) do
        local generation = tostring(w.generation)
        if w.old_generations > 0 then generation = generation .. " +" .. w.old_generations end
        lines[#lines + 1] = ROW:format(w.worker, w.pid, w.state, generation, w.connections,
            w.requests, w.handled, math.floor(w.lua_bytes / 1024),
            w.pid > 0 and ago(w.started, now) or "-")
    end
    for _, w in ipairs(status.workers) do
        for number, bytes in pairs(w.memory) do
            if tonumber(number) ~= w.generation then
                lines[#lines + 1] = ("worker %d still has generation %s: %d KiB"):format(w.worker,
                    number, math.floor(bytes / 1024))
            end
        end
    end
    return table.concat(lines, "\n")
end

return control
