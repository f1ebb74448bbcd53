-- Every public function of these modules, called with one value of each type: what it raises for
-- those that it cannot take says so at the caller's line, and is no error from within. A function
-- that is new is called, too. (wrong_arguments_spec.lua has single texts.)
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"

local MODULES = {
    "concurrent", "escape", "httpclient", "ioloop", "iostream", "locks", "log", "netutil",
    "options", "process", "pubsub", "queues", "tcpclient", "tcpserver", "tracing",
}

-- What is called for each event by the framework's own parts, which know what they give; and what
-- would change the settings of the process that runs the specs.
local LEFT_OUT = {
    ["ioloop.add_in"] = true, ["ioloop.cancel"] = true, ["ioloop.cancel_root"] = true,
    ["ioloop.cancel_scope"] = true, ["ioloop.derive"] = true, ["ioloop.enter"] = true,
    ["ioloop.fire"] = true, ["ioloop.leave_scope"] = true, ["ioloop.log_errors"] = true,
    ["ioloop.next_pump"] = true,
    ["ioloop.on"] = true, ["ioloop.pumping"] = true, ["ioloop.root_of"] = true,
    ["ioloop.run_in"] = true, ["ioloop.start"] = true, ["ioloop.try_in"] = true,
    ["ioloop.wait"] = true, ["ioloop.wait_for"] = true, ["ioloop.waiter_of"] = true,
    ["ioloop.wake"] = true, ["ioloop.protect"] = true, ["ioloop.unwrap"] = true,
    ["log.enable_pretty_logging"] = true, ["log.open_access"] = true, ["log.set_filter"] = true,
    ["log.set_format"] = true, ["log.set_level"] = true, ["log.set_request_source"] = true,
    ["options.parse_command_line"] = true, ["options.print_help"] = true,
    ["pubsub.configure"] = true, ["pubsub.join_workers"] = true, ["process.fork_processes"] = true,
    ["tracing.configure"] = true,
}

local function nothing() end

-- (54321 is no descriptor that anybody has.)
local VALUES = {
    { "nil", nil }, { "a number", 54321 }, { "a negative number", -1 }, { "NaN", 0 / 0 },
    { "infinity", 1 / 0 }, { "a string", "x" }, { "a boolean", true }, { "a table", {} },
    { "a function", nothing },
}

-- What only a mistake inside raises.
local INTERNAL = {
    "attempt to ", "bad argument #", "cannot convert", "ctype", "table index is ", "ct_abi_",
}

local function text_of(err)
    return type(err) == "table" and tostring(err.message or err.class) or tostring(err)
end

-- What is wrong with what a call raised, or nil.
local function fault_in(err)
    local text = text_of(err)
    for _, part in ipairs(INTERNAL) do
        if text:find(part, 1, true) then return text end
    end
    if type(err) == "string" and not text:find("wrong_types_spec.lua:", 1, true) then
        return "not at the caller's line: " .. text
    end
end

local function close(value)
    if type(value) ~= "table" then return end
    if util.is_callable(value.close) then pcall(value.close, value) end
    if util.is_callable(value.stop) then pcall(value.stop, value) end
    for _, socket in ipairs(value) do close(socket) end -- of bind_sockets()
end

-- In a task of its own, which may wait: that is given up.
local function call(fn, value)
    local fault
    local task = gen.spawn(function()
        local ok, a, b = pcall(function()
            local one, two = fn(value)
            return one, two
        end)
        if not ok then fault = fault_in(a) end
        if not ok then return end
        if type(a) == "number" and fn == ioloop.call_later then ioloop.remove_timeout(a) end
        close(a)
        close(b)
    end)
    gen.moment()
    task:cancel()
    return fault
end

local function functions_of(module)
    local names = {}
    for name, value in pairs(module) do
        if type(value) == "function" and not name:find "^_" then names[#names + 1] = name end
    end
    table.sort(names)
    return names
end

describe("values of a wrong type", function()
    for _, name in ipairs(MODULES) do
        it("are named by the functions of " .. name, function()
            local module, faults = require("tornado." .. name), {}
            for _, fn in ipairs(functions_of(module)) do
                for _, value in ipairs(VALUES) do
                    local full = name .. "." .. fn
                    local fault = not LEFT_OUT[full] and call(module[fn], value[2])
                    if fault then
                        faults[#faults + 1] = ("%s of %s: %s"):format(full, value[1], fault)
                    end
                end
            end
            assert.equal("", table.concat(faults, "\n"))
        end)
    end
end)
