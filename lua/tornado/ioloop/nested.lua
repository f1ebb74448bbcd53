-- Coroutines of a program's own (generators, mostly) that run inside one of the loop's: when such
-- a one waits, whoever resumed it waits as well, and nobody sees that it did. So they need a
-- `resume` and a `wrap` that tell a wait from a value that is yielded.
local create, coroutine_running = coroutine.create, coroutine.running
local resume, yield = coroutine.resume, coroutine.yield

local nested = {}

local WAIT = setmetatable({}, { __tostring = function() return "ioloop.WAIT" end })

local running -- function(): the coroutine of the loop that runs

--- Suspends the running coroutine and those it runs in, up to the loop's own.
function nested.suspend()
    if coroutine_running() == running() then
        yield()
    else
        yield(WAIT)
    end
end

local function pass_on(co, ok, first, ...)
    if not ok or first ~= WAIT then return ok, first, ... end
    nested.suspend()
    return pass_on(co, resume(co))
end

local function wrapped(ok, ...)
    if ok then return ... end
    error((...), 0)
end

-- Puts both in the place of Lua's own; what runs in no coroutine of the loop notices nothing.
function nested.install(fn)
    running = fn
    rawset(coroutine, "resume", function(co, ...)
        return pass_on(co, resume(co, ...))
    end)
    rawset(coroutine, "wrap", function(body)
        local co = create(body)
        return function(...)
            return wrapped(pass_on(co, resume(co, ...)))
        end
    end)
end

return nested
