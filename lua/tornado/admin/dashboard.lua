-- The dashboard: what the server is like now, and was in the last minutes, for people. A site like
-- any other, but that its files are in the binary (dashboard/): a page, scripts that draw it, and a
-- WebSocket that tells them every second. It only shows, and changes nothing.
local core = require "tornado.core"
local feed = require "tornado.admin.dashboard.feed"
local template = require "tornado.template"
local util = require "tornado.util"
local web = require "tornado.web"
local WebSocketHandler = require("tornado.websocket").WebSocketHandler

local FOLDER = "tornado/admin/dashboard/"

-- Whatever gets into the page as text, no browser may take it for a script.
local POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " ..
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " ..
    "require-trusted-types-for 'script'; trusted-types 'none'"

-- Pages and files --------------------------------------------------------------------------

local Base = web.RequestHandler:extend "Dashboard"

Base._is_uncounted = true

-- Kept by browsers, but asked for each time: the ETag then answers 304.
function Base:set_default_headers()
    self:set_header("Cache-Control", "no-cache")
    self:set_header("Content-Security-Policy", POLICY)
    self:set_header("Cross-Origin-Opener-Policy", "same-origin")
    self:set_header("Cross-Origin-Resource-Policy", "same-origin")
    self:set_header("Referrer-Policy", "no-referrer")
    self:set_header("X-Content-Type-Options", "nosniff")
end

function Base:head(...)
    return self:get(...)
end

local loader = template.DictLoader { ["page.html"] = core.script(FOLDER .. "page.html") }

local Page = Base:extend "DashboardPage"

function Page.get_template_path()
    return FOLDER
end

function Page.create_template_loader()
    return loader
end

function Page:get()
    self:render("page.html", { host = feed.host, version = util.version })
end

local TYPES = {
    css = "text/css; charset=UTF-8", js = "text/javascript; charset=UTF-8", svg = "image/svg+xml",
}
local NAMES = { "dashboard.css", "main.js", "series.js", "charts.js", "tables.js", "format.js",
    "icon.svg" }

local File = Base:extend "DashboardFile"

function File:initialize(kwargs)
    self.name = kwargs.name
end

function File:get()
    self:set_header("Content-Type", TYPES[self.name:match "%.(%w+)$"])
    self:write(core.script(FOLDER .. self.name))
end

-- The WebSocket ----------------------------------------------------------------------------

local Live = WebSocketHandler:extend "DashboardLive"

Live._is_uncounted = true

function Live:prepare()
    if feed.is_over() then
        self:set_status(503)
        self:finish()
    end
end

function Live.get_compression_options()
    return { context_takeover = false }
end

Live._max_message_size = 1024 -- nothing is expected

function Live:max_message_size()
    return self._max_message_size
end

function Live:ping_interval() -- luacheck: ignore 212/self
    return 20
end

function Live:open()
    self._slow = "drop" -- the next second says it again
    feed.add(self)
end

function Live:on_message() end -- luacheck: ignore 212/self

function Live:on_close()
    feed.remove(self)
end

-- Rules ------------------------------------------------------------------------------------

local rules = { { "/", Page }, { "/dashboard/live", Live } }
for _, name in ipairs(NAMES) do
    rules[#rules + 1] = { "/dashboard/" .. name:gsub("%.", "\\."), File, { name = name } }
end

return rules
