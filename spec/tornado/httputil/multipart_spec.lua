-- multipart/form-data, whole and streamed. PARITY §4; checks 57 and 58 of §29; CVE-2025-47287
-- and CVE-2025-67726.
local core = require "tornado.core"
local httputil = require "tornado.httputil"
local testing = require "tornado.testing"
local web = require "tornado.web"

local FORM = "multipart/form-data; boundary=B"

local function part(disposition, body, more)
    return "--B\r\nContent-Disposition: form-data; " .. disposition .. "\r\n" .. (more or "") ..
        "\r\n" .. body .. "\r\n"
end

local function form(...)
    return table.concat({ ... }) .. "--B--\r\n"
end

local GOOD = form(part('name="a"', "1"), part('name="a"', "2"),
    part('name="f"; filename="x.txt"', "\r\nbytes\0\r\n--", "Content-Type: text/plain\r\n"))

local function parse(body, boundary, config)
    local arguments, files = {}, {}
    httputil.parse_multipart_form_data(boundary or "B", body, arguments, files, config)
    return arguments, files
end

local function reason(body, config)
    local ok, err = pcall(parse, body, nil, config)
    assert.is_false(ok)
    assert.is_true(require("tornado.util").isinstance(err, httputil.HTTPInputError))
    return tostring(err)
end

-- What a handler makes of one POST.
local function post(body, fn, content_type, settings)
    local Handler = web.RequestHandler:extend "Handler"
    local result
    function Handler:post() result = fn(self) end
    local response = testing.serve(web.Application({ { "/", Handler } }, settings)):fetch("/?q=0",
        { method = "POST", body = body, headers = { ["Content-Type"] = content_type or FORM } })
    return result, response
end

describe("tornado.httputil.multipart", function()
    describe("parse_multipart_form_data", function()
        it("gives arguments and files", function()
            local arguments, files = parse(GOOD)
            assert.same({ a = { "1", "2" } }, arguments)
            assert.equal(1, #files.f)
            assert.equal("x.txt", files.f[1].filename)
            assert.equal("text/plain", files.f[1].content_type)
            assert.equal("\r\nbytes\0\r\n--", files.f[1].body)
        end)

        it("takes the boundary in quotes, and a form without parts", function()
            assert.same({ a = { "1" } }, (parse(form(part("name=a", "1")), '"B"')))
            assert.same({}, (parse("--B--")))
        end)

        it("takes what is behind the final boundary for nothing", function()
            assert.same({ a = { "1" } }, (parse(form(part("name=a", "1")) .. "--B\r\nmore")))
        end)

        it("takes an empty filename for an argument", function()
            assert.same({ a = { "1" } }, (parse(form(part('name="a"; filename=""', "1")))))
        end)

        it("has a type for files that say none", function()
            local _, files = parse(form(part('name="a"; filename="b"', "")))
            assert.equal("application/unknown", files.a[1].content_type)
        end)

        it("keeps what is in filenames", function()
            for _, name in ipairs { "a;b.txt", 'a"b.txt', 'a";b.txt', 'a;"b.txt', 'a";";.txt',
                'a\\"b.txt', "a\\b.txt", "a b.txt", "a\tb.txt" } do
                local quoted = name:gsub('[\\"]', "\\%0")
                local _, files = parse(form(part('name="f"; filename="' .. quoted .. '"', "x")))
                assert.equal(name, files.f[1].filename)
            end
        end)

        it("prefers filename* (RFC 8187)", function()
            local _, files = parse(form(
                part([[name="f"; filename="e.txt"; filename*=UTF-8''%C3%A9.txt]], "x")))
            assert.equal("é.txt", files.f[1].filename)
        end)

        it("takes the folders off filenames", function()
            for given, kept in pairs { ["/etc/passwd"] = "passwd", ["../../x"] = "x",
                ["C:\\\\dir\\\\x.txt"] = "x.txt", ["\\\\\\\\host\\\\y"] = "y" } do
                local _, files = parse(form(part('name="f"; filename="' .. given .. '"', "")))
                assert.equal(kept, files.f[1].filename)
            end
            for _, given in ipairs {
                'filename=".."', 'filename="a/"', 'filename="."',
                "filename*=UTF-8''a%00b", "filename*=UTF-8''a%0d%0ab", "filename*=UTF-8''..%2f..",
            } do
                assert.matches("bad filename", reason(form(part("name=f; " .. given, ""))))
            end
        end)

        it("refuses what is malformed", function()
            local wrong = "wrong Content%-Disposition"
            local cases = {
                { "text\r\n" .. GOOD, "missing headers" },
                { "--B\r\n\r\nx\r\n--B--", "missing headers" },
                { GOOD:gsub("%-%-B%-%-", "--B"), "no final boundary" },
                { "", "no final boundary" },
                { form(part("name=a", "x")):gsub("form%-data", "file"), wrong },
                { "--B\r\nX: y\r\n\r\nx\r\n--B--", wrong },
                { form(part("x=y", "")), "missing name" },
                { form(part('name=""', "")), "missing name" },
                { form(part('name="a"; filename="a\rb"', "")), "bad part header" },
                { form(part('name="a\0"', "")), "bad part header" },
                { form(part('name="a\8"', "")), "bad part header" },
                { form(part('name="a\255"', "")), "not UTF%-8" },
                { (form(part("name=a", "x")):gsub("x\r\n", "x")), "no final boundary" },
                { form("--B\r\n: x\r\n\r\n\r\n"), "" },
                { form("--B\r\n folded\r\n\r\n\r\n"), "" },
            }
            for _, case in ipairs(cases) do assert.matches(case[2], reason(case[1])) end
            assert.matches("bad boundary", tostring(select(2, pcall(parse, GOOD, ""))))
        end)

        it("takes 99 parts and no more", function()
            assert.equal(99, #parse(form(part("name=a", "x"):rep(99))).a)
            assert.matches("too many parts", reason(form(part("name=a", "x"):rep(100))))
            local config = httputil.ParseMultipartConfig { max_parts = 101 }
            assert.equal(100, #parse(form(part("name=a", "x"):rep(100)), nil, config).a)
        end)

        it("takes part headers of 10 KiB", function()
            local head = #'Content-Disposition: form-data; name="a"\r\n'
            local function with(size)
                return form(part('name="a"', "x", "X: " .. ("y"):rep(size - head - 3) .. "\r\n"))
            end
            assert.same({ a = { "x" } }, (parse(with(10240))))
            assert.matches("part header too large", reason(with(10241)))
        end)

        it("may be turned off", function()
            finally(function() httputil.set_parse_body_config(httputil.ParseBodyConfig()) end)
            httputil.set_parse_body_config(httputil.ParseBodyConfig {
                multipart = httputil.ParseMultipartConfig { enabled = false } })
            assert.matches("disabled", reason(GOOD))
            assert.has_error(function() httputil.set_parse_body_config(1) end)
            assert.has_error(function() httputil.ParseMultipartConfig { parts = 1 } end)
        end)

        it("looks at each byte a few times, however many parts and near-boundaries", function()
            for _, unit in ipairs { "\r\n--B\r", "\r", "--B--", "\r\n--" } do
                local text = "--B\r\nX: y\r\n\r\n" .. unit:rep(50000) .. "\r\n--B--"
                local scan = core.multipart("B", 10, 10240)
                local at, event = 0
                repeat event, at = core.multipart_next(scan, text, at)
                until event == core.MULTIPART_DONE
                assert.truthy(core.multipart_looks(scan) < 3 * #text)
            end
            local config = httputil.ParseMultipartConfig { max_parts = 10001 }
            assert.equal(10000, #parse(form(part("name=a", "x"):rep(10000)), nil, config).a)
        end)
    end)

    describe("a request", function()
        it("has arguments and files", function()
            local seen = post(GOOD, function(self)
                local request = self.request
                return { self:get_argument("a"), self:get_arguments("a"),
                    self:get_body_arguments("a"), self:get_argument("q"),
                    self:get_body_argument("none", "d"), request.files.f[1].filename,
                    request.arguments.q[1], request.body_arguments.a[2] }
            end)
            assert.same({ "2", { "1", "2" }, { "1", "2" }, "0", "d", "x.txt", "0", "2" }, seen)
        end)

        it("has the boundary in quotes", function()
            local seen = post(GOOD, function(self) return self:get_argument("a") end,
                'multipart/form-data; charset=utf-8; boundary="B"')
            assert.equal("2", seen)
        end)

        it("has no files when the body is of another type", function()
            local seen = post(GOOD, function(self) return self.request.files end, "text/plain")
            assert.same({}, seen)
        end)

        it("is answered 400, with one line, when it is malformed", function()
            for _, case in ipairs {
                { "multipart/form-dataX; boundary=B", GOOD }, { "multipart/form-data", GOOD },
                { "multipart/form-data; boundary=", GOOD }, { FORM, "preamble\r\n" .. GOOD },
                { FORM, ("x"):rep(100) }, { FORM, form(part("nome=a", "x"):rep(50)) },
            } do
                local logged = testing.expect_log("warning", "400 POST .*multipart/form%-data")
                local _, response = post(case[2], function(self) return self:get_argument("a") end,
                    case[1])
                assert.equal(400, response.code)
                assert.equal("<html><title>400: Bad Request</title>" ..
                    "<body>400: Bad Request</body></html>", response.body)
                assert.equal(1, #logged.lines)
            end
        end)
    end)
end)

-- Streamed -----------------------------------------------------------------------------

-- Streams `body` to a handler in pieces of `size` bytes; returns what fn(self) returned.
local function stream(body, options, fn, size, attributes)
    local Handler = web.stream_request_body(web.RequestHandler:extend "Handler")
    local result
    for name, value in pairs(attributes or {}) do Handler[name] = value end
    function Handler:prepare() self.form = self:multipart(options) end
    function Handler:post() result = fn and fn(self) end
    local connection = testing.serve(web.Application { { "/", Handler } }):connect()
    connection:send(("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n")
        :format(FORM, #body))
    for at = 1, #body, size or #body do connection:send(body:sub(at, at + (size or #body) - 1)) end
    local response = connection:read_response()
    connection:close()
    return result, response
end

describe("tornado.httputil.MultipartStream", function()
    it("puts fields into memory and files into unlinked files", function()
        for _, size in ipairs { 1, 7, 1000 } do
            local seen = stream(GOOD, nil, function(self)
                local parts = self.form.parts
                return { #parts, parts[1].body, parts[2].body, parts[3].filename, parts[3].size,
                    parts[3].file:read("*a"), parts[3].content_type,
                    #self.request.files, #self.request.body }
            end, size)
            assert.same({ 3, "1", "2", "x.txt", 12, "\r\nbytes\0\r\n--", "text/plain", 0, 0 }, seen)
        end
    end)

    it("gives pieces to callbacks", function()
        local said = {}
        local function say(text) said[#said + 1] = text end
        stream(GOOD, {
            on_part = function(one) say("<" .. one.name) end,
            on_data = function(_, piece) say(piece) end,
            on_end = function(one) say(">" .. one.size) end,
        }, nil, 3)
        assert.equal("<a1>1<a2>1<f\r\nbytes\0\r\n-->12", table.concat(said))
    end)

    it("writes to a path, which an incomplete form does not leave behind", function()
        local path = os.tmpname()
        os.remove(path)
        finally(function() os.remove(path) end)
        local options = {
            on_part = function(one) return one.filename and { path = path } or "skip" end,
        }
        assert.equal(12, (stream(GOOD, options, function(self) return self.form.parts[3].size end)))
        local file = assert(io.open(path, "rb"))
        assert.equal("\r\nbytes\0\r\n--", file:read("*a"))
        file:close()
        os.remove(path)
        testing.expect_log("warning", "no final boundary")
        local _, response = stream(GOOD:sub(1, -6), options)
        assert.equal(400, response.code)
        assert.is_nil(io.open(path, "rb"))
    end)

    it("holds each part's limit", function()
        for _, case in ipairs {
            { { max_memory_size = 2 }, 'part "a" is larger than 2' },
            { { max_file_size = 9, on_part = function() return "file" end }, "larger than 9" },
            { { max_data_size = 9, on_data = function() end }, "larger than 9 bytes" },
            { { on_part = function(one) one.limit = 0 end }, "larger than 0 bytes" },
            { { max_parts = 2 }, "too many parts" },
            { { max_part_header_size = 30 }, "part header too large" },
        } do
            testing.expect_log("warning", case[2])
            local body = form(part("name=a", ("x"):rep(10)), part("name=b", ("x"):rep(10)))
            local _, response = stream(body, case[1])
            assert.equal(400, response.code)
        end
    end)

    it("digests each part, wherever it goes", function()
        for _, target in ipairs { "memory", "file", "skip" } do
            local seen = stream(GOOD, {
                digest = "sha256", on_part = function() return target end,
            }, function(self)
                return { self.form.parts[1].digest, self.form.parts[3].digest }
            end, 5)
            assert.same({ core.hex(core.digest("sha256", "1")),
                core.hex(core.digest("sha256", "\r\nbytes\0\r\n--")) }, seen)
        end
        assert.has_error(function() httputil.MultipartStream(FORM, { digest = "md5" }) end)
        testing.expect_log("warning", "no final boundary") -- and no digest is left
        assert.equal(400, select(2, stream(GOOD:sub(1, -30), { digest = "sha1" })).code)
    end)

    it("answers 507 when there is no room", function()
        local open = io.open
        finally(function() io.open = open end) -- luacheck: ignore 122
        io.open = function() return open("/dev/full", "wb") end -- luacheck: ignore 122
        for i = 1, 200 do -- compiled, too
            local size = i % 2 == 0 and 10 or 100000
            testing.expect_log("warning", "507 POST / .*cannot write an upload: No space left")
            local _, response = stream(form(part("name=a", ("x"):rep(size))), {
                digest = "sha1", on_part = function() return { path = "/nowhere" } end,
            })
            assert.equal(507, response.code)
        end
    end)

    it("is for streamed bodies of its type", function()
        testing.expect_log("error", "multipart%(%) is for streamed bodies")
        local _, response = post(GOOD, function(self) self:multipart() end)
        assert.equal(500, response.code)
        assert.has_error(function() httputil.MultipartStream(FORM, { on_file = 1 }) end)
        assert.has_error(function() httputil.MultipartStream(FORM, { on_data = 1 }) end)
        assert.has_error(function() httputil.MultipartStream("text/plain") end)
    end)
end)
