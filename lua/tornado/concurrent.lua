-- Futures: a result that is not there yet.
local util = require "tornado.util"

local concurrent = {}

local Future = util.Object:extend "Future"
concurrent.Future = Future

function Future:init()
    self._done = false
end

--- Returns whether there is a result or an error.
function Future:done()
    return self._done
end

local function settle(self)
    local callbacks = self._callbacks
    self._callbacks = nil
    self._done = true
    for i = 1, callbacks and #callbacks or 0 do callbacks[i](self) end
end

--- Sets the result; raises when the future is done.
function Future:set_result(value)
    if self._done then error("the future is done already", 2) end
    self._result = value
    settle(self)
end

--- Sets the error; raises when the future is done.
function Future:set_exception(err)
    if self._done then error("the future is done already", 2) end
    self._error = err
    self._failed = true
    settle(self)
end

--- Returns the result, or raises the error; raises when it is not done.
function Future:result()
    if not self._done then error("the future is not done", 2) end
    if self._failed then error(self._error, 0) end
    return self._result
end

--- Returns the error, or nil.
function Future:exception()
    return self._error
end

--- Calls `fn(future)` when it is done; at once when it is.
function Future:add_done_callback(fn)
    if self._done then return fn(self) end
    local callbacks = self._callbacks
    if not callbacks then
        callbacks = {}
        self._callbacks = callbacks
    end
    callbacks[#callbacks + 1] = fn
end

--- Returns whether a value is a future.
function concurrent.is_future(value)
    return util.isinstance(value, Future)
end

return concurrent
