-- Tornado's demo "blog": users register, log in, and write entries, which only they can edit.
-- It shows signed cookies, XSRF tokens, web.authenticated, templates with inheritance, a UI
-- module, ui_methods, static files with versions, and routes with names.
--
--     CTORNADO_BLOG_DATA    the folder of blog.json (or the setting blog_data); else a new one
--     CTORNADO_BLOG_SECRET  signs the sessions; else random, and they end with the process
local core = require "tornado.core"
local escape = require "tornado.escape"
local httputil = require "tornado.httputil"
local log = require "tornado.log"
local web = require "tornado.web"

local markdown = require "markdown"
local passwords = require "passwords"
local Store = require "store"

local folder = debug.getinfo(1, "S").source:match("^@(.*)/")

local SESSION = "blog_user"
local MAX_TITLE, MAX_TEXT, MAX_NAME, MAX_EMAIL = 200, 100000, 60, 254
local MIN_PASSWORD, MAX_PASSWORD = 8, 256
local ON_HOME, IN_FEED = 5, 10

-- What all pages share -------------------------------------------------------------------

-- Static files that are missing get the same page, so these are put into two classes.
local Page = {}

function Page:set_default_headers()
    self:set_header("Cache-Control", "private, no-cache") -- who is logged in is on each page
end

-- Opened by the first request: `ctornado check` makes no folder.
function Page:store()
    local app = self.application
    if not app.blog_store then app.blog_store = Store(self.settings.blog_data) end
    return app.blog_store
end

function Page:get_current_user()
    local id = self:get_signed_cookie(SESSION)
    return id and self:store():user(id)
end

function Page:write_error(status, options)
    if self.settings.serve_traceback and status >= 500 then
        return web.RequestHandler.write_error(self, status, options)
    end
    if status >= 500 then self:set_current_user(nil) end -- the store may be what is broken
    self:render("error.html", {
        status = status,
        what = options.reason or httputil.responses[status] or "Unknown",
    })
end

local function page_class(parent, name)
    local class = parent:extend(name)
    for method, fn in pairs(Page) do class[method] = fn end
    return class
end

local Base = page_class(web.RequestHandler, "Base")
local Static = page_class(web.StaticFileHandler, "Static")
Static.set_default_headers = nil

function Base:get_login_url()
    return self:reverse_url("login")
end

-- Where to go after the login: a path of this host, or else home. "//host", "/\host" and
-- "/<tab>/host" are other hosts for browsers.
function Base:next_url()
    local url = self:get_argument("next", "")
    if url:find("^/") and not url:find("^//") and not url:find("[\\%c]") then return url end
    return self:reverse_url("home")
end

function Base:log_in(user)
    self:set_signed_cookie(SESSION, user.id)
    self:redirect(self:next_url(), { status = 303 })
end

local function not_found()
    error(web.HTTPError(404), 0)
end

local NotFound = Base:extend "NotFound"

function NotFound:check_xsrf_cookie()
end

NotFound.prepare = not_found

-- Entries --------------------------------------------------------------------------------

local Home = Base:extend "Home"

function Home:get()
    self:render("home.html", { entries = self:store():latest(ON_HOME) })
end

local Entry = Base:extend "Entry"

function Entry:get(slug)
    self:render("entry.html", { entry = self:store():entry(slug) or not_found() })
end

local Archive = Base:extend "Archive"

function Archive:get()
    self:render("archive.html", { entries = self:store():latest() })
end

local Feed = Base:extend "Feed"

function Feed:get()
    local request = self.request
    self:set_header("Content-Type", "application/atom+xml; charset=UTF-8")
    self:render("feed.xml", {
        entries = self:store():latest(IN_FEED),
        site = request.protocol .. "://" .. request.host,
    })
end

local Compose = Base:extend "Compose"

-- The entry that ?id= names, or nil for a new one. Others' entries are not to be edited.
function Compose:entry()
    local id = self:get_argument("id", nil)
    if not id then return nil end
    local entry = self:store():entry_by_id(tonumber(id)) or not_found()
    if entry.author ~= self:current_user().id then error(web.HTTPError(403), 0) end
    return entry
end

function Compose:form(entry, title, text, fault)
    self:render("compose.html", { entry = entry, title = title, text = text, fault = fault })
end

Compose.get = web.authenticated(function(self)
    local entry = self:entry()
    self:form(entry or false, entry and entry.title or "", entry and entry.markdown or "", false)
end)

local function fault_of_entry(title, text)
    if title == "" or text == "" then return "An entry needs a title and a text." end
    if #title > MAX_TITLE then return "This title is too long." end
    if #text > MAX_TEXT then return "This text is too long." end
end

Compose.post = web.authenticated(function(self)
    local entry = self:entry()
    local title = escape.squeeze(self:get_body_argument("title", ""))
    local text = self:get_body_argument("markdown", "")
    local fault = fault_of_entry(title, text)
    if fault then
        self:set_status(400)
        return self:form(entry or false, title, text, fault)
    end
    if entry then
        entry = self:store():change_entry(entry, title, text)
    else
        entry = self:store():add_entry(self:current_user(), title, text)
    end
    self:redirect(self:reverse_url("entry", entry.slug), { status = 303 })
end)

-- Users ----------------------------------------------------------------------------------

local Register = Base:extend "Register"

function Register:form(email, name, fault)
    self:render("register.html", {
        email = email, name = name, fault = fault, next_url = self:next_url(),
        min_password = MIN_PASSWORD,
    })
end

function Register:get()
    self:form("", "", false)
end

local function fault_of_user(email, name, password)
    if #email > MAX_EMAIL or not email:find("^[^%s@]+@[^%s@]+$") then
        return "This is no e-mail address."
    end
    if name == "" or #name > MAX_NAME then
        return ("A name has 1 to %d letters."):format(MAX_NAME)
    end
    if #password < MIN_PASSWORD or #password > MAX_PASSWORD then
        return ("A password has %d to %d letters."):format(MIN_PASSWORD, MAX_PASSWORD)
    end
end

function Register:post()
    local email = self:get_body_argument("email", "")
    local name = escape.squeeze(self:get_body_argument("name", ""))
    local password = self:get_body_argument("password", "", false)
    local fault = fault_of_user(email, name, password)
    if not fault then
        local store = self:store()
        local user = not store:user_by_email(email) and
            store:add_user(email, name, passwords.make(password))
        if user then return self:log_in(user) end
        fault = "There is an account with this e-mail address."
    end
    self:set_status(400)
    self:form(email, name, fault)
end

local Login = Base:extend "Login"

function Login:form(email, fault)
    self:render("login.html", { email = email, fault = fault, next_url = self:next_url() })
end

function Login:get()
    self:form("", false)
end

function Login:post()
    local email = self:get_body_argument("email", "")
    local password = self:get_body_argument("password", "", false)
    local user = self:store():user_by_email(email)
    if passwords.check(password, user and user.password) then return self:log_in(user) end
    self:set_status(403)
    self:form(email, "There is no account with this e-mail address and password.")
end

local Logout = Base:extend "Logout"

-- Tornado: the demo logs out by GET, which any page could make a browser send.
function Logout:post()
    self:clear_cookie(SESSION)
    self:redirect(self:reverse_url("home"), { status = 303 })
end

-- What templates use ---------------------------------------------------------------------

local rendered = setmetatable({}, { __mode = "k" }) -- entry -> HTML; entries never change

local function html_of(_, entry)
    local html = rendered[entry]
    if not html then
        html = markdown.render(entry.markdown)
        rendered[entry] = html
    end
    return html
end

local ui_methods = { html_of = html_of }

function ui_methods.author_of(handler, entry)
    local user = handler:store():user(entry.author)
    return user and user.name or "somebody"
end

function ui_methods.date_of(_, seconds)
    return (os.date("!%B %d, %Y", seconds):gsub(" 0", " "))
end

function ui_methods.timestamp(_, seconds)
    return os.date("!%Y-%m-%dT%H:%M:%SZ", seconds)
end

local EntryModule = web.UIModule:extend "Entry"

--- {% module Entry(entry, true) %}: an entry, with true as the only one of its page.
function EntryModule:render(entry, alone)
    return self:render_string("modules/entry.html", { entry = entry, alone = alone or false })
end

-- The application ------------------------------------------------------------------------

local function secret()
    local given = os.getenv "CTORNADO_BLOG_SECRET"
    if given and given ~= "" then return given end
    log.app_log:info("CTORNADO_BLOG_SECRET is not set: sessions end with this process")
    return core.hex(core.random(32))
end

return web.Application({
    { "/", Home, name = "home" },
    { "/archive", Archive, name = "archive" },
    { "/feed", Feed, name = "feed" },
    { "/entry/([a-z0-9-]+)", Entry, name = "entry" },
    { "/compose", Compose, name = "compose" },
    { "/auth/register", Register, name = "register" },
    { "/auth/login", Login, name = "login" },
    { "/auth/logout", Logout, name = "logout" },
}, {
    blog_data = os.getenv "CTORNADO_BLOG_DATA",
    blog_title = "Funnel notes",
    cookie_secret = secret(),
    default_handler_class = NotFound,
    static_path = folder .. "/static",
    static_handler_class = Static,
    template_path = "templates",
    ui_methods = ui_methods,
    ui_modules = { Entry = EntryModule },
    xsrf_cookies = true,
    xsrf_cookie_kwargs = { httponly = true },
    security_headers = {
        csp = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; " ..
            "base-uri 'none'; frame-ancestors 'none'",
        frame_options = "DENY",
    },
})
