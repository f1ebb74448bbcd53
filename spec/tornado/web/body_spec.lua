-- tornado.web.body: bodies that are decoded (PARITY §3, check 55 of §29, CVE-2026-49855). What
-- is not, input_spec.lua and handler_spec.lua have.
local testing = require "tornado.testing"
local web = require "tornado.web"

local function gzip(text)
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    local pipe = assert(io.popen("gzip -c " .. path))
    local bytes = pipe:read("*a")
    pipe:close()
    os.remove(path)
    return bytes
end

local SETTINGS = { decompress_request = true, max_body_size = 100000 }
local FORM = "application/x-www-form-urlencoded"

-- Posts `body` and returns what fn(handler) returned, and the response.
local function post(body, fn, options)
    options = options or {}
    local Handler = web.RequestHandler:extend "Handler"
    local result
    function Handler:post() result = fn and fn(self) end
    if options.received then
        web.stream_request_body(Handler)
        Handler.data_received = options.received
    end
    local response = testing.serve(web.Application({ { "/", Handler } },
        options.settings or SETTINGS)):fetch("/", { method = "POST", body = body, headers = {
            ["Content-Type"] = options.type or FORM,
            ["Content-Encoding"] = options.coding or "GZIP" } })
    return result, response
end

describe("a gzip body", function()
    it("has an old name, too", function()
        local seen = post(gzip("a=1&b=2"), function(self) return self:get_argument("b") end,
            { coding = "x-gzip" })
        assert.equal("2", seen)
    end)

    it("is decoded, and its header renamed", function()
        local seen = post(gzip("a=1&b=2"), function(self)
            local headers = self.request.headers
            return { self.request.body, self:get_argument("b"), self.request.arguments.a[1],
                headers:get("X-Consumed-Content-Encoding"), headers:get("Content-Encoding") or "no",
                headers["Content-Type"] }
        end)
        assert.same({ "a=1&b=2", "2", "1", "GZIP", "no", FORM }, seen)
    end)

    it("may be a multipart form, and of several members", function()
        local body = '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--B--'
        local seen = post(gzip(body:sub(1, 20)) .. gzip(body:sub(21)), function(self)
            return self:get_argument("a")
        end, { type = "multipart/form-data; boundary=B" })
        assert.equal("x", seen)
    end)

    it("is as it came without the setting, and no form", function()
        local body = gzip("a=1")
        local seen = post(body, function(self) return self.request.body end, { settings = {} })
        assert.equal(body, seen)
        for _, kind in ipairs { FORM, "multipart/form-data; boundary=B" } do
            testing.expect_log("warning", "Unsupported Content%-Encoding")
            local _, response = post(body, function(self) return self:get_argument("a") end,
                { settings = {}, type = kind })
            assert.equal(400, response.code)
        end
        testing.expect_log("warning", "Unsupported Content%-Encoding")
        local _, response = post("x", function(self) return self:get_argument("a") end,
            { coding = "br" })
        assert.equal(400, response.code)
    end)

    it("has its limit on what comes out", function()
        assert.equal(100000, (post(gzip(("x"):rep(100000)), function(self)
            return #self.request.body
        end)))
        for _, size in ipairs { 100001, 50000000 } do
            testing.expect_log("warning", "decompressed body too large")
            local _, response = post(gzip(("x"):rep(size)))
            assert.equal(400, response.code)
        end
    end)

    it("is answered 400 when it is corrupt or cut off", function()
        local body = gzip(("a=1&"):rep(100))
        local cases = {
            ["corrupt gzip body"] = { "text", body:sub(1, -9) .. "12345678", body .. "garbage" },
            ["the gzip body is cut off"] = { body:sub(1, -2), body:sub(1, 3) },
        }
        for line, bodies in pairs(cases) do
            for _, broken in ipairs(bodies) do
                for _, received in ipairs { false, function() end } do
                    local logged = testing.expect_log("warning", line)
                    local seen, response = post(broken, function() return "ran" end,
                        { received = received })
                    assert.is_nil(seen)
                    assert.equal(400, response.code)
                    assert.equal(1, #logged.lines)
                end
            end
        end
    end)

    it("is decoded piece by piece when it is streamed", function()
        local pieces, text = {}, ("0123456789"):rep(9000)
        local seen = post(gzip(text), function(self)
            return self.request.headers:get("X-Consumed-Content-Encoding")
        end, { received = function(_, piece) pieces[#pieces + 1] = piece end })
        assert.equal("GZIP", seen)
        assert.equal(2, #pieces) -- of at most 64 KiB
        assert.equal(text, table.concat(pieces))
    end)

    it("has the same limit when it is streamed", function()
        testing.expect_log("warning", "decompressed body too large")
        local size = 0
        local _, response = post(gzip(("x"):rep(10000000)), nil,
            { received = function(_, piece) size = size + #piece end })
        assert.equal(400, response.code)
        assert.truthy(size <= 100000)
    end)
end)

describe("a multipart body", function()
    local PART = 'Content-Disposition: form-data; name="a"\r\n\r\n1'
    local ran

    local function post_form(body, content_type, class)
        local Handler = (class or web.RequestHandler):extend "Handler"
        function Handler.prepare() ran = "prepare" end
        function Handler:post()
            ran = "post"
            self:write { a = self:get_body_argument("a", "none") }
        end
        ran = nil
        return testing.request(web.Application { { "/", Handler } }, "/", { body = body,
            headers = { ["Content-Type"] = content_type or "multipart/form-data; boundary=B" } })
    end

    it("that is malformed gets 400 before any code of the handler runs", function()
        testing.expect_log("400 POST / ")
        for _, body in ipairs { "--B\r\n" .. PART, "nonsense", "--B\r\nX\r\n--B--\r\n",
            ("--B\r\n" .. PART .. "\r\n"):rep(1001) .. "--B--\r\n" } do
            assert.equal(400, post_form(body).code)
            assert.is_nil(ran)
        end
        assert.equal(400, post_form("--B--", "multipart/form-data").code)
        assert.is_nil(ran)
    end)

    it("that is good, or of another type, reaches it", function()
        assert.same({ a = "1" }, post_form("--B\r\n" .. PART .. "\r\n--B--\r\n"):json())
        assert.equal("post", ran)
        for _, other in ipairs { "multipart/mixed; boundary=B", "text/plain", "" } do
            assert.equal(200, post_form("nonsense", other).code)
            assert.equal("post", ran)
        end
    end)
end)

describe("a multipart body of no bytes", function()
    local Form = web.RequestHandler:extend "Form"
    function Form:get() self:write("got") end
    function Form:post() self:write("got") end

    local Parts = web.stream_request_body(web.RequestHandler:extend "Parts")
    function Parts:prepare() self:multipart {} end
    function Parts:post() self:write("got") end

    local function status(method, path, content_type, framing)
        local server = testing.serve(web.Application { { "/", Form }, { "/parts", Parts } })
        local connection = testing.connect(server.address)
        connection:send(("%s %s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\n%s\r\n"):format(method,
            path, content_type, framing))
        local response = connection:read_response()
        connection:close()
        return response.code
    end

    local FRAMINGS = { "", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n" }

    it("is malformed, however it is framed", function()
        for _, path in ipairs { "/", "/parts" } do
            for _, framing in ipairs(FRAMINGS) do
                for _, params in ipairs { "", "; boundary=b" } do
                    testing.expect_log("400 POST .*Invalid multipart/form%-data")
                    local code = status("POST", path, "multipart/form-data" .. params, framing)
                    assert.equal(400, code)
                end
            end
        end
    end)

    it("is none where no form is sent", function()
        assert.equal(200, status("GET", "/", "multipart/form-data; boundary=b", ""))
        assert.equal(200, status("POST", "/", "application/x-www-form-urlencoded", FRAMINGS[2]))
        assert.equal(200, status("POST", "/", "text/plain", FRAMINGS[1]))
    end)
end)
