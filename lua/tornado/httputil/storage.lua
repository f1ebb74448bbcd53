-- Bytes of a body to a file, where a full disk is never taken for success. Compiled code
-- repeats a call that failed in order to learn its results, and glibc's second fflush() has
-- nothing left that could fail: so these are interpreted.
--
-- A write blocks the loop while the kernel copies a piece, at most the 64 KiB that a body is read
-- in (20 us where the page cache has room), once a turn of each upload. Only a disk that is
-- slower than the clients that fill it makes it wait for longer. A thread for each piece would
-- cost more than the copy; a program that cannot have this takes parts by callback and writes
-- them where it likes.
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
