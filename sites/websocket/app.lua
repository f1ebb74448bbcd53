-- Tornado's demo "websocket", with rooms: whoever opens the page of a room talks to the others in
-- it over a WebSocket, and gets what was said before, and while the connection was away. Messages
-- and who is there go through tornado.pubsub, so they are the same in all workers. It shows
-- WebSocketHandler, pubsub with history and presence, and pages without a line of inline script.
local core = require "tornado.core"
local escape = require "tornado.escape"
local httputil = require "tornado.httputil"
local pubsub = require "tornado.pubsub"
local web = require "tornado.web"
local websocket = require "tornado.websocket"

local folder = debug.getinfo(1, "S").source:match("^@(.*)/")

local ROOMS = { "lounge", "kitchen", "garden" } -- those that the first page names
local ROOM = "^[%w-]+$"
local MAX_ROOM, MAX_NAME, MAX_BODY = 30, 30, 2000 -- characters
local HISTORY = 50
local POLICY, INVALID = 1008, 1007 -- RFC 6455 §7.4.1

local Base = web.RequestHandler:extend "Base"

function Base:write_error(status, options)
    if self.settings.serve_traceback and status >= 500 then
        return web.RequestHandler.write_error(self, status, options)
    end
    self:render("error.html", {
        status = status, what = options.reason or httputil.responses[status] or "Unknown",
    })
end

-- The topic of a room, or nil for what is no room's name.
local function topic_of(room)
    return #room <= MAX_ROOM and room:find(ROOM) and "room:" .. room:lower() or nil
end

-- Pages ----------------------------------------------------------------------------------

local Lobby = Base:extend "Lobby"

function Lobby:get()
    local room = self:get_query_argument("room", nil)
    if room and topic_of(room) then
        return self:redirect(self:reverse_url("room", room:lower()), { status = 303 })
    end
    local rooms = {}
    for i, name in ipairs(ROOMS) do
        rooms[i] = { name = name, people = #pubsub.presence(topic_of(name)) }
    end
    self:render("lobby.html", { rooms = rooms, max_room = MAX_ROOM })
end

local Room = Base:extend "Room"

function Room:get(room)
    if not topic_of(room) then error(web.HTTPError(404), 0) end
    self:render("room.html", { room = room:lower(), max_name = MAX_NAME, max_body = MAX_BODY })
end

-- Connections ----------------------------------------------------------------------------

-- Who is in a room is told by each worker to its own connections, in a hub of its own.
local near = pubsub.Hub()
local watched = {} -- topic -> { watcher =, count = }

local function tell_people(topic)
    near:publish(topic, { people = escape.array(pubsub.presence(topic)) })
end

local function watch(topic, by)
    local entry = watched[topic] or { count = 0 }
    watched[topic] = entry
    entry.count = entry.count + by
    if entry.count == 0 then
        entry.watcher.close()
        watched[topic] = nil
    elseif not entry.watcher then
        entry.watcher = pubsub.watch(topic, function() tell_people(topic) end)
    end
end

-- What a message is on the wire: made once for all who get it.
local function encode(message)
    local data = message.data
    return escape.json_encode {
        id = message:key(), name = data.name, body = data.body, time = data.time,
    }
end

local Socket = websocket.WebSocketHandler:extend "Socket"

function Socket:prepare()
    if not topic_of(self.path_args[1]) then error(web.HTTPError(404), 0) end
end

function Socket:max_message_size() return 16384 end
function Socket:ping_interval() return 30 end

function Socket:open(room)
    self.topic = topic_of(room)
    watch(self.topic, 1)
    self.people = near:subscribe(self.topic, self)
end

-- One line of text, or a text, of at most `most` characters; nil for anything else.
local function clean(value, most, is_line)
    if type(value) ~= "string" then return nil end
    value = is_line and escape.squeeze(value) or value:match("^%s*(.-)%s*$")
    local _, length = value:gsub("[^\128-\191]", "")
    return length > 0 and length <= most and value or nil
end

local function enter(self, name, since)
    if self.subscription then self.subscription:close() end
    self.name = name
    self.subscription = pubsub.subscribe(self.topic, function(message)
        self:write_message(message:form("room", encode))
    end, { name = name, since = since, history = HISTORY })
end

--- { name =, since = } enters the room, or changes the name; { body = } says something.
function Socket:on_message(text)
    local ok, message = pcall(escape.json_decode, text)
    if not ok or type(message) ~= "table" then return self:close(INVALID, "not JSON") end
    if message.name ~= nil then
        local name = clean(message.name, MAX_NAME, true)
        if not name then return self:close(POLICY, "a name has 1 to 30 characters") end
        return enter(self, name, message.since)
    end
    local body = clean(message.body, MAX_BODY)
    if not self.name or not body then
        return self:close(POLICY, "first a name, then messages of 1 to 2000 characters")
    end
    pubsub.publish(self.topic, {
        name = self.name, body = body, time = os.date("!%Y-%m-%dT%H:%M:%SZ", core.now()),
    })
end

function Socket:on_close()
    if not self.topic then return end
    self.people:close()
    if self.subscription then self.subscription:close() end
    watch(self.topic, -1)
end

local NotFound = Base:extend "NotFound"

function NotFound:prepare()
    error(web.HTTPError(404), 0)
end

return web.Application({
    web.url("/", Lobby, nil, "lobby"),
    web.url("/room/([^/]+)", Room, nil, "room"),
    web.url("/socket/([^/]+)", Socket, nil, "socket"),
}, {
    template_path = folder .. "/templates",
    static_path = folder .. "/static",
    security_headers = true,
    default_handler_class = NotFound,
})
