-- The access log: Tornado's line, the combined one, or an object, and what a hostile client can do
-- to each.
local core = require "tornado.core"
local escape = require "tornado.escape"
local log = require "tornado.log"
local testing = require "tornado.testing"
local web = require "tornado.web"

describe("the access log", function()
    local path, server

    before_each(function()
        path = os.tmpname()
        assert(core.access_log_open(path))
        web.Application.access_log = true
        local Main = web.RequestHandler:extend "Main"
        function Main:get(status)
            if status ~= "" then self:set_status(tonumber(status)) end
            self:write "hello"
        end
        Main.head = Main.get
        local Streamed = web.RequestHandler:extend "Streamed"
        function Streamed:get()
            self:write "hello, "
            self:flush()
            self:write "world"
        end
        local Proxied = web.RequestHandler:extend "Proxied"
        function Proxied:get() self.request.remote_ip = "9.8.7.6" end
        server = testing.serve(web.Application({ { "/streamed", Streamed },
            { "/proxied", Proxied }, { "/static/(.*)", web.StaticFileHandler, { path = "spec" } },
            { "/(\\d*).*", Main } }, { trust_request_id = true }))
    end)

    after_each(function()
        server:stop()
        log.set_format "text"
        web.Application.access_log = false
        log.open_access("", "auto")
        os.remove(path)
    end)

    -- The only line, once the turn that wrote it is over.
    local function line()
        local text
        testing.wait_until(function()
            local file = assert(io.open(path, "rb"))
            text = file:read "*a"
            file:close()
            return text ~= ""
        end)
        assert.equal(1, select(2, text:gsub("\n", "")))
        return text
    end

    local function object()
        return escape.json_decode(line())
    end

    -- Tornado's prefix, with a level and an id.
    local function prefix(level, id)
        return "^%[" .. level .. " %d%d%d%d%d%d %d%d:%d%d:%d%d access" .. (id or " %x+") .. "%] "
    end

    local function send(target, headers)
        local connection = server:connect()
        connection:send("GET " .. target .. " HTTP/1.1\r\nHost: a\r\n" .. (headers or "") ..
            "\r\n")
        local response = connection:read_response()
        connection:close()
        return response
    end

    it("has Tornado's lines", function()
        send "/404?a=b"
        assert.matches(prefix "W" .. "404 GET /404%?a=b %(127%.0%.0%.1%) %d+%.%d%dms\n$", line())
    end)

    it("escapes what a terminal would obey", function()
        send "/\194\155x\255"
        assert.matches(prefix "I" .. "200 GET /\\xc2\\x9bx\\xff %(", line())
    end)

    it("has the id of who is trusted", function()
        send("/", "X-Request-Id: abc-1\r\n")
        assert.matches(prefix("I", " abc%-1") .. "200 GET / %(", line())
    end)

    -- The line in the format of Apache and nginx, without its time.
    local function combined(target, headers)
        os.remove(path)
        assert(log.open_access(path, "combined"))
        send(target, headers)
        local text, now = line(), os.time()
        local at, when, rest = text:match("^(%S+ %- .-) %[(.-)%] (.*)\n$")
        local spoken = os.date("%d/%b/%Y:%H:%M:%S %z", now)
        assert.matches("^%d%d/%u%l%l/%d%d%d%d:%d%d:%d%d:%d%d [+-]%d%d%d%d$", when)
        assert.equal(spoken:sub(1, 11) .. spoken:sub(-5), when:sub(1, 11) .. when:sub(-5))
        return at .. " " .. rest
    end

    it("is what Apache and nginx call combined", function()
        assert.equal('127.0.0.1 - - "GET /a?b=c HTTP/1.1" 200 5 "-" "-"', combined "/a?b=c")
        assert.equal('127.0.0.1 - Aladdin "GET / HTTP/1.1" 200 5 "http://a/" "busted/2"',
            combined("/", "Referer: http://a/\r\nUser-Agent: busted/2\r\n" ..
                "Authorization: basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"))
    end)

    it("has no user in it but that of sound Basic credentials", function()
        for _, given in ipairs {
            "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Basic", "Basic ", "Basic !!!!",
            "Basic " .. core.base64_encode "nobody", "Basic " .. core.base64_encode ":secret",
            "Basic " .. core.base64_encode(("x"):rep(300) .. ":secret"),
        } do
            assert.equal('127.0.0.1 - - "GET / HTTP/1.1" 200 5 "-" "-"',
                combined("/", "Authorization: " .. given .. "\r\n"))
        end
    end)

    it("cannot be forged when combined", function()
        local hostile = '" 200 1 "-" "\\\194\155\255\t[x]'
        local shown = '\\x22 200 1 \\x22-\\x22 \\x22\\x5c\\xc2\\x9b\\xff\\x09[x]'
        assert.equal('127.0.0.1 - a\\x20-\\x20[1]\\x0a\\x22 "GET /\\x22\\xff HTTP/1.1" 200 5 "' ..
            shown .. '" "' .. shown .. '"', combined('/"\255', "Referer: " .. hostile ..
            "\r\nUser-Agent: " .. hostile .. "\r\nAuthorization: Basic " ..
            core.base64_encode 'a - [1]\n":x' .. "\r\n"))
    end)

    it("is cut when combined", function()
        local text = combined("/" .. ("\255"):rep(8000), "User-Agent: " .. ('"'):rep(20000) ..
            "\r\nReferer: " .. ("\255"):rep(20000) .. "\r\n")
        assert.truthy(#text > 14000 and #text < 16384)
        assert.matches('^127.0.0.1 %- %- "GET /[\\xf]+ HTTP/1.1" 200 5 "[\\xf]+" "[\\x2]+"$', text)
    end)

    it("has a format of its own beside the log's", function()
        log.set_format "json"
        assert(log.open_access(path, "tornado"))
        send "/"
        assert.matches(prefix "I" .. "200 GET / ", line())
        log.set_format "text"
        os.remove(path)
        assert(log.open_access(path, "json"))
        send "/"
        assert.matches("^%x+$", object().request)
    end)

    it("stays open when another cannot be opened", function()
        local ok, why = log.open_access("/no/such/folder/x", "json")
        assert.is_nil(ok)
        assert.equal("/no/such/folder/x: No such file or directory", why)
        send "/"
        assert.matches(prefix "I" .. "200 GET / ", line())
    end)

    it("is objects with log_format json", function()
        log.set_format "json"
        send("/201?a=b", "User-Agent: busted/2\r\nX-Request-Id: abc-1\r\nReferer: /x\r\n")
        local entry = object()
        assert.matches("^%d+%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", entry.time)
        assert.truthy(entry.seconds >= 0 and entry.seconds < 5)
        entry.time, entry.seconds = nil, nil
        assert.same({ level = "info", logger = "access", request = "abc-1", status = 201,
            remote_ip = "127.0.0.1", bytes = 5, method = "GET", uri = "/201?a=b",
            user_agent = "busted/2", referer = "/x" }, entry)
    end)

    it("has levels by status", function()
        log.set_format "json"
        send "/500"
        local entry = object()
        assert.equal("error", entry.level)
        assert.matches("^%x+$", entry.request)
        assert.is_nil(entry.user_agent)
    end)

    it("counts what was sent of a body", function()
        log.set_format "json"
        server:fetch "/streamed"
        assert.equal(12, object().bytes)
    end)

    it("counts files, and nothing for HEAD", function()
        log.set_format "json"
        server:fetch("/static/layers.sh", { headers = { Range = "bytes=1-10" } })
        local entry = object()
        assert.equal(10, entry.bytes)
        assert.equal(206, entry.status)
        core.access_log_open ""
        os.remove(path)
        core.access_log_open(path)
        server:fetch("/", { method = "HEAD" })
        assert.equal(0, object().bytes)
    end)

    it("has the client's address as the handler sees it", function()
        log.set_format "json"
        send "/proxied"
        assert.equal("9.8.7.6", object().remote_ip)
    end)

    it("cannot be forged", function()
        log.set_format "json"
        send([[/","status":999,"x":"\u0022\]] .. "\194\155\255",
            'User-Agent: a"b\\c\td\255{}\r\n')
        local text = line()
        assert.not_matches("[%z\1-\9\11-\31\127-\255]", text)
        local entry = escape.json_decode(text)
        assert.equal(200, entry.status)
        assert.equal([[/","status":999,"x":"\u0022\]] .. "\\xc2\\x9b\\xff", entry.uri)
        assert.equal('a"b\\c\td\\xff{}', entry.user_agent)
    end)

    it("cuts what is too long and stays an object", function()
        log.set_format "json"
        send("/" .. ("\255"):rep(8000), "User-Agent: " .. ('"'):rep(20000) .. "\r\n")
        local entry = object()
        assert.truthy(#entry.uri > 5000 and #entry.user_agent > 900)
        assert.equal(200, entry.status)
    end)

    -- Sends bytes that are refused before a handler; returns the status and the line.
    local function refused(bytes, options)
        local other = testing.serve(web.Application { { "/", web.RequestHandler } },
            { server = options })
        local connection = other:connect()
        connection:send(bytes)
        local code = connection:read_response().code
        local text = line()
        connection:close()
        assert(io.open(path, "w")):close()
        return code, (text:gsub("^%[%u.- access%] ", ""):gsub(" %d+%.%d%dms\n$", ""))
    end

    it("has requests that are refused before a handler", function()
        local long = ("x"):rep(300)
        for _, case in ipairs {
            { "GET / HTTP/1.1\r\n\r\n", 400, "GET /" },
            { "GET /a?b HTTP/1.1\r\nHost : a\r\n\r\n", 400, "GET /a?b" },
            { "nonsense\r\n\r\n", 400, "nonsense -" },
            { "GET /\1\27 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "GET /" },
            { "FOO /x HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "FOO /x" },
            { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "GET /" },
            { "GET /" .. long .. " HTTP/1.1\r\nHost: a\r\n\r\n", 414, "GET -",
                { max_line_size = 100 } },
            { "GET / HTTP/1.1\r\nHost: a\r\nX: " .. long .. "\r\n\r\n", 431, "GET /",
                { max_header_size = 100 } },
            { "GET /slow HTTP/1.1\r\nHost", 408, "GET /slow", { header_timeout = 0.01 } },
        } do
            local code, text = refused(case[1], case[4])
            assert.equal(case[2], code)
            assert.equal(("%d %s (127.0.0.1)"):format(case[2], case[3]), text)
        end
    end)

    it("has a body that does not come, once", function()
        local Body = web.RequestHandler:extend "Body"
        function Body:post() self:write "never" end
        local other = testing.serve(web.Application { { "/", Body } },
            { server = { body_timeout = 0.01 } })
        local connection = other:connect()
        connection:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        assert.equal(408, connection:read_response().code)
        connection:close()
        assert.matches(prefix("W", "") .. "408 POST / %(127%.0%.0%.1%) %d+%.%d%dms\n$", line())
    end)

    it("has refused requests as objects", function()
        log.set_format "json"
        local other = testing.serve(web.Application {})
        local connection = other:connect()
        connection:send("GET /x HTTP/1.1\r\nUser-Agent: me\r\n\r\n")
        assert.equal(400, connection:read_response().code)
        connection:close()
        local entry = object()
        entry.time = nil
        assert.same({ level = "warning", logger = "access", request = "", status = 400,
            remote_ip = "127.0.0.1", bytes = 0, method = "GET", uri = "/x", seconds = 0 }, entry)
    end)
end)
