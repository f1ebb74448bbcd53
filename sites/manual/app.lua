-- The manual: chapters in Markdown (pages/*.md), and a reference that is made from the server that
-- shows it: its options, its modules and the comments in their source. It shows tornado.markdown,
-- pages that are made once and kept, a search without JavaScript, and a site that may lie below a
-- prefix. Pages are made when they are first asked for; `ctornado reload` makes them anew.
local httputil = require "tornado.httputil"
local util = require "tornado.util"
local web = require "tornado.web"

local Book = require "book"

local folder = debug.getinfo(1, "S").source:match("^@(.*)/")
local MAX_QUERY = 100

local Base = web.RequestHandler:extend "Base"

-- What all templates are given.
function Base:values(values)
    local book = self.application.book
    values.groups, values.version = book.groups, util.version
    values.link = function(name) return book:link(name) end
    values.page = values.page or {}
    values.query = values.query or ""
    return values
end

function Base:write_error(status, options)
    if self.settings.serve_traceback and status >= 500 and status ~= 503 then
        return web.RequestHandler.write_error(self, status, options)
    end
    self:render("error.html", self:values {
        status = status, what = options.reason or httputil.responses[status] or "Unknown",
    })
end

local NotFound = Base:extend "NotFound"

function NotFound:prepare()
    error(web.HTTPError(404), 0)
end

local Page = Base:extend "Page"

-- no-cache: kept, but asked for each time; the ETag then answers with 304.
function Page:get(name)
    self:set_header("Cache-Control", "no-cache")
    self:write(self.application.book:html(name or "index", function(page)
        return self:render_string("page.html", self:values { page = page })
    end) or error(web.HTTPError(404), 0))
end

Page.head = Page.get

local Search = Base:extend "Search"

function Search:get()
    local query = self:get_argument("q", ""):sub(1, MAX_QUERY)
    self:set_header("X-Robots-Tag", "noindex")
    self:render("search.html", self:values {
        query = query, found = self.application.book:search(query),
    })
end

local app = web.Application({
    { "/", Page, name = "index" },
    { "/search", Search, name = "search" },
    { "/([a-z][a-z0-9_.-]*)", Page, name = "page" },
}, {
    default_handler_class = NotFound,
    static_path = folder .. "/static",
    template_path = "templates",
    compress_response = true,
    security_headers = {
        csp = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; " ..
            "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        frame_options = "DENY",
    },
})

app.book = Book(folder .. "/pages", function(name)
    if name == "index" then return app:reverse_url("index") end
    return app:reverse_url("page", name)
end)

return app
