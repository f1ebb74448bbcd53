-- Bytes of a body to a file, where a full disk is never taken for success. Compiled code
-- repeats a call that failed in order to learn its results, and glibc's second fflush() has
-- nothing left that could fail: so these are interpreted.
local StorageError = require("tornado.httputil.errors").StorageError

local storage = {}

--- Writes; raises StorageError.
function storage.write(file, piece)
    local ok, why = file:write(piece)
    if not ok then error(StorageError("cannot write an upload: %s", why), 0) end
end

--- Gives all that was written to the kernel; raises StorageError.
function storage.flush(file)
    local ok, why = file:flush()
    if not ok then error(StorageError("cannot write an upload: %s", why), 0) end
end

jit.off(storage.write)
jit.off(storage.flush)

return storage
