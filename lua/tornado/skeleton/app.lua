-- This site: its handlers, and which paths they answer. `ctornado --site=DIR --debug` serves it;
-- after a change, `ctornado reload` loads it anew.
local web = require "tornado.web"

local folder = debug.getinfo(1, "S").source:match("^@(.*)/")

-- A page: templates/home.html, filled in.
local Home = web.RequestHandler:extend "Home"

function Home:get()
    self:render("home.html", { greeted = self:get_argument("name", "world") })
end

-- An answer in JSON. The path's groups are arguments; what waits (gen.sleep, httpclient.fetch)
-- is called like anything else, and other requests are served meanwhile.
local Greeting = web.RequestHandler:extend "Greeting"

function Greeting:get(name)
    self:write { hello = name }
end

return web.Application({
    { "/", Home, nil, "home" },
    { "/api/hello/([^/]+)", Greeting, nil, "greeting" },
}, {
    template_path = folder .. "/templates",
    static_path = folder .. "/static",
    xsrf_cookies = true,
    security_headers = true,
})
