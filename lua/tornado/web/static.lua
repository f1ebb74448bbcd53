-- StaticFileHandler. When a subclass overrides nothing of what decides about a reply, C
-- answers, from its cache of files; else the steps are taken here, as Tornado takes them,
-- and C sends the bytes.
local core = require "tornado.core"
local compress = require "tornado.web.compress"
local errors = require "tornado.web.errors"
local files = require "tornado.autoreload.files"
local filters = require "tornado.web.filters"
local httpserver = require "tornado.httpserver"
local log = require "tornado.log"
local preconditions = require "tornado.web.preconditions"
local RequestHandler = require "tornado.web.handler"
require "tornado.web.output"

local byte, find, rawget, sub, type = string.byte, string.find, rawget, string.sub, type
local HTTPError = errors.HTTPError
local file_serve = core.file_serve
local VERSIONED, FRESH = core.FILE_VERSIONED, core.FILE_FRESH
local COMPRESS, RANGES, SIBLING = core.FILE_COMPRESS, core.FILE_RANGES, core.FILE_SIBLING

local StaticFileHandler = RequestHandler:extend "StaticFileHandler"

--- Seconds that a file with a version in its URL may be kept: ten years.
StaticFileHandler.CACHE_MAX_AGE = 86400 * 365 * 10

StaticFileHandler.default_filename = false
StaticFileHandler._coding = 0 -- GZIP or BROTLI, perhaps with FILE_SIBLING
StaticFileHandler._sibling = false -- its path

-- Paths ------------------------------------------------------------------------------

local absolute = require("tornado.util.path").absolute

local roots = {} -- as given -> absolute

local function absolute_root(path)
    local root = roots[path]
    if not root then
        root = absolute(path)
        roots[path] = root
    end
    return root
end

local function is_below(path, root)
    if root == "/" then return true end
    return path == root or sub(path, 1, #root + 1) == root .. "/"
end

-- What C wants: a folder, and the path below it.
local function split(root, path)
    root = absolute_root(root)
    if not is_below(path, root) then return path:match("^(.*)/([^/]*)$") end
    return root, sub(path, root == "/" and 2 or #root + 2)
end

local function flags_of(settings)
    return settings.static_hash_cache == false and FRESH or 0
end

-- Class methods ------------------------------------------------------------------------

--- The absolute path of `path` below `root`; an absolute `path` is taken as it is.
function StaticFileHandler:get_absolute_path(root, path) -- luacheck: ignore 212/self
    if byte(path, 1) == 47 then return absolute(path) end
    return absolute(root .. "/" .. path)
end

--- The content of a file from byte `first` (0 on) up to `last` (not included); both may be nil.
-- May be replaced, and return a string or an iterator of strings.
function StaticFileHandler:get_content(abspath, first, last) -- luacheck: ignore 212/self
    local folder, name = abspath:match("^(.*)/([^/]*)$")
    local size = core.file_info(folder, name, 0)
    if not size then return nil end
    first, last = first or 0, last or size
    return core.file_read(folder, name, first, last - first)
end

--- The version of a file: hex digits that change with its content (SHA-512).
-- Tornado: of all content; here, above 4 MiB, of size and time, as digests take their time.
function StaticFileHandler:get_content_version(abspath) -- luacheck: ignore 212/self
    local folder, name = abspath:match("^(.*)/([^/]*)$")
    local size, _, version = core.file_info(folder, name, 0)
    if not size then error("cannot read " .. abspath, 0) end
    return version
end

local versions = {} -- of replaced get_content_version(): path -> version or false

local function own_version(class, abspath)
    local known = versions[abspath]
    if known ~= nil then return known or nil end
    local ok, version = pcall(class.get_content_version, class, abspath)
    if not ok then
        log.gen_log:error("Could not open static file %s", abspath)
        version = nil
    end
    versions[abspath] = version or false
    return version
end

--- Forgets the versions that are known.
function StaticFileHandler.reset()
    versions = {}
end

--- The version of the file `path` below settings.static_path; nil, logged, when it cannot be
-- read.
function StaticFileHandler:get_version(settings, path)
    local class = self.class
    local abspath = class:get_absolute_path(settings.static_path, path)
    if class.get_content_version ~= StaticFileHandler.get_content_version then
        return own_version(class, abspath)
    end
    local root, name = split(settings.static_path, abspath)
    local size, _, version = core.file_info(root, name, flags_of(settings))
    if not size then
        log.gen_log:error("Could not open static file %s", abspath)
        return nil
    end
    return version
end

--- The URL of a static file, with its version unless include_version is false.
function StaticFileHandler:make_static_url(settings, path, include_version)
    local url = (settings.static_url_prefix or "/static/") .. path
    if include_version == false then return url end
    local version = self.class:get_version(settings, path)
    return version and url .. "?v=" .. version or url
end

-- Override points of an object ------------------------------------------------------------

--- Gets { path = folder, default_filename = name or nil } from the route.
function StaticFileHandler:initialize(options)
    local why = StaticFileHandler:_bad_kwargs(options)
    if why then error(why, 0) end
    self.root = options.path
    if options.default_filename then self.default_filename = options.default_filename end
end

local own_initialize = StaticFileHandler.initialize

-- What is wrong with a route's kwargs, or nil: it is said when the site is loaded.
function StaticFileHandler:_bad_kwargs(kwargs)
    if self.initialize ~= own_initialize then return nil end
    if type(kwargs) == "table" and type(kwargs.path) == "string" then return nil end
    return "StaticFileHandler needs its folder, as { path = FOLDER }"
end

--- The path from the URL as a path of files.
function StaticFileHandler:parse_url_path(url_path) -- luacheck: ignore 212/self
    return url_path
end

local function is_hidden(root, path)
    return find(sub(path, #absolute_root(root) + 1), "/.", 1, true) ~= nil or
        find(path, "\\", 1, true) ~= nil
end

local function look(root, path, flags)
    local folder, name = split(root, path)
    return core.file_info(folder, name, flags or 0)
end

--- Returns the path that is to be sent, or raises 403 or 404. Nil: it has answered itself.
-- Tornado: links may lead anywhere, and names that begin with a dot are sent.
function StaticFileHandler:validate_absolute_path(root, path)
    if not is_below(path, absolute_root(root)) then
        error(HTTPError(403, "%s is not in root static directory", self.path), 0)
    end
    if find(path, "%z") then error(HTTPError(404), 0) end
    if is_hidden(root, path) then error(HTTPError(403, "%s is hidden", self.path), 0) end
    local flags = flags_of(self.settings)
    local size, why = look(root, path, flags)
    if why == core.FILE_FOLDER and self.default_filename then
        local url = self.request.path
        if sub(url, -1) ~= "/" then
            if sub(url, 1, 2) == "//" then
                error(HTTPError(403, "cannot redirect path with two initial slashes"), 0)
            end
            self:redirect((self.application.prefix or "") .. url .. "/", { permanent = true })
            return nil
        end
        path = absolute(path .. "/" .. self.default_filename)
        size, why = look(root, path, flags)
    end
    if size then return path end
    if why == core.FILE_FOLDER or why == core.FILE_DENIED then
        error(HTTPError(403, "%s is not a file", self.path), 0)
    end
    error(HTTPError(why == core.ERROR and 500 or 404), 0)
end

-- The file that is sent: the one asked for, or its compressed sibling.
local function sent_path(self)
    return self._sibling or self.absolute_path
end

--- Bytes of the whole content.
function StaticFileHandler:get_content_size()
    return (look(self.root, sent_path(self)))
end

--- Seconds since 1970 of the last change, or nil.
function StaticFileHandler:get_modified_time()
    local _, modified = look(self.root, self.absolute_path)
    return modified
end

--- The Content-Type, by the name alone, without a charset.
function StaticFileHandler:get_content_type()
    return core.file_type(self.absolute_path)
end

--- Seconds that the reply may be kept; 0: nothing is said.
function StaticFileHandler:get_cache_time()
    return self.request:last_query_argument("v") and self.CACHE_MAX_AGE or 0
end

--- For further headers; gets the path from the URL.
function StaticFileHandler:set_extra_headers() end -- luacheck: ignore 212/self

--- The Etag: the version in quotes; a weak one when the file is compressed as it is sent.
function StaticFileHandler:compute_etag()
    local version
    if self.class.get_content_version ~= StaticFileHandler.get_content_version then
        version = own_version(self.class, self.absolute_path)
    else
        local _
        _, _, version = look(self.root, sent_path(self))
    end
    return version and (self._coding == 0 or self._sibling) and '"' .. version .. '"' or
        version and 'W/"' .. version .. '"'
end

--- Sets the headers of every reply with a file.
function StaticFileHandler:set_headers()
    self:set_header("Accept-Ranges", "bytes")
    self:set_etag_header()
    if self.modified then self:set_header("Last-Modified", core.http_date(self.modified)) end
    local content_type = self:get_content_type()
    if content_type then self:set_header("Content-Type", content_type) end
    local cache_time = self:get_cache_time(self.path, self.modified, content_type)
    if cache_time > 0 then
        self:set_header("Expires", core.http_date(core.now() + cache_time))
        self:set_header("Cache-Control", ("max-age=%d"):format(cache_time))
    end
    self:set_extra_headers(self.path)
end

--- Whether the client has this version already. If-None-Match alone decides when it is there.
function StaticFileHandler:should_return_304()
    local headers = self.request.headers
    if headers:get("If-None-Match") then return self:check_etag_header() end
    local since = headers:get("If-Modified-Since")
    since = since and core.http_date_parse(since)
    return since ~= nil and self.modified ~= nil and since >= self.modified
end

-- The long way ------------------------------------------------------------------------------

-- Whether If-Range, if there is one, allows a part.
local function may_send_part(self)
    local condition = self.request.headers:get("If-Range")
    if not condition then return true end
    if find(condition, '"', 1, true) then return condition == self:get_header("Etag") end
    return self.modified ~= nil and core.http_date_parse(condition) == self.modified
end

-- Status, first byte and size of what is to be sent; sets Content-Range.
local function choose_part(self, total)
    local field = self.request.headers:get("Range")
    if not field or not may_send_part(self) then return 200, 0, total end
    local n, first, size = core.file_range(field, total)
    if n == 0 then return 200, 0, total end
    if n < 0 then
        self:set_header("Content-Type", "text/plain")
        self:set_header("Content-Range", ("bytes */%d"):format(total))
        return 416, 0, 0
    end
    self:set_header("Content-Range", ("bytes %d-%d/%d"):format(first, first + size - 1, total))
    return 206, first, size
end

-- A reply is complete that was not sent by finish().
local function finished(self, status)
    if status ~= 200 then self._status_code = status end
    self._finished = true
    self.application:log_request(self)
    self:on_finish()
    if self._returned then httpserver.release(self.request) end
end

local function reply_flags(self)
    return self._flags + (self._close and core.REPLY_CLOSE or 0)
end

-- What a class may replace, by what it then decides for itself.
local HOOKS = {
    _own_content = { "get_content", "get_content_size" },
    _own_etag = { "get_content_version", "compute_etag" },
    _own_reply = {
        "get_absolute_path", "get_content", "get_content_version", "parse_url_path",
        "validate_absolute_path", "get_content_size", "get_modified_time", "get_content_type",
        "get_cache_time", "set_extra_headers", "compute_etag", "set_headers", "set_header",
        "set_etag_header", "check_etag_header", "should_return_304", "get_version",
        "CACHE_MAX_AGE",
    },
}

-- Whether the class replaces one of those hooks; found out once.
local function has(class, what)
    local known = rawget(class, what)
    if known ~= nil then return known end
    known = false
    for _, name in ipairs(HOOKS[what]) do
        if class[name] ~= StaticFileHandler[name] then known = true end
    end
    class[what] = known
    return known
end

-- For C: whether to compress. Nil when the application has transforms of its own, which must see
-- the content.
local function coding_flags(application)
    local classes = application.transforms
    if not classes then return 0 end
    if classes[1] == compress and classes[2] == nil then return COMPRESS end
    return nil
end

-- Chooses among the file as it is, its compressed siblings, and compressing it.
local function choose_coding(self)
    local flags = coding_flags(self.application)
    local class = self.class
    if not flags or has(class, "_own_content") or has(class, "_own_etag") then return end
    local folder, name = split(self.root, self.absolute_path)
    local coding = core.file_coding(self.request.handle, folder, name, flags)
    self._coding = coding
    if coding < SIBLING then return end
    local sibling = self.absolute_path .. (coding - SIBLING == core.BROTLI and ".br" or ".gz")
    if look(self.root, sibling) then
        self._sibling = sibling
    else
        self._coding = 0
    end
end

local function send_file(self)
    if self._filters then filters.after(self) end
    local folder, name = split(self.root, sent_path(self))
    local flags = reply_flags(self) + (may_send_part(self) and RANGES or 0)
    local status = core.file_reply(self.request.handle, folder, name, self._content_type,
        self._coding, flags)
    if status >= 200 or status == core.CLOSED then return finished(self, status) end
    error(HTTPError(500, "%s has changed", self.absolute_path), 0)
end

local PIECE = 65536

-- Content of ours, for transforms.
local function pieces(self, first, size)
    local folder, name = split(self.root, self.absolute_path)
    local last = first + size
    return function()
        if first >= last then return nil end
        local piece = core.file_read(folder, name, first, math.min(PIECE, last - first))
        if not piece then
            error(HTTPError(500, "%s has changed", self.absolute_path), 0)
        end
        first = first + #piece
        return piece
    end
end

-- What get_content() of a subclass gives: a string, or an iterator, piece by piece.
local function send_content(self, status, first, size)
    self:set_status(status)
    self:set_header("Content-Length", size)
    if self.request.method == "HEAD" then return self:finish() end
    local content
    if has(self.class, "_own_content") then
        content = self.class:get_content(self.absolute_path, first, first + size)
    else
        content = pieces(self, first, size)
    end
    if type(content) == "function" then
        for piece in content do
            self:write(piece)
            self:flush()
            if self.request.closed then return end
        end
    elseif content then
        self:write(content)
    end
    self:finish()
end

local function serve(self, path)
    self.path = self:parse_url_path(path)
    local abspath = self.class:get_absolute_path(self.root, self.path)
    abspath = self:validate_absolute_path(self.root, abspath)
    if not abspath or self._finished then return end
    self.absolute_path = abspath
    self.modified = self:get_modified_time()
    choose_coding(self)
    self:set_headers()
    preconditions.check(self)
    if self:should_return_304() then
        self:set_status(304)
        return self:finish()
    end
    if coding_flags(self.application) and not has(self.class, "_own_content") then
        return send_file(self)
    end
    local status, first, size = choose_part(self, self:get_content_size())
    if status == 416 then
        self:set_status(416)
        return self:finish()
    end
    send_content(self, status, first, size)
end

-- The short way -----------------------------------------------------------------------------

--- Sends the file. C answers what is a file in plain form; for all else the long way has the
-- reasons.
function StaticFileHandler:get(path)
    path = path or ""
    if files.watcher then files.note(self.root .. "/" .. path, "static") end
    local codings = coding_flags(self.application)
    if codings and not has(self.class, "_own_reply") and not self._filters then
        local request = self.request
        local flags = flags_of(self.settings) + reply_flags(self) + codings
        if request.uri ~= request.path and request:last_query_argument("v") then
            flags = flags + VERSIONED
        end
        local status = file_serve(request.handle, absolute_root(self.root), path, flags)
        if status >= 200 or status == core.CLOSED then return finished(self, status) end
    end
    serve(self, path)
end

StaticFileHandler.head = StaticFileHandler.get

-- URLs, and rules of an application ------------------------------------------------------------

--- The URL of a file below settings.static_path, with its version. `include_host` may be given
-- as an option, too, and is the handler's field of that name otherwise; the other option is
-- include_version.
function RequestHandler:static_url(path, include_host, options)
    if type(include_host) == "table" then include_host, options = nil, include_host end
    if include_host == nil then include_host = self.include_host or false end
    local settings = self.settings
    if not settings.static_path then
        error("You must define the 'static_path' setting in your application to use static_url", 2)
    end
    options = require("tornado.util").options(options,
        { include_host = include_host, include_version = true }, "static_url")
    local class = settings.static_handler_class or StaticFileHandler
    local url = (self.application.prefix or "") ..
        class:make_static_url(settings, path, options.include_version)
    if not options.include_host then return url end
    return self.request.protocol .. "://" .. self.request.host .. url
end

local function quote(text)
    return (text:gsub("[^%w/_-]", "\\%0"))
end

--- The rules that the settings of an application ask for, or nil.
function StaticFileHandler.rules_of(settings)
    if not settings.static_path then return nil end
    local args = { path = settings.static_path }
    files.note_tree(settings.static_path, "static")
    for name, value in pairs(settings.static_handler_args or {}) do
        if name ~= "path" then args[name] = value end
    end
    local class = settings.static_handler_class or StaticFileHandler
    return {
        { [[/(robots\.txt)]], class, args },
        { [[/(favicon\.ico)]], class, args },
        { quote(settings.static_url_prefix or "/static/") .. "(.*)", class, args },
    }
end

return StaticFileHandler
