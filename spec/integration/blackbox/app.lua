-- The site that spec/integration/blackbox.py asks; tornado_app.py is the same for Tornado. Values
-- that HTTP could not carry come in hex.
local core = require "tornado.core"
local gen = require "tornado.gen"
local web = require "tornado.web"
local websocket = require "tornado.websocket"

local VARIANT = os.getenv "BLACKBOX" or "main"

local Handler = web.RequestHandler:extend "Handler"

-- A query argument in hex, or nil.
function Handler:hex(name)
    local value = self:get_query_argument(name, nil)
    return value and core.unhex(value)
end

function Handler:number(name)
    return tonumber(self:get_query_argument(name))
end

local Hello = Handler:extend "Hello"

function Hello:get()
    self:write("hello")
end

function Hello:post()
    self:write("hello")
end

local Head = Hello:extend "Head"
Head.head = Hello.get

-- What came ---------------------------------------------------------------------------

local Echo = Handler:extend "Echo"

function Echo:post()
    self:set_header("Content-Type", "text/plain")
    self:write(self.request.body)
end

Echo.put = Echo.post

function Echo:get()
    self:write(self.request.body)
end

-- /args/NAME: the argument, as the four methods have it.
local Args = Handler:extend "Args"

function Args:get(name)
    self:write {
        one = self:get_argument(name),
        all = self:get_arguments(name),
        query = self:get_query_arguments(name),
        body = self:get_body_arguments(name),
    }
end

Args.post = Args.get

local Path = Handler:extend "Path"

function Path:get(arg)
    self:set_header("X-Path", self.request.path)
    self:write { arg = arg }
end

local Optional = Handler:extend "Optional"

function Optional:get(arg)
    self:write(arg == nil and "null" or arg)
end

local Named = Handler:extend "Named"

function Named:get(args)
    self:write { x = args.x, y = args.y }
end

local Reverse = Handler:extend "Reverse"

function Reverse:get()
    self:write(self:reverse_url("n", "x y", 1))
end

local Cookies = Handler:extend "Cookies"

function Cookies:get()
    local found = {}
    for name, value in pairs(self.request.cookies) do found[name] = value end
    self:write { cookies = found }
end

local Upload = Handler:extend "Upload"

function Upload:post()
    local files = {}
    for name, list in pairs(self.request.files) do
        files[name] = {}
        for i, file in ipairs(list) do
            files[name][i] = { file.filename, file.content_type, core.hex(file.body) }
        end
    end
    self:write { arguments = self.request.body_arguments, files = files }
end

-- What goes out -------------------------------------------------------------------------

local Dict = Handler:extend "Dict"

function Dict:get()
    self:write { a = "</b>" }
end

local List = Handler:extend "List"

function List:get()
    self:write { 1, 2 }
end

local Flush = Handler:extend "Flush"

function Flush:get()
    for i = 1, 3 do
        self:write("piece" .. i)
        gen.await(self:flush())
    end
end

Flush.head = Flush.get

-- /status/CODE?body=: with headers of a representation and another.
local Status = Handler:extend "Status"

function Status:get(status)
    self:set_status(tonumber(status))
    self:set_header("Content-Language", "en")
    self:set_header("X-Kept", "yes")
    local body = self:get_query_argument("body", nil)
    if body then self:write(body) end
end

local Raise = Handler:extend "Raise"

function Raise:get()
    error(web.HTTPError(self:number("status"), nil, { reason = self:hex("reason") }), 0)
end

local Boom = Handler:extend "Boom"

function Boom:get() -- luacheck: ignore 212/self
    error("the secret of the handler")
end

local Late = Handler:extend "Late"

function Late:get()
    self:write("begun")
    gen.await(self:flush())
    error("the secret of the handler")
end

local Auth = Handler:extend "Auth"

function Auth:get()
    self:set_status(401)
    error(web.Finish("auth"), 0)
end

local Redirect = Handler:extend "Redirect"

function Redirect:get()
    self:redirect(self:hex("to"), { permanent = self:get_query_argument("permanent", "") ~= "" })
end

-- /length?announce=N: five bytes, with that Content-Length.
local Length = Handler:extend "Length"

function Length:get()
    self:set_header("Content-Length", self:get_query_argument("announce"))
    self:write("hello")
end

local Login = Handler:extend "Login"

Login.get = web.authenticated(function(self) self:write("in") end)
Login.post = Login.get

local AbsoluteLogin = Login:extend "AbsoluteLogin"

function AbsoluteLogin:get_login_url() -- luacheck: ignore 212/self
    return "http://example.com/login"
end

local AddSlash = Handler:extend "AddSlash"
AddSlash.get = web.addslash(function(self) self:write("slash") end)
AddSlash.post = AddSlash.get

local RemoveSlash = Handler:extend "RemoveSlash"
RemoveSlash.get = web.removeslash(function(self) self:write("no slash") end)
RemoveSlash.post = RemoveSlash.get

-- Cookies ---------------------------------------------------------------------------------

local SetCookies = Handler:extend "SetCookies"

function SetCookies:get()
    self:set_cookie("a", "1")
    self:set_cookie("a", "2")
    self:set_cookie("b", 'q"x;y')
    self:clear_cookie("z", { path = "/p" })
end

local CookieWith = Handler:extend "CookieWith"

function CookieWith:get()
    self:set_cookie(self:hex("name") or "n", self:hex("value") or "v", {
        domain = self:hex("domain"), path = self:hex("path"), samesite = self:hex("samesite"),
    })
end

local Sign = Handler:extend "Sign"

function Sign:get()
    self:set_signed_cookie("key", "a value", { version = self:number("version") })
end

local Unsign = Handler:extend "Unsign"

function Unsign:get()
    self:write(self:get_signed_cookie(self:get_query_argument("name")) or "nil")
end

-- Golden strings, read at the second in which they were made.
local Golden = Handler:extend "Golden"

function Golden:get()
    self:write(web.decode_signed_value("It's a secret to everybody", "key",
        self:get_query_argument("value"), { clock = function() return 1300000000 end }) or "nil")
end

local Form = Handler:extend "Form"

function Form:get()
    self:write(self:xsrf_token())
end

function Form:post()
    self:write("ok")
end

function Form:options()
    self:write("ok")
end

-- Compression ------------------------------------------------------------------------------

-- /sized/N?type=: N bytes of that type.
local Sized = Handler:extend "Sized"

function Sized:get(size)
    self:set_header("Content-Type", self:get_query_argument("type", "text/plain"))
    for vary in (self:get_query_argument("vary", "")):gmatch("%u") do
        self:add_header("Vary", vary)
    end
    self:write(("x"):rep(tonumber(size)))
end

-- Streams and waits --------------------------------------------------------------------------

local Stream = web.stream_request_body(Handler:extend "Stream")

function Stream:prepare()
    self.seen, self.busy = { "prepare" }, false
    self.total = 0
    local max = self:get_query_argument("max", nil)
    if max then self.max_body_size = tonumber(max) end
    if self:get_query_argument("refuse", nil) then error(web.HTTPError(401), 0) end
end

function Stream:data_received(chunk)
    if self.busy then error("data_received() is concurrent") end
    self.busy = true
    self.total = self.total + #chunk
    if #self.seen < 10 then self.seen[#self.seen + 1] = chunk:sub(1, 100) end
    gen.sleep(0.001)
    self.busy = false
end

function Stream:post()
    self:write { seen = self.seen, total = self.total }
end

local counts = { waiting = 0, gone = 0 }

local Wait = Handler:extend "Wait"

function Wait:get()
    counts.waiting = counts.waiting + 1
    gen.sleep(0.3)
    self:write("waited")
end

function Wait:on_connection_close() -- luacheck: ignore 212/self
    counts.gone = counts.gone + 1
end

local Leave = Wait:extend "Leave"

function Leave:get()
    counts.waiting = counts.waiting + 1
    while not self.has_left do gen.sleep(0.01) end
end

function Leave:on_connection_close()
    self.has_left = true
    Wait.on_connection_close(self)
end

-- /ws: an echo, except for the words that it knows.
local Talk = websocket.WebSocketHandler:extend "Talk"

local function wait() gen.sleep(0.3) end

local WORDS = {
    close = function(self) self:close(1001, "goodbye") end,
    raise = function() error("the secret of the handler") end,
    slow = wait,
}

function Talk:select_subprotocol(offered)
    local chosen = self:get_query_argument("choose", nil)
    for _, name in ipairs(offered) do
        if name == chosen then return name end
    end
end

function Talk:get_compression_options()
    if self:get_query_argument("deflate", nil) then return {} end
end

function Talk:on_message(message, is_binary)
    local act = WORDS[message]
    if act then act(self) end
    if not act or act == wait then self:write_message(message, is_binary) end
end

function Talk:on_close()
    local name = self:get_query_argument("name", nil)
    if name then counts[name] = self.close_code end
end

local Counts = Handler:extend "Counts"

function Counts:get()
    self:write(counts)
end

-- The application ------------------------------------------------------------------------------

local NotThere = Handler:extend "NotThere"

function NotThere:prepare()
    self:set_status(404)
    self:finish("not there")
end

local On = Handler:extend "On"

function On:initialize(options)
    self.host = options.host
end

function On:get()
    self:write(self.host)
end

local Who = Handler:extend "Who"

function Who:get()
    self:write { ip = self.request.remote_ip, protocol = self.request.protocol }
end

local SETTINGS = {
    main = { cookie_secret = "It's a secret to everybody", login_url = "/login" },
    xsrf = { xsrf_cookies = true },
    debug = { serve_traceback = true },
    compress = { compress_response = true, decompress_request = true },
    pinged = { websocket_ping_interval = 0.2, websocket_ping_timeout = 0.2 },
    root = { static_url_prefix = "/", static_handler_args = { default_filename = "index.html" } },
    hosts = { default_handler_class = NotThere, default_host = "default.example" },
}

local settings = SETTINGS[VARIANT] or SETTINGS.main
settings.websocket_max_message_size = 10000
settings.static_path = os.getenv "BLACKBOX_STATIC"

local app = web.Application({
    { "/", Hello },
    { "/hello", Hello },
    { "/head", Head },
    { "/echo", Echo },
    { "/args/(\\w+)", Args },
    { "/path/(.*)", Path },
    { "/optional/(\\d+)?", Optional },
    { "/named/(?P<x>\\w+)/(?P<y>\\w+)", Named },
    { "/n/([^/]+)/([0-9]+)", Path, nil, "n" },
    { "/reverse", Reverse },
    { "//doubleslash", Hello },
    { "/cookies", Cookies },
    { "/upload", Upload },
    { "/dict", Dict },
    { "/list", List },
    { "/flush", Flush },
    { "/status/(\\d+)", Status },
    { "/raise", Raise },
    { "/boom", Boom },
    { "/late", Late },
    { "/finish", Auth },
    { "/redirect", Redirect },
    { "/length", Length },
    { "/auth", Login },
    { "/authabs", AbsoluteLogin },
    { "/as/?", AddSlash },
    { "/rs/*", RemoveSlash },
    { "/rh/(.*?)/(.*)", web.RedirectHandler, { url = "/{1}/{0}?x=1" } },
    { "/setcookies", SetCookies },
    { "/cookie", CookieWith },
    { "/sign", Sign },
    { "/unsign", Unsign },
    { "/golden", Golden },
    { "/form", Form },
    { "/sized/(\\d+)", Sized },
    { "/stream", Stream },
    { "/who", Who }, { "/wait", Wait },
    { "/leave", Leave },
    { "/counts", Counts }, { "/ws", Talk },
}, settings)

app:add_handlers("ex\\.com", { { "/host", On, { host = "ex.com" } } })
app:add_handlers("default\\.example", { { "/host", On, { host = "default" } } })
return app
