-- What the blog knows: users and entries, in memory and in one JSON file.
--
-- Each change makes new lists, writes them to a file beside the old one and renames it: a reader,
-- or a crash, meets the old file or the new one, and memory never has what the file has not.
-- Writing blocks the loop, which is good for a blog's few changes and its small file. The file
-- has password hashes: keep its folder to yourself (chmod 700).
local core = require "tornado.core"
local escape = require "tornado.escape"
local log = require "tornado.log"
local util = require "tornado.util"

local Store = util.Object:extend "Store"

local function temporary_folder()
    local pipe = assert(io.popen("mktemp -d -t ctornado-blog.XXXXXX"))
    local path = pipe:read("*l")
    pipe:close()
    if not path then error("cannot make a temporary folder", 0) end
    log.app_log:info("the blog is in %s; set CTORNADO_BLOG_DATA to keep it elsewhere", path)
    return path
end

local function read(path)
    local file = io.open(path, "rb")
    if not file then return { users = {}, entries = {} } end
    local text = file:read("*a")
    file:close()
    local ok, data = pcall(escape.json_decode, text)
    if not ok or type(data) ~= "table" or not data.users or not data.entries then
        error(path .. ": cannot be read as the blog's file; it is left as it is", 0)
    end
    return data
end

--- Takes the folder of the file, which must exist; nil: a new temporary one.
function Store:init(folder)
    folder = folder or temporary_folder()
    if core.file_kind(folder) ~= "folder" then
        error(("bad blog_data: no such folder: %s"):format(folder), 0)
    end
    self.path = folder .. "/blog.json"
    self.data = read(self.path)
end

local function save(self, users, entries)
    local data = { users = users, entries = entries }
    local new = self.path .. ".new"
    local file = assert(io.open(new, "wb"))
    local written, why = file:write(escape.json_encode(data))
    local closed, why_not = file:close() -- what is wrong may show only here
    if not written or not closed then error(("%s: %s"):format(new, why or why_not), 0) end
    assert(os.rename(new, self.path))
    self.data = data
end

local function with(list, item)
    local out = {}
    for i, other in ipairs(list) do out[i] = other end
    out[#out + 1] = item
    return out
end

local function find(list, name, value)
    for _, item in ipairs(list) do
        if item[name] == value then return item end
    end
end

-- Users ----------------------------------------------------------------------------------

--- The user with that id, or nil.
function Store:user(id)
    return find(self.data.users, "id", id)
end

--- The user with that address, in any case, or nil.
function Store:user_by_email(email)
    return find(self.data.users, "email", email:lower())
end

--- Adds a user and returns it; nil when the address is taken. Ids are random: a session of an
-- older blog with the same cookie_secret must not be one of this blog's.
function Store:add_user(email, name, password)
    if self:user_by_email(email) then return nil end
    local user = {
        id = core.hex(core.random(8)), email = email:lower(), name = name, password = password,
    }
    save(self, with(self.data.users, user), self.data.entries)
    return user
end

-- Entries, oldest first ------------------------------------------------------------------

--- The latest entries, newest first; all without a count.
function Store:latest(count)
    local out, entries = {}, self.data.entries
    for i = #entries, math.max(1, #entries - (count or #entries) + 1), -1 do
        out[#out + 1] = entries[i]
    end
    return out
end

--- The entry with that slug, or nil.
function Store:entry(slug)
    return find(self.data.entries, "slug", slug)
end

--- The entry with that id, or nil.
function Store:entry_by_id(id)
    return find(self.data.entries, "id", id)
end

-- "Hello, world!" -> "hello-world", or "hello-world-2" when there is one.
local function new_slug(self, title)
    local slug = title:lower():gsub("[^%w]+", "-"):sub(1, 60):match("^%-*(.-)%-*$")
    if slug == "" then slug = "entry" end
    local free, n = slug, 1
    while self:entry(free) do
        n = n + 1
        free = slug .. "-" .. n
    end
    return free
end

--- Adds an entry and returns it.
function Store:add_entry(author, title, markdown)
    local entries, now = self.data.entries, math.floor(core.now())
    local last = entries[#entries]
    local entry = {
        id = last and last.id + 1 or 1, slug = new_slug(self, title), author = author.id,
        title = title, markdown = markdown, published = now, updated = now,
    }
    save(self, self.data.users, with(entries, entry))
    return entry
end

--- Returns an entry with a new title and text, in place of `old`; the slug stays.
function Store:change_entry(old, title, markdown)
    local entries, entry = {}, {}
    for name, value in pairs(old) do entry[name] = value end
    entry.title, entry.markdown, entry.updated = title, markdown, math.floor(core.now())
    for i, other in ipairs(self.data.entries) do
        entries[i] = other.id == old.id and entry or other
    end
    save(self, self.data.users, entries)
    return entry
end

return Store
