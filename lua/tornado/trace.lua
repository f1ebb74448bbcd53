-- Tracebacks of errors that are caught and raised again: whoever does that leaves the first
-- traceback here, for whoever catches the error at last.
local trace = {}

--- Whose lines are those of other files: the chunk "tt#ID" has places[ID], a table of the places
-- ("page.html:3") by line, with [0] for the others. Weak.
trace.places = setmetatable({}, { __mode = "v" })

local kept_err, kept_text

--- Keeps the traceback of `err`, which is about to be raised again.
function trace.keep(err, text)
    kept_err, kept_text = err, text
end

--- Returns what was kept for `err`, once.
function trace.take(err)
    local text = kept_err == err and kept_text or nil
    kept_err, kept_text = nil, nil
    return text
end

return trace
