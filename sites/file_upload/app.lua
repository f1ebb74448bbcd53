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
local template = require "tornado.template"
local web = require "tornado.web"

local MAX_SIZE = 2 * 1024 ^ 3 -- of a request

local folder = debug.getinfo(1, "S").source:match("^@(.*)/")

-- Read now: when no file can be opened any more, there must be an error page.
local loader = template.Loader(folder)
loader:load("upload.html")
loader:load("error.html")

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

-- The page, with what was received if there is any.
local function show(self, parts)
    self:render("upload.html", { parts = parts, human = human, max = MAX_SIZE })
end

function Base:list(parts, total)
    if accept.prefers_html(self.request) then
        show(self, parts)
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
        self:render("error.html", { status = status, what = what, message = message })
    else
        self:finish { error = { status = status, message = message } }
    end
end

local NotFound = Base:extend "NotFound"

function NotFound:prepare()
    error(web.HTTPError(404), 0)
end

local Home = Base:extend "Home"

function Home:get()
    show(self, {})
end

Home.head = Home.get

local Static = web.StaticFileHandler:extend "Static"

Static.set_default_headers = Base.set_default_headers
Static.write_error = Base.write_error

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
    { "/", Home },
    { "/(upload\\.(?:css|js|svg))", Static, { path = folder } },
    { "/upload", Form },
    { "/files/([^/]+)", Raw },
}, { default_handler_class = NotFound, template_loader = loader,
    upload_folder = os.getenv "UPLOAD_FOLDER" })
