-- What dashboard.js loads: pages that answer, wait and fail. The admin listener is on an address of
-- its own (options), since port 0 of the same one would be the same socket.
local gen = require "tornado.gen"
local web = require "tornado.web"

local Main = web.RequestHandler:extend "Main"

function Main:get()
    self:write "main"
end

local Slow = web.RequestHandler:extend "Slow<b>Report</b>"

function Slow:get()
    gen.sleep(0.02)
    self:write "slow"
end

local Broken = web.RequestHandler:extend "Broken"

function Broken:get()
    error(self:get_argument "text", 0)
end

return web.Application { { "/(?:favicon.ico)?", Main }, { "/slow", Slow }, { "/broken", Broken } }
