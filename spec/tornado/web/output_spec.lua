-- tornado.web.output: what a handler writes, byte for byte. PARITY §1.4, §1.6 and the checks
-- of §29 from 1, 3 and 34 to 42, and 46 to 52.
local core = require "tornado.core"
local testing = require "tornado.testing"
local web = require "tornado.web"

local function serve(verbs, settings)
    local Handler = web.RequestHandler:extend "Handler"
    for name, fn in pairs(verbs) do Handler[name] = fn end
    return testing.serve(web.Application({ { "/", Handler } }, settings))
end

local function fetch(get, options)
    return serve({ get = get, head = get, post = get }):fetch("/", options)
end

local function message_of(fn)
    local ok, err = pcall(fn)
    assert.is_false(ok)
    return tostring(err)
end

-- A head without the date and the version, which are checked for their form.
local function head_of(response)
    return (response.head:gsub("Date: %a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT\r\n",
        "Date: D\r\n"):gsub("Server: ctornado/?[%d.]*\r\n", "Server: S\r\n"))
end

local SERVER = "Server: S\r\n"
local HTML = "Content-Type: text/html; charset=UTF-8\r\n"

local function error_page(code, reason)
    return ("<html><title>%d: %s</title><body>%d: %s</body></html>"):format(code, reason, code,
        reason)
end

describe("tornado.web.output", function()
    describe("headers", function()
        it("begin with Server and Content-Type, and end with what frames the reply", function()
            local response = fetch(function(self) self:write("Hello, world") end)
            assert.equal("HTTP/1.1 200 OK\r\n" .. SERVER .. HTML .. "Date: D\r\n" ..
                'Etag: "e02aa1b106d5c7c6a98def2b13005d5b84fd8dc8"\r\n' ..
                "Content-Length: 12\r\n\r\n", head_of(response))
            assert.equal("Hello, world", response.body)
        end)

        it("may be set, added, read and removed", function()
            local response = fetch(function(self)
                self:set_header("x-one", "a")
                self:set_header("X-ONE", "b")
                self:add_header("X-Two", "1")
                self:add_header("x-two", "2")
                self:set_header("X-Gone", "x")
                self:add_header("X-Gone", "y")
                self:clear_header("x-gone")
                self:clear_header("X-Never")
                self:set_header("X-Read", self:get_header("x-one"))
            end)
            assert.same({ "b" }, response.headers:get_list("X-One"))
            assert.same({ "1", "2" }, response.headers:get_list("X-Two"))
            assert.is_false(response.headers:has("X-Gone"))
            assert.equal("b", response.headers:get("X-Read"))
        end)

        it("take integers, dates and empty texts", function()
            local response = fetch(function(self)
                self:set_header("X-Number", 42)
                self:set_header("X-Large", 2 ^ 40)
                self:set_header("X-Date", { year = 2013, month = 1, day = 27, hour = 18,
                    min = 43, sec = 20 })
                self:set_header("X-Empty", "")
                self:set_header("X-Latin", "caf\233")
            end)
            assert.equal("42", response.headers:get("X-Number"))
            assert.equal("1099511627776", response.headers:get("X-Large"))
            assert.equal("Sun, 27 Jan 2013 18:43:20 GMT", response.headers:get("X-Date"))
            assert.equal("", response.headers:get("X-Empty"))
            assert.equal("caf\233", response.headers:get("X-Latin"))
        end)

        it("refuse what HTTP does not allow, in names and in values", function()
            local bad = {
                { "X", "a\r\nSet-Cookie: b" }, { "X", "a\nb" }, { "X", "\0" }, { "X", "\127" },
                { "X Y", "a" }, { "", "a" }, { "X:", "a" }, { "X\r\n", "a" }, { "X", 1.5 },
                { "X", true }, { "X", {} }, { "X", print },
            }
            local refused = { set_header = 0, add_header = 0 }
            fetch(function(self)
                for _, pair in ipairs(bad) do
                    for method in pairs(refused) do
                        local ok, err = pcall(self[method], self, pair[1], pair[2])
                        if not ok and tostring(err):find("header") then
                            refused[method] = refused[method] + 1
                        end
                    end
                end
            end)
            assert.same({ set_header = #bad, add_header = #bad }, refused)
        end)

        it("make a bad value a 500 that names it", function()
            local logged = testing.expect_log("Unsafe header value")
            local response = fetch(function(self) self:set_header("X", "a\r\nb") end)
            assert.equal(500, response.code)
            assert.matches("output_spec.lua", logged.text)
        end)

        it("may take the place of Server, Date and Content-Type", function()
            local response = fetch(function(self)
                self:set_header("Server", "mine")
                self:set_header("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
                self:set_header("Content-Type", "text/plain")
                self:set_header("Etag", '"x"')
            end)
            assert.equal("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: mine\r\n" ..
                "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" ..
                'Etag: "x"\r\nContent-Length: 0\r\n\r\n', response.head)
        end)

        it("may be without Server and Content-Type", function()
            local response = fetch(function(self)
                self:clear_header("Server")
                self:clear_header("Content-Type")
                self:set_header("Etag", '"x"')
            end)
            assert.equal('HTTP/1.1 200 OK\r\nDate: D\r\nEtag: "x"\r\nContent-Length: 0\r\n\r\n',
                head_of(response))
        end)

        it("come from set_default_headers, for error pages too", function()
            local server = serve {
                set_default_headers = function(self)
                    self:set_header("X-Default", "yes")
                    self:clear_header("Server")
                end,
                get = function(self) self:set_header("X-Mine", "1") self:write("x") end,
                post = function(self)
                    self:set_header("X-Mine", "1")
                    error(web.HTTPError(400), 0)
                end,
            }
            local response = server:fetch("/")
            assert.equal("yes", response.headers:get("X-Default"))
            assert.equal("1", response.headers:get("X-Mine"))
            assert.is_false(response.headers:has("Server"))
            response = server:fetch("/", { method = "POST" })
            assert.equal(400, response.code)
            assert.equal("yes", response.headers:get("X-Default"))
            assert.is_false(response.headers:has("X-Mine"))
            assert.is_false(response.headers:has("Server"))
        end)
    end)

    describe("set_status", function()
        it("sends the standard reason, another one, or Unknown", function()
            for _, case in ipairs {
                { 201, nil, "Created" }, { 404, "Go", "Go" }, { 682, nil, "Unknown" },
                { 200, "a<b", "Unknown" }, { 200, "a\r\nX: y", "Unknown" },
                { 200, "\0", "Unknown" }, { 418, nil, "I'm a Teapot" },
                { 200, "caf\233", "caf\233" },
            } do
                local response = fetch(function(self) self:set_status(case[1], case[2]) end)
                assert.equal(case[1], response.code)
                assert.equal(case[3], response.reason)
                assert.is_false(response.headers:has("X"))
            end
        end)

        it("can be asked for with get_status", function()
            local seen = {}
            fetch(function(self)
                seen[1] = self:get_status()
                self:set_status(202)
                seen[2] = self:get_status()
            end)
            assert.same({ 200, 202 }, seen)
        end)

        it("refuses what is no status", function()
            local refused = 0
            fetch(function(self)
                for _, status in ipairs { 99, 1000, 200.5, "200", {} } do
                    if not pcall(self.set_status, self, status) then refused = refused + 1 end
                end
            end)
            assert.equal(5, refused)
        end)
    end)

    describe("write", function()
        it("joins strings", function()
            local response = fetch(function(self)
                for i = 1, 100 do self:write(i .. ",") end
            end)
            assert.equal(292, #response.body)
            assert.matches("^1,2,.*,99,100,$", response.body)
        end)

        it("makes JSON of a table, at the time of the call", function()
            local response = fetch(function(self)
                self:write { a = "</script>" }
            end)
            assert.equal('{"a":"<\\/script>"}', (response.body:gsub("[ \n]", "")))
            assert.equal("application/json; charset=UTF-8", response.headers:get("Content-Type"))
            response = fetch(function(self)
                self:write { a = 1 }
                self:set_header("Content-Type", "application/x-mine")
            end)
            assert.equal("application/x-mine", response.headers:get("Content-Type"))
            assert.same({ a = 1 }, response:json())
        end)

        it("refuses lists and what is neither text nor table", function()
            local messages = {}
            fetch(function(self)
                for _, value in ipairs { { 1, 2 }, 5, true, print } do
                    messages[#messages + 1] = message_of(function() self:write(value) end)
                end
                messages[5] = message_of(function() self:write(nil) end)
            end)
            assert.matches("output_spec.lua:%d+: write%(%).*lists are not written", messages[1])
            assert.matches("got number", messages[2])
            assert.matches("got boolean", messages[3])
            assert.matches("got function", messages[4])
            assert.matches("got nil", messages[5])
        end)

        it("answers a list with 500", function()
            testing.expect_log("security reasons")
            assert.equal(500, fetch(function(self) self:write { "a" } end).code)
        end)

        it("raises after finish", function()
            local message
            local response = fetch(function(self)
                self:finish("done")
                message = message_of(function() self:write("more") end)
            end)
            assert.equal("done", response.body)
            assert.matches("output_spec.lua:%d+: Cannot write%(%) after finish%(%)$", message)
        end)
    end)

    describe("finish", function()
        it("takes a last piece", function()
            assert.equal("ab", fetch(function(self) self:write("a") self:finish("b") end).body)
            assert.equal("1", fetch(function(self) self:finish { a = 1 } end):json().a .. "")
        end)

        it("raises when called twice", function()
            local message
            fetch(function(self)
                self:finish()
                message = message_of(function() self:finish() end)
            end)
            assert.matches("output_spec.lua:%d+: finish%(%) called twice$", message)
        end)

        it("logs what a handler raises behind it, and the client does not see it", function()
            testing.expect_log("too late")
            local response = fetch(function(self)
                self:finish("good")
                error("too late")
            end)
            assert.equal(200, response.code)
            assert.equal("good", response.body)
        end)

        it("sends 204, 304 and 1xx without body, length and type", function()
            for _, status in ipairs { 204, 304 } do
                local response = fetch(function(self)
                    self:set_status(status)
                    self:set_header("X-Kept", "1")
                    self:set_header("Etag", '"e"')
                    self:set_header("Content-Language", "de")
                    self:set_header("Content-Encoding", "gzip")
                    self:set_cookie("c", "1")
                end)
                assert.equal(status, response.code)
                assert.equal(("HTTP/1.1 %s\r\n"):format(status == 204 and "204 No Content" or
                    "304 Not Modified") .. SERVER ..
                    'Date: D\r\nX-Kept: 1\r\nEtag: "e"\r\nSet-Cookie: c=1; Path=/\r\n\r\n',
                    head_of(response))
            end
        end)

        it("sends no Content-Length of the handler's with those, and cuts nothing off", function()
            for _, status in ipairs { 204, 304 } do
                local response = fetch(function(self)
                    self:set_header("Content-Length", 5)
                    self:set_status(status)
                end)
                assert.equal(status, response.code)
                assert.is_false(response.headers:has("Content-Length"))
            end
            local response = fetch(function(self)
                self:set_header("Content-Length", 5)
                self:write("hello")
            end, { headers = { ["If-None-Match"] = "*" } })
            assert.equal(304, response.code)
            assert.is_false(response.headers:has("Content-Length"))
        end)

        it("ends the connection behind a 1xx, which is no reply to wait for", function()
            local server = serve { get = function() error(web.HTTPError(102), 0) end }
            local connection = server:connect()
            connection:send(("GET / HTTP/1.1\r\nHost: a\r\n\r\n"):rep(2))
            local text = connection:read_until_close()
            assert.matches("^HTTP/1.1 102 .*\r\nConnection: close\r\n\r\n$", text)
            assert.equal(1, select(2, text:gsub("HTTP/1.1", "")))
        end)

        it("answers 500 when a 204 has a body", function()
            testing.expect_log("Cannot send body with 204")
            local response = fetch(function(self)
                self:set_status(204)
                self:write("x")
            end)
            assert.equal(500, response.code)
            assert.equal(error_page(500, "Internal Server Error"), response.body)
        end)

        it("answers HEAD with the length and Etag of GET", function()
            local server = serve {
                get = function(self) self:write("hello") end,
                head = function(self) self:write("hello") end,
            }
            local get, head = server:fetch("/"), server:fetch("/", { method = "HEAD" })
            assert.equal("5", head.headers:get("Content-Length"))
            assert.equal("", head.body)
            assert.equal(get.headers:get("Etag"), head.headers:get("Etag"))
            assert.equal(head_of(get), head_of(head))
        end)

        it("sends large bodies whole", function()
            local body = ("0123456789abcdef"):rep(256 * 1024)
            local response = fetch(function(self) self:write(body) end)
            assert.is_true(response.body == body)
        end)

        it("sends bodies of every size around the buffers", function()
            local server = serve {
                get = function(self) self:write(("x"):rep(tonumber(self:get_argument("n")))) end,
            }
            local connection = server:connect()
            for _, size in ipairs { 0, 1, 65023, 65024, 65025, 65400, 65535, 65536, 131073 } do
                connection:send("GET /?n=" .. size .. " HTTP/1.1\r\nHost: a\r\n\r\n")
                local response = connection:read_response()
                assert.equal(size, #response.body)
                assert.equal(tostring(size), response.headers:get("Content-Length"))
            end
        end)
    end)

    describe("a Content-Length of the application's own", function()
        it("is kept when it is right", function()
            local response = fetch(function(self)
                self:set_header("Content-Length", "5")
                self:write("hello")
            end)
            assert.equal("5", response.headers:get("Content-Length"))
            assert.equal("hello", response.body)
        end)

        it("cuts the connection before any byte when it is wrong", function()
            for _, length in ipairs { "3", "9" } do
                testing.expect_log("Content%-Length is " .. length .. ", but the body has 5 bytes")
                local connection = serve({ get = function(self)
                    self:set_header("Content-Length", length)
                    self:write("hello")
                end }):connect()
                connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert.equal("", (connection:read_until_close()))
            end
        end)

        it("is refused with a 500 when it is none, or no integer of Lua's", function()
            local LENGTHS = { "abc", "-5", "", "18446744073709551616", "9007199254740994" }
            for _, length in ipairs(LENGTHS) do
                for _, streamed in ipairs { false, true } do
                    testing.expect_log("bad Content%-Length")
                    local response = fetch(function(self)
                        self:set_header("Content-Length", length)
                        self:write("hello")
                        if streamed then self:flush() end
                    end)
                    assert.equal(500, response.code, length)
                end
            end
        end)

        it("frames a streamed reply", function()
            local response = fetch(function(self)
                self:set_header("Content-Length", "6")
                self:write("abc")
                self:flush()
                self:write("def")
            end)
            assert.equal("6", response.headers:get("Content-Length"))
            assert.is_false(response.headers:has("Transfer-Encoding"))
            assert.equal("abcdef", response.body)
        end)

        it("cuts a streamed reply that does not keep to it", function()
            testing.expect_log("Content%-Length")
            testing.expect_log("Cannot send error response after headers written")
            for _, rest in ipairs { "", "defg" } do
                local connection = serve({ get = function(self)
                    self:set_header("Content-Length", "6")
                    self:write("abc")
                    self:flush()
                    self:write(rest)
                end }):connect()
                connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert.has_error(function() connection:read_response() end)
                assert.truthy(connection:is_closed())
            end
        end)

        it("calls on_finish once for a reply that is cut", function()
            testing.expect_log("Cannot send error response after headers written")
            testing.expect_log("on purpose")
            for _, fault in ipairs {
                function() error("on purpose") end, function(self) self:send_error(500) end,
            } do
                local finished = 0
                local connection = serve({
                    get = function(self)
                        self:write("abc")
                        self:flush()
                        fault(self)
                    end,
                    on_finish = function() finished = finished + 1 end,
                }):connect()
                connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert.has_error(function() connection:read_response() end)
                testing.wait_until(function() return connection:is_closed() end)
                assert.equal(1, finished)
            end
        end)

        it("is announced by HEAD without a body", function()
            local response = fetch(function(self) self:set_header("Content-Length", 1234) end,
                { method = "HEAD" })
            assert.equal("1234", response.headers:get("Content-Length"))
        end)
    end)

    describe("flush", function()
        local function three(self)
            for i = 1, 3 do
                self:write("part" .. i)
                self:flush()
            end
        end

        it("streams in chunks, without length and Etag", function()
            local response = fetch(three)
            assert.equal("HTTP/1.1 200 OK\r\n" .. SERVER .. HTML ..
                "Date: D\r\nTransfer-Encoding: chunked\r\n\r\n", head_of(response))
            assert.equal("part1part2part3", response.body)
            assert.equal(3, response.chunks)
        end)

        it("streams plain bytes to HTTP/1.0, until the connection ends", function()
            local connection = serve({ get = three }):connect()
            connection:send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            local bytes, how = connection:read_until_close()
            assert.equal("eof", how)
            local head, body = bytes:match("^(.-\r\n\r\n)(.*)$")
            assert.equal("HTTP/1.1 200 OK\r\n" .. SERVER .. HTML .. "Date: D\r\n\r\n",
                head_of { head = head })
            assert.equal("part1part2part3", body)
        end)

        it("sends neither length nor coding for HEAD", function()
            local server = serve { head = three }
            local connection = server:connect()
            connection:send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            local response = connection:read_response { method = "HEAD" }
            assert.is_false(response.headers:has("Content-Length"))
            assert.is_false(response.headers:has("Transfer-Encoding"))
            connection:send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert.equal(200, connection:read_response({ method = "HEAD" }).code)
        end)

        it("gives the client each piece at once", function()
            local go
            local gen, concurrent = require "tornado.gen", require "tornado.concurrent"
            local connection = serve({ get = function(self)
                self:write("first")
                self:flush()
                gen.await(go)
                self:write("second")
            end }):connect()
            go = concurrent.Future()
            connection:send("GET / HTTP/1.0\r\n\r\n")
            local seen = ""
            while not seen:find("first$") do seen = seen .. connection:read_some() end
            go:set_result(nil)
            assert.equal("second", (connection:read_until_close()))
        end)

        it("returns a future that is done", function()
            local done
            fetch(function(self)
                self:write("x")
                done = self:flush():done()
            end)
            assert.is_true(done)
        end)

        it("raises after finish, and redirect after it", function()
            local messages = {}
            fetch(function(self)
                self:write("x")
                self:flush()
                messages[1] = message_of(function() self:redirect("/") end)
                self:finish()
                messages[2] = message_of(function() self:flush() end)
            end)
            assert.matches("Cannot redirect after headers have been written", messages[1])
            assert.matches("Cannot flush%(%) after finish%(%)", messages[2])
        end)
    end)

    describe("redirect", function()
        it("is 302, 301 when permanent, or what is said", function()
            for _, case in ipairs {
                { nil, 302, "Found" }, { { permanent = true }, 301, "Moved Permanently" },
                { true, 301, "Moved Permanently" }, { { status = 307 }, 307, "Temporary Redirect" },
                { false, 303, "See Other", 303 },
            } do
                local response = fetch(function(self)
                    self:redirect("/there?a=1", case[1], case[4])
                end)
                assert.equal(case[2], response.code)
                assert.equal(case[3], response.reason)
                assert.equal("/there?a=1", response.headers:get("Location"))
                assert.equal("0", response.headers:get("Content-Length"))
                assert.equal("text/html; charset=UTF-8", response.headers:get("Content-Type"))
                assert.equal("", response.body)
            end
        end)

        it("encodes blanks, which browsers may drop", function()
            local response = fetch(function(self) self:redirect("/\t/evil/a b") end)
            assert.equal("/%09/evil/a%20b", response.headers:get("Location"))
        end)

        it("leads to paths of this site alone with safe_redirect()", function()
            local function location(...)
                local arguments = { ... }
                return fetch(function(self)
                    self:safe_redirect(unpack(arguments, 1, 3))
                end).headers:get("Location")
            end
            assert.equal("/there?a=1", location "/there?a=1")
            for _, url in ipairs { "//evil", "/\\evil", "http://evil", "", "evil", "/a b",
                "/a\r\nX: 1", "javascript:x", "\\\\evil" } do
                assert.equal("/", location(url))
                assert.equal("/home", location(url, "/home"))
            end
            assert.equal("/", location(nil))
            assert.equal(303, fetch(function(self)
                self:safe_redirect("/x", "/", { status = 303 })
            end).code)
        end)

        it("refuses a status that is none of a redirect, and unknown options", function()
            local messages = {}
            fetch(function(self)
                messages[1] = message_of(function() self:redirect("/", { status = 200 }) end)
                messages[2] = message_of(function() self:redirect("/", { perm = true }) end)
            end)
            assert.matches("300 to 399", messages[1])
            assert.matches('unknown option "perm"', messages[2])
        end)

        it("answers 500 for a line break in the address", function()
            testing.expect_log("Unsafe header value")
            local response = fetch(function(self) self:redirect("/a\r\nX-Evil: 1") end)
            assert.equal(500, response.code)
            assert.is_false(response.headers:has("X-Evil"))
            assert.is_false(response.headers:has("Location"))
        end)
    end)

    describe("ETags", function()
        local ETAG = '"e02aa1b106d5c7c6a98def2b13005d5b84fd8dc8"'
        local server

        local function conditional(value, method)
            server = server or serve {
                get = function(self) self:write("Hello, world") end,
                post = function(self) self:write("Hello, world") end,
            }
            return server:fetch("/", { method = method, headers = { ["If-None-Match"] = value } })
        end

        it("make a 304 of an If-None-Match that has them", function()
            server = nil
            for _, value in ipairs {
                ETAG, "W/" .. ETAG, '"a", ' .. ETAG .. ', "b"', "*", '"a",W/' .. ETAG,
            } do
                local response = conditional(value)
                assert.equal(304, response.code)
                assert.equal(ETAG, response.headers:get("Etag"))
                assert.is_false(response.headers:has("Content-Type"))
                assert.equal("", response.body)
            end
        end)

        it("match the first tag that is one, which may be *", function()
            server = nil
            assert.equal(304, conditional("x, *").code)
            assert.equal(200, conditional('"x", *').code)
        end)

        it("are not found in something else, nor used for POST", function()
            server = nil
            for _, value in ipairs { ETAG:gsub('"', ""), '"other"', "garbage", "", ',,"' } do
                assert.equal(200, conditional(value).code)
            end
            local response = conditional(ETAG, "POST")
            assert.equal(200, response.code)
            assert.is_false(response.headers:has("Etag"))
        end)

        it("may be set or computed otherwise", function()
            local response = fetch(function(self) self:set_header("Etag", '"mine"') end)
            assert.equal('"mine"', response.headers:get("Etag"))
            server = serve {
                compute_etag = function() return nil end,
                get = function(self) self:write("x") end,
            }
            assert.is_false(server:fetch("/").headers:has("Etag"))
        end)
    end)

    describe("cookies", function()
        it("are set once for each name, the last call counts", function()
            local response = fetch(function(self)
                self:set_cookie("a", "1")
                self:set_cookie("b", 'q"x;y')
                self:set_cookie("a", "2")
            end)
            assert.same({ [[b="q\"x\073y"; Path=/]], "a=2; Path=/" },
                response.headers:get_list("Set-Cookie"))
        end)

        it("have attributes", function()
            local response = fetch(function(self)
                self:set_cookie("s", "1", { domain = "a.b", path = "/p", httponly = true,
                    secure = true, samesite = "Lax", max_age = 60 })
            end)
            local text = response.headers:get("Set-Cookie"):lower()
            for _, part in ipairs { "^s=1;", "domain=a%.b", "path=/p", "httponly", "secure",
                "samesite=lax", "max%-age=60" } do
                assert.matches(part, text)
            end
        end)

        it("are cleared with an expiry a year ago", function()
            local response = fetch(function(self) self:clear_cookie("z", { path = "/p" }) end)
            local name, date, path =
                response.headers:get("Set-Cookie"):match("^(z=[^;]*); expires=([^;]+); Path=(.*)$")
            assert.truthy(name == 'z=""' or name == "z=")
            assert.equal("/p", path)
            local year = tonumber(date:match("%d%d%d%d"))
            assert.truthy(year == tonumber(os.date("!%Y")) - 1 or
                year == tonumber(os.date("!%Y")) - 2)
        end)

        it("refuse what would break the header", function()
            local refused, cases = 0, {
                { "a b", "1" }, { "a;", "1" }, { "a\r", "1" }, { "a", "1", { path = "/;x" } },
                { "a", "1", { domain = "x;y" } }, { "a", "1", { samesite = "L;ax" } },
                { "a", "1", { path = "/\n" } }, { "a", "1", { unknown = true } },
            }
            local response = fetch(function(self)
                for _, case in ipairs(cases) do
                    if not pcall(self.set_cookie, self, unpack(case, 1, 3)) then
                        refused = refused + 1
                    end
                end
            end)
            assert.equal(#cases, refused)
            assert.is_false(response.headers:has("Set-Cookie"))
        end)

        it("survive clear() and an error page", function()
            local response = fetch(function(self)
                self:set_cookie("a", "1")
                error(web.HTTPError(400), 0)
            end)
            assert.equal(400, response.code)
            assert.equal("a=1; Path=/", response.headers:get("Set-Cookie"))
        end)
    end)

    describe("slow readers", function()
        it("hold the writer back, in bounded memory", function()
            testing.set_timeout(300)
            local written, total = 0, 64 * 1048576
            local piece = ("x"):rep(65536)
            local server = serve { get = function(self)
                self:set_header("Content-Type", "text/plain")
                while written < total do
                    self:write(piece)
                    self:flush()
                    written = written + #piece
                end
            end }
            local connection = server:connect(20)
            connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            -- The writer stands still once kernel and buffer are full.
            local before, still = -1, 0
            testing.wait_until(function()
                still = written == before and written > 0 and still + 1 or 0
                before = written
                return still > 20
            end)
            assert.truthy(written < total / 2)
            collectgarbage()
            local memory = collectgarbage("count")
            local got, looked, most = 0, 0, 0
            while got < total do
                got = got + #connection:read_some()
                if got - looked > total / 8 then
                    looked = got
                    collectgarbage()
                    most = math.max(most, collectgarbage("count"))
                end
            end
            assert.equal(total, written)
            assert.truthy(most < memory + 2048)
        end)

        it("that leave end the writer", function()
            local ended, calls = false, 0
            local server = serve {
                on_connection_close = function() calls = calls + 1 end,
                get = function(self)
                    local piece = ("x"):rep(65536)
                    for _ = 1, 1000 do
                        if calls > 0 then break end
                        self:write(piece)
                        self:flush()
                    end
                    ended = true
                end,
            }
            local connection = server:connect()
            connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            connection:read_some()
            connection:close(true)
            testing.wait_until(function() return ended end)
            assert.equal(1, calls)
            testing.wait_until(function() return core.counts().requests == 0 end)
        end)

        it("that leave while it does not wait are told to it, and hold up nobody", function()
            local calls, ended, answered, server, connection = 0, 0
            local function leave(write)
                connection:close(true)
                for _ = 1, 1000 do
                    if calls > 0 and answered then break end
                    write()
                end
                ended = ended + 1
            end
            local plain = testing.serve(function(request)
                local peer = request.connection
                peer:set_close_callback(function() calls = calls + 1 end)
                peer:write_headers({ code = 200 }, {}, "x")
                leave(function() peer:write "x" end)
                peer:finish()
            end)
            server = serve {
                on_connection_close = function() calls = calls + 1 end,
                get = function(self)
                    self:write "x"
                    self:flush()
                    leave(function()
                        self:write "x"
                        self:flush()
                    end)
                end,
                post = function() answered = true end,
            }
            for i, one in ipairs { server, plain } do
                calls, answered = 0, false
                connection = one:connect()
                local other = server:connect()
                other:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
                connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                testing.wait_until(function() return ended == i end)
                assert.equal(1, calls)
                assert.is_true(answered)
                assert.equal(200, other:read_response().code)
            end
        end)
    end)
end)
