-- A folder for a case, gone behind it: new_folder(finally, inner) returns its path, and a function
-- put(name, text) that writes a file in it. `inner` is a folder in it, which is made, too.
local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

return function(finally, inner)
    local path = os.tmpname()
    os.remove(path)
    os.execute("mkdir -p " .. path .. "/" .. (inner or ""))
    finally(function() os.execute("rm -rf " .. path) end)
    return path, function(name, text) write(path .. "/" .. name, text) end
end
