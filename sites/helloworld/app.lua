-- The smallest site there is: one handler, one route.
local web = require "tornado.web"

local Main = web.RequestHandler:extend()

function Main:get()
    self:write("Hello, world")
end

return web.Application { { "/", Main } }
