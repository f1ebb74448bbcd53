-- tornado.web.static: PARITY §1.10 and the checks 59 to 64 of §29; SECURITY §8, static files.
local core = require "tornado.core"
local gen = require "tornado.gen"
local testing = require "tornado.testing"
local web = require "tornado.web"

local ROBOTS = "User-agent: *\nDisallow: /\n" -- 26 bytes
local ROBOTS_TAG = '"63a36e950e134b5217e33c763e88840c10a07d80e6057d92b9ac97508de7fb1fa6f0e9' ..
    'b7531e169657165ea764e8963399cb6d921ffe6078425aaafe54c04563"'

local folder

local function sh(command)
    assert(os.execute("cd '" .. folder .. "' && " .. command .. " 2> /dev/null"))
end

local function write(name, content)
    local file = assert(io.open(folder .. "/" .. name, "wb"))
    file:write(content)
    file:close()
end

local function read(name)
    local file = assert(io.open(folder .. "/" .. name, "rb"))
    local content = file:read("*a")
    file:close()
    return content
end

setup(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir -p " .. folder .. "/static/dir/sub " .. folder .. "/static/.git"))
    write("static/robots.txt", ROBOTS)
    sh "touch -d '2013-01-27 18:43:20.5 UTC' static/robots.txt"
    write("static/dir/index.html", "<p>index</p>")
    write("static/.git/config", "secret")
    write("static_foo.txt", "sibling")
    write("secret.txt", "secret")
    write("static/empty.css", "")
    write("static/big.bin", ("0123456789abcdef"):rep(65536 * 8))
    write("static/page.html", ("<p>page</p>"):rep(100))
    write("static/page.html.gz", "GZIP")
    write("static/page.html.br", "BROTLI")
    write("static/old.css", "new")
    write("static/old.css.gz", "old")
    write("static/x.gz", "z")
    write("static/x.tar.bz2", "b")
    write("static/a b.txt", "space")
    sh "touch -d 2001-01-01 static/old.css.gz"
    sh "ln -s ../secret.txt static/out.txt; ln -s robots.txt static/in.txt"
    sh "ln -s /etc/passwd static/absolute.txt; mkfifo static/fifo.txt"
end)

teardown(function() os.execute("rm -rf " .. folder) end)

local function app(settings, handlers)
    local all = { static_path = folder .. "/static" }
    for name, value in pairs(settings or {}) do all[name] = value end
    return web.Application(handlers or {}, all)
end

-- A handler that decides as StaticFileHandler does, but the long way.
local Long = web.StaticFileHandler:extend "Long"

function Long:set_extra_headers(path)
    self:set_header("X-Path", path)
end

for name, class in pairs { ["in C"] = web.StaticFileHandler, ["the long way"] = Long } do
    describe("StaticFileHandler, " .. name, function()
        local server

        local function fetch(path, headers, method)
            server = server or testing.serve(app { static_handler_class = class })
            return server:fetch(path, { headers = headers, method = method })
        end

        before_each(function() server = nil end)

        it("sends a file with its headers (check 59)", function()
            local response = fetch "/static/robots.txt"
            assert.equal(200, response.code)
            assert.equal(ROBOTS, response.body)
            local headers = response.headers
            assert.equal("text/plain", headers:get("Content-Type"))
            assert.equal("bytes", headers:get("Accept-Ranges"))
            assert.equal(ROBOTS_TAG, headers:get("Etag"))
            assert.equal("Sun, 27 Jan 2013 18:43:20 GMT", headers:get("Last-Modified"))
            assert.equal("26", headers:get("Content-Length"))
            assert.is_nil(headers:get("Cache-Control"))
            assert.is_nil(headers:get("Expires"))
            assert.equal(class == Long and "robots.txt" or nil, headers:get("X-Path"))
        end)

        it("lets versions be kept for ten years (check 59)", function()
            local headers = fetch("/static/robots.txt?v=x").headers
            assert.equal("max-age=315360000", headers:get("Cache-Control"))
            assert.matches("GMT$", headers:get("Expires"))
        end)

        it("sends ranges (check 60)", function()
            local cases = {
                { "bytes=0-9", 206, "0-9" }, { "bytes=0-", 200 }, { "bytes=-4", 206, "22-25" },
                { "bytes=-999", 200 }, { "bytes=-0", 416 }, { "bytes=26", 416 },
                { "bytes=26-", 416 }, { "bytes=10-3", 416 }, { "bytes=1-99999", 206, "1-25" },
                { "bytes=1-5,7-9", 200 }, { "bytes=a-b", 200 }, { "items=0-1", 200 },
                { "bytes=+1-2", 200 }, { "bytes=1_0-12", 200 }, { "bytes = 3 - 4", 206, "3-4" },
                { "bytes=", 200 }, { "bytes=-", 200 }, { "0-9", 200 }, { "bytes=7", 206, "7-25" },
                { "bytes=99999999999999999999-", 416 },
                { "bytes=3-99999999999999999999", 206, "3-25" },
            }
            for _, case in ipairs(cases) do
                local response = fetch("/static/robots.txt", { Range = case[1] })
                assert.equal(case[2], response.code, case[1])
                local range = response.headers:get("Content-Range")
                if case[2] == 200 then
                    assert.is_nil(range)
                    assert.equal(ROBOTS, response.body)
                elseif case[2] == 416 then
                    assert.equal("bytes */26", range)
                    assert.equal("", response.body)
                    assert.equal("text/plain", response.headers:get("Content-Type"))
                    assert.equal(ROBOTS_TAG, response.headers:get("Etag"))
                else
                    assert.equal("bytes " .. case[3] .. "/26", range, case[1])
                    local a, b = case[3]:match("(%d+)-(%d+)")
                    assert.equal(ROBOTS:sub(a + 1, b + 1), response.body)
                end
            end
        end)

        it("answers HEAD as GET, without the body", function()
            for _, range in ipairs { "bytes=0-9", "bytes=0-", "bytes=50-" } do
                local get = fetch("/static/robots.txt", { Range = range })
                local head = fetch("/static/robots.txt", { Range = range }, "HEAD")
                local strip = "Date: [^\r]*\r\n"
                assert.equal((get.head:gsub(strip, "")), (head.head:gsub(strip, "")))
                assert.equal("", head.body)
            end
        end)

        it("ignores several Range fields", function()
            local two = fetch("/static/robots.txt", { Range = { "bytes=0-1", "bytes=3-4" } })
            assert.equal(200, two.code)
            assert.equal(ROBOTS, two.body)
        end)

        it("answers conditions, before ranges (check 61)", function()
            local date = "Sun, 27 Jan 2013 18:43:20 GMT"
            local cases = {
                { { ["If-Modified-Since"] = date }, 304 },
                { { ["If-Modified-Since"] = "Sunday, 27-Jan-13 18:43:20 GMT" }, 304 },
                { { ["If-Modified-Since"] = "Sun Jan 27 18:43:20 2013" }, 304 },
                { { ["If-Modified-Since"] = "Sun, 27 Jan 2013 19:43:20 +0100" }, 304 },
                { { ["If-Modified-Since"] = "Sun, 27 Jan 2013 18:43:20 +0100" }, 200 },
                { { ["If-Modified-Since"] = "Sun, 27 Jan 2013 18:43:19 GMT" }, 200 },
                { { ["If-Modified-Since"] = "junk" }, 200 },
                { { ["If-None-Match"] = '"x"', ["If-Modified-Since"] = date }, 200 },
                { { ["If-None-Match"] = ROBOTS_TAG, Range = "bytes=0-9" }, 304 },
                { { ["If-None-Match"] = '"a", W/' .. ROBOTS_TAG }, 304 },
                { { ["If-None-Match"] = "*" }, 304 },
                { { ["If-None-Match"] = '"x",*' }, 200 },
                { { ["If-Range"] = ROBOTS_TAG, Range = "bytes=0-9" }, 206 },
                { { ["If-Range"] = '"x"', Range = "bytes=0-9" }, 200 },
                { { ["If-Range"] = "W/" .. ROBOTS_TAG, Range = "bytes=0-9" }, 200 },
                { { ["If-Range"] = date, Range = "bytes=0-9" }, 206 },
                { { ["If-Range"] = "Sun, 27 Jan 2013 18:43:21 GMT", Range = "bytes=0-9" }, 200 },
            }
            for i, case in ipairs(cases) do
                local response = fetch("/static/robots.txt", case[1])
                assert.equal(case[2], response.code, "case " .. i)
                if case[2] == 304 then
                    assert.equal("", response.body)
                    assert.is_nil(response.headers:get("Content-Type"))
                    assert.is_nil(response.headers:get("Content-Length"))
                    assert.equal(ROBOTS_TAG, response.headers:get("Etag"))
                end
            end
        end)

        it("sends no other file than the client wants (If-Match, If-Unmodified-Since)", function()
            local date = "Sun, 27 Jan 2013 18:43:20 GMT"
            local cases = {
                { { ["If-Match"] = ROBOTS_TAG, Range = "bytes=0-9" }, 206 },
                { { ["If-Match"] = '"x", ' .. ROBOTS_TAG }, 200 }, { { ["If-Match"] = "*" }, 200 },
                { { ["If-Match"] = '"x"', Range = "bytes=0-9" }, 412 },
                { { ["If-Match"] = "W/" .. ROBOTS_TAG }, 412 }, { { ["If-Match"] = "" }, 412 },
                { { ["If-Match"] = '"x"', ["If-None-Match"] = ROBOTS_TAG }, 412 },
                { { ["If-Match"] = ROBOTS_TAG, ["If-None-Match"] = ROBOTS_TAG }, 304 },
                { { ["If-Unmodified-Since"] = date, Range = "bytes=0-9" }, 206 },
                { { ["If-Unmodified-Since"] = "Sun, 27 Jan 2013 18:43:19 GMT" }, 412 },
                { { ["If-Unmodified-Since"] = "junk" }, 200 },
                { { ["If-Unmodified-Since"] = "Sun, 27 Jan 2013 18:43:19 GMT",
                    ["If-Match"] = "*" }, 200 },
            }
            for i, case in ipairs(cases) do
                local response = fetch("/static/robots.txt", case[1])
                assert.equal(case[2], response.code, "case " .. i)
                if case[2] == 412 then
                    assert.is_nil(response.headers:get("Content-Range"))
                    assert.matches("412: Precondition Failed", response.body)
                end
            end
            assert.equal(404, fetch("/static/none.txt", { ["If-Match"] = '"x"' }).code)
        end)

        it("keeps to its folder (check 62)", function()
            testing.expect_log("403 GET")
            testing.expect_log("Invalid unicode")
            local cases = {
                { "/static/../secret.txt", 403 }, { "/static/%2e%2e/secret.txt", 403 },
                { "/static/..%2fsecret.txt", 403 }, { "/static//etc/passwd", 403 },
                { "/static/../static_foo.txt", 403 }, { "/static/robots.txt%00", 404 },
                { "/static/%ff", 400 }, { "/static/dir", 403 }, { "/static/dir/", 403 },
                { "/static/", 403 }, { "/static/dir/../robots.txt", 200 },
                { "/static/robots.txt/", 200 }, { "/static/none.txt", 404 },
                { "/static/robots.txt/x", 404 }, { "/static/out.txt", 403 },
                { "/static/absolute.txt", 403 }, { "/static/in.txt", 200 },
                { "/static/.git/config", 403 }, { "/static/dir/%5c..%5csecret.txt", 403 },
                { "/static/fifo.txt", 403 }, { "/static/a%20b.txt", 200 },
                { "/static/" .. ("x"):rep(3000), 404 },
            }
            for _, case in ipairs(cases) do
                assert.equal(case[2], fetch(case[1]).code, case[1])
            end
            assert.equal(405, fetch("/static/robots.txt", nil, "DELETE").code)
            assert.equal("GET, HEAD",
                fetch("/static/robots.txt", nil, "DELETE").headers:get("Allow"))
        end)

        it("knows the types of files (check 64)", function()
            local types = {
                ["x.gz"] = "application/gzip", ["x.tar.bz2"] = "application/octet-stream",
                ["empty.css"] = "text/css", ["big.bin"] = "application/octet-stream",
                ["page.html"] = "text/html",
            }
            for file, expected in pairs(types) do
                local response = fetch("/static/" .. file, nil, "HEAD")
                assert.equal(200, response.code)
                assert.equal(expected, response.headers:get("Content-Type"))
                assert.is_nil(response.headers:get("Content-Encoding"))
            end
        end)

        it("sends large files, whole and in part, and pipelined", function()
            local big = read "static/big.bin"
            assert.truthy(fetch("/static/big.bin").body == big)
            local part = fetch("/static/big.bin", { Range = "bytes=1000000-5000000" })
            assert.equal(206, part.code)
            assert.truthy(part.body == big:sub(1000001, 5000001))
            local connection = server:connect()
            local request = "GET /static/%s HTTP/1.1\r\nHost: a\r\n\r\n"
            connection:send(request:format("robots.txt") .. request:format("big.bin") ..
                request:format("robots.txt") .. request:format("big.bin") ..
                request:format("none"))
            assert.equal(ROBOTS, connection:read_response().body)
            assert.truthy(connection:read_response().body == big)
            assert.equal(ROBOTS, connection:read_response().body)
            assert.truthy(connection:read_response().body == big)
            assert.equal(404, connection:read_response().code)
        end)

        it("closes behind a large file when it was asked to", function()
            local big = read "static/big.bin"
            fetch "/robots.txt"
            local connection = server:connect()
            connection:send "GET /static/big.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            local all, how = connection:read_until_close()
            assert.equal("eof", how)
            assert.truthy(all:sub(-#big) == big)
        end)

        it("redirects folders to their default file", function()
            testing.expect_log("two initial slashes")
            server = testing.serve(web.Application {
                { "/root/(.*)", class, { path = folder .. "/static",
                    default_filename = "index.html" } },
                { "/(.*)", class, { path = folder .. "/static", default_filename = "index.html" } },
            })
            local response = fetch "/root/dir"
            assert.equal(301, response.code)
            assert.equal("/root/dir/", response.headers:get("Location"))
            assert.equal("<p>index</p>", fetch("/root/dir/").body)
            assert.equal(404, fetch("/root/dir/sub/").code)
            -- Check 63.
            assert.equal(403, fetch("//evil.com/.." .. folder .. "/static/dir").code)
        end)

        it("is no part of an application without static_path", function()
            assert.equal(404, testing.serve(web.Application({})):fetch("/static/robots.txt").code)
        end)

        it("sees that a file has changed", function()
            server = testing.serve(app { static_handler_class = class,
                static_hash_cache = false })
            write("static/changing.txt", "one")
            assert.equal("one", fetch("/static/changing.txt").body)
            write("static/changing.txt", "three")
            assert.equal("three", fetch("/static/changing.txt").body)
        end)
    end)
end

describe("StaticFileHandler", function()
    it("sends several ranges in parts, when that is shorter", function()
        local server = testing.serve(app())
        local response = server:fetch("/static/big.bin", {
            headers = { Range = "bytes=1-3, 100000-100002,-2, 99999999-" } })
        assert.equal(206, response.code)
        local boundary = response.headers:get("Content-Type"):match(
            "^multipart/byteranges; boundary=(%x+)$")
        local size = #read "static/big.bin"
        local function part(range, content)
            return ("--%s\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes " ..
                "%s/%d\r\n\r\n%s\r\n"):format(boundary, range, size, content)
        end
        assert.equal(part("1-3", "123") .. part("100000-100002", "012") ..
            part(("%d-%d"):format(size - 2, size - 1), "ef") .. "--" .. boundary .. "--\r\n",
            response.body)
        local parts = "bytes=" .. ("1-2,"):rep(17) .. "1-2"
        assert.equal(200, server:fetch("/static/big.bin", { method = "HEAD",
            headers = { Range = parts } }).code)
    end)

    it("sends compressed siblings to who accepts them", function()
        local server = testing.serve(app())
        local function get(accepted, file)
            return server:fetch("/static/" .. (file or "page.html"),
                { headers = { ["Accept-Encoding"] = accepted } })
        end
        local cases = {
            { "gzip", "GZIP", "gzip" }, { "br", "BROTLI", "br" }, { "gzip, br", "BROTLI", "br" },
            { "gzip;q=1, br;q=0.5", "GZIP", "gzip" }, { "*", "BROTLI", "br" },
            { "br;q=0, *;q=0.1", "GZIP", "gzip" }, { "gzip;q=0" }, { "identity" }, { "" },
        }
        local whole = read "static/page.html"
        for _, case in ipairs(cases) do
            local response = get(case[1])
            assert.equal(case[2] or whole, response.body, case[1])
            assert.equal(case[3], response.headers:get("Content-Encoding"))
            assert.equal("Accept-Encoding", response.headers:get("Vary"))
            assert.equal("text/html", response.headers:get("Content-Type"))
        end
        local response = get("gzip", "old.css")
        assert.equal("new", response.body)
        assert.is_nil(response.headers:get("Vary"))
    end)

    it("cuts the connection when a file shrinks on the way", function()
        write("static/shrinking.bin", ("x"):rep(64 * 2 ^ 20))
        local server = testing.serve(app())
        local connection = server:connect()
        connection:send "GET /static/shrinking.bin HTTP/1.1\r\nHost: a\r\n\r\n"
        assert.truthy(connection:read_some())
        write("static/shrinking.bin", "short")
        local _, how = connection:read_until_close()
        assert.equal("reset", how)
    end)

    it("waits for a client that does not read", function()
        local server = testing.serve(app())
        local connection = server:connect()
        local request = "GET /static/big.bin HTTP/1.1\r\nHost: a\r\n\r\n"
        connection:send(request:rep(8))
        testing.wait_until(function() return core.counts().unsent > 0 end)
        for _ = 1, 8 do assert.equal(8 * 2 ^ 20, #connection:read_response().body) end
        connection:send(request:rep(8))
        testing.wait_until(function() return core.counts().unsent > 0 end)
        connection:close(true)
    end)

    it("serves robots.txt and favicon.ico before other routes", function()
        local server = testing.serve(app({}, {
            { "/robots.txt", web.ErrorHandler, { status_code = 418 } } }))
        assert.equal(ROBOTS, server:fetch("/robots.txt").body)
        assert.equal(404, server:fetch("/favicon.ico").code)
    end)

    it("has the settings of Tornado", function()
        local args = { default_filename = "index.html" }
        local server = testing.serve(app { static_url_prefix = "/s.x/",
            static_handler_args = args })
        assert.equal("<p>index</p>", server:fetch("/s.x/dir/").body)
        assert.equal(404, server:fetch("/sxx/dir/").code)
        assert.same({ default_filename = "index.html" }, args)
    end)

    it("makes URLs with versions", function()
        testing.expect_log("error", "Could not open static file")
        local urls = {}
        local Page = web.RequestHandler:extend "Page"
        function Page:get()
            urls = {
                self:static_url("robots.txt"),
                self:static_url("robots.txt", { include_version = false }),
                self:static_url("none.txt"),
                self:static_url("robots.txt", { include_host = true }),
            }
            self.include_host = true
            urls[5] = self:static_url("none", { include_version = false })
            urls[6] = self:static_url("none", false, { include_version = false })
            self.include_host = nil
            urls[7] = self:static_url("none", true, { include_version = false })
        end
        local server = testing.serve(app({}, { { "/", Page } }))
        assert.equal(200, server:fetch("/").code)
        local version = "?v=" .. ROBOTS_TAG:sub(2, -2)
        local host = "http://" .. server.address
        assert.same({ "/static/robots.txt" .. version, "/static/robots.txt", "/static/none.txt",
            host .. "/static/robots.txt" .. version, host .. "/static/none",
            "/static/none", host .. "/static/none" }, urls)
    end)

    it("can be overridden where Tornado's can", function()
        local Own = web.StaticFileHandler:extend "Own"
        function Own:validate_absolute_path(_, path) return path end
        function Own:get_absolute_path(_, path) return "/memory/" .. path end
        function Own:get_content(path, first, last)
            local n = 0
            local text = ("content of " .. path):sub(first + 1, last)
            return function()
                n = n + 1
                return n <= #text and text:sub(n, n) or nil
            end
        end
        function Own:get_content_size() return #("content of " .. self.absolute_path) end
        function Own:get_content_version() return "42" end
        function Own:get_modified_time() return 0 end
        function Own:get_content_type() return "text/x-own" end
        function Own:get_cache_time(_, modified, mime)
            return mime == "text/x-own" and modified == 0 and 60 or 0
        end
        local server = testing.serve(app { static_handler_class = Own })
        local response = server:fetch "/static/x"
        assert.equal("content of /memory/x", response.body)
        assert.equal('"42"', response.headers:get("Etag"))
        assert.equal("max-age=60", response.headers:get("Cache-Control"))
        assert.equal("Thu, 01 Jan 1970 00:00:00 GMT", response.headers:get("Last-Modified"))
        assert.equal("text/x-own", response.headers:get("Content-Type"))
        response = server:fetch("/static/x", { headers = { Range = "bytes=0-6" } })
        assert.equal("content", response.body)
        assert.equal(304, server:fetch("/static/x", {
            headers = { ["If-None-Match"] = '"42"' } }).code)
        Own.reset()
    end)

    it("goes with filters, default headers and other settings", function()
        local Own = web.StaticFileHandler:extend "Own"
        function Own:set_default_headers()
            self:set_header("X-Own", "1")
            self:set_header("Connection", "close")
            self:clear_header("Server")
        end
        local server = testing.serve(app { static_handler_class = Own, security_headers = true })
        local response = server:fetch "/static/robots.txt"
        assert.equal("1", response.headers:get("X-Own"))
        assert.equal("close", response.headers:get("Connection"))
        assert.is_nil(response.headers:get("Server"))
        assert.equal("nosniff", response.headers:get("X-Content-Type-Options"))
        server = testing.serve(app { after = { function(handler)
            handler:set_header("X-After", "1")
        end } })
        response = server:fetch "/static/robots.txt"
        assert.equal("1", response.headers:get("X-After"))
        assert.equal(ROBOTS, response.body)
    end)

    it("keeps no more files than it may", function()
        sh "mkdir many; for i in $(seq 600); do head -c 40000 /dev/zero > many/$i; done"
        local server = testing.serve(web.Application {
            { "/(.*)", web.StaticFileHandler, { path = folder .. "/many" } } })
        testing.set_timeout(300)
        local futures = {}
        for first = 1, 10 do -- each file is opened by a thread
            futures[first] = gen.spawn(function()
                local connection = server:connect()
                for i = first, 600, 10 do
                    connection:send("GET /" .. i .. " HTTP/1.1\r\nHost: a\r\n\r\n")
                    assert.equal(40000, #connection:read_response().body)
                end
            end)
        end
        for _, future in ipairs(futures) do gen.await(future) end
        assert.truthy(core.counts().files <= 512)
    end)
end)
