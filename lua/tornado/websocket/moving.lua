-- WebSockets that go from one generation to the next, with what on_reload() returned. C moves the
-- connection; here the old handler is left, and a new one made of the route that fits the path.
local buffer = require "string.buffer"
local concurrent = require "tornado.concurrent"
local core = require "tornado.core"
local gen = require "tornado.gen"
local HTTPServerRequest = require "tornado.httputil.request"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local peer = require "tornado.websocket.peer"
local util = require "tornado.util"
local WebSocketHandler = require("tornado.websocket.handler").WebSocketHandler

local RESTARTS = 1012

local moving = {}

-- Away -------------------------------------------------------------------------------------------

local name_of -- function(app): what the next generation finds it by

-- Returns what goes along, or nil when it is to stay.
local function pack(self)
    local state = self:on_reload()
    if concurrent.is_future(state) then state = gen.await(state) end
    if state == nil or not self._ws then return nil end
    local packed = self:_pack(state)
    packed.app = name_of(self.application)
    local ok, bytes = pcall(buffer.encode, packed)
    if ok then return bytes end
    error("on_reload() returned what cannot be handed over: " .. tostring(bytes), 0)
end

-- Without a reason to go, or when it cannot, it stays with its handler.
local function move(self)
    if self._busy or self._asked or not self._ws then return end
    self._busy, self._asked = true, true
    ioloop.enter(self._context)
    local ok, bytes, trace = ioloop.protect(pack, self)
    if not ok then
        self:log_exception(bytes, trace)
    elseif bytes then
        local status = peer.give_away(self, core.websocket_move, bytes)
        if status == core.LIMIT then
            log.app_log:error("on_reload() of %s returned more than a WebSocket may take along: " ..
                "%d bytes", tostring(self.class), #bytes)
        end
    end
    self._busy = false
    if self._ws then peer.drain(self) end
end

local function wants_to_move(self)
    return self.on_reload and not self._asked and util.isinstance(self, WebSocketHandler)
end

--- A newer generation serves: what wants to, goes there, when its hooks have ended.
-- name(app) names an application for it.
function moving.begin(name)
    name_of = name
    local function rest(self)
        if wants_to_move(self) then ioloop.spawn_callback(move, self) end
    end
    peer.rest = rest
    for _, self in ipairs(peer.idle()) do rest(self) end
end

-- Here -------------------------------------------------------------------------------------------

local Nobody = util.Object:extend "Nobody"
peer.mix_into(Nobody)

local function route(app, packed)
    local delegate = app:find_handler(HTTPServerRequest.unpack(packed.request))
    local class = delegate and delegate.handler_class
    if util.isinstance(class, WebSocketHandler) then return delegate end
end

--- Takes one that has come (EVENT_MOVED); find(name) returns the application of that name, or nil.
function moving.receive(handle, find)
    local bytes = core.websocket_luggage(handle)
    if not bytes then return end
    local packed = buffer.decode(bytes)
    local app = find(packed.app)
    local delegate = app and route(app, packed)
    if delegate then return WebSocketHandler._take_over(delegate, handle, packed) end
    local nobody = Nobody() -- the path is gone
    peer.attach(nobody, handle, false)
    nobody:close(RESTARTS)
    peer.drain(nobody)
end

return moving
