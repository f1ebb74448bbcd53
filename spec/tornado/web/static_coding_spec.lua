-- tornado.web.static: compressed forms of files, made as they are sent or lying beside them, and
-- transforms of the application's own.
local core = require "tornado.core"
local testing = require "tornado.testing"
local web = require "tornado.web"

local TEXT = ("a line of text that is worth compressing\n"):rep(100) -- 4,100 bytes

local folder

local function write(name, content)
    local file = assert(io.open(folder .. "/" .. name, "wb"))
    file:write(content)
    file:close()
end

local function noise(n)
    local bytes = {}
    for i = 1, n / 1000 do bytes[i] = core.random(1000) end
    return table.concat(bytes)
end

setup(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    write("page.txt", TEXT)
    write("least.txt", ("x"):rep(1024))
    write("short.txt", ("x"):rep(1023))
    write("photo.png", TEXT)
    write("noise.txt", noise(4000))
    write("middle.css", ("p { color: red }\n"):rep(20000)) -- 340,000 bytes, not in memory
    write("most.txt", ("y"):rep(2 ^ 20))
    write("large.txt", ("y"):rep(2 ^ 20 + 1))
    write("beside.txt", TEXT)
    write("beside.txt.gz", "GZIP")
end)

teardown(function() os.execute("rm -rf " .. folder) end)

local Long = web.StaticFileHandler:extend "Long"

function Long:set_extra_headers()
    self:set_header("X-Long", "1")
end

local function app(class, settings)
    local all = { static_path = folder, static_handler_class = class, compress_response = true }
    for name, value in pairs(settings or {}) do all[name] = value end
    return web.Application({}, all)
end

local function gunzip(bytes)
    local path = folder .. "/out.gz"
    local file = assert(io.open(path, "wb"))
    file:write(bytes)
    file:close()
    local pipe = assert(io.popen("gzip -dc " .. path))
    local text = pipe:read "*a"
    pipe:close()
    os.remove(path)
    return text
end

for name, class in pairs { ["in C"] = web.StaticFileHandler, ["the long way"] = Long } do
    describe("compressed static files, " .. name, function()
        local server

        local function fetch(path, accepted, headers, method)
            server = server or testing.serve(app(class))
            headers = headers or {}
            headers["Accept-Encoding"] = accepted
            return server:fetch("/static/" .. path, { headers = headers, method = method })
        end

        local function coding(path, accepted, headers)
            return fetch(path, accepted, headers).headers:get("Content-Encoding")
        end

        before_each(function() server = nil end)

        it("are made as they are sent", function()
            local plain = fetch("page.txt", nil)
            assert.equal(TEXT, plain.body)
            assert.equal("Accept-Encoding", plain.headers:get("Vary"))
            for _ = 1, 2 do -- the second time from memory
                local response = fetch("page.txt", "gzip")
                assert.equal(200, response.code)
                assert.equal("gzip", response.headers:get("Content-Encoding"))
                assert.equal("W/" .. plain.headers:get("Etag"), response.headers:get("Etag"))
                assert.equal(tostring(#response.body), response.headers:get("Content-Length"))
                assert.truthy(#response.body < 400)
                assert.equal(TEXT, gunzip(response.body))
                assert.equal("text/plain", response.headers:get("Content-Type"))
                assert.equal("Accept-Encoding", response.headers:get("Vary"))
            end
            local middle = fetch("middle.css", "gzip")
            assert.equal(("p { color: red }\n"):rep(20000), gunzip(middle.body))
        end)

        it("are chosen by the client's weights", function()
            local cases = {
                { "br", "br" }, { "gzip, br", "br" }, { "gzip, br;q=0.5", "gzip" }, { "*", "br" },
                { "gzip;q=0" }, { "gzip;q=0.5, identity" }, { "deflate" }, { "", nil },
                { "br;q=0, *", "gzip" }, { "gzip;q=9" }, { "X-GZip", "gzip" },
            }
            for _, case in ipairs(cases) do
                assert.equal(case[2], coding("page.txt", case[1]), case[1])
            end
        end)

        it("are chosen by all fields together", function()
            assert.equal("gzip", coding("page.txt", { "deflate", "gzip" }))
            assert.equal("gzip", coding("page.txt", { "gzip;q=0.5", "br;q=0.4" }))
            assert.equal("br", coding("page.txt", { "gzip;q=0.5", "*" }))
            assert.is_nil(coding("page.txt", { "gzip;q=0", "deflate" }))
        end)

        it("are only of what is worth it", function()
            assert.equal("gzip", coding("least.txt", "gzip"))
            assert.is_nil(coding("short.txt", "gzip"))
            assert.is_nil(coding("photo.png", "gzip"))
            assert.equal("gzip", coding("most.txt", "gzip"))
            assert.is_nil(coding("large.txt", "gzip"))
            for _ = 1, 2 do
                local response = fetch("noise.txt", "gzip")
                assert.is_nil(response.headers:get("Content-Encoding"))
                assert.equal(4000, #response.body)
            end
        end)

        it("are not sent in parts", function()
            local response = fetch("page.txt", "gzip", { Range = "bytes=2-5" })
            assert.equal(206, response.code)
            assert.equal("line", response.body)
            assert.is_nil(response.headers:get("Content-Encoding"))
            assert.matches('^"', response.headers:get("Etag"))
        end)

        it("answer conditions and HEAD", function()
            local tag = fetch("page.txt", "gzip").headers:get("Etag")
            for _, given in ipairs { tag, tag:sub(3), "*" } do
                local response = fetch("page.txt", "gzip", { ["If-None-Match"] = given })
                assert.equal(304, response.code)
                assert.equal(tag, response.headers:get("Etag"))
                assert.is_nil(response.headers:get("Content-Encoding"))
            end
            local head = fetch("page.txt", "gzip", nil, "HEAD")
            assert.equal("gzip", head.headers:get("Content-Encoding"))
            assert.equal(tostring(#fetch("page.txt", "gzip").body),
                head.headers:get("Content-Length"))
            assert.equal("", head.body)
        end)

        it("come from a file that lies there already", function()
            local response = fetch("beside.txt", "gzip")
            assert.equal("GZIP", response.body)
            assert.equal("gzip", response.headers:get("Content-Encoding"))
            assert.matches('^"', response.headers:get("Etag"))
            response = fetch("beside.txt", "gzip", { Range = "bytes=1-2" })
            assert.equal("ZI", response.body)
            assert.equal("bytes 1-2/4", response.headers:get("Content-Range"))
            assert.equal("br", coding("beside.txt", "br"))
        end)

        it("are not kept beyond static_coded_size", function()
            core.set_option("static_coded_size", 0)
            for _ = 1, 3 do assert.equal(TEXT, gunzip(fetch("page.txt", "gzip").body)) end
            core.set_option("static_coded_size", 8388608)
        end)

        it("need compress_response", function()
            server = testing.serve(app(class, { compress_response = false }))
            local response = fetch("page.txt", "gzip")
            assert.is_nil(response.headers:get("Content-Encoding"))
            assert.is_nil(response.headers:get("Vary"))
            assert.equal("gzip", coding("beside.txt", "gzip"))
        end)

        it("are several ranges as well", function()
            local response = fetch("page.txt", nil, { Range = "bytes=0-0,2-5" })
            assert.equal(206, response.code)
            assert.matches("^multipart/byteranges; boundary=", response.headers:get("Content-Type"))
            local boundary = response.headers:get("Content-Type"):match("boundary=(.*)")
            assert.equal(("--%s\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-0/4100" ..
                "\r\n\r\na\r\n--%s\r\nContent-Type: text/plain\r\n" ..
                "Content-Range: bytes 2-5/4100\r\n\r\nline\r\n--%s--\r\n"):format(boundary,
                boundary, boundary), response.body)
        end)

        it("leave what the handler decides", function()
            local Own = class:extend "Own"
            function Own:set_default_headers()
                self:set_header("Vary", "Cookie")
                self:set_header("Cache-Control", "no-transform")
            end
            server = testing.serve(app(Own))
            local response = fetch("page.txt", "gzip")
            assert.is_nil(response.headers:get("Content-Encoding"))
            assert.same({ "Cookie", "Accept-Encoding" }, response.headers:get_list("Vary"))
        end)
    end)
end

describe("transforms of static files", function()
    local Shout = web.OutputTransform:extend "Shout"

    function Shout:transform_first_chunk(status, headers, chunk)
        headers:set("X-Shout", "1")
        return status, headers, chunk:upper()
    end

    function Shout:transform_chunk(chunk)
        return chunk:upper()
    end

    it("see their content", function()
        local server = testing.serve(app(nil, { transforms = { Shout } }))
        local response = server:fetch "/static/page.txt"
        assert.equal(TEXT:upper(), response.body)
        assert.equal("1", response.headers:get("X-Shout"))
        response = server:fetch "/static/large.txt"
        assert.equal(("Y"):rep(2 ^ 20 + 1), response.body)
        response = server:fetch("/static/page.txt", { headers = { Range = "bytes=2-5" } })
        assert.equal("LINE", response.body)
    end)

    it("may be compress_response's with other levels", function()
        local Fast = require("tornado.web.compress"):extend "Fast"
        Fast.GZIP_LEVEL = 1
        local server = testing.serve(app(nil, { transforms = { Fast } }))
        local response = server:fetch("/static/page.txt",
            { headers = { ["Accept-Encoding"] = "gzip" } })
        assert.equal("gzip", response.headers:get("Content-Encoding"))
        assert.equal(TEXT, gunzip(response.body))
    end)

    it("are not asked where a class has its own Etag", function()
        local Own = web.StaticFileHandler:extend "Own"
        function Own:compute_etag() return '"own"' end -- luacheck: ignore 212/self
        local server = testing.serve(app(Own))
        local response = server:fetch("/static/large.txt",
            { headers = { ["Accept-Encoding"] = "gzip" } })
        assert.equal('"own"', response.headers:get("Etag"))
        assert.is_nil(response.headers:get("Content-Encoding"))
        assert.equal(2 ^ 20 + 1, #response.body)
    end)
end)
