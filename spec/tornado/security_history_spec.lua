-- Tornado's security fixes (PARITY §30) and its defects (§32), a case each, end to end and named
-- after the release or the row. Those of the client, of TLS and of WebSockets are with their
-- modules; 6.5.3's quadratic parsers are in httputil_spec and web/hostile_spec, §32.6 and .7 in
-- web/compress_spec, .10 in web/security_spec and web/static_spec, .12 in locale_spec, .13 in
-- template_spec, .14 in web/static_spec. Accepting in bursts (4.0.2) is io/listen.c's.
local httputil = require "tornado.httputil"
local routing = require "tornado.routing"
local template = require "tornado.template"
local testing = require "tornado.testing"
local web = require "tornado.web"

local SECRET = "a secret for specs"

local function handler(methods)
    local class = web.RequestHandler:extend "Handler"
    for name, fn in pairs(methods) do class[name] = fn end
    return class
end

local function serve(methods, settings, options)
    return testing.serve(web.Application({ { "/.*", handler(methods) } }, settings),
        { server = options })
end

-- Sends bytes and returns the reply's code.
local function code_of(server, bytes)
    local connection = server:connect()
    connection:send(bytes)
    local code = connection:read_response().code
    connection:close()
    return code
end

local function quiet()
    testing.ExpectLog("general", ".*", { required = false })
end

local function get(fields, target, body)
    return ("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n%s"):format(target or "/", fields, body or "")
end

local OK = { get = function(self) self:write("ok") end, post = function(self)
    self:write(self:get_argument("a", "none"))
end }
OK.put, OK.delete, OK.patch = OK.post, OK.post, OK.post

describe("Tornado's security fix of", function()
    it("1.0.1: fields of a signed cookie cannot be shifted", function()
        quiet()
        local value = web.create_signed_value(SECRET, "n", "1234", { version = 1,
            clock = function() return 1300000000 end })
        local now = { clock = function() return 1300000000 end }
        local payload, time, sum = value:match("^(.-)|(.-)|(.*)$")
        assert.equal("1234", web.decode_signed_value(SECRET, "n", value, now))
        for i = 1, #time - 1 do
            local shifted = payload .. time:sub(1, i) .. "|" .. time:sub(i + 1) .. "|" .. sum
            assert.is_nil(web.decode_signed_value(SECRET, "n", shifted, now))
        end
        local zero = payload:sub(1, -2) .. "|" .. payload:sub(-1) .. time .. "|" .. sum
        assert.is_nil(web.decode_signed_value(SECRET, "n", zero, now))
    end)

    it("1.1.1 and 1.2: no header and no method but GET, HEAD and OPTIONS saves the token",
        function()
            quiet()
            local server = serve(OK, { xsrf_cookies = true })
            for _, method in ipairs { "POST", "PUT", "DELETE", "PATCH" } do
                assert.equal(403, server:fetch("/", { method = method, body = "a=1",
                    headers = { ["X-Requested-With"] = "XMLHttpRequest" } }).code)
            end
            assert.equal(200, server:fetch("/").code)
        end)

    it("2.0: templates escape, if nobody says otherwise", function()
        assert.equal("&lt;", template.Template("{{ x }}"):generate { x = "<" })
    end)

    it("2.1: errors show no traceback, if nobody says otherwise", function()
        testing.expect_log("Uncaught exception")
        local body = serve({ get = function() error("secret") end }):fetch("/").body
        assert.equal("<html><title>500: Internal Server Error</title><body>500: Internal " ..
            "Server Error</body></html>", body)
    end)

    it("2.2.1: headers, Location too, take no control characters", function()
        for _, fn in ipairs {
            function(self, text) self:set_header("X-A", text) end,
            function(self, text) self:add_header("X-A", text) end,
            function(self, text) self:redirect("/" .. text) end,
        } do
            testing.ExpectLog("app", "Uncaught exception", { required = false })
            for _, text in ipairs { "a\r\nX-B: b", "a\nX-B: b", "a\rb", "a\0b" } do
                local reply = serve({ get = function(self) fn(self, text) end }):fetch("/")
                assert.equal(500, reply.code)
                assert.is_nil(reply.headers:get("X-B"))
            end
        end
    end)

    it("3.2.1: a signature is for one name, and version 1 can be refused", function()
        local value = web.create_signed_value(SECRET, "ab", "c", { version = 2 })
        assert.equal("c", web.decode_signed_value(SECRET, "ab", value))
        assert.is_nil(web.decode_signed_value(SECRET, "a", value))
        local old = web.create_signed_value(SECRET, "ab", "c", { version = 1 })
        assert.is_nil(web.decode_signed_value(SECRET, "ab", old, { min_version = 2 }))
    end)

    it("3.2.2: a token looks different in each reply", function()
        local server = serve({ get = function(self) self:write(self:xsrf_token()) end },
            { xsrf_cookies = true })
        local headers = { Cookie = "_xsrf=" .. server:fetch("/").cookies._xsrf }
        local one = server:fetch("/", { headers = headers }).body
        local two = server:fetch("/", { headers = headers }).body
        assert.not_equal(one, two)
        headers["X-Xsrftoken"] = one
        assert.not_equal(403, server:fetch("/", { method = "POST", headers = headers, body = "" })
            .code)
    end)

    it("4.0: a body that does not fit its Content-Length cuts the connection", function()
        testing.expect_log("HTTPOutputError")
        local server = serve { get = function(self)
            self:set_header("Content-Length", "3")
            self:write("1234")
        end }
        assert.is_false((pcall(server.fetch, server, "/")))
    end)

    it("4.0: a body larger than max_body_size is refused", function()
        quiet()
        local server = serve(OK, nil, { max_body_size = 3 })
        assert.equal(413, server:fetch("/", { body = "1234" }).code)
    end)

    it("4.1: a malformed token or form is no 500", function()
        quiet()
        local server = serve(OK, { xsrf_cookies = true })
        for _, cookie in ipairs { "+", "2|", "2|1|1|1", "3|x", "\255" } do
            local code = server:fetch("/", { body = "a=1", headers = { Cookie = "_xsrf=" ..
                cookie } }).code
            assert.equal(403, code)
        end
        assert.equal(400, serve(OK):fetch("/", { body = "nonsense", headers = {
            ["Content-Type"] = "multipart/form-data; boundary=x" } }).code)
    end)

    it("4.2.1 and 6.3.2: static files stay in their folder and lead to no other host", function()
        quiet()
        local root = os.tmpname()
        os.remove(root)
        os.execute(("mkdir -p %s/in/sub %s/in2; echo x > %s/in2/x"):format(root, root, root))
        finally(function() os.execute("rm -r " .. root) end)
        local server = testing.serve(web.Application { { "/(.*)", web.StaticFileHandler,
            { path = root .. "/in", default_filename = "index.html" } } })
        for _, path in ipairs { "/../in2/x", "/..%2fin2/x", "/" .. root .. "/in2/x" } do
            assert.truthy(server:fetch(path).code >= 400, path)
        end
        local reply = server:fetch("//evil.com/../" .. root .. "/in/sub")
        assert.is_nil(reply.headers:get("Location"))
        assert.truthy(reply.code >= 400)
    end)

    it("4.3 and 6.3.3: a length is digits alone, and stands alone", function()
        local server = serve(OK)
        for _, fields in ipairs { "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: +1\r\n", "Content-Length: 1_0\r\n", "Content-Length: -1\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n", "Content-Length: \194\178\r\n" } do
            assert.equal(400, code_of(server, get(fields)))
        end
        for _, chunk in ipairs { "0x1\r\na\r\n", "1_0\r\na\r\n", "+1\r\na\r\n", "-1\r\na\r\n" } do
            assert.equal(400, code_of(server, (get("Transfer-Encoding: chunked\r\n", "/", chunk)
                :gsub("^GET", "POST"))))
        end
    end)

    it("4.4.2 and 6.4.2: cookies are those of browsers, and one bad one spoils no other", function()
        local cookies = httputil.parse_cookie('a=1; b[]=2; =v; x; c="3;d=4')
        assert.equal("1", cookies.a)
        assert.equal('"3', cookies.c)
        assert.equal("4", cookies.d)
    end)

    it("4.5.2: no descriptor goes to a child", function()
        local function descriptors()
            local pipe = assert(io.popen("ls /proc/self/fd | wc -l"))
            local count = pipe:read("*n")
            pipe:close()
            return count
        end
        local before = descriptors()
        local server = serve(OK)
        for _ = 1, 3 do server:connect():send(get("")) end
        assert.equal(before, descriptors())
    end)

    it("4.5.3: 204 has no body and no length", function()
        local reply = serve({ get = function(self) self:set_status(204) end }):fetch("/")
        assert.equal(204, reply.code)
        assert.is_nil(reply.headers:get("Content-Length"))
        assert.is_nil(reply.headers:get("Transfer-Encoding"))
    end)

    it("5.0: a request's text says nothing of its headers", function()
        local text
        serve({ get = function(self) text = tostring(self.request) end }):fetch("/", {
            headers = { Authorization = "hidden" } })
        assert.matches("HTTPServerRequest%(protocol='http'", text)
        assert.is_nil(text:find("hidden", 1, true))
    end)

    it("6.1: HEAD of a chunked reply is a head alone", function()
        local reply = serve({ head = function(self)
            self:write("a")
            self:flush()
            self:write("b")
        end }):fetch("/", { method = "HEAD" })
        assert.equal("", reply.body)
        assert.is_nil(reply.headers:get("Transfer-Encoding"))
    end)

    it("6.4.1 and 6.5.0: heads are strict", function()
        local server = serve(OK)
        for _, head in ipairs { "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET /\1 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GE,T / HTTP/1.1\r\nHost: a\r\n\r\n", get("A b: c\r\n"), get("A : b\r\n"),
            get("A: b\1\r\n"), get("A: b\rc\r\n"), get("Transfer-Encoding: gzip, chunked\r\n"),
            get("Transfer-Encoding: identity\r\n") } do
            local code = code_of(server, head)
            assert.truthy(code == 400 or code == 501, code .. " " .. head)
        end
        local seen
        serve({ get = function(self) seen = self.request.headers:get("X-A") end }):fetch("/", {
            headers = { ["X-A"] = "\194\160a\194\133" } })
        assert.equal("\194\160a\194\133", seen)
    end)

    it("6.5.0 (CVE-2025-47287): a malformed form has one line in the log", function()
        local logged = testing.expect_log("400 POST")
        serve(OK):fetch("/", { body = ("--x\r\n\r\nno name\r\n"):rep(50) .. "--x--\r\n", headers = {
            ["Content-Type"] = "multipart/form-data; boundary=x" } })
        assert.equal(1, #logged.lines)
    end)

    it("6.5.3 (CVE-2025-67724): a reason adds no header and no markup", function()
        quiet()
        for _, reason in ipairs { "a\r\nX-B: b", "<script>", "a\0" } do
            local reply = serve({ get = function()
                error(web.HTTPError(400, nil, { reason = reason }))
            end }):fetch("/")
            assert.equal("Unknown", reply.reason)
            assert.is_nil(reply.headers:get("X-B"))
            assert.is_nil(reply.body:find("<script", 1, true))
        end
    end)

    it("6.5.5: a cookie's attributes end where they should", function()
        for _, options in ipairs { { domain = "a; x" }, { path = "/\r\n" },
            { samesite = "a;b" } } do
            testing.ExpectLog("app", "Uncaught exception", { required = false })
            local reply = serve({ get = function(self) self:set_cookie("a", "b", options) end })
                :fetch("/")
            assert.equal(500, reply.code)
            assert.is_nil(reply.headers:get("Set-Cookie"))
        end
    end)
end)

describe("Tornado's defect", function()
    it("32.1: HTTPError(204) has its answer", function()
        assert.equal(204, serve({ get = function() error(web.HTTPError(204)) end }):fetch("/").code)
    end)

    it("32.2: what initialize() raises is a 500", function()
        testing.expect_log("Uncaught exception")
        assert.equal(500, serve({ initialize = function() error("x") end }):fetch("/").code)
    end)

    it("32.3: HTTP/1.0 without a length ends with the connection", function()
        local reply = serve({ get = function(self)
            self:write("a")
            self:flush()
        end }):fetch("/", { http10 = true, headers = { Connection = "keep-alive" } })
        assert.equal("a", reply.body)
        assert.not_equal("keep-alive", (reply.headers:get("Connection") or ""):lower())
    end)

    it("32.4: close among other options closes", function()
        local connection = serve(OK):connect()
        connection:send(get("Connection: Close, foo\r\n"))
        assert.equal("ok", connection:read_response().body)
        assert.equal("", (connection:read_until_close()))
    end)

    it("32.5: several Cookie headers are one", function()
        local server = serve { get = function(self)
            self:write(self:get_cookie("a") .. self:get_cookie("b"))
        end }
        local connection = server:connect()
        connection:send(get("Cookie: a=1\r\nCookie: b=2\r\n"))
        assert.equal("12", connection:read_response().body)
    end)

    it("32.9: a header of several values can be cleared", function()
        local reply = serve({ get = function(self)
            self:add_header("X-A", "1")
            self:add_header("X-A", "2")
            self:clear_header("X-A")
        end }):fetch("/")
        assert.is_nil(reply.headers:get("X-A"))
    end)

    it("32.11: an old cookie with a table of secrets is none", function()
        local old = web.create_signed_value(SECRET, "n", "v", { version = 1 })
        assert.is_nil(web.decode_signed_value({ [0] = SECRET }, "n", old))
    end)

    it("32.16: reversing nested groups says that it cannot", function()
        local router = routing.Router { { "/((a)|b)", function() end, nil, "n" } }
        assert.has_error(function() router:reverse("n", "a") end)
    end)

    it("32.17: corrupt gzip is a 400", function()
        quiet()
        assert.equal(400, serve(OK, { decompress_request = true }):fetch("/", { body = "x",
            headers = { ["Content-Encoding"] = "gzip" } }).code)
    end)

    it("32.18: an error behind the first bytes does not look like an end", function()
        testing.expect_log("Uncaught exception")
        testing.ExpectLog("general", ".*", { required = false })
        local server = serve { get = function(self)
            self:write("a")
            self:flush()
            error("x")
        end }
        assert.is_false((pcall(server.fetch, server, "/")))
    end)

    it("32.19: names of templates do not leave their folder", function()
        local loader = template.Loader("sites/welcome")
        assert.is_false((pcall(loader.load, loader, "../file_upload/upload.html")))
    end)

    it("32.20: expires and max_age of 0 are said", function()
        local reply = serve({ get = function(self)
            self:set_cookie("a", "b", { expires = 0, max_age = 0 })
        end }):fetch("/")
        local line = reply.headers:get("Set-Cookie")
        assert.matches("Max%-Age=0", line)
        assert.matches("xpires=Thu, 01 Jan 1970", line)
    end)
end)
