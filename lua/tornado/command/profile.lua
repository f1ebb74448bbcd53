-- `ctornado profile`: has a worker of a running server sample its Lua code, and writes what it saw.
local control = require "tornado.control"
local core = require "tornado.core"
local escape = require "tornado.escape"
local files = require "tornado.files"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local serving = require "tornado.serving"
local stacks = require "tornado.profile.stacks"

local DONE, FAILED, USAGE = 0, 1, 2
local LONGEST = 300 -- seconds
local PATIENCE = 30 -- seconds more, for a worker that is held, and for the answer
local LOOK = 0.5    -- seconds, for the busiest worker to show

local profile = {}

profile.options = {
    { "worker", "integer", nil, "which one; by default the one that uses most CPU time", 1, 256 },
    { "hz", "integer", 100, "samples a second", 1, 1000 },
    { "format", "string", "svg", "svg, or collapsed: stacks as lines, for other tools" },
    { "output", "string", "", "file to write, - for standard output; " ..
        "by default ctornado-profile-DATE.svg" },
}

local UNITS = { ms = 0.001, [""] = 1, s = 1, m = 60 }

-- "10s" -> 10; nil when it is none, or too long.
local function seconds_of(text)
    local number, unit = text:match("^(%d+%.?%d*)(%l*)$")
    local seconds = number and UNITS[unit] and tonumber(number) * UNITS[unit]
    return seconds and seconds > 0 and seconds <= LONGEST and seconds or nil
end

-- The CPU time that a process has used, in ticks; nil when the system does not say.
local function cpu_of(pid)
    local file = io.open(("/proc/%d/stat"):format(pid))
    if not file then return nil end
    local text = file:read("*a") or "" -- nil: ended since open()
    local user, kernel = text:match("%) %S+" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
    file:close()
    return user and user + kernel
end

-- The worker that used most CPU time for a moment; the first one when all rest.
local function busiest(path)
    local ok, text = control.ask(path, "status", 10)
    if not ok then return ok, text end
    local workers = escape.json_decode(text).workers
    if #workers == 1 then return 1 end
    local before = {}
    for i, worker in ipairs(workers) do before[i] = cpu_of(worker.pid) or 0 end
    gen.sleep(LOOK)
    local best, most = 1, 0
    for i, worker in ipairs(workers) do
        local used = (cpu_of(worker.pid) or 0) - before[i]
        if used > most then best, most = i, used end
    end
    return best
end

local function collect(path, own, seconds)
    local worker, why = own.worker, nil
    if not worker then worker, why = busiest(path) end
    if not worker then return worker, why end
    local ok, text, is_cut = control.ask(path, ("worker %d\nprofile %.3f %d"):format(worker,
        seconds, own.hz or 100), seconds + PATIENCE)
    if is_cut and control.ask(path, "status", 10) then
        return false, ("worker %d has ended meanwhile, and what it had seen is lost; the server " ..
            "goes on"):format(worker)
    end
    return ok, text
end

local function percent(part, whole)
    return ("%.0f %%"):format(100 * part / math.max(whole, 1e-9))
end

-- "Lua ran 62 % of 10.0 s: compiled 80 %, ..."
local function summary(result)
    local ticks = result.samples + result.idle
    local parts = {}
    for _, state in ipairs {
        { "compiled", "compiled" }, { "interpreted", "interpreted" }, { "c", "in C" },
        { "collecting", "collecting garbage" }, { "compiling", "compiling" },
    } do
        local n = result[state[1]]
        if n > 0 then parts[#parts + 1] = state[2] .. " " .. percent(n, result.samples) end
    end
    return ("Lua held the loop for %s of %.1f s (%s); its thread used %.1f s of CPU time"):format(
        percent(result.samples, ticks), result.seconds, table.concat(parts, ", "), result.cpu)
end

local function describe(result, root, say)
    say(("worker %d, generation %d: %d samples. %s."):format(result.worker, result.generation,
        result.samples, summary(result)))
    if result.ended == "reload" then say("It ended early: the server was reloaded, or ends.") end
    if result.cut > 0 then
        say(("%d samples have a shortened stack: there were too many different ones."):format(
            result.cut))
    end
    say("  itself  with what it calls")
    for _, entry in ipairs(stacks.top(root, 5)) do
        say(("%6.1f %% %6.1f %%  %s"):format(100 * entry.own / root.total,
            100 * entry.total / root.total, entry.label))
    end
end

local function picture(result, root)
    local title = ("ctornado: worker %d, %s"):format(result.worker, os.date "%Y-%m-%d %H:%M:%S")
    return require "tornado.profile.flamegraph"(root, title,
        ("%d samples. %s."):format(result.samples, summary(result)))
end

local function write(path, text)
    if path == "-" then
        io.write(text)
        return true
    end
    local file, why = io.open(path, "wb")
    if not file then return nil, why end
    local ok
    ok, why = file:write(text)
    file:close()
    return ok, why
end

local function deliver(result, own, fail)
    if result.samples == 0 then
        fail(("profile: no samples: no Lua code ran in worker %d for %.1f s; have it answer " ..
            "requests meanwhile"):format(result.worker, result.seconds))
        return FAILED
    end
    local root = stacks.tree(result)
    local collapsed = own.format == "collapsed"
    local path = own.output or ("ctornado-profile-%s.%s"):format(os.date "%Y%m%d-%H%M%S",
        collapsed and "txt" or "svg")
    local ok, why = write(path, collapsed and stacks.collapsed(root) or picture(result, root))
    if not ok then
        fail("profile: " .. why)
        return FAILED
    end
    local to = path == "-" and io.stderr or io.stdout
    describe(result, root, function(line) to:write(line, "\n") end)
    if path ~= "-" then
        print(("wrote %s%s"):format(path, collapsed and "" or ": open it in a browser"))
    end
    return DONE
end

-- Whether the file that is asked for can be written: nobody is to wait minutes to learn that.
local function is_writable(path)
    if not path or path == "-" then return true end
    local is_there = files.stat(path, true) ~= nil
    local file, why = io.open(path, "ab")
    if not file then return nil, why end
    file:close()
    if not is_there then os.remove(path) end
    return true
end

local function wrong(rest, own)
    if #rest > 1 then return "profile takes one argument, how long: ctornado profile 10s" end
    if rest[1] and not seconds_of(rest[1]) then
        return ("profile: expected a time up to 5m, such as 10s, got %s"):format(rest[1])
    end
    if own.format and own.format ~= "svg" and own.format ~= "collapsed" then
        return ("option format: expected svg or collapsed, got %q"):format(own.format)
    end
end

--- Returns the exit code.
function profile.run(options, rest, own, fail)
    local why = wrong(rest, own)
    local path = serving.control_path(options)
    if not why and path == "" then
        why = "these options name no control socket: give --port, --listen or --control as the " ..
            "server has it"
    end
    if why then
        fail(why)
        return USAGE
    end
    ioloop.on(core.EVENT_STOP, function(signal) core.exit(128 + signal) end)
    local ok, text = is_writable(own.output)
    if not ok then
        fail("profile: " .. text)
        return FAILED
    end
    ok, text = collect(path, own, rest[1] and seconds_of(rest[1]) or 10)
    if ok then return deliver(escape.json_decode(text), own, fail) end
    fail(ok == nil and ("no server answers on %s (%s)"):format(path, text) or "profile: " .. text)
    return FAILED
end

return profile
