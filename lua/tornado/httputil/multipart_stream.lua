-- A multipart/form-data body while it comes: each part goes to memory, to a file, or to a
-- callback, and each has its limit. For handlers of streamed bodies: self:multipart{...}.
local core = require "tornado.core"
local multipart = require "tornado.httputil.multipart"
local util = require "tornado.util"
local storage = require "tornado.httputil.storage"
local HTTPInputError = require("tornado.httputil.errors").HTTPInputError

local multipart_next = core.multipart_next
local MORE, HEADER, BEGIN = core.MULTIPART_MORE, core.MULTIPART_HEADER, core.MULTIPART_BEGIN
local DATA, END, DONE = core.MULTIPART_DATA, core.MULTIPART_END, core.MULTIPART_DONE

local MultipartStream = util.Object:extend "MultipartStream"

local OPTIONS = {
    on_part = util.NONE,
    on_data = util.NONE,
    on_end = util.NONE,
    digest = util.NONE,
    max_parts = 100,
    max_part_header_size = 10240,
    max_memory_size = 1048576, -- of one part that goes to memory
    max_file_size = math.huge, -- of one that goes to a file
    max_data_size = math.huge, -- of one that goes to on_data
}

--- Takes a request's Content-Type and options. on_part(part) comes with each part's header: name,
--- filename (without folders, or nil), content_type, headers; what it returns says where the
--- content goes: "memory" (part.body), "file" (part.file, an unlinked temporary file), "data"
--- (on_data), "skip", or { path = } of a new file (part.path). Without a word it is on_data
--- if there is one, else "file" for a part with a filename and "memory" for any other. It may
--- set part.limit, in bytes. on_data(part, piece) comes with each piece, on_end(part) when the
--- part is complete. With digest = "sha256" (or another that core.digest() has) a complete part
--- has `digest`, in hex. All are called in the request's coroutine, and may wait.
function MultipartStream:init(content_type, options)
    util.expect(content_type, "string", "Content-Type", 1)
    self.options = util.options(options, OPTIONS, "MultipartStream", 1)
    if self.options.digest then core.digest(self.options.digest, "") end -- raises for none
    for _, name in ipairs { "on_part", "on_data", "on_end" } do
        local fn = self.options[name]
        if fn ~= nil and type(fn) ~= "function" then
            error(("bad %s: expected function, got %s"):format(name, type(fn)), 3)
        end
    end
    self.scan = multipart.scanner(multipart.boundary_of(content_type),
        self.options.max_parts - 1, self.options.max_part_header_size)
    self.parts = {} -- all that are complete, in order
    self.complete = false
    self._header = {}
    self._files = {}
end

-- Where a part goes ------------------------------------------------------------------

local function open(path)
    local file, why = io.open(path, "w+bxe") -- never one that is there already
    if not file then error(util.Error("%s", why), 0) end
    return file
end

local function random_name()
    return (core.random(16):gsub(".", function(char) return ("%02x"):format(char:byte()) end))
end

local function open_temporary()
    local path = ("%s/ctornado-%s"):format(core.temp_dir, random_name())
    local file = open(path)
    os.remove(path)
    return file
end

local LIMITS = { memory = "max_memory_size", file = "max_file_size", data = "max_data_size" }

local function default_target(part, options)
    return options.on_data and "data" or part.filename and "file" or "memory"
end

local function set_target(self, part, target)
    local options = self.options
    if target == nil then target = default_target(part, options) end
    if target == "file" then
        part.file = open_temporary()
    elseif target == "memory" then
        part._pieces = {}
    elseif type(target) == "table" and type(target.path) == "string" then
        part.file, part.path, target = open(target.path), target.path, "file"
    elseif target ~= "skip" and not (target == "data" and options.on_data) then
        error(('bad target of part "%s": expected "memory", "file", "data" (with on_data), ' ..
            '"skip" or { path = }, got %s'):format(part.name, util.shown(target)), 0)
    end
    if part.file then self._files[#self._files + 1] = part end
    part.target = target
    part.limit = part.limit or options[LIMITS[target]] or math.huge
end

local function begin(self, block)
    local part = multipart.read_header(block)
    part.size = 0
    self.part = part
    if self.options.digest then part._digest = core.new_digest(self.options.digest) end
    local on_part = self.options.on_part
    set_target(self, part, on_part and on_part(part))
end

local function add(self, part, piece)
    part.size = part.size + #piece
    if part.size > part.limit then
        multipart.bad('part "%s" is larger than %d bytes', part.name, part.limit)
    end
    if part._digest then part._digest:update(piece) end
    local target = part.target
    if target == "memory" then
        part._pieces[#part._pieces + 1] = piece
    elseif target == "file" then
        storage.write(part.file, piece)
    elseif target == "data" then
        self.options.on_data(part, piece)
    end
end

local function finish(self, part)
    if part._pieces then part.body, part._pieces = table.concat(part._pieces), nil end
    if part.file then
        storage.flush(part.file)
        part.file:seek("set")
    end
    if part._digest then part.digest, part._digest = part._digest:hexdigest(), nil end
    part.complete = true
    self.part = nil
    self.parts[#self.parts + 1] = part
    if self.options.on_end then self.options.on_end(part) end
end

-- Input ------------------------------------------------------------------------------

-- One event; false when the piece is used up.
local function take(self, event, text)
    local header = self._header
    if event == DATA then
        add(self, self.part, text)
    elseif event == HEADER then
        header[#header + 1] = text
    elseif event == BEGIN then
        header[#header + 1] = text
        self._header = {}
        begin(self, table.concat(header))
    elseif event == END then
        finish(self, self.part)
    elseif event == DONE then
        self.complete = true
        return false
    elseif event == MORE then
        return false
    else
        multipart.bad(text)
    end
    return true
end

--- Takes the next piece of the body; raises HTTPInputError for what is malformed or too large.
function MultipartStream:feed(piece)
    if type(self) ~= "table" or not self.scan then
        error("bad self: expected MultipartStream, got " .. type(self), 2)
    end
    util.expect(piece, "string", "piece")
    local at, more = 0, true
    while more do
        local event, stop, text = multipart_next(self.scan, piece, at)
        at = stop
        more = take(self, event, text)
    end
end

--- Says that the body has ended; raises HTTPInputError when the form has not.
function MultipartStream:finish()
    if not self.complete then
        error(HTTPInputError("Invalid multipart/form-data: no final boundary"), 0)
    end
end

--- Closes the files; one with a path stays if its part and the form are complete.
function MultipartStream:close()
    for _, part in ipairs(self._files) do
        if io.type(part.file) == "file" then part.file:close() end
        if part.path and not (part.complete and self.complete) then os.remove(part.path) end
    end
    self._files = {}
    if self.part and self.part._digest then self.part._digest:close() end
end

return MultipartStream
