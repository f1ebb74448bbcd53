-- on_time(limit, fn, ...): fn(...) must take less than `limit` seconds. A machine that is busy may
-- hold it up: it is called again then, and what is wrong takes too long each time.
local core = require "tornado.core"

return function(limit, fn, ...)
    local took
    for _ = 1, 10 do
        local began = core.precise()
        fn(...)
        took = core.precise() - began
        if took < limit then return end
    end
    error(("took %.3f s, which is not below %g"):format(took, limit), 2)
end
