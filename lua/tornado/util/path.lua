-- Paths of files, as text: nothing looks at the disk, or follows links.
local core = require "tornado.core"

local path = {}

--- The absolute path without ".", ".." and empty parts.
function path.absolute(name)
    local parts, n = {}, 0
    for part in core.absolute(name):gmatch "[^/]+" do
        if part == ".." then
            parts[n] = nil
            n = n > 0 and n - 1 or 0
        elseif part ~= "." then
            n = n + 1
            parts[n] = part
        end
    end
    return "/" .. table.concat(parts, "/")
end

return path
