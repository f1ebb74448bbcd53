-- Browsers in development: pages get a script, which holds a WebSocket and loads the page again
-- when a newer generation serves, or when a static file has changed; and which shows why a reload
-- has failed. Both are below /_ctornado/ of every address.
-- Tornado: has nothing of the kind.
local autoreload = require "tornado.autoreload"
local core = require "tornado.core"
local proxy = require "tornado.httputil.proxy"
local script = require "tornado.autoreload.script"
local util = require "tornado.util"
local web = require "tornado.web"
local WebSocketHandler = require("tornado.websocket").WebSocketHandler

local PREFIX = "/_ctornado/"
local RESTARTS = 1012

local open = {} -- set of handlers
local since     -- when this generation began to serve; nil: not everywhere yet
local failure   -- why the last reload failed

-- What browsers are told -------------------------------------------------------------------------

local Live = WebSocketHandler:extend "Live"

local function send(self, message)
    message.stamp = message.stamp or core.now()
    pcall(self.write_message, self, message) -- fails when it has just left
end

local function send_failure(self)
    local shown = proxy.is_local(self.request.remote_ip or "")
    send(self, { what = "failed", text = shown and failure or "The server's log says why." })
end

-- A page that was made before this generation is an old one.
local function send_reload(self)
    if since and self.made < since then send(self, { what = "reload", stamp = since }) end
end

function Live:open()
    self.made = tonumber(self:get_argument("made", "")) or 0
    open[self] = true
    send_reload(self)
    if failure then send_failure(self) end
end

function Live:on_message() end -- luacheck: ignore 212/self

function Live:on_close()
    open[self] = nil
end

local function each(fn, argument)
    for handler in pairs(open) do fn(handler, argument) end
end

local on = {}

function on.reloaded()
    since, failure = core.now(), nil
    each(send_reload)
end

function on.failed(text)
    failure = text
    each(send_failure)
end

function on.static(files)
    each(send, { what = "static", files = files })
end

-- They connect again, to the newer one.
function on.retired()
    each(Live.close, RESTARTS)
end

-- The script -------------------------------------------------------------------------------------

local Script = web.RequestHandler:extend "Script"

function Script:get()
    self:set_header("Content-Type", "text/javascript; charset=UTF-8")
    self:set_header("Cache-Control", "no-store")
    self:finish(script)
end

-- The policy of security_headers must let it through: 'self' does, and otherwise a nonce.
local function nonce(handler)
    local policy = handler.application._headers_policy
    local csp = policy and policy.csp
    local sources = csp and (csp:match "script%-src([^;]*)" or csp:match "default%-src([^;]*)")
    if handler._csp_nonce or sources and not sources:find("'self'", 1, true) then
        return (' nonce="%s"'):format(handler:csp_nonce())
    end
    return ""
end

local TAG = '<script src="%slive.js" data-made="%.3f"%s></script>\n'

-- Whether the reply is a page of its own, and not a part that a script has asked for.
local function is_page(handler)
    local wanted = handler.request.headers:get("Sec-Fetch-Dest", "document")
    return handler._content_type:find "^text/html" and not handler._content_length and
        (wanted == "document" or wanted == "iframe") and handler.settings.debug ~= false and
        not handler:get_header("Content-Encoding")
end

--- What becomes of a whole reply's body.
local function add_script(handler, body)
    local before, rest = body:match "^(.*)(</[bB][oO][dD][yY]%s*>.*)$"
    if not before or not is_page(handler) then return body end
    return before .. TAG:format(PREFIX, core.now(), nonce(handler)) .. rest
end

-- Before the sites -------------------------------------------------------------------------------

local Front = util.Object:extend "Front"

function Front:init(app)
    self.app = app
    self.list = app.list or { { app = app } }
    self.own = web.Application({ { PREFIX .. "live.js", Script }, { PREFIX .. "live", Live } },
        { log_function = function() end })
end

function Front:start_request(request)
    local app = request.path:sub(1, #PREFIX) == PREFIX and self.own or self.app
    return app:start_request(request)
end

local page = {}

--- Has the pages of an application (or of several, as sites.lua joins them) load themselves again.
--- Returns what a server serves in its place.
function page.before(app)
    for _, mount in ipairs(app.list or { { app = app } }) do mount.app._add_script = add_script end
    if core.generation() == 1 then since = core.now() end
    autoreload.listen(function(what, argument) on[what](argument) end)
    return Front(app)
end

return page
