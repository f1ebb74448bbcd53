-- Errors that are caught: their tracebacks, which only the handler of xpcall can make, and what
-- becomes of those that nobody wants.
local log = require "tornado.log"
local traces = require "tornado.trace"
local util = require "tornado.util"

local errors = {}

local trace -- of the error that xpcall has just caught
local capture -- function(err, trace, handler), see set_capture()

--- An xpcall handler: keeps the traceback, returns the error as it is. Errors whose class says
-- `expected` (HTTPError, Finish) get none: nobody looks at it.
function errors.on_error(err)
    trace = nil
    if type(err) ~= "table" or not err.expected then
        trace = traces.take(err) or debug.traceback(util.text(err), 2)
        if capture then capture(err, trace, errors.on_error) end
    end
    return err
end

--- The traceback of the error just caught; nil when there is none, as after a stack overflow,
-- where even the handler does not run.
function errors.take_trace()
    local taken = trace
    trace = nil
    return taken
end

local on_error, take_trace = errors.on_error, errors.take_trace

--- Has fn(err, traceback, handler) called for each unexpected error that is caught, while its stack
-- is still there below the function `handler`; nil: none. It must not raise.
function errors.set_capture(fn)
    capture = fn
end

--- Calls fn(...) and returns true and its first two results, or false, the error and its
-- traceback.
function errors.protect(fn, ...)
    local ok, a, b = xpcall(fn, on_error, ...)
    if ok then return ok, a, b end
    return ok, a, take_trace()
end

--- A traceback of protect() without the framework's own functions that have called it.
function errors.own_part(text)
    return (text:gsub("\n\t%[C%]: in function 'xpcall'\n\ttornado/ioloop/errors%.lua:.*", ""))
end

--- Logs what a callback raised.
function errors.log_failure(_, err, traceback)
    log.app_log:error("Exception in callback: " .. (traceback or util.text(err)))
end

--- Returns what follows a true `ok`, or raises the error that follows a false one, with its
-- traceback: what try_in() and protect() return.
function errors.unwrap(ok, ...)
    if ok then return ... end
    local err, text = ...
    if text then traces.keep(err, text) end
    error(err, 0)
end

--- Calls fn(...) and logs what it raises.
function errors.log_errors(fn, ...)
    local ok, err = xpcall(fn, on_error, ...)
    if not ok then errors.log_failure(nil, err, take_trace()) end
end

return errors
