-- What runs in the Lua state of an executor's thread: one function, from bytes to bytes.
-- vm/executor.c calls it; no loop is here.
local abi = require "tornado.abi"
local copy = require "tornado.concurrent.copy"
local memory = require "tornado.memory"

local MAX_LINES = 1000

local lines -- what the call has logged: the loop writes it
local trace

function abi.on_log(level, where, text)
    if #lines < MAX_LINES then lines[#lines + 1] = { level, where, text } end
end

local function refuse()
    error("cannot wait on the thread pool: there is no loop", 3)
end

-- Waiters come from here, so nothing waits by mistake.
package.preload["tornado.ioloop"] = function(name)
    package.preload[name] = nil
    local loader = package.loaders[2](name)
    local ioloop = loader(name)
    ioloop.waiter, ioloop.wait, ioloop.wait_for = refuse, refuse, refuse
    return ioloop
end

local environments = {} -- folder of a site -> its globals

local function load(call)
    local folder = call.folder
    if not folder then return require(call.module) end
    if not environments[folder] then
        environments[folder] = require("tornado.loading").environment(folder)
    end
    return environments[folder].require(call.module)
end

local function find(call)
    local module = load(call)
    if call.name == nil then return module end
    if type(module) ~= "table" then
        error(("module %s returns a %s, not a table"):format(call.module, type(module)), 0)
    end
    local fn = module[call.name]
    if fn == nil then error(("module %s has no %s"):format(call.module, call.name), 0) end
    return fn
end

local function on_error(err)
    trace = debug.traceback(tostring(err), 2)
    return err
end

local function pack(ok, ...)
    return { ok = ok, lines = lines, n = select("#", ...), ... }
end

local function run(call)
    return find(call)(unpack(call, 1, call.n))
end

-- Without the frames below the call, which are the executor's own.
local OWN = "\n\t%[C%]: in function 'xpcall'\n\ttornado/concurrent/thread.*$"

local function shorten(text)
    return text and (text:gsub(OWN, ""))
end

-- What the allocator refuses, LuaJIT tells by this alone. The state is not used again.
local function name_limit(err)
    if err ~= "not enough memory" or memory.limit() == 0 then return err end
    collectgarbage()
    return memory.MemoryLimitError("lua_memory_limit: not even " .. math.floor(
        memory.limit() * 1.25 / 2 ^ 20) .. " MiB were enough")
end

local function failure(err)
    err = name_limit(err)
    local class_name = type(err) == "table" and err.__name
    return { ok = false, lines = lines, n = 1, (tostring(err)), trace = shorten(trace),
        class_name = class_name }
end

return function(bytes)
    local call = copy.decode(bytes)
    lines, trace = {}, nil
    package.path, package.cpath = call.path, call.cpath
    local results = pack(xpcall(run, on_error, call))
    if not results.ok then results = failure(results[1]) end
    local out, why = copy.encode(results)
    if out then return out end
    if why == "not enough memory" then return copy.encode(failure(why)) end
    return copy.encode {
        ok = false, lines = {}, n = 1, ("bad result: cannot copy %s from the thread"):format(why),
    }
end
