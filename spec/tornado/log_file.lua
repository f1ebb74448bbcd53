-- What C logs, which no testing.expect_log() sees: in a file, while a case looks at it.
local core = require "tornado.core"

local log_file = {}

local path

--- From here on C logs to a file.
function log_file.open()
    path = os.tmpname()
    assert(core.log_open(path))
end

--- All that C has logged since.
function log_file.text()
    local file = assert(io.open(path, "rb"))
    local text = file:read "*a"
    file:close()
    return text
end

--- The shell's command that ends when C has logged `text`.
function log_file.wait_for(text)
    return ("until grep -q '%s' %s; do sleep 0.02; done"):format(text, path)
end

--- Back to stderr, without the file.
function log_file.close()
    core.log_open "stderr"
    os.remove(path)
end

return log_file
