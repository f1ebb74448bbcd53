-- Files read and written on threads, so that a slow disk holds up nobody but who waits. Each
-- function suspends its caller, and raises a FileError that names path and reason.
local core = require "tornado.core"
local executor = require "tornado.concurrent.executor"
local util = require "tornado.util"

local bor = require("bit").bor

local files = {}

--- Raised when an operation fails: `path`, `reason` (strerror's text), `errno`.
local FileError = util.Error:extend "FileError"
files.FileError = FileError

function FileError:init(path, reason, errno)
    self.path, self.reason, self.errno = path, reason, errno
    self.message = path .. ": " .. reason
end

local MAX_READ = 64 * 1048576
local MAX_NAMES = 16 * 1048576
local MAX_WRITE = 2 ^ 31
local KINDS = { "folder", "file", "other", "link" }

files.max_size = MAX_READ

local function check_path(path, what)
    if type(path) ~= "string" then
        error(("bad %s: expected string, got %s"):format(what, type(path)), 4)
    end
    if path == "" or path:find("\0", 1, true) then
        error(("bad %s: expected a file's name, got %s"):format(what, util.shown(path)), 4)
    end
end

local function check_size(value, what, least)
    if type(value) ~= "number" or value % 1 ~= 0 or value < least or value > MAX_WRITE then
        error(("bad %s: expected a number of bytes from %d to 2 GiB, got %s"):format(what, least,
            util.shown(value)), 3)
    end
end

-- Level 3 of what is raised here is the caller of the public function.
local function run(op, path, flags, mode, data, from, limit)
    check_path(path, "path")
    local job, why = core.disk(op, path, flags, mode, data, from, limit)
    if not job then error(executor.ExecutorFull(why), 0) end
    local about = {}
    local text, errno = executor.await_job(job, about)
    if errno ~= 0 then error(FileError(path, text, errno), 0) end
    return text, about
end

--- The content of a regular file of at most max_size (default files.max_size, 64 MiB) bytes.
function files.read(path, max_size)
    max_size = max_size or files.max_size
    check_size(max_size, "max_size", 0)
    local text = run("read", path, core.DISK_WHOLE, 0, "", 0, max_size)
    return text
end

local WRITE = { mode = 0, atomic = false, append = false, exclusive = false, sync = false }

local function write(path, data, given)
    if type(data) ~= "string" then
        error("bad data: expected string, got " .. type(data), 3)
    end
    check_size(#data, "data", 0)
    if given.append and given.atomic then
        error("append and atomic exclude each other", 3)
    end
    if given.atomic and given.exclusive then
        error("exclusive and atomic exclude each other", 3)
    end
    local flags = bor(given.append and core.DISK_APPEND or 0,
        given.atomic and core.DISK_ATOMIC or 0, given.exclusive and core.DISK_EXCLUSIVE or 0,
        given.sync and core.DISK_SYNC or 0)
    run("write", path, flags, given.mode, data, 0, 0)
end

--- Writes a file anew. Options: mode (permission bits of a new file, 0 for 0666 less the umask),
-- atomic (a new file takes the old one's place when it is complete; keeps the old one's mode),
-- append, exclusive (it must not exist yet), sync (on the disk before this returns).
-- A write that is cancelled goes on if it has begun.
function files.write(path, data, options)
    local given = util.options(options, WRITE, "files.write")
    write(path, data, given)
end

--- Adds to the end of a file, which is made if it is missing.
function files.append(path, data)
    write(path, data, { append = true, mode = 0 })
end

--- What is known of a file: { size, modified, inode, mode, kind = "file", "folder", "link" or
-- "other" }; nil when there is none. Of a symbolic link what it points to, or with `link` itself.
function files.stat(path, link)
    local ok, text, about = pcall(run, "stat", path, link and core.DISK_LINK or 0, 0, "", 0, 0)
    if ok then
        about.kind = KINDS[about.kind]
        return about
    end
    local err = text
    if util.isinstance(err, FileError) and (err.errno == 2 or err.errno == 20) then return nil end
    error(err, type(err) == "string" and 2 or 0)
end

--- The names in a folder, sorted, without "." and "..".
function files.list(path)
    local text = run("list", path, 0, 0, "", 0, MAX_NAMES)
    local names = {}
    for name in text:gmatch("[^%z]+") do names[#names + 1] = name end
    table.sort(names)
    return names
end

--- Removes a file, a link or an empty folder.
function files.remove(path)
    run("remove", path, 0, 0, "", 0, 0)
end

local MKDIR = { parents = false, mode = 0 }

--- Makes a folder. Options: parents (those above it too, and it may be there already), mode.
function files.mkdir(path, options)
    local given = util.options(options, MKDIR, "files.mkdir")
    run("mkdir", path, given.parents and core.DISK_PARENTS or 0, given.mode, "", 0, 0)
end

--- Gives a file another name, replacing what has that name.
function files.rename(path, to)
    if type(to) ~= "string" or to == "" or to:find("\0", 1, true) then
        error("bad name: expected a file's name, got " .. util.shown(to), 2)
    end
    run("rename", path, 0, 0, to .. "\0", 0, 0)
end

local function same(a, b)
    return a.inode == b.inode and a.modified == b.modified and a.size == b.size
end

--- Iterates over a file's content in pieces of `size` (65536) bytes. Nothing is open in between,
-- so a loop may be left; a file that is changed meanwhile raises a FileError.
function files.chunks(path, size)
    size = size or 65536
    check_size(size, "size", 1)
    local at, first = 0, nil
    return function()
        if first and at >= first.size then return nil end
        local piece, about = run("read", path, 0, 0, "", at, size)
        first = first or about
        if not same(first, about) then
            error(FileError(path, "it was changed while it was read", 0), 0)
        end
        at = at + #piece
        if piece == "" then return nil end
        return piece
    end
end

return files
