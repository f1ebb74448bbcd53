-- The page that `make run` shows: that the server answers, and where to go next.
-- welcome.html, .css, .js and .svg lie beside this file and are read once, here;
-- /status.json is made for each request. Every reply has the security headers, and
-- errors look like the rest (error.html). With --debug, a change to any of them is seen.
-- The page shows this file itself, coloured by highlight() below.
local autoreload = require "tornado.autoreload"
local core = require "tornado.core"
local escape = require "tornado.escape"
local httputil = require "tornado.httputil"
local util = require "tornado.util"
local web = require "tornado.web"

local folder = debug.getinfo(1, "S").source:match("^@(.*)/")
local started = core.monotonic()

local function read(name)
    autoreload.watch(folder .. "/" .. name)
    local file = assert(io.open(folder .. "/" .. name, "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

-- Puts values in place of {{name}}.
local function fill(text, values)
    return (text:gsub("{{(%w+)}}", values))
end

-- Lua with colours: each token in a <span>, everything escaped ---------------------

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function if in local nil not or
    repeat return then true until while]]):gmatch("%l+") do
    KEYWORDS[word] = "kw"
end

local TOKENS = {
    { "^%-%-[^\n]*", "rem" }, { '^"[^"\n]*"', "str" }, { "^'[^'\n]*'", "str" },
    { "^%[%[.-%]%]", "str" }, { "^[%a_][%w_]*", KEYWORDS }, { "^%s+" }, { "^." },
}

local function next_token(source, at)
    for _, token in ipairs(TOKENS) do
        local text = source:match(token[1], at)
        if text then return text, token[2] == KEYWORDS and KEYWORDS[text] or token[2] end
    end
end

local function highlight(source)
    local out, at = {}, 1
    while at <= #source do
        local text, class = next_token(source, at)
        at = at + #text
        text = escape.xhtml_escape(text)
        if type(class) == "string" then
            text = ('<span class="%s">%s</span>'):format(class, text)
        end
        out[#out + 1] = text
    end
    return table.concat(out)
end

-- Handlers --------------------------------------------------------------------------

local Base = web.RequestHandler:extend "Base"

function Base:set_default_headers()
    self:set_header("Content-Security-Policy", "default-src 'none'; style-src 'self'; " ..
        "script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " ..
        "form-action 'none'; frame-ancestors 'none'")
    self:set_header("Referrer-Policy", "no-referrer")
    self:set_header("X-Content-Type-Options", "nosniff")
end

local error_page = read "error.html"

function Base:write_error(status, options)
    local what = options.reason or httputil.responses[status] or "Unknown"
    local detail = ("%s %s"):format(self.request.method, self.request.path)
    if self.settings.serve_traceback then detail = options.traceback or detail end
    self:set_header("Cache-Control", "no-store")
    self:finish(fill(error_page, {
        status = status,
        what = escape.xhtml_escape(what),
        detail = escape.xhtml_escape(detail),
    }))
end

local NotFound = Base:extend "NotFound"

function NotFound:prepare()
    error(web.HTTPError(404), 0)
end

local File = Base:extend "File"

function File:initialize(file)
    self.file = file
end

-- no-cache: kept, but asked for each time; the ETag then answers with 304.
function File:get()
    self:set_header("Cache-Control", "no-cache")
    self:set_header("Content-Type", self.file.type)
    self:write(self.file.text)
end

File.head = File.get

local Status = Base:extend "Status"

function Status:get()
    local counts = core.counts()
    self:set_header("Cache-Control", "no-store")
    self:write {
        version = util.version,
        luajit = jit.version,
        uptime = math.floor(core.monotonic() - started),
        requests = counts.handled,
        connections = counts.connections,
    }
end

Status.head = Status.get

-- Routes ----------------------------------------------------------------------------

local page = read("welcome.html"):gsub('(<code class="lua">)(.-)(</code>)',
    function(before, source, after) return before .. highlight(source) .. after end)
page = fill(page, {
    version = util.version,
    luajit = jit.version:gsub("^LuaJIT ", ""),
    source = highlight(read "app.lua"),
})

return web.Application({
    { "/", File, { type = "text/html; charset=UTF-8", text = page } },
    { "/welcome.css", File, { type = "text/css; charset=UTF-8", text = read "welcome.css" } },
    { "/welcome.js", File, { type = "text/javascript; charset=UTF-8", text = read "welcome.js" } },
    { "/welcome.svg", File, { type = "image/svg+xml", text = read "welcome.svg" } },
    { "/status.json", Status },
}, { default_handler_class = NotFound })
