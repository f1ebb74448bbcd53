-- What Node's `ws` talks to (node_ws.py): an echo that is told by arguments of the address what
-- its compression shall be, and that does what a message asks for.
local web = require "tornado.web"
local websocket = require "tornado.websocket"

local Echo = websocket.WebSocketHandler:extend "Echo"

function Echo:get_compression_options()
    local kind = self:get_argument("compression", "none")
    if kind == "none" then return nil end
    return { context_takeover = kind == "takeover", threshold = 0 }
end

function Echo:max_message_size()
    return tonumber(self:get_argument("max", "20971520"))
end

-- The last one that is known.
function Echo:select_subprotocol(list) -- luacheck: ignore 212/self
    for i = #list, 1, -1 do
        if list[i]:find "^v%d+%.echo$" then return list[i] end
    end
end

function Echo:on_pong(data)
    self:write_message("pong: " .. data)
end

function Echo:on_ping(data)
    self:write_message("ping: " .. data)
end

function Echo:on_message(message, binary)
    if binary then return self:write_message(message, true) end
    local code, reason = message:match "^close (%d+) ?(.*)$"
    if code then return self:close(tonumber(code), reason ~= "" and reason or nil) end
    local payload = message:match "^ping (.*)$"
    if payload then return self:ping(payload) end
    if message == "protocol" then message = self.selected_subprotocol or "none" end
    self:write_message(message)
end

local Last = web.RequestHandler:extend "Last"
local last = {}

-- How the last connection ended.
function Echo:on_close()
    last.code, last.reason = self.close_code, self.close_reason
end

function Last:get()
    self:write { code = last.code, reason = last.reason }
end

return web.Application { { "/ws", Echo }, { "/last", Last } }
