-- The profile of this worker, for whoever asks over the control socket: it is sampled by C
-- (core/vm/profile.c) while this coroutine waits.
local core = require "tornado.core"
local escape = require "tornado.escape"
local generation = require "tornado.generation"
local ioloop = require "tornado.ioloop"

local MAX_SECONDS, MAX_HZ = 300, 1000

local active -- the waiter of the profile under way

generation.on_leave(function()
    if active then ioloop.wake(active, "reload") end
end)

-- Waits until the time is over, or it shall end before. Returns why it did.
local function wait(stream, seconds)
    local waiter = ioloop.waiter()
    active = waiter
    local timer = ioloop.call_later(seconds, ioloop.wake, waiter, "time")
    stream:set_close_callback(function() ioloop.wake(waiter, "gone") end)
    local ok, why = pcall(ioloop.wait, waiter)
    active = nil
    ioloop.remove_timeout(timer)
    stream:set_close_callback(nil)
    if not ok then error(why, 0) end
    return why
end

local function report(ended)
    local result = core.profile_stop()
    local name = require "tornado.profile.names"()
    for i, frame in ipairs(result.frames) do result.frames[i] = name(frame) end
    result.ended = ended
    result.worker, result.generation = math.max(1, core.worker()), core.generation()
    return escape.json_encode(result)
end

--- Samples for so many seconds, or until the peer of `stream` leaves, or this generation is to end.
-- Returns JSON: what core.profile_stop() returns, with labels for frames, and `ended` ("time" or
-- "reload"); or nil and why not.
return function(stream, seconds, hz)
    if not seconds or not (seconds > 0 and seconds <= MAX_SECONDS) or
        not hz or not (hz >= 1 and hz <= MAX_HZ) then
        return nil, ("expected up to %d seconds and %d samples a second"):format(MAX_SECONDS,
            MAX_HZ)
    end
    local ok, why = core.profile_start(math.floor(hz), seconds + 5)
    if not ok then return nil, why or "a profile of this worker is under way already" end
    local waited, ended = pcall(wait, stream, seconds)
    if waited and ended ~= "gone" then return report(ended) end
    core.profile_free()
    return nil, waited and "the client is gone" or tostring(ended)
end
