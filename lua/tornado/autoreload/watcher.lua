-- Watches files by the folders that they are in, and tells of changes when nothing has changed for
-- a moment: an editor's way of saving, or a checkout of many files, is one change.
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local util = require "tornado.util"

local QUIET = 0.1  -- seconds without a change
local LONGEST = 2  -- seconds that a change waits for quiet
local MAX_DEPTH = 32
local MAX_FOLDERS = 8192

local Watcher = util.Object:extend "Watcher"

local by_handle = {} -- C's handle -> Watcher

-- Paths ------------------------------------------------------------------------------------------

local absolute = require("tornado.util.path").absolute

local function join(folder, name)
    return (folder == "/" and "" or folder) .. "/" .. name
end

local function folder_of(path)
    local folder = path:match "^(.*)/"
    return folder == "" and "/" or folder
end

local function is_below(path, root)
    return root == "/" or path:sub(1, #root + 1) == root .. "/"
end

-- What editors and version control keep beside files.
local function is_odd(name)
    return name:find "^%." or name:find "[~#]$" or name:find "^%d+$" or name:find "%.sw%a$" or
        name:find "%.tmp$" or name == "node_modules"
end

-- Folders ----------------------------------------------------------------------------------------

local warned = {} -- C's status -> true: each limit is told once

local function complain(path, status, why)
    if warned[status] then return end
    warned[status] = true
    if status == core.LIMIT then
        why = path .. ": no more folders can be watched: raise fs.inotify.max_user_watches " ..
            "(sysctl)"
    end
    log.gen_log:warning("autoreload: %s; changes there, and perhaps elsewhere, are not noticed",
        why)
end

-- Watches one folder; returns its number, or nil when that cannot be.
local function add_folder(self, path)
    if self._paths[path] then return self._paths[path] end
    if self._count >= MAX_FOLDERS then
        return complain(path, "count", ("%s: more than %d folders"):format(path, MAX_FOLDERS))
    end
    local number, status, why = core.inotify_add(self._handle, path)
    if not number then
        if core.file_kind(path) == "folder" then complain(path, status, why) end
        return nil
    end
    self._paths[path] = number
    self._count = self._count + 1
    local list = self._folders[number] or {} -- by links, a folder has several paths
    list[#list + 1] = path
    self._folders[number] = list
    return number
end

-- Watches a folder and those below it, but for hidden ones; adds the paths of the files in them
-- to `found`. `seen` are the numbers of those above: a link may lead back to them.
local function add_below(self, path, found, seen, depth)
    local number = depth <= MAX_DEPTH and add_folder(self, path)
    if not number or seen[number] then return end
    seen[number] = true
    for _, name in ipairs(core.folder(path) or {}) do
        local below = join(path, name)
        local kind = not is_odd(name) and core.file_kind(below)
        if kind == "folder" then
            add_below(self, below, found, seen, depth + 1)
        elseif kind == "file" then
            found[#found + 1] = below
        end
    end
end

local function forget_folder(self, number)
    for _, path in ipairs(self._folders[number] or {}) do
        self._paths[path] = nil
        self._count = self._count - 1
    end
    self._folders[number] = nil
end

-- The folder of a file, or as much of the way to it as there is.
local function add_way(self, path)
    local folder = folder_of(path)
    while core.file_kind(folder) ~= "folder" and folder ~= "/" do folder = folder_of(folder) end
    add_folder(self, folder)
end

-- Whatever is at that path from now on, it is another folder.
local function forget_path(self, path)
    for known, number in pairs(self._paths) do
        if known == path or is_below(known, path) then
            self._paths[known] = nil
            self._count = self._count - 1
            local left = {}
            for _, one in ipairs(self._folders[number] or {}) do
                if one ~= known then left[#left + 1] = one end
            end
            self._folders[number] = left[1] and left
        end
    end
end

-- Changes ----------------------------------------------------------------------------------------

-- What a path is watched as, or nil: itself, or by the deepest folder that it is below.
local function kind_of(self, path)
    local kind = self._files[path]
    if kind then return kind end
    if is_odd(path:match "[^/]*$") then return nil end
    local longest = 0
    for root, tree in pairs(self._trees) do
        if #root > longest and is_below(path, root) and
            (not tree.pattern or path:find(tree.pattern)) then
            longest, kind = #root, tree.kind
        end
    end
    return kind
end

local function tell(self)
    self._timer = nil
    local changed = self._changed
    self._changed = nil
    self._tell(changed)
end

local function note(self, path, kind)
    local now = core.monotonic()
    if not self._changed then self._changed, self._since = {}, now end
    self._changed[path] = kind
    if self._timer then
        if now + QUIET > self._since + LONGEST then return end
        ioloop.remove_timeout(self._timer)
    end
    self._timer = ioloop.call_later(QUIET, tell, self)
end

local function consider(self, path)
    local kind = kind_of(self, path)
    if kind then note(self, path, kind) end
end

local function is_in_tree(self, path)
    for root in pairs(self._trees) do
        if is_below(path, root) then return true end
    end
    return false
end

-- A new folder may have files already; one that has gone took its own along.
local function consider_folder(self, path)
    if is_odd(path:match "[^/]*$") then return end
    forget_path(self, path)
    local found = {}
    if self._trees[path] or is_in_tree(self, path) then
        add_below(self, path, found, {}, 1)
    end
    for _, file in ipairs(found) do consider(self, file) end
    for file, kind in pairs(self._files) do
        if is_below(file, path) then
            add_way(self, file)
            note(self, file, kind)
        end
    end
end

local function take_changes(handle)
    local self = by_handle[handle]
    if not self then return end
    local number, name, is_folder = core.inotify_next(handle)
    while number do
        if number == 0 then
            note(self, "(too many changes at once)", "code")
        elseif name == "" then
            forget_folder(self, number)
        else
            for _, folder in ipairs(self._folders[number] or {}) do
                local look = is_folder and consider_folder or consider
                look(self, join(folder, name))
            end
        end
        number, name, is_folder = core.inotify_next(handle)
    end
end

ioloop.on(core.EVENT_INOTIFY, take_changes)

-- From outside -----------------------------------------------------------------------------------

--- Takes tell(changed), which is called with a table of paths and what they were watched as.
--- Raises when the system has no watchers left.
function Watcher:init(tell_changes)
    local handle, why = core.inotify()
    if not handle then
        error(why .. " (fs.inotify.max_user_instances limits it)", 0)
    end
    self._handle, self._tell = handle, tell_changes
    self._files = {}   -- path -> kind
    self._trees = {}   -- folder -> { kind =, pattern = }
    self._folders = {} -- number -> list of paths
    self._paths = {}   -- path -> number
    self._count = 0
    by_handle[handle] = self
end

--- Watches a file, as "code" or as another kind. It may be missing, and its folder, too: it is
-- told when it comes.
function Watcher:watch(path, kind)
    path = absolute(path)
    if self._files[path] then return end
    self._files[path] = kind
    add_way(self, path)
end

--- Watches the files in a folder and below it whose paths have that pattern (nil: all).
function Watcher:watch_tree(path, kind, pattern)
    path = absolute(path)
    if self._trees[path] then return end
    self._trees[path] = { kind = kind, pattern = pattern }
    add_below(self, path, {}, {}, 1)
end

--- Ends it; fine when that is repeated.
function Watcher:close()
    if not self._handle then return end
    if self._timer then ioloop.remove_timeout(self._timer) end
    by_handle[self._handle] = nil
    core.inotify_close(self._handle)
    self._handle, self._timer = nil, nil
end

return Watcher
