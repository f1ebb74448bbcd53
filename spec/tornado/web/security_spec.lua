-- tornado.web.security: signed cookies on the wire, the user, and XSRF. PARITY §1.5, §1.7,
-- §1.9, checks 43, 50 and 51 of §29, and 10 of §32.
local core = require "tornado.core"
local escape = require "tornado.escape"
local testing = require "tornado.testing"
local util = require "tornado.util"
local web = require "tornado.web"

local SECRET = "It's a secret to everybody"

local function serve(verbs, settings)
    local Handler = web.RequestHandler:extend "Handler"
    for name, fn in pairs(verbs) do Handler[name] = fn end
    return testing.serve(web.Application({ { "/", Handler } }, settings))
end

-- The name, value and attributes of a reply's only cookie.
local function cookie_of(response)
    local list = response.headers:get_list("Set-Cookie")
    assert.equal(1, #list)
    local name, value, attributes = list[1]:match('^([^=]+)="?([^;"]*)"?(.*)$')
    return name, value, attributes
end

local function fetch_with(server, cookie, options)
    options = options or {}
    options.headers = options.headers or {}
    options.headers.Cookie = cookie
    return server:fetch("/", options)
end

local function days_until(attributes)
    local day, month, year, hour, min, sec = attributes:match(
        "expires=%a+, (%d+) (%a+) (%d+) (%d+):(%d+):(%d+) GMT")
    local months = "JanFebMarAprMayJunJulAugSepOctNovDec"
    local when = os.time { day = day, month = (months:find(month) + 2) / 3, year = year,
        hour = hour, min = min, sec = sec, isdst = false }
    local now = os.time(os.date("!*t", core.now()))
    return (when - now) / 86400
end

describe("signed cookies", function()
    local function round_trip(settings, options)
        local server = serve({
            get = function(self)
                self:set_signed_cookie("name", "a; \233", options)
            end,
            post = function(self)
                local value = self:get_signed_cookie("name")
                self:write { value = value and escape.url_escape(value) or "none",
                    key = self:get_signed_cookie_key_version("name") }
            end,
        }, settings)
        local name, value, attributes = cookie_of(server:fetch("/"))
        local got = fetch_with(server, name .. '="' .. value .. '"', { method = "POST" }):json()
        return got, value, attributes, server
    end

    it("come back", function()
        local got, value, attributes = round_trip { cookie_secret = SECRET }
        assert.same({ value = "a%3B+%E9", key = 0 }, got)
        assert.matches("^2|1:0|10:%d+|4:name|8:YTsg6Q==|%x+$", value)
        assert.truthy(math.abs(days_until(attributes) - 30) < 0.01)
        assert.matches("; HttpOnly; Path=/; SameSite=Lax$", attributes)
    end)

    it("take the options of set_cookie, and version", function()
        local _, value, attributes = round_trip({ cookie_secret = SECRET },
            { version = 1, expires_days = false, httponly = false, samesite = false,
                secure = true, path = "/a" })
        assert.matches("^YTsg6Q==|%d+|%x+$", value)
        assert.equal("; Path=/a; Secure", attributes)
        _, value, attributes = round_trip({ cookie_secret = SECRET }, { expires_days = 1 })
        assert.matches("^2|", value)
        assert.truthy(math.abs(days_until(attributes) - 1) < 0.01)
    end)

    it("are for https alone when they came that way", function()
        local server = serve({
            prepare = function(self) self.request.protocol = "https" end,
            get = function(self)
                self:set_signed_cookie("a", "b")
                self:xsrf_token()
            end,
            post = function(self)
                self:set_signed_cookie("a", "b", { secure = false })
            end,
        }, { cookie_secret = SECRET })
        local seen = server:fetch("/").headers:get_list("Set-Cookie")
        assert.matches("; HttpOnly; Path=/; SameSite=Lax; Secure$", seen[1])
        assert.matches("; Path=/; SameSite=Lax; Secure$", seen[2])
        assert.not_matches("HttpOnly", seen[2])
        seen = server:fetch("/", { method = "POST" }).headers:get_list("Set-Cookie")
        assert.matches("; HttpOnly; Path=/; SameSite=Lax$", seen[1])
    end)

    it("are signed with the key of the setting key_version", function()
        local secrets = { [0] = "old", [1] = "new" }
        local got, value = round_trip { cookie_secret = secrets, key_version = 1 }
        assert.same({ value = "a%3B+%E9", key = 1 }, got)
        assert.matches("^2|1:1|", value)
        testing.expect_log("error", "key_version setting must be used")
        local server = serve({ get = function(self) self:set_signed_cookie("a", "b") end },
            { cookie_secret = secrets })
        assert.equal(500, server:fetch("/").code)
    end)

    it("are nothing when they are absent or changed", function()
        local _, value, _, server = round_trip { cookie_secret = SECRET }
        assert.same({ value = "none" },
            server:fetch("/", { method = "POST" }):json())
        local changed = value:gsub("name", "nbme")
        assert.equal("none", fetch_with(server, 'name="' .. changed .. '"',
            { method = "POST" }):json().value)
        assert.equal("none", fetch_with(server, "name=x", { method = "POST" }):json().value)
    end)

    it("have their old names, and take a value and options", function()
        local seen = {}
        serve({ get = function(self)
            local value = self:create_signed_value("a", "b")
            seen[1] = self:get_secure_cookie("a", value)
            seen[2] = self:get_secure_cookie("a", value, { max_age_days = -1 }) == nil
            seen[3] = self:get_secure_cookie("a", self:create_signed_value("a", "b", 1),
                { min_version = 2 }) == nil
            seen[4] = self:get_secure_cookie_key_version("a", value)
            seen[5] = self.set_secure_cookie == self.set_signed_cookie
            seen[6] = not pcall(self.get_secure_cookie, self, "a", nil, { max_age = 1 })
        end }, { cookie_secret = SECRET }):fetch("/")
        assert.same({ "b", true, true, 0, true, true }, seen)
    end)

    it("need the setting cookie_secret", function()
        for _, settings in ipairs { {}, { cookie_secret = "" } } do
            local logged = testing.expect_log("error", "You must define")
            local server = serve({
                get = function(self) self:get_signed_cookie("a") end,
            }, settings)
            assert.equal(500, server:fetch("/").code)
            assert.matches('You must define the "cookie_secret" setting in your application ' ..
                "to use secure cookies", logged.text)
        end
    end)
end)

describe("clear_all_cookies", function()
    it("deletes each cookie of the request", function()
        local server = serve { get = function(self)
            self:clear_all_cookies { path = "/p" }
        end }
        local response = fetch_with(server, "a=1; b=2; path=/; __Host-c=3; __Secure-d=4; e[]=5")
        local list = response.headers:get_list("Set-Cookie")
        table.sort(list)
        for i, line in ipairs(list) do list[i] = line:gsub("expires=[^;]*", "expires=E") end
        assert.same({
            '__Host-c=""; expires=E; Path=/; Secure', '__Secure-d=""; expires=E; Path=/p; Secure',
            'a=""; expires=E; Path=/p', 'b=""; expires=E; Path=/p',
        }, list)
    end)
end)

describe("the user", function()
    it("is asked for once", function()
        local asked, seen = 0, {}
        local server = serve {
            get_current_user = function()
                asked = asked + 1
                return { name = "ann" }
            end,
            get = function(self)
                seen[1], seen[2] = self:current_user(), self:current_user()
            end,
        }
        server:fetch("/")
        assert.equal(1, asked)
        assert.equal("ann", seen[1].name)
        assert.equal(seen[1], seen[2])
    end)

    it("is nobody unless told, and nobody is asked for once, too", function()
        local asked, seen = 0, {}
        serve({
            get_current_user = function() asked = asked + 1 end,
            get = function(self)
                seen = { n = 2, self:current_user(), self:current_user() }
            end,
        }):fetch("/")
        assert.same({ n = 2 }, seen)
        assert.equal(1, asked)
        serve({ get = function(self) seen[1] = self:current_user() == nil end }):fetch("/")
        assert.is_true(seen[1])
    end)

    it("may be set, also to nobody", function()
        local seen = {}
        serve({
            get_current_user = function() return "default" end,
            prepare = function(self) self:set_current_user("ann") end,
            get = function(self)
                seen[1] = self:current_user()
                self:set_current_user(nil)
                seen[2] = self:current_user() == nil
            end,
        }):fetch("/")
        assert.same({ "ann", true }, seen)
    end)
end)

describe("authenticated", function()
    local function answer(self) self:write("in") end

    local function server_for(user, login_url)
        local verb = web.authenticated(answer)
        local Auth = web.RequestHandler:extend "Auth"
        Auth.get, Auth.head, Auth.post = verb, verb, verb
        function Auth.get_current_user() return user end
        return testing.serve(web.Application({ { "/auth", Auth } }, { login_url = login_url }))
    end

    it("lets a user in", function()
        for _, user in ipairs { "ann", 1, true, { 1 }, util.Object() } do
            assert.equal("in", server_for(user, "/login"):fetch("/auth").body)
        end
    end)

    it("sends nobody to the login page", function()
        local server = server_for(nil, "/login")
        local response = server:fetch("/auth")
        assert.equal(302, response.code)
        assert.equal("/login?next=%2Fauth", response.headers:get("Location"))
        response = server:fetch("/auth?a=1&b=2", { method = "HEAD" })
        assert.equal("/login?next=%2Fauth%3Fa%3D1%26b%3D2", response.headers:get("Location"))
    end)

    it("gives an absolute login page an absolute address", function()
        local server = server_for(nil, "http://example.com/login")
        local response = server:fetch("/auth?a=1", { headers = { Host = "a.example" } })
        assert.equal("http://example.com/login?next=http%3A%2F%2Fa.example%2Fauth%3Fa%3D1",
            response.headers:get("Location"))
    end)

    it("leaves a login page with a query as it is", function()
        local response = server_for(nil, "/login?x=1"):fetch("/auth")
        assert.equal("/login?x=1", response.headers:get("Location"))
    end)

    it("is 403 for other methods", function()
        assert.equal(403, server_for(nil, "/login"):fetch("/auth", { method = "POST" }).code)
    end)

    it("takes what is nothing in Python for nobody", function()
        for _, user in ipairs { false, "", 0, {}, escape.null } do
            assert.equal(302, server_for(user, "/login"):fetch("/auth").code)
        end
    end)

    it("needs the setting login_url", function()
        local logged = testing.expect_log("error", "You must define")
        assert.equal(500, server_for(nil):fetch("/auth").code)
        assert.matches('"login_url" setting in your application to use @tornado.web.authenticated',
            logged.text)
    end)

    it("needs a function", function()
        assert.has_error(function() web.authenticated("get") end,
            "bad method: expected function, got string")
    end)
end)

-- 2|mask|masked|time -> the token.
local function unmask(text)
    local mask, masked = text:match("^2|(%x%x%x%x%x%x%x%x)|(%x+)|%d+$")
    mask, masked = core.unhex(mask), core.unhex(masked)
    local out = {}
    for i = 1, #masked do
        out[i] = string.char(bit.bxor(masked:byte(i), mask:byte((i - 1) % 4 + 1)))
    end
    return table.concat(out)
end

local GOLDEN = "2|fda9ca0d|292e92d52b3c89181b80ed2f59eda381|1795300537"
local GOLDEN_HEX = "d48758d8d6954315e6292722a444698c"

local function xsrf_server(settings, verbs)
    settings = settings or {}
    settings.xsrf_cookies = true
    local Handler = web.RequestHandler:extend "Handler"
    function Handler:get() self:write(self:xsrf_token()) end
    function Handler:post() self:write("ok") end
    Handler.options, Handler.put, Handler.delete, Handler.patch =
        Handler.post, Handler.post, Handler.post, Handler.post
    for name, fn in pairs(verbs or {}) do Handler[name] = fn end
    return testing.serve(web.Application({ { "/", Handler } }, settings))
end

local function form(value)
    return "_xsrf=" .. escape.url_escape(value)
end

-- POSTs with a cookie and an argument; nil leaves one out.
local function post(server, cookie, argument, headers)
    headers = headers or {}
    headers.Cookie = cookie and "_xsrf=" .. cookie
    headers["Content-Type"] = argument and "application/x-www-form-urlencoded"
    return server:fetch("/", { method = "POST", headers = headers,
        body = argument and form(argument) or "" })
end

describe("XSRF", function()
    it("takes the token that it gave", function()
        local server = xsrf_server()
        local response = server:fetch("/")
        local name, cookie, attributes = cookie_of(response)
        assert.equal("_xsrf", name)
        assert.equal("; Path=/; SameSite=Lax", attributes)
        assert.equal(response.body, cookie)
        assert.equal(16, #unmask(cookie))
        assert.equal("ok", post(server, cookie, cookie).body)
        assert.equal("ok", post(server, cookie, nil, { ["X-XSRFToken"] = cookie }).body)
        assert.equal("ok", post(server, cookie, nil, { ["X-CSRFToken"] = cookie }).body)
        assert.equal("ok", server:fetch("/?" .. form(cookie), { method = "POST",
            headers = { Cookie = "_xsrf=" .. cookie } }).body)
    end)

    it("is found in a multipart form", function()
        local server = xsrf_server()
        local function send(token)
            return server:fetch("/", { headers = { Cookie = "_xsrf=" .. GOLDEN,
                ["Content-Type"] = "multipart/form-data; boundary=B" },
                body = '--B\r\nContent-Disposition: form-data; name="_xsrf"\r\n\r\n' .. token ..
                    "\r\n--B--\r\n" })
        end
        assert.equal("ok", send(GOLDEN).body)
        testing.expect_log("XSRF cookie does not match POST argument")
        assert.equal(403, send("deadbeef").code)
    end)

    it("is taken from the header where the body is streamed", function()
        local size = 0
        local Upload = web.RequestHandler:extend "Upload"
        function Upload.data_received(_, piece) size = size + #piece end
        function Upload:post() self:write("ok") end
        web.stream_request_body(Upload)
        local server = testing.serve(web.Application({ { "/", Upload } }, { xsrf_cookies = true }))
        local options = { body = form(GOLDEN), headers = { Cookie = "_xsrf=" .. GOLDEN,
            ["Content-Type"] = "application/x-www-form-urlencoded" } }
        testing.expect_log("argument missing from POST")
        assert.equal(403, server:fetch("/", options).code)
        assert.equal(0, size)
        options.headers["X-XSRFToken"] = GOLDEN
        assert.equal("ok", server:fetch("/", options).body)
        assert.equal(#options.body, size)
    end)

    it("refuses what has no token", function()
        local server = xsrf_server()
        for _, method in ipairs { "POST", "PUT", "DELETE", "PATCH" } do
            local logged = testing.expect_log("warning", "403")
            assert.equal(403, server:fetch("/", { method = method }).code)
            assert.matches("'_xsrf' argument missing from POST", logged.text)
        end
        testing.expect_log("argument missing from POST")
        assert.equal(403, server:fetch("/", { method = "POST",
            headers = { ["X-Requested-With"] = "XMLHttpRequest" } }).code)
        assert.equal(403, post(server, GOLDEN).code)
        assert.equal(403, post(server, GOLDEN, "").code)
    end)

    it("exempts OPTIONS, and a POST to nowhere is a 404", function()
        local server = xsrf_server()
        assert.equal(200, server:fetch("/", { method = "OPTIONS" }).code)
        assert.equal(404, server:fetch("/nowhere", { method = "POST" }).code)
    end)

    it("comes before prepare()", function()
        local prepared = false
        local server = xsrf_server(nil, { prepare = function() prepared = true end })
        testing.expect_log("argument missing from POST")
        assert.equal(403, post(server).code)
        assert.is_false(prepared)
    end)

    it("is off unless it is on", function()
        local server = serve { post = function(self) self:write("ok") end }
        assert.equal("ok", server:fetch("/", { method = "POST" }).body)
    end)

    it("refuses a token that is another one", function()
        local server = xsrf_server()
        local logged = testing.expect_log("warning", "403")
        assert.equal(403, post(server, GOLDEN, (GOLDEN:gsub("292e", "292f"))).code)
        assert.matches("XSRF cookie does not match POST argument", logged.text)
        assert.equal(403, post(server, nil, GOLDEN).code)
        assert.equal(403, post(server, "deadbeef", "deadbeee").code)
    end)

    it("refuses what it cannot read", function()
        local server = xsrf_server()
        local logged = testing.expect_log("warning", "403")
        for _, bad in ipairs {
            "3|", "2|", "2||", "2|||", "1|deadbeef", "2|fda9ca0d||1", "2||deadbeef|1",
            "2|fda9ca|292e92d5|1", "2|fda9ca0d|292|1", "2|fda9ca0d|292e|x", "2|fda9ca0d|292e|1|",
            "2|zzzzzzzz|292e|1", "10|x", "2|fda9ca0d|292e|",
        } do
            assert.equal(403, post(server, GOLDEN, bad).code)
            assert.matches("'_xsrf' argument has invalid format", logged.text)
            -- The same as a cookie is none: a new token is made, which nobody knows.
            assert.equal(403, post(server, bad, "deadbeef").code)
            local _, value = cookie_of(fetch_with(server, "_xsrf=" .. bad))
            assert.equal(16, #unmask(value))
        end
    end)

    it("takes raw tokens, in hex or not", function()
        local server = xsrf_server()
        assert.equal("ok", post(server, "deadbeef", "deadbeef").body)
        assert.equal("ok", post(server, "xoxo", "xoxo").body)
    end)

    it("takes tokens of both versions for one another", function()
        local server = xsrf_server()
        assert.equal(GOLDEN_HEX, core.hex(unmask(GOLDEN)))
        assert.equal("ok", post(server, GOLDEN, GOLDEN_HEX).body)
        assert.equal("ok", post(server, GOLDEN_HEX, GOLDEN).body)
        assert.equal("ok", post(server, GOLDEN_HEX, GOLDEN_HEX:upper()).body)
    end)

    it("keeps the token and its time, and masks it anew for each response", function()
        local server = xsrf_server()
        local first = fetch_with(server, "_xsrf=" .. GOLDEN)
        local second = fetch_with(server, "_xsrf=" .. GOLDEN)
        assert.not_equal(first.body, second.body)
        for _, response in ipairs { first, second } do
            assert.equal(GOLDEN_HEX, core.hex(unmask(response.body)))
            assert.matches("|1795300537$", response.body)
            assert.same({}, response.headers:get_list("Set-Cookie"))
        end
        assert.equal("ok", post(server, first.body, second.body).body)
        assert.not_equal(unmask(server:fetch("/").body), unmask(server:fetch("/").body))
    end)

    it("gives the same text within a request", function()
        local seen = {}
        xsrf_server(nil, { get = function(self)
            seen[1], seen[2] = self:xsrf_token(), self:xsrf_token()
            seen[3] = self:xsrf_form_html()
        end }):fetch("/")
        assert.equal(seen[1], seen[2])
        assert.equal(('<input type="hidden" name="_xsrf" value="%s"/>'):format(seen[1]), seen[3])
    end)

    it("writes version 1 when told, and knows no others", function()
        local response = xsrf_server({ xsrf_cookie_version = 1 }):fetch("/")
        assert.matches("^" .. ("%x"):rep(32) .. "$", response.body)
        assert.equal(response.body, select(2, cookie_of(response)))
        testing.expect_log("error", "unknown xsrf cookie version 3")
        assert.equal(500, xsrf_server({ xsrf_cookie_version = 3 }):fetch("/").code)
    end)

    it("has the cookie's name and attributes from the settings, and leaves those alone", function()
        local kwargs = { httponly = true, secure = true, samesite = "Strict" }
        local server = xsrf_server(
            { xsrf_cookie_name = "__Host-xsrf", xsrf_cookie_kwargs = kwargs },
            { get_current_user = function() return "ann" end })
        local name, cookie, attributes = cookie_of(server:fetch("/"))
        assert.equal("__Host-xsrf", name)
        assert.truthy(math.abs(days_until(attributes) - 30) < 0.01)
        assert.equal("; HttpOnly; Path=/; SameSite=Strict; Secure",
            (attributes:gsub("; expires=[^;]*", "")))
        assert.same({ httponly = true, secure = true, samesite = "Strict" }, kwargs)
        local response = server:fetch("/", { method = "POST", body = form(cookie), headers = {
            Cookie = "__Host-xsrf=" .. cookie,
            ["Content-Type"] = "application/x-www-form-urlencoded",
        } })
        assert.equal("ok", response.body)
    end)

    it("leaves expires_days of the settings in force", function()
        local server = xsrf_server({ xsrf_cookie_kwargs = { expires_days = 2 } },
            { get_current_user = function() return "ann" end })
        local _, _, attributes = cookie_of(server:fetch("/"))
        assert.truthy(math.abs(days_until(attributes) - 2) < 0.01)
    end)

    it("takes nothing from another site", function()
        local server = xsrf_server()
        local cookie = server:fetch("/").body
        local logged = testing.expect_log("warning", "403 POST")
        for site, status in pairs { ["cross-site"] = 403, ["same-site"] = 200,
            ["same-origin"] = 200, none = 200, [""] = 200 } do
            local response = post(server, cookie, cookie, { ["Sec-Fetch-Site"] = site })
            assert.equal(status, response.code, site)
        end
        assert.matches("comes from another site", logged.text)
        assert.equal(200, server:fetch("/", { headers = { ["Sec-Fetch-Site"] = "cross-site" }
            }).code)
        testing.expect_log("warning", "argument missing")
        assert.equal(403, post(server, cookie, nil, { ["Sec-Fetch-Site"] = "same-origin" }).code)
    end)

    it("leaves out what the setting xsrf_cookie_kwargs denies", function()
        local server = xsrf_server { xsrf_cookie_kwargs = { samesite = false } }
        assert.equal("; Path=/", (select(3, cookie_of(server:fetch("/")))))
    end)

    it("may be replaced", function()
        local server = xsrf_server(nil, { check_xsrf_cookie = function() end })
        assert.equal("ok", post(server).body)
    end)
end)
