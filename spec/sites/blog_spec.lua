-- sites/blog: users, sessions, entries, and what must not work.
local core = require "tornado.core"
local escape = require "tornado.escape"
local sites = require "tornado.sites"
local testing = require "tornado.testing"

local PASSWORD = "a long password"

local function new_folder()
    local pipe = assert(io.popen("mktemp -d"))
    local path = pipe:read("*l")
    pipe:close()
    return path
end

-- A browser: it keeps cookies, and takes the token out of a page to send it with forms.
local Browser = {}
Browser.__index = Browser

local function browse(server)
    return setmetatable({ server = server, cookies = {} }, Browser)
end

function Browser:fetch(path, options)
    options = options or {}
    local list = {}
    for name, value in pairs(self.cookies) do list[#list + 1] = name .. "=" .. value end
    options.headers = options.headers or {}
    if #list > 0 then options.headers.Cookie = table.concat(list, "; ") end
    local response = self.server:fetch(path, options)
    for _, line in ipairs(response.headers:get_list("Set-Cookie")) do
        local name, value = line:match("^([^=]+)=([^;]*)")
        self.cookies[name] = value ~= '""' and value or nil
    end
    return response
end

function Browser:token(path)
    return (self:fetch(path).body:match('name="_xsrf" value="([^"]+)"'))
end

function Browser:post(path, fields, token_from)
    fields._xsrf = fields._xsrf or self:token(token_from or path)
    local pairs_of = {}
    for name, value in pairs(fields) do
        pairs_of[#pairs_of + 1] = name .. "=" .. escape.url_escape(value)
    end
    return self:fetch(path, {
        body = table.concat(pairs_of, "&"),
        headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
    })
end

function Browser:register(name, next_url)
    return self:post("/auth/register", {
        email = name .. "@example.org", name = name, password = PASSWORD, next = next_url,
    })
end

function Browser:log_in(email, password, next_url)
    return self:post("/auth/login", { email = email, password = password, next = next_url })
end

function Browser:compose(title, text, id)
    return self:post("/compose", { title = title, markdown = text, id = id })
end

local function has(response, text)
    assert.truthy(response.body:find(text, 1, true), text)
end

local function has_not(response, text)
    assert.falsy(response.body:find(text, 1, true), text)
end

describe("sites/blog", function()
    local folder

    before_each(function() folder = new_folder() end)
    after_each(function() os.execute("rm -rf " .. folder) end)

    local function serve()
        local app = assert(sites.load("sites/blog"))
        app.settings.blog_data = folder
        return testing.serve(app)
    end

    it("registers, logs out and logs in", function()
        local ann = browse(serve())
        has(ann:fetch("/"), "Log in")
        local response = ann:register("ann")
        assert.equal(303, response.code)
        assert.equal("/", response.headers:get("Location"))
        has(ann:fetch("/"), "Logged in as ann")
        assert.equal(303, ann:post("/auth/logout", {}, "/").code)
        has(ann:fetch("/"), "Log in")
        assert.equal(303, ann:log_in("ANN@example.org", PASSWORD).code)
        has(ann:fetch("/"), "Logged in as ann")
    end)

    it("keeps the session from scripts and other sites", function()
        local line = browse(serve()):register("ann").headers:get_list("Set-Cookie")[1]
        assert.matches("^blog_user=.*; HttpOnly; Path=/; SameSite=Lax", line)
    end)

    it("refuses wrong passwords, and sessions that were changed", function()
        local server = serve()
        local ann = browse(server)
        ann:register("ann")
        local eve = browse(server)
        local response = eve:log_in("ann@example.org", "another password")
        assert.equal(403, response.code)
        has(response, "There is no account with this e-mail address and password.")
        local unknown = eve:log_in("eve@example.org", PASSWORD)
        assert.equal(403, unknown.code)
        has(unknown, "There is no account with this e-mail address and password.")
        eve.cookies.blog_user = ann.cookies.blog_user:gsub("%x%x", "00", 1)
        has(eve:fetch("/"), "Log in")
    end)

    it("says what is wrong with a registration", function()
        local ann = browse(serve())
        local function fault(fields)
            local response = ann:post("/auth/register", fields)
            assert.equal(400, response.code)
            return response.body:match('role="alert">(.-)<')
        end
        assert.equal("This is no e-mail address.", fault { email = "ann" })
        assert.equal("A name has 1 to 60 letters.", fault { email = "a@b", name = " " })
        assert.equal("A password has 8 to 256 letters.",
            fault { email = "a@b", name = "a", password = "1234567" })
        ann:register("ann")
        assert.equal("There is an account with this e-mail address.",
            fault { email = "Ann@example.org", name = "b", password = PASSWORD })
    end)

    it("keeps passwords salted and hashed", function()
        local server = serve()
        browse(server):register("ann")
        browse(server):register("bob")
        local file = assert(io.open(folder .. "/blog.json", "rb"))
        local text = file:read("*a")
        file:close()
        assert.falsy(text:find(PASSWORD, 1, true))
        local users = escape.json_decode(text).users
        assert.matches("^%d+%$%x+%$%x+$", users[1].password)
        assert.not_equal(users[1].password:match("%x+$"), users[2].password:match("%x+$"))
        assert.equal("file", core.file_kind(folder .. "/blog.json"))
        assert.is_nil(core.file_kind(folder .. "/blog.json.new"))
    end)

    it("publishes, edits, and lists entries", function()
        local ann = browse(serve())
        ann:register("ann")
        local response = ann:compose("Hello, <World>!", "The *first*")
        assert.equal(303, response.code)
        assert.equal("/entry/hello-world", response.headers:get("Location"))
        local page = ann:fetch("/entry/hello-world")
        has(page, "<h1>Hello, &lt;World&gt;!</h1>")
        has(page, "<p>The <em>first</em></p>")
        has(page, '<a href="/compose?id=1">Edit</a>')
        assert.equal("/entry/hello-world-2",
            ann:compose("Hello World", "x").headers:get("Location"))
        has(ann:fetch("/compose?id=1"), "\nThe *first*</textarea>")
        assert.equal(303, ann:compose("Changed", "Now **this**", "1").code)
        has(ann:fetch("/entry/hello-world"), "<p>Now <strong>this</strong></p>")
        for _, path in ipairs { "/", "/archive" } do
            local body = ann:fetch(path).body
            local first, second = body:find("hello-world-2", 1, true), body:find(">Changed<")
            assert.truthy(first and second and first < second, path)
        end
    end)

    it("takes no empty entries", function()
        local ann = browse(serve())
        ann:register("ann")
        local response = ann:compose("", "<b>")
        assert.equal(400, response.code)
        has(response, "An entry needs a title and a text.")
        has(response, "\n&lt;b&gt;</textarea>")
    end)

    it("lets nobody write without a session, or edit what others wrote", function()
        local server = serve()
        local ann, eve, nobody = browse(server), browse(server), browse(server)
        ann:register("ann")
        ann:compose("Ann's", "text")
        eve:register("eve")
        assert.equal(403, eve:fetch("/compose?id=1").code)
        assert.equal(403, eve:post("/compose", { id = "1", title = "a", markdown = "b" },
            "/compose").code)
        has_not(eve:fetch("/entry/ann-s"), "Edit")
        local response = nobody:fetch("/compose?id=1")
        assert.equal(302, response.code)
        assert.equal("/auth/login?next=%2Fcompose%3Fid%3D1", response.headers:get("Location"))
        assert.equal(403, nobody:post("/compose", { title = "a", markdown = "b" },
            "/auth/login").code)
        assert.equal(404, ann:fetch("/compose?id=7").code)
        assert.equal(404, ann:fetch("/compose?id=x").code)
    end)

    it("refuses forms without its token", function()
        local ann = browse(serve())
        ann:register("ann")
        testing.expect_log("403")
        for _, path in ipairs { "/auth/login", "/auth/register", "/auth/logout", "/compose" } do
            assert.equal(403, ann:post(path, { _xsrf = "" }).code)
            assert.equal(403, ann:post(path, { _xsrf = ("0"):rep(32) }).code)
        end
        has(ann:fetch("/"), "Logged in as ann")
    end)

    it("redirects to its own pages alone", function()
        local server = serve()
        browse(server):register("ann")
        for url, to in pairs {
            ["/archive?a=b"] = "/archive?a=b",
            ["https://example.org/"] = "/", ["//example.org/"] = "/", ["/\\example.org"] = "/",
            ["\\/example.org"] = "/", ["/\t/example.org"] = "/", ["javascript:alert(1)"] = "/",
            ["archive"] = "/", [" //example.org"] = "/", ["/\n/example.org"] = "/",
        } do
            local response = browse(server):log_in("ann@example.org", PASSWORD, url)
            assert.equal(303, response.code)
            assert.equal(to, response.headers:get("Location"), url)
        end
        has(browse(server):fetch("/auth/login?next=//example.org"), 'name="next" value="/"')
    end)

    it("has a feed", function()
        local ann = browse(serve())
        ann:register("ann")
        ann:compose("A & B", "1 < 2")
        local feed = ann:fetch("/feed")
        assert.equal("application/atom+xml; charset=UTF-8", feed.headers:get("Content-Type"))
        has(feed, "<title>A &amp; B</title>")
        has(feed, "<name>ann</name>")
        has(feed, "<id>http://" .. ann.server.address .. "/entry/a-b</id>")
        has(feed, '<content type="html">&lt;p&gt;1 &amp;lt; 2&lt;/p&gt;</content>')
    end)

    it("has users and entries again after a restart", function()
        local first = serve()
        local ann = browse(first)
        ann:register("ann")
        ann:compose("Kept", "text")
        first:stop()
        ann.server = serve()
        has(ann:fetch("/"), "Kept")
        has(ann:fetch("/"), "Log in") -- the secret was random
        assert.equal(303, ann:log_in("ann@example.org", PASSWORD).code)
        assert.equal("/entry/more", ann:compose("More", "x").headers:get("Location"))
        has(ann:fetch("/archive"), "Kept")
    end)

    it("leaves a file alone that it cannot read", function()
        local path = folder .. "/blog.json"
        local app = assert(sites.load("sites/blog"))
        app.settings.blog_data = folder
        local server = testing.serve(app)
        local ann = browse(server)
        ann:register("ann")
        app.blog_store = nil
        local file = assert(io.open(path, "wb"))
        file:write("{")
        file:close()
        testing.expect_log("error", "blog.json: cannot be read")
        local page = browse(server):fetch("/")
        assert.equal(500, page.code)
        has(page, "<h1><span>500</span> Internal Server Error</h1>")
        ann.server = server
        has(ann:fetch("/"), "<h1><span>500</span> Internal Server Error</h1>")
        file = assert(io.open(path, "rb"))
        assert.equal("{", file:read("*a"))
        file:close()
    end)

    it("shows errors in its own look, and links its files by version", function()
        local server = serve()
        for _, path in ipairs { "/nothing", "/entry/nothing", "/static/nothing.css" } do
            local page = server:fetch(path)
            assert.equal(404, page.code)
            has(page, "<h1><span>404</span> Not Found</h1>")
        end
        assert.equal(404, server:fetch("/nothing", { body = "" }).code)
        local page = server:fetch("/")
        local css = page.body:match('href="(/static/blog%.css%?v=%x+)"')
        assert.matches("^text/css", server:fetch(css).headers:get("Content-Type"))
        assert.matches("max%-age=", server:fetch(css).headers:get("Cache-Control"))
        assert.falsy(page.body:find("https?://"))
        assert.matches("default%-src 'none'", page.headers:get("Content-Security-Policy"))
    end)

    it("renders a safe part of Markdown", function()
        local server = serve()
        local ann = browse(server)
        ann:register("ann")
        for text, html in pairs {
            ["# A\nb\nc\n\n## D ##"] = "<h3>A</h3>\n<p>b\nc</p>\n<h4>D</h4>",
            ["- a\n- *b*"] = "<ul>\n<li>a</li>\n<li><em>b</em></li>\n</ul>",
            ["```\n*a*\n\n# b"] = '<pre tabindex="0"><code>*a*\n\n# b</code></pre>',
            ["`*a*` 2 * 3 * 4"] = "<p><code>*a*</code> 2 * 3 * 4</p>",
            ["**a *b* c** *d **e** f*"] = "<p><strong>a <em>b</em> c</strong> " ..
                "<em>d <strong>e</strong> f</em></p>",
            ["[`x` *y*](https://e.org/*a*)"] = '<p><a href="https://e.org/*a*" ' ..
                'rel="nofollow"><code>x</code> <em>y</em></a></p>',
            ["[x](javascript:alert(1))"] = "<p>[x](javascript:alert(1))</p>",
            ['[x](http://a"onclick=b)'] = '<p><a href="http://a&quot;onclick=b" ' ..
                'rel="nofollow">x</a></p>',
            ["<script>"] = "<p>&lt;script&gt;</p>",
            ["a\0011\001 `b`"] = "<p>a 1  <code>b</code></p>",
        } do
            local path = ann:compose("a", text).headers:get("Location")
            has(ann:fetch(path), '<div class="text">' .. html .. "</div>")
        end
    end)
end)
