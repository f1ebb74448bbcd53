-- tornado.web.render and tornado.web.modules: pages from templates, and UI modules in them.
-- PARITY §1.4 and §1.9.
local template = require "tornado.template"
local testing = require "tornado.testing"
local web = require "tornado.web"

local new_folder = dofile "spec/tornado/new_folder.lua"

local Main = web.RequestHandler:extend "Main"

function Main:static_url(path) -- luacheck: ignore 212/self
    return "/static/" .. path
end

function Main:xsrf_form_html() -- luacheck: ignore 212/self
    return '<input name="_xsrf"/>'
end

-- Serves a handler with that get() over templates of a table.
local function serve(files, get, settings)
    local Handler = Main:extend "Handler"
    Handler.get = get
    settings = settings or {}
    settings.template_loader = settings.template_loader or template.DictLoader(files)
    return testing.serve(web.Application({ { "/", Handler, nil, "main" } }, settings))
end

local function page(files, settings, namespace)
    return serve(files, function(self) self:render("page", namespace) end, settings):fetch("/")
end

describe("tornado.web.render", function()
    it("renders templates with the handler's names", function()
        local response = page({ page = "{{ request.path }} {{ handler.request.method }} " ..
            "{{ reverse_url('main') }} {{ static_url('a.css') }} {{ _('text') }} " ..
            "{{ pgettext('c', 'm') }} {{ current_user }}{{ name }} " ..
            "{{ locale ~= nil }}{{ modules ~= nil }}" }, nil, { name = "<" })
        assert.equal("/ GET / /static/a.css text m &lt; truetrue", response.body)
        assert.equal("text/html; charset=UTF-8", response.headers:get("Content-Type"))
    end)

    it("lets a call's names win, and a class add its own", function()
        local server = serve({ page = "{{ request }} {{ mine }} {{ _('x') }}" }, function(self)
            function self.get_template_namespace(this)
                local names = Main.get_template_namespace(this)
                names.mine, names.request = "own", "own"
                return names
            end
            self:write(self:render_string("page", { request = "given" }))
            function self.get_template_namespace() return { mine = "plain", request = 1 } end
            self:write(self:render_string("page"))
        end)
        assert.equal("given own x1 plain x", server:fetch("/").body)
    end)

    it("answers 500 for an undefined name, with the template's line in the log", function()
        local lines = testing.expect_log("page:2: name 'nothing' is not defined")
        assert.equal(500, page({ page = "\n{{ nothing }}" }).code)
        assert.matches("page:2: in function", lines.text)
        assert.is_nil(lines.text:find("tt#", 1, true))
    end)

    it("does not render behind finish()", function()
        testing.expect_log("Cannot render%(%) after finish%(%)")
        serve({ page = "" }, function(self)
            self:finish("done")
            self:render("page")
        end):fetch("/")
    end)

    it("finds templates in template_path, or beside the handler", function()
        local root, put = new_folder(finally, "pages")
        put("page.html", "beside")
        put("pages/page.html", "{{ '<' }}  {{ 1 }}")
        local function get(self) self:render("page.html") end
        local function fetch(settings)
            local Handler = Main:extend "Handler"
            Handler.get = get
            local app = web.Application({ { "/", Handler } }, settings)
            app.path = root
            return testing.serve(app):fetch("/").body
        end
        assert.equal("&lt; 1", fetch { template_path = root .. "/pages" })
        assert.equal("&lt; 1", fetch { template_path = "pages" })
        assert.equal("<  1", fetch { template_path = "pages", autoescape = false,
            template_whitespace = "all" })
        local Handler = Main:extend "Handler"
        Handler.get = assert(loadstring("return function(self) self:render 'page.html' end",
            "@" .. root .. "/app.lua"))()
        local server = testing.serve(web.Application { { "/", Handler } })
        assert.equal("beside", server:fetch("/").body)
        put("page.html", "changed")
        assert.equal("beside", server:fetch("/").body)
        server = testing.serve(web.Application({ { "/", Handler } },
            { compiled_template_cache = false }))
        assert.equal("changed", server:fetch("/").body)
        put("page.html", "again")
        assert.equal("again", server:fetch("/").body)
    end)

    it("waits in templates, each request for itself", function()
        local gen = require "tornado.gen"
        local server = serve({ page = "{{ n }}{{ wait() }}{{ n }}" }, function(self)
            local n = self:get_argument("n")
            self:render("page", { n = n, wait = function() gen.sleep(0.01) end })
        end)
        local connections = {}
        for n = 1, 3 do
            connections[n] = server:connect()
            connections[n]:send("GET /?n=" .. n .. " HTTP/1.1\r\nHost: a\r\n\r\n")
        end
        for n = 1, 3 do assert.equal(n .. "" .. n, connections[n]:read_response().body) end
    end)
end)

describe("tornado.web.modules", function()
    local Entry = web.UIModule:extend "Entry"
    local made

    function Entry:init(handler)
        web.UIModule.init(self, handler)
        made = made + 1
    end

    function Entry:render(text)
        return "<i>" .. self.request.path .. text .. self.ui.shout("x") .. "</i>"
    end

    function Entry:embedded_javascript() return "js1" end
    function Entry:javascript_files() return { "a.js", "/b.js", "a.js" } end
    function Entry:embedded_css() return "css1" end
    function Entry:css_files() return "https://c/c.css?a&b" end
    function Entry:html_head() return "<meta>" end
    function Entry:html_body() return "<b></b>" end

    local Other = web.UIModule:extend "Other"
    function Other:render() return "" end
    function Other:embedded_javascript() return "js2" end
    function Other:embedded_css() return "css2" end
    function Other:html_head() return "<link>" end

    local SETTINGS = {
        ui_modules = { { Entry = Entry, no = 1 }, { Other = Other } },
        ui_methods = {
            shout = function(handler, text) return text:upper() .. handler.request.method end,
            _hidden = print, Upper = print, text = "",
        },
    }

    local function settings()
        made = 0
        return { ui_modules = SETTINGS.ui_modules, ui_methods = SETTINGS.ui_methods }
    end

    it("puts what modules need where it belongs, once", function()
        local body = page({ page = "<html><head></head><body>{% module Entry('1') %}" ..
            "{% module Other() %}{% raw modules.Entry('2') %}</body></body></html>" },
            settings()).body
        assert.equal([=[
<html><head><link href="https://c/c.css?a&amp;b" type="text/css" rel="stylesheet"/>
<style type="text/css">
css1
css2
</style>
<meta><link>
</head><body><i>/1XGET</i><i>/2XGET</i><b></b>
</body><script src="/static/a.js" type="text/javascript"></script>]=] ..
[=[<script src="/b.js" type="text/javascript"></script>
<script type="text/javascript">
//<![CDATA[
js1
js2
//]]>
</script>
</body></html>]=], body)
        assert.equal(1, made)
    end)

    it("needs the tags only when there is something to insert", function()
        assert.equal("", page({ page = "{% module linkify('') %}" }).body)
        testing.expect_log("a UI module needs </body> in the page")
        assert.equal(500, page({ page = "{% module Entry('') %}" }, settings()).code)
    end)

    it("has linkify, xsrf_form_html and Template", function()
        assert.equal('<a href="http://a.b">http://a.b</a>|<input name="_xsrf"/>', page {
            page = "{% module linkify('http://a.b') %}|{% module xsrf_form_html() %}" }.body)
        local files = {
            page = "<head></head>{% module Template('part', { x = 1 }) %}" ..
                "{% module Template('part', { x = 2 }) %}",
            part = "{{ set_resources({ embedded_css = 'c', html_head = '<h>' }) }}({{ x }})",
        }
        assert.equal('<head><style type="text/css">\nc\n</style>\n<h>\n</head>(1)(2)',
            page(files).body)
        testing.expect_log("part:1: set_resources called with different resources")
        files.part = "{{ set_resources({ embedded_css = tostring(x) }) }}"
        page(files)
    end)

    it("gives templates the ui_methods, and refuses other names", function()
        assert.equal("AGET", page({ page = "{{ shout('a') }}" }, settings()).body)
        for _, name in ipairs { "Upper", "text" } do
            testing.expect_log("name '" .. name .. "' is not defined")
            assert.equal(500, page({ page = "{{ " .. name .. "() }}" }, settings()).code)
        end
        testing.expect_log("page:1: no UI module is named Nope")
        assert.equal(500, page({ page = "{% module Nope() %}" }, settings()).code)
    end)

    it("takes a module's name for either setting", function()
        package.loaded["spec.ui"] = { Entry = Entry, shout = SETTINGS.ui_methods.shout }
        finally(function() package.loaded["spec.ui"] = nil end)
        made = 0
        assert.equal("AGET<i>/zXGET</i>", serve({ page =
            "{{ shout('a') }}{% module Entry('z') %}" }, function(self)
            self:write(self:render_string("page"))
        end, { ui_modules = "spec.ui", ui_methods = { "spec.ui" } }):fetch("/").body)
    end)
end)
