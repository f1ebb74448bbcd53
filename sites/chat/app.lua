-- Tornado's demo "chat": one room, whose messages come by an event stream, by long polling where
-- there is none, and by loading the page again where there is no script. Messages, history and who
-- is there go through tornado.pubsub, so they are the same in all workers. It shows event streams,
-- pubsub.poll(), XSRF tokens, templates and progressive enhancement.
local core = require "tornado.core"
local escape = require "tornado.escape"
local frame = require "tornado.web.event_stream.frame"
local httputil = require "tornado.httputil"
local ioloop = require "tornado.ioloop"
local pubsub = require "tornado.pubsub"
local web = require "tornado.web"

local folder = debug.getinfo(1, "S").source:match("^@(.*)/")

local TOPIC = "chat"
local COOKIE = "chat_name"
local MAX_BODY, MAX_NAME = 2000, 30 -- characters
local SHOWN = 100 -- messages on a new page
local COLOURS = 8

-- What all pages share -------------------------------------------------------------------

local Base = web.RequestHandler:extend "Base"

function Base:set_default_headers()
    self:set_header("Cache-Control", "private, no-store")
end

function Base:write_error(status, options)
    local what = options.reason or httputil.responses[status] or "Unknown"
    if self.settings.serve_traceback and status >= 500 then
        return web.RequestHandler.write_error(self, status, options)
    end
    if self.request.headers:get("X-Requested-With") then return self:finish { error = what } end
    self:render("error.html", { status = status, what = what })
end

local function length(text)
    local _, n = text:gsub("[^\128-\191]", "")
    return n
end

-- One line of visible text, or nil.
local function clean_name(name)
    name = escape.squeeze(name)
    return name ~= "" and length(name) <= MAX_NAME and name or nil
end

--- The name of whoever asks: as they chose it, or nil.
function Base:chosen_name()
    local cookie = self:get_cookie(COOKIE)
    local ok, name = pcall(function() return escape.to_unicode(escape.url_unescape(cookie)) end)
    return cookie and ok and clean_name(name) or nil
end

-- Messages -------------------------------------------------------------------------------

local Main = Base:extend "Main"

function Main:get()
    local messages = pubsub.history(TOPIC, { limit = SHOWN })
    local last = messages[#messages]
    self:render("index.html", {
        messages = messages, cursor = last and last:key() or "0",
        people = pubsub.presence(TOPIC), name = self:chosen_name() or "",
        max_body = MAX_BODY, max_name = MAX_NAME,
    })
end

-- A colour that goes with a name.
local function colour_of(name)
    local sum = 0
    for i = 1, #name do sum = (sum * 31 + name:byte(i)) % 65536 end
    return sum % COLOURS
end

local New = Base:extend "New"

local function input(self)
    local name = clean_name(self:get_body_argument("name"))
    local body = self:get_body_argument("body"):gsub("\r\n?", "\n")
    if not name then
        error(web.HTTPError(400, nil, { reason = "A name has 1 to 30 characters" }), 0)
    end
    if body == "" or length(body) > MAX_BODY then
        error(web.HTTPError(400, nil, { reason = "A message has 1 to 2000 characters" }), 0)
    end
    return name, body
end

function New:post()
    local name, body = input(self)
    local now = core.now()
    local html = self:render_string("message.html", {
        id = core.hex(core.random(8)), name = name, body = body, colour = colour_of(name),
        time = os.date("!%Y-%m-%dT%H:%M:%SZ", now), clock = os.date("!%H:%M", now),
    })
    pubsub.publish(TOPIC, { name = name, html = html })
    self:set_cookie(COOKIE, escape.url_escape(name), { max_age = 31536000, httponly = true,
        samesite = "Lax" })
    if self:get_body_argument("next", nil) then
        return self:redirect(self:reverse_url("main"), { status = 303 })
    end
    self:set_status(204)
end

-- Long polling ---------------------------------------------------------------------------

local Updates = Base:extend "Updates"
Updates.cancel_on_disconnect = true

function Updates:post()
    local messages = pubsub.poll(TOPIC, { since = self:get_body_argument("cursor"),
        timeout = self.settings.poll_timeout })
    local list = {}
    for i, message in ipairs(messages) do list[i] = message.data end
    self:write {
        messages = escape.array(list), people = escape.array(pubsub.presence(TOPIC)),
        cursor = #messages > 0 and messages[#messages]:key() or nil,
    }
end

-- Streams --------------------------------------------------------------------------------

local streams = {} -- set of this worker's
local telling = false

-- All changes of a turn are told at once, with the same bytes for all.
local function tell()
    telling = false
    local bytes = frame.event({ people = escape.array(pubsub.presence(TOPIC)) },
        { event = "people" })
    for stream in pairs(streams) do stream:offer(bytes, "drop_oldest") end
end

pubsub.watch(TOPIC, function()
    if telling then return end
    telling = true
    ioloop.add_callback(tell)
end)

local Stream = Base:extend "Stream"

function Stream:get()
    local stream = self:event_stream()
    if stream:closed() then return end
    streams[stream] = true
    stream:on_close(function() streams[stream] = nil end)
    stream:send({ people = escape.array(pubsub.presence(TOPIC)) }, { event = "people" })
    pubsub.subscribe(TOPIC, stream, { since = stream.last_event_id or "0",
        name = self:chosen_name() })
end

local NotFound = Base:extend "NotFound"

function NotFound:prepare()
    error(web.HTTPError(404), 0)
end

-- Routes ---------------------------------------------------------------------------------

return web.Application({
    web.url("/", Main, nil, "main"),
    web.url("/a/message/new", New, nil, "new"),
    web.url("/a/message/updates", Updates, nil, "updates"),
    web.url("/a/message/stream", Stream, nil, "stream"),
}, {
    template_path = folder .. "/templates",
    static_path = folder .. "/static",
    xsrf_cookies = true,
    security_headers = true,
    default_handler_class = NotFound,
    poll_timeout = 25,
})
