-- The site that spec/faults asks: what goes wrong, on purpose.
local core = require "tornado.core"
local ffi = require "ffi"
local gen = require "tornado.gen"
local httpclient = require "tornado.httpclient"
local web = require "tornado.web"
local websocket = require "tornado.websocket"

local kept = {}

local function route(fn, fields)
    local Handler = web.RequestHandler:extend "Handler"
    for name, value in pairs(fields or {}) do Handler[name] = value end
    Handler.get, Handler.post = fn, fn
    return Handler
end

local Socket = websocket.WebSocketHandler:extend "Socket"
function Socket:on_message(message) self:write_message(message) end
function Socket.check_origin() return true end

return web.Application {
    { "/", route(function(self) self:write "hello" end) },
    { "/who", route(function(self) self:write(tostring(core.worker())) end) },
    { "/random", route(function(self) self:write(core.hex(core.random(16))) end) },
    { "/limited", route(function(self) self:write "allowed" end,
        { rate_limit = { requests = 1, per = 1000, burst = 20 } }) },
    { "/busy", route(function(self) self:write "allowed" end,
        { rate_limit = { requests = 100, per = 1, burst = 100 } }) },
    { "/build", route(function()
        local list = {}
        for i = 1, 1e9 do list[i] = { i } end
        return list
    end) },
    { "/keep", route(function(self)
        for _ = 1, 200 do kept[#kept + 1] = ("x"):rep(1000) end
        if #kept > 5000 then kept = {} end
        self:write "kept"
    end) },
    { "/garbage", route(function(self)
        local list = {}
        for i = 1, 2e5 do list[i] = { i } end
        self:write(tostring(#list))
    end) },
    { "/backend", route(function(self)
        local url = ("http://127.0.0.1:%s/"):format(self:get_argument "port")
        local client = httpclient.AsyncHTTPClient()
        self:write(client:fetch(url, { retries = 8, retry_delay = 0.02 }).body)
    end) },
    { "/crash", route(function() ffi.cast("int *", 64)[0] = 1 end) },
    { "/spin", route(function(self)
        if self:get_argument("later", nil) then gen.sleep(0.001) end
        local text = ("a"):rep(40) .. "b" -- in C, where nothing but a signal can reach it
        return (text:find(("a?"):rep(40) .. ("a"):rep(40) .. (".*"):rep(12) .. "c"))
    end) },
    { "/sleep", route(function(self)
        gen.sleep(tonumber(self:get_argument("for", "1")))
        self:write "slept"
    end) },
    { "/until", route(function(self)
        while not core.file_kind(self:get_argument "file") do gen.sleep(0.005) end
        self:write "done"
    end) },
    { "/twice", route(function(self)
        self:finish "once"
        self:finish "twice"
    end) },
    { "/never", route(function() end, { _auto_finish = false }) },
    { "/raise", route(function() error "deliberate" end) },
    { "/big", route(function(self)
        for _ = 1, 128 do
            self:write(("0123456789abcdef"):rep(4096))
            self:flush()
        end
    end) },
    { "/echo", route(function(self) self:write(self.request.body) end) },
    { "/socket", Socket },
}
