-- What a site has loaded, for autoreload: whoever reads a file of a site names it here. It needs
-- nothing itself, so that anybody may.
local files = {}

local MAX = 10000 -- names that are kept until somebody wants them

--- Who watches; nil: that is not known yet; false: nobody.
files.watcher = nil

local kept = {}

local function pass(watcher, path, kind, tree)
    if tree then return watcher:watch_tree(path, kind, tree.pattern) end
    watcher:watch(path, kind)
end

local function note(path, kind, tree)
    local watcher = files.watcher
    if watcher then return pass(watcher, path, kind, tree) end
    if watcher == false or #kept >= MAX then return end
    kept[#kept + 1] = { path, kind, tree }
end

--- A file was read, or found missing. `kind`: "code" (the default) is what a reload loads again,
-- "static" what only browsers do.
function files.note(path, kind)
    note(path, kind or "code")
end

--- The files in a folder and below it, those to come as well; whose paths have that pattern.
function files.note_tree(path, kind, pattern)
    note(path, kind or "code", { pattern = pattern })
end

--- The file that a chunk came from.
function files.note_chunk(chunk)
    local source = debug.getinfo(chunk, "S").source
    if source:sub(1, 1) == "@" and not source:find "^@tornado/" then note(source:sub(2), "code") end
end

--- Has a watcher get all that was named and will be; false: nobody wants it.
function files.give_to(watcher)
    files.watcher = watcher
    local list = kept
    kept = {}
    if not watcher then return end
    for _, item in ipairs(list) do pass(watcher, item[1], item[2], item[3]) end
end

return files
