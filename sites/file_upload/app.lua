-- Uploads of any size through little memory, after Tornado's demo file_upload. POST /upload
-- streams multipart/form-data, PUT /files/NAME a raw body; the reply, a page or JSON, lists
-- size and SHA-256 of each part. With UPLOAD_FOLDER in the environment the files are kept there;
-- otherwise they have no name, and are gone with their request.
-- curl -F file=@big.iso localhost:8888/upload; curl -T big.iso localhost:8888/files/big.iso
local accept = require "tornado.web.accept"
local core = require "tornado.core"
local escape = require "tornado.escape"
local httputil = require "tornado.httputil"
local storage = require "tornado.httputil.storage"
local web = require "tornado.web"

local MAX_SIZE = 2 * 1024 ^ 3 -- of a request

local folder = debug.getinfo(1, "S").source:match("^@(.*)/")

local function read(name)
    local file = assert(io.open(folder .. "/" .. name, "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

-- Puts values in place of {{name}}, escaped unless the name begins with html_.
local function fill(text, values)
    return (text:gsub("{{([%w_]+)}}", function(name)
        local value = values[name]
        return name:find("^html_") and value or escape.xhtml_escape(tostring(value))
    end))
end

local UNITS = { "bytes", "KiB", "MiB", "GiB" }

-- 1536 -> "1.5 KiB".
local function human(size)
    local unit = 1
    while size >= 1024 and unit < #UNITS do size, unit = size / 1024, unit + 1 end
    return ("%.4g %s"):format(size, UNITS[unit])
end

-- Replies --------------------------------------------------------------------------

local Base = web.RequestHandler:extend "Base"

Base.max_body_size = MAX_SIZE

function Base:set_default_headers()
    self:set_header("Content-Security-Policy", "default-src 'none'; style-src 'self'; " ..
        "script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " ..
        "form-action 'self'; frame-ancestors 'none'")
    self:set_header("Referrer-Policy", "no-referrer")
    self:set_header("X-Content-Type-Options", "nosniff")
    self:set_header("Cache-Control", "no-cache")
    self:set_header("Vary", "Accept")
end

local page, row, error_page = read "upload.html", read "row.html", read "error.html"

local function show(parts)
    local rows = {}
    for i, part in ipairs(parts) do
        rows[i] = fill(row, {
            name = part.filename or part.name, type = part.content_type,
            size = human(part.size), sha256 = part.sha256,
        })
    end
    return fill(page, {
        html_rows = table.concat(rows), max = ("%d"):format(MAX_SIZE), max_text = human(MAX_SIZE),
        state = rows[1] and "some" or "none",
    })
end

function Base:list(parts, total)
    if accept.prefers_html(self.request) then
        self:write(show(parts))
    else
        self:write { parts = escape.array(parts), total = total }
    end
end

local MESSAGES = {
    [400] = "The request is malformed: expected multipart/form-data at /upload, or a plain name.",
    [413] = "The request is larger than " .. human(MAX_SIZE) .. ".",
    [507] = "There is no room left for the upload.",
}

function Base:write_error(status, options)
    local what = options.reason or httputil.responses[status] or "Unknown"
    local message = MESSAGES[status] or what
    if accept.prefers_html(self.request) then
        self:finish(fill(error_page, { status = status, what = what, message = message }))
    else
        self:finish { error = { status = status, message = message } }
    end
end

local NotFound = Base:extend "NotFound"

function NotFound:prepare()
    error(web.HTTPError(404), 0)
end

local File = Base:extend "File"

function File:initialize(file)
    self.file = file
end

function File:get()
    self:set_header("Content-Type", self.file.type)
    self:write(self.file.text)
end

File.head = File.get

-- Uploads --------------------------------------------------------------------------

local function random_path(in_folder)
    return ("%s/%s"):format(in_folder, core.hex(core.random(16)))
end

local Form = web.stream_request_body(Base:extend "Form")

-- Before a body is read, which happens before the verb.
local function only(self, method)
    if self.request.method ~= method then error(web.HTTPError(405), 0) end
end

-- Fields go the way of files. A file is closed with its part, so that a form has one open.
function Form:prepare()
    only(self, "POST")
    self.form = self:multipart {
        digest = "sha256",
        on_part = function()
            local kept = self.settings.upload_folder
            return kept and { path = random_path(kept) } or "file"
        end,
        on_end = function(part) part.file:close() end,
    }
end

function Form:post()
    local parts, total = {}, 0
    for i, part in ipairs(self.form.parts) do
        parts[i] = {
            name = part.name, filename = part.filename, content_type = part.content_type,
            size = part.size, sha256 = part.digest, stored = part.path and
            part.path:match("[^/]*$"),
        }
        total = total + part.size
    end
    self:list(parts, total)
end

local Raw = web.stream_request_body(Base:extend "Raw")

-- A new file, and its path if it is to be kept.
local function open(kept)
    local path = random_path(kept or core.temp_dir)
    local file = assert(io.open(path, "w+bxe"))
    if kept then return file, path end
    os.remove(path)
    return file
end

-- A name that is no path, hides nothing, and needs no quotes anywhere.
function Raw:prepare()
    only(self, "PUT")
    self.name = self.path_args[1]
    if #self.name > 100 or not self.name:find("^[%w_][%w_.-]*$") then
        error(web.HTTPError(400, "bad name"), 0)
    end
    self.size = 0
    self.digest = core.new_digest("sha256")
    self.file, self.path = open(self.settings.upload_folder)
end

function Raw:data_received(piece)
    if not self.file then return end -- discarded
    self.size = self.size + #piece
    self.digest:update(piece)
    storage.write(self.file, piece)
end

-- Under its name when it is complete, in place of one that was there.
local function keep(self)
    storage.flush(self.file)
    self.file:close()
    self.file = nil
    if not self.path then return end
    assert(os.rename(self.path, ("%s/%s"):format(self.settings.upload_folder, self.name)))
    self.path = nil
end

function Raw:put()
    if not self.file then error(web.HTTPError(400, "the client has left"), 0) end
    keep(self)
    self:set_status(201)
    self:list({ {
        name = self.name, content_type = self.request.headers:get("Content-Type",
            "application/octet-stream"), size = self.size, sha256 = self.digest:hexdigest(),
        stored = self.settings.upload_folder and self.name,
    } }, self.size)
end

-- Whatever became of the request.
local function discard(self)
    if self.file then self.file:close() end
    if self.path then os.remove(self.path) end
    if self.digest then self.digest:close() end
    self.file, self.path = nil, nil
end

Raw.on_finish, Raw.on_connection_close = discard, discard

-- Routes ---------------------------------------------------------------------------

return web.Application({
    { "/", File, { type = "text/html; charset=UTF-8", text = show {} } },
    { "/upload.css", File, { type = "text/css; charset=UTF-8", text = read "upload.css" } },
    { "/upload.js", File, { type = "text/javascript; charset=UTF-8", text = read "upload.js" } },
    { "/upload.svg", File, { type = "image/svg+xml", text = read "upload.svg" } },
    { "/upload", Form },
    { "/files/([^/]+)", Raw },
}, { default_handler_class = NotFound, upload_folder = os.getenv "UPLOAD_FOLDER" })
