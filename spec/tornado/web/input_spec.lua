-- tornado.web.input and the request: what a handler reads. PARITY §1.3; checks 25 to 30 and 48
-- of §29.
local testing = require "tornado.testing"
local web = require "tornado.web"

local FORM = "application/x-www-form-urlencoded"

-- Runs fn(handler) for one request and returns what it returns, and the response.
local function ask(fn, path, options)
    local Handler = web.RequestHandler:extend "Handler"
    local result
    function Handler:get() result = fn(self) end
    Handler.post = Handler.get
    local response = testing.serve(web.Application { { "/[^?]*", Handler } })
        :fetch(path or "/", options)
    return result, response
end

local function post(body)
    return { body = body, headers = { ["Content-Type"] = FORM } }
end

describe("tornado.web.input", function()
    describe("form", function()
        local function form(self) return self:form() end

        it("maps names to their last values", function()
            assert.same({ a = "3", b = " x ", c = "" }, ask(form, "/?q=1", post "a=1&b=+x+&a=3&c"))
            assert.same({}, ask(form, "/?q=1"))
            assert.same({}, ask(form, "/", { body = "a=1" , method = "POST" }))
        end)

        it("reads multipart forms, too", function()
            local seen = ask(form, "/", {
                body = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
                headers = { ["Content-Type"] = "multipart/form-data; boundary=x" },
            })
            assert.same({ a = "1" }, seen)
        end)

        it("answers 400 for what is not UTF-8, and for too many", function()
            testing.expect_log("Invalid unicode")
            local _, response = ask(form, "/", post "a=%ff")
            assert.equal(400, response.code)
            _, response = ask(form, "/", post "%ff=a")
            assert.equal(400, response.code)
            testing.expect_log("too many arguments")
            _, response = ask(form, "/", post(("a=1&"):rep(1001)))
            assert.equal(400, response.code)
        end)
    end)

    describe("get_argument", function()
        it("takes the last value, the body's before the query's", function()
            local seen = ask(function(self)
                return {
                    self:get_argument("a"), self:get_arguments("a"),
                    self:get_query_argument("a"), self:get_body_argument("a"),
                    self:get_query_arguments("a"), self:get_body_arguments("a"),
                }
            end, "/?a=0&a=1", post "a=2")
            assert.same({ "2", { "0", "1", "2" }, "1", "2", { "0", "1" }, { "2" } }, seen)
        end)

        it("reads a body of GET, too", function()
            local options = post "a=2"
            options.method = "GET"
            assert.equal("2", ask(function(self) return self:get_argument("a") end, "/?a=1",
                options))
        end)

        it("reads no body of another type", function()
            local seen = ask(function(self) return self:get_arguments("a") end, "/?a=1",
                { body = "a=2", headers = { ["Content-Type"] = "text/plain" } })
            assert.same({ "1" }, seen)
        end)

        it("takes a default, which may be nil or false", function()
            local seen = ask(function(self)
                return {
                    self:get_argument("x", "d"), self:get_argument("x", nil) == nil,
                    self:get_argument("x", false), self:get_body_argument("x", "b"),
                    self:get_query_argument("x", "q"), #self:get_arguments("x"),
                }
            end)
            assert.same({ "d", true, false, "b", "q", 0 }, seen)
        end)

        it("answers 400 when one is missing", function()
            for _, method in ipairs { "get_argument", "get_query_argument", "get_body_argument" } do
                local logged = testing.expect_log("warning", "400 GET .*Missing argument page")
                local _, response = ask(function(self) return self[method](self, "page") end)
                assert.equal(400, response.code)
                assert.equal(1, #logged.lines)
            end
        end)

        it("decodes, and keeps what is no escape", function()
            local seen = ask(function(self)
                return { self:get_argument("x"), self:get_argument("y"), self:get_argument(""),
                    self:get_argument("q"), self:get_argument("p"), self:get_argument("u") }
            end, "/?x=%2B+1&y&=z&&q=1&p=%zz&u=%c3%BC")
            assert.same({ "+ 1", "", "z", "1", "%zz", "ü" }, seen)
        end)

        it("does not split at semicolons", function()
            local seen = ask(function(self)
                return { self:get_argument("a"), self:get_argument("b", "none") }
            end, "/?a=1;b=2")
            assert.same({ "1;b=2", "none" }, seen)
        end)

        it("makes spaces of control characters and strips white space", function()
            local seen = ask(function(self)
                return {
                    self:get_argument("a"), self:get_argument("a", nil, false),
                    self:get_argument("b"), self:get_arguments("a", false)[1],
                    self:get_argument("c"),
                }
            end, "/?a=%0d%0a+x%00y%1f+&b=%01%01&c=a%09b%0ac")
            assert.same({ "x y", "\r\n x y  ", "", "\r\n x y  ", "a\tb\nc" }, seen)
        end)

        it("strips Unicode's white space, in linear time", function()
            local function one(self) return self:get_argument("a") end
            local wide = "%C2%85%C2%A0%E1%9A%80%E2%80%80%E2%80%8A%E2%80%A8%E2%80%AF%E2%81%9F" ..
                "%E3%80%80"
            assert.equal("x", ask(one, "/?a=" .. wide .. "+x%09" .. wide))
            assert.equal("", ask(one, "/?a=" .. wide))
            assert.equal("x\226\128\139", ask(one, "/?a=x%E2%80%8B"))
            assert.equal("é", ask(one, "/?a=%C3%A9"))
            local long = "%09" .. ("+"):rep(200000) .. "x"
            assert.equal(200003, #ask(one, "/", post("a=a" .. long .. "&b")))
        end)

        it("gives lists that are [] as JSON when they are empty", function()
            local _, response = ask(function(self)
                self:write { self = self:get_arguments("a") }
            end)
            assert.equal('{"self":[]}', response.body)
        end)

        it("wants strip to be true or false", function()
            local logged = testing.expect_log("bad strip: expected boolean, got string")
            local _, response = ask(function(self) return self:get_arguments("a", "yes") end)
            assert.equal(500, response.code)
            assert.matches("input_spec.lua", logged.text)
        end)

        it("answers 400 for what is not UTF-8", function()
            for _, path in ipairs { "/?a=%ff", "/?a=x%c3", "/?a=%ed%a0%80", "/?a=%c0%af" } do
                testing.expect_log("Invalid unicode in a: ")
                local _, response = ask(function(self) return self:get_argument("a") end, path)
                assert.equal(400, response.code)
            end
        end)

        it("may be decoded otherwise", function()
            local Handler = web.RequestHandler:extend "Handler"
            local names = {}
            function Handler:decode_argument(value, name)
                names[#names + 1] = name or "path"
                return "<" .. value .. ">"
            end
            function Handler:get(part) self:write(part .. self:get_argument("a")) end
            local server = testing.serve(web.Application { { "/(.*)", Handler } })
            assert.equal("<x><\255>", server:fetch("/x?a=%ff").body)
            assert.same({ "path", "a" }, names)
        end)

        it("answers 400 when there are more than 1000", function()
            testing.expect_log("too many arguments")
            local _, response = ask(function(self) return self:get_argument("a") end, "/",
                post(("a=1&"):rep(1001)))
            assert.equal(400, response.code)
            assert.equal("1", ask(function(self) return self:get_argument("a") end, "/",
                post(("a=1&"):rep(1000))))
        end)

        it("answers 400 for a form in a coding that is not decoded", function()
            testing.expect_log("Unsupported Content%-Encoding")
            local options = post "a=1"
            options.headers["Content-Encoding"] = "gzip"
            local _, response = ask(function(self) return self:get_argument("a") end, "/", options)
            assert.equal(400, response.code)
        end)
    end)

    describe("the request", function()
        it("has the parts of its head", function()
            local seen = ask(function(self)
                local r = self.request
                return { r.method, r.uri, r.path, r.query, r.version, r.remote_ip, r.host,
                    r.host_name, r.protocol, r.body, r:full_url() }
            end, "/a%2fb?x=%41&y", { headers = { Host = "Example.org:8080" } })
            assert.same({ "GET", "/a%2fb?x=%41&y", "/a%2fb", "x=%41&y", "HTTP/1.1", "127.0.0.1",
                "Example.org:8080", "example.org", "http", "",
                "http://Example.org:8080/a%2fb?x=%41&y" }, seen)
        end)

        it("has a version and a host when there is none", function()
            local seen = ask(function(self)
                return { self.request.version, self.request.host }
            end, "/", { raw = "GET / HTTP/1.0\r\n\r\n" })
            assert.same({ "HTTP/1.0", "127.0.0.1" }, seen)
        end)

        it("has arguments as lists", function()
            local seen = ask(function(self)
                local r = self.request
                return { r.arguments, r.query_arguments, r.body_arguments }
            end, "/?a=1&b=&a=%ff", post "a=2&c=3")
            assert.same({ { a = { "1", "\255", "2" }, b = { "" }, c = { "3" } },
                { a = { "1", "\255" }, b = { "" } }, { a = { "2" }, c = { "3" } } }, seen)
        end)

        it("has its headers, in order and whatever their case", function()
            local seen = ask(function(self)
                local headers, all = self.request.headers, {}
                for name, value in headers:get_all() do all[#all + 1] = name .. "=" .. value end
                return { headers:get("x-a"), headers:get("X-None"), headers:get("X-None", "d"),
                    headers:get_list("X-A"), headers["X-B"], table.concat(all, " ") }
            end, "/", { headers = { { "Host", "h" }, { "X-A", "1" }, { "x-b", "3" },
                { "x-a", "2" } } })
            assert.same({ "1,2", nil, "d", { "1", "2" }, "3",
                "Host=h X-A=1 X-A=2 X-B=3" }, seen)
        end)

        it("has many headers", function()
            local headers = { { "Host", "h" } }
            for i = 1, 150 do headers[i + 1] = { "X-" .. i, tostring(i) } end
            local seen = ask(function(self)
                local n = 0
                for _ in self.request.headers:get_all() do n = n + 1 end
                return { n, self.request.headers:get("X-150") }
            end, "/", { headers = headers })
            assert.same({ 151, "150" }, seen)
        end)

        it("reads JSON", function()
            local seen, response = ask(function(self) return self.request:json() end, "/",
                { body = '{"a":[1,2,{"b":null}]}' })
            assert.equal(200, response.code)
            assert.same({ 1, 2 }, { seen.a[1], seen.a[2] })
        end)

        it("knows how long it took", function()
            local seen = ask(function(self) return self.request:request_time() end)
            assert.truthy(seen >= 0 and seen < 5)
        end)

        it("can be printed", function()
            local seen = ask(function(self) return tostring(self.request) end, "/x")
            assert.matches("^HTTPServerRequest%(protocol='http', host='127.0.0.1:%d+', " ..
                "method='GET', uri='/x', version='HTTP/1.1', remote_ip='127.0.0.1'%)$", seen)
        end)

        it("is empty, not wrong, when asked after its end", function()
            local kept
            ask(function(self) kept = self.request end, "/?a=1", post "b=2")
            assert.equal("POST", kept.method)
            assert.equal("/?a=1", kept.uri)
            assert.equal("", kept.body)
            assert.is_nil(kept.headers:get("Host"))
            assert.same({ a = { "1" } }, kept.query_arguments)
        end)

        it("keeps what was read before its end", function()
            local kept
            ask(function(self)
                kept = self.request
                return kept.body .. kept.remote_ip .. kept.headers:all():get("Content-Type")
            end, "/", post "b=2")
            assert.equal("b=2", kept.body)
            assert.equal("127.0.0.1", kept.remote_ip)
            assert.equal(FORM, kept.headers:get("Content-Type"))
        end)
    end)

    describe("cookies", function()
        local function cookies(header)
            return ask(function(self)
                local out = {}
                for name, value in pairs(self:cookies()) do
                    out[name] = type(value) == "table" and value.value or value
                end
                return out
            end, "/", { headers = { Cookie = header } })
        end

        it("are parsed as browsers write them", function()
            assert.same({ a = "2", b = "x;y", d = "e" },
                cookies [[a=1; b="x\073y"; =v; novalue; a=2; c[]=1; d = e]])
        end)

        it("come from several fields", function()
            local seen = ask(function(self)
                return { self:get_cookie("a"), self:get_cookie("b") }
            end, "/", { headers = { { "Host", "h" }, { "Cookie", "a=1" }, { "Cookie", "b=2" } } })
            assert.same({ "1", "2" }, seen)
        end)

        it("have a default", function()
            local seen = ask(function(self)
                return { self:get_cookie("x", "d"), self:get_cookie("x") == nil }
            end)
            assert.same({ "d", true }, seen)
        end)
    end)
end)
