-- The site that browser/autoreload.js changes.
local web = require "tornado.web"

local Main = web.RequestHandler:extend "Main"

function Main:get()
    self:render("page.html", { word = require "word" })
end

return web.Application({ { "/", Main } }, {
    template_path = "templates", static_path = debug.getinfo(1, "S").source:match "^@(.*)/" ..
        "/static", security_headers = true,
})
