-- Tornado's demo file_upload: forms and raw bodies, what is kept, and what is refused.
local core = require "tornado.core"
local sites = require "tornado.sites"
local testing = require "tornado.testing"

local BOUNDARY = "XyZ"
local BIG = ("0123456789abcdef"):rep(40000)

local function sha256(text)
    return core.hex(core.digest("sha256", text))
end

local function part(disposition, content, content_type)
    return ("--%s\r\nContent-Disposition: form-data; %s\r\n%s\r\n%s\r\n"):format(BOUNDARY,
        disposition, content_type and "Content-Type: " .. content_type .. "\r\n" or "", content)
end

local FORM = part('name="note"', "hello") ..
    part('name="file"; filename="a&b.txt"', "text", "text/plain") ..
    part('name="file"; filename="../big.bin"', BIG) .. "--" .. BOUNDARY .. "--\r\n"

local function post(server, body, more)
    local headers = { ["Content-Type"] = "multipart/form-data; boundary=" .. BOUNDARY }
    for name, value in pairs(more or {}) do headers[name] = value end
    return server:fetch("/upload", { body = body, headers = headers })
end

local function new_folder()
    local pipe = assert(io.popen("mktemp -d"))
    local path = pipe:read("*l")
    pipe:close()
    finally(function() os.execute("rm -r " .. path) end)
    return path
end

local function file(path)
    local handle = assert(io.open(path, "rb"))
    local text = handle:read("*a")
    handle:close()
    return text
end

describe("sites/file_upload", function()
    local app = assert(sites.load("sites/file_upload"))

    before_each(function() app.settings.upload_folder = nil end)

    it("lists each part of a form as JSON", function()
        local reply = post(testing.serve(app), FORM)
        assert.equal(200, reply.code)
        assert.same({ total = 640009, parts = {
            { name = "note", size = 5, content_type = "application/unknown",
                sha256 = sha256 "hello" },
            { name = "file", filename = "a&b.txt", size = 4, content_type = "text/plain",
                sha256 = sha256 "text" },
            { name = "file", filename = "big.bin", size = #BIG,
                content_type = "application/unknown", sha256 = sha256(BIG) },
        } }, reply:json())
        assert.same({ parts = {}, total = 0 },
            post(testing.serve(app), "--" .. BOUNDARY .. "--\r\n"):json())
    end)

    it("shows a page to a browser", function()
        local server = testing.serve(app)
        local page = post(server, FORM, { Accept = "text/html,*/*;q=0.8" })
        assert.equal("text/html; charset=UTF-8", page.headers:get("Content-Type"))
        assert.truthy(page.body:find("<td>a&amp;b.txt</td><td>text/plain</td><td>4 bytes</td>" ..
            "<td><code>" .. sha256 "text", 1, true))
        assert.truthy(page.body:find("<td>625 KiB</td>", 1, true))
        assert.falsy(page.body:find("{{", 1, true))
        assert.truthy(server:fetch("/").body:find('enctype="multipart/form-data" ' ..
            'data-max="2147483648"', 1, true))
    end)

    it("needs nothing from elsewhere", function()
        local server = testing.serve(app)
        for _, path in ipairs { "/", "/upload.css", "/upload.js", "/upload.svg" } do
            local reply = server:fetch(path)
            assert.equal(200, reply.code)
            assert.equal(200, server:fetch(path, { method = "HEAD" }).code)
            assert.falsy(reply.body:gsub("http://HOST", ""):gsub("http://www.w3.org/2000/svg", "")
                :find("https?://"))
            assert.falsy(reply.headers:get("Content-Security-Policy"):find("unsafe", 1, true))
        end
    end)

    it("streams a raw body", function()
        local server = testing.serve(app)
        local reply = server:fetch("/files/big.bin", { method = "PUT", body = BIG })
        assert.equal(201, reply.code)
        assert.same({ total = #BIG, parts = { {
            name = "big.bin", size = #BIG, sha256 = sha256(BIG),
            content_type = "application/octet-stream",
        } } }, reply:json())
        reply = server:fetch("/files/empty", { method = "PUT", body = "" })
        assert.equal(sha256 "", reply:json().parts[1].sha256)
    end)

    it("keeps files in a folder when it is told to", function()
        local folder = new_folder()
        app.settings.upload_folder = folder
        local server = testing.serve(app)
        local parts = post(server, FORM):json().parts
        assert.equal(BIG, file(folder .. "/" .. parts[3].stored))
        assert.equal(3, #core.folder(folder))
        for _, text in ipairs { "one", "two" } do
            server:fetch("/files/a.txt", { method = "PUT", body = text })
            assert.equal(text, file(folder .. "/a.txt"))
        end
        assert.equal(4, #core.folder(folder))
    end)

    it("leaves nothing of an upload that breaks off", function()
        local folder = new_folder()
        app.settings.upload_folder = folder
        local server = testing.serve(app)
        for _, head in ipairs { "PUT /files/a", "POST /upload" } do
            local connection = server:connect()
            connection:send(head .. " HTTP/1.1\r\nHost: a\r\nContent-Length: 999999\r\n" ..
                "Content-Type: multipart/form-data; boundary=XyZ\r\n\r\n" .. FORM:sub(1, 1000))
            testing.wait_until(function() return core.folder(folder)[1] end)
            connection:close()
            testing.wait_until(function() return not core.folder(folder)[1] end)
        end
        testing.expect_log("warning", "400 POST /upload .*no final boundary")
        assert.equal(400, post(server, FORM:sub(1, -10)).code)
        assert.equal(0, #core.folder(folder))
    end)

    it("refuses names that are paths, or hidden", function()
        local server = testing.serve(app)
        for _, name in ipairs { "..", ".hidden", "a%2Fb", "a%00", "-rf", ("x"):rep(101), "a b" } do
            testing.expect_log("warning", "400 PUT .*bad name")
            local path = "/files/" .. name:gsub(" ", "%%20")
            local reply = server:fetch(path, { method = "PUT", body = "x" })
            assert.equal(400, reply.code)
            assert.equal(400, reply:json().error.status)
        end
    end)

    it("says 413 before the body comes", function()
        local server = testing.serve(app)
        for _, head in ipairs { "PUT /files/a", "POST /upload" } do
            testing.expect_log("warning", "413 .*larger than 2147483648 bytes")
            local reply = server:fetch("/", { method = head:match("%u+"), raw = head ..
                " HTTP/1.1\r\nHost: a\r\nContent-Length: 2147483649\r\nExpect: 100-continue\r\n" ..
                "Content-Type: multipart/form-data; boundary=XyZ\r\n\r\n" })
            assert.equal(413, reply.code)
            assert.same({}, reply.interim)
            assert.equal("The request is larger than 2 GiB.", reply:json().error.message)
        end
    end)

    it("says 507 when the disk is full", function()
        local server, open = testing.serve(app), io.open
        finally(function() io.open = open end) -- luacheck: ignore 122
        io.open = function() return open("/dev/full", "wb") end -- luacheck: ignore 122
        for _ = 1, 2 do testing.expect_log("warning", "507 .*No space left on device") end
        for _, body in ipairs { "small", BIG } do
            local reply = server:fetch("/files/a", { method = "PUT", body = body })
            assert.equal(507, reply.code)
            assert.equal("There is no room left for the upload.", reply:json().error.message)
        end
        local page = post(server, FORM, { Accept = "text/html" })
        assert.equal(507, page.code)
        assert.truthy(page.body:find("<span>507</span> Insufficient Storage", 1, true))
    end)

    it("has error pages", function()
        local page = testing.serve(app):fetch("/nothing", { headers = { Accept = "text/html" } })
        assert.equal(404, page.code)
        assert.truthy(page.body:find("<span>404</span> Not Found", 1, true))
        for path, method in pairs { ["/upload"] = "POST", ["/files/a"] = "PUT" } do
            for _, body in ipairs { false, "x" } do
                local reply = testing.serve(app):fetch(path,
                    { method = "DELETE", body = body or nil })
                assert.equal(405, reply.code)
                assert.equal(method, reply.headers:get("Allow"))
            end
        end
    end)
end)
