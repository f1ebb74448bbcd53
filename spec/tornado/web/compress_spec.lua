-- tornado.web.compress and transforms: PARITY §1.9, checks 53 and 54 of §29, §32.6 and .7.
local ffi = require "ffi"
local testing = require "tornado.testing"
local web = require "tornado.web"

ffi.cdef [[
int BrotliDecoderDecompress(size_t size, const char *in, size_t *out_size, char *out);
]]

local function read_command(command, bytes)
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(bytes)
    file:close()
    local pipe = assert(io.popen(command .. " < " .. path .. " 2> /dev/null"))
    local text = pipe:read("*a")
    pipe:close()
    os.remove(path)
    return text
end

local function gunzip(bytes)
    return read_command("gzip -dc", bytes)
end

local function unbrotli(bytes)
    local size = ffi.new("size_t[1]", 1048576)
    local out = ffi.new("char[?]", 1048576)
    assert.equal(1, ffi.load("libbrotlidec.so.1").BrotliDecoderDecompress(#bytes, bytes, size, out))
    return ffi.string(out, size[0])
end

local LONG = ("0123456789abcdef"):rep(64) -- 1024 bytes

local function serve(fn, settings)
    local Handler = web.RequestHandler:extend "Handler"
    Handler.get, Handler.head, Handler.post = fn, fn, fn
    return testing.serve(web.Application({ { "/", Handler } },
        settings or { compress_response = true }))
end

local function fetch(fn, accept, options)
    options = options or {}
    options.headers = options.headers or {}
    options.headers["Accept-Encoding"] = accept
    return serve(fn, options.settings):fetch("/", { method = options.method,
        headers = options.headers })
end

local function write(text, headers)
    return function(self)
        for name, value in pairs(headers or {}) do self:set_header(name, value) end
        self:write(text)
    end
end

describe("tornado.web.compress", function()
    it("begins at 1024 bytes", function()
        local response = fetch(write(LONG:sub(2)), "gzip")
        assert.is_nil(response.headers:get("Content-Encoding"))
        assert.equal("1023", response.headers:get("Content-Length"))
        assert.equal("Accept-Encoding", response.headers:get("Vary"))
        response = fetch(write(LONG), "gzip")
        assert.equal("gzip", response.headers:get("Content-Encoding"))
        assert.equal(tostring(#response.body), response.headers:get("Content-Length"))
        assert.equal("Accept-Encoding", response.headers:get("Vary"))
        assert.truthy(#response.body < 100)
        assert.equal(LONG, gunzip(response.body))
    end)

    it("has an alias, and is off otherwise", function()
        local response = fetch(write(LONG), "gzip", { settings = { gzip = true } })
        assert.equal("gzip", response.headers:get("Content-Encoding"))
        response = fetch(write(LONG), "gzip", { settings = {} })
        assert.is_false(response.headers:has("Content-Encoding"))
        assert.is_false(response.headers:has("Vary"))
    end)

    it("speaks brotli", function()
        local response = fetch(write(LONG), "gzip, deflate, br")
        assert.equal("br", response.headers:get("Content-Encoding"))
        assert.equal(tostring(#response.body), response.headers:get("Content-Length"))
        assert.equal(LONG, unbrotli(response.body))
    end)

    it("takes what the client weighs most", function()
        for accept, coding in pairs {
            ["gzip;q=0"] = false, ["gzip;q=0.0, br;q=0"] = false, ["*"] = "br", ["*;q=0"] = false,
            ["gzip, br;q=0.9"] = "gzip", ["br;q=0, *"] = "gzip", ["x-gzip"] = "gzip",
            ["GZIP;Q=0.001"] = "gzip", ["identity"] = false, ["identity, gzip;q=0.5"] = false,
            ["gzip;q=0.5, identity;q=0.1"] = "gzip", ["gzip;q=2"] = false, ["gzip;x=1"] = false,
            ["gzipped"] = false, [""] = false, ["deflate , gzip ; q=1.0"] = "gzip",
        } do
            local response = fetch(write(LONG), accept)
            assert.equal(coding, response.headers:get("Content-Encoding") or false, accept)
            assert.equal("Accept-Encoding", response.headers:get("Vary"))
        end
        assert.is_false(fetch(write(LONG)).headers:has("Content-Encoding"))
    end)

    it("leaves alone what is small already", function()
        for kind, coded in pairs {
            ["image/png"] = false, ["image/svg+xml"] = true, ["text/anything; x=y"] = true,
            ["application/json; charset=UTF-8"] = true, ["application/javascript"] = true,
            ["application/x-javascript"] = true, ["application/xml"] = true,
            ["application/atom+xml"] = true, ["application/xhtml+xml"] = true,
            ["application/zip"] = false, ["TEXT/html"] = false, ["textual"] = false,
        } do
            local response = fetch(write(LONG, { ["Content-Type"] = kind }), "gzip")
            assert.equal(coded, response.headers:has("Content-Encoding"), kind)
        end
    end)

    it("leaves alone what is encoded, partial, or not to be changed", function()
        local response = fetch(write(LONG, { ["Content-Encoding"] = "x" }), "gzip")
        assert.equal("x", response.headers:get("Content-Encoding"))
        assert.equal(LONG, response.body)
        for _, fn in ipairs {
            function(self) self:set_status(206); self:write(LONG) end,
            write(LONG, { ["Cache-Control"] = "public, no-transform" }),
        } do
            response = fetch(fn, "gzip")
            assert.is_false(response.headers:has("Content-Encoding"))
            assert.equal(LONG, response.body)
        end
    end)

    it("adds to Vary", function()
        local response = fetch(function(self)
            self:add_header("Vary", "A")
            self:add_header("Vary", "B")
        end, "gzip")
        assert.same({ "A,B, Accept-Encoding" }, response.headers:get_list("Vary"))
        for _, given in ipairs { "accept-encoding", "A, Accept-Encoding", "*" } do
            response = fetch(write("", { Vary = given }), "gzip")
            assert.same({ given }, response.headers:get_list("Vary"))
        end
        response = fetch(function(self) self:set_status(204) end, "gzip")
        assert.equal("Accept-Encoding", response.headers:get("Vary"))
    end)

    it("gives a 304 the Etag of its 200, weak or strong", function()
        for _, reply in ipairs {
            { LONG, "text/plain" }, { "short", "text/plain" }, { LONG, "image/png" },
            { LONG, "text/plain", "Content-Encoding", "br" },
            { LONG, "text/plain", "Cache-Control", "no-transform" },
        } do
            local server = serve(function(self)
                self:set_header("Content-Type", reply[2])
                if reply[3] then self:set_header(reply[3], reply[4]) end
                self:write(reply[1])
            end)
            local headers = { ["Accept-Encoding"] = "gzip" }
            local etag = server:fetch("/", { headers = headers }).headers:get("Etag")
            headers["If-None-Match"] = etag
            local response = server:fetch("/", { headers = headers })
            assert.equal(304, response.code)
            assert.equal(etag, response.headers:get("Etag"))
        end
    end)

    it("makes the Etag weak, of 304 too", function()
        local plain = fetch(write(LONG), nil).headers:get("Etag")
        local coded = fetch(write(LONG), "gzip").headers:get("Etag")
        assert.matches('^"%x+"$', plain)
        assert.equal("W/" .. plain, coded)
        local response = fetch(write(LONG), "gzip", { headers = { ["If-None-Match"] = coded } })
        assert.equal(304, response.code)
        assert.equal(coded, response.headers:get("Etag"))
        assert.is_false(response.headers:has("Content-Encoding"))
        response = fetch(write(LONG, { Etag = 'W/"x"' }), "gzip")
        assert.equal('W/"x"', response.headers:get("Etag"))
    end)

    it("says of HEAD what it says of GET", function()
        local get = fetch(write(LONG), "gzip")
        local head = fetch(write(LONG), "gzip", { method = "HEAD" })
        for _, name in ipairs { "Content-Encoding", "Content-Length", "Etag", "Vary" } do
            assert.equal(get.headers:get(name), head.headers:get(name))
        end
        assert.equal("", head.body)
    end)

    it("replaces a Content-Length that was right, and refuses a wrong one", function()
        local response = fetch(write(LONG, { ["Content-Length"] = 1024 }), "gzip")
        assert.equal(tostring(#response.body), response.headers:get("Content-Length"))
        testing.expect_log("Content%-Length is 1000, but the body has 1024 bytes")
        local connection = serve(write(LONG, { ["Content-Length"] = 1000 })):connect()
        connection:send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        assert.equal("", (connection:read_until_close()))
    end)

    it("streams, and each flush can be decoded", function()
        local gen, concurrent = require "tornado.gen", require "tornado.concurrent"
        local go = concurrent.Future()
        local connection = serve(function(self)
            self:set_header("Content-Length", 12)
            self:write("first ")
            self:flush()
            gen.await(go)
            self:write("second")
            self:flush()
        end):connect()
        connection:send("GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
        local seen, body = ""
        repeat
            seen = seen .. connection:read_some()
            body = seen:match("\r\n\r\n(.*)$")
        until body and #body > 10 and gunzip(body) == "first "
        assert.matches("Content%-Encoding: gzip\r\n", seen)
        assert.is_nil(seen:match("Content%-Length"))
        go:set_result(nil)
        body = body .. connection:read_until_close()
        assert.equal("first second", gunzip(body))
    end)

    it("streams in chunks to HTTP/1.1", function()
        for _, coding in ipairs { "gzip", "br" } do
            local response = fetch(function(self)
                for i = 1, 3 do
                    self:write("part" .. i)
                    self:flush()
                end
            end, coding)
            assert.equal("chunked", response.headers:get("Transfer-Encoding"))
            assert.equal(coding, response.headers:get("Content-Encoding"))
            local decode = coding == "gzip" and gunzip or unbrotli
            assert.equal("part1part2part3", decode(response.body))
        end
    end)

    it("compresses pages of errors, and survives errors after a flush", function()
        testing.expect_log("error", "late")
        testing.expect_log("error", "Cannot send error response after headers written")
        local server = serve(function(self)
            self:write(LONG)
            self:flush()
            error("late")
        end)
        local connection = server:connect()
        connection:send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        connection:read_until_close()
        local response = fetch(function(self) self:send_error(404) end, "gzip")
        assert.equal(404, response.code)
    end)
end)

describe("tornado.web.transforms", function()
    local function upper()
        local Upper = web.OutputTransform:extend "Upper"
        function Upper:transform_first_chunk(status, headers, chunk, finishing)
            headers:set("X-Upper", tostring(finishing))
            return status + 1, headers, self:transform_chunk(chunk, finishing)
        end
        function Upper.transform_chunk(_, chunk, finishing)
            return chunk:upper() .. (finishing and "." or "")
        end
        return Upper
    end

    it("change status, headers and body", function()
        local response = fetch(write("abc"), "gzip", { settings = { transforms = { upper() },
            compress_response = true } })
        assert.equal(201, response.code)
        assert.equal("true", response.headers:get("X-Upper"))
        assert.equal("ABC.", response.body)
        assert.equal("4", response.headers:get("Content-Length"))
        assert.is_false(response.headers:has("Vary"))
    end)

    it("come one after the other, for streamed replies too", function()
        local response = fetch(function(self)
            self:write("ab")
            self:flush()
            self:write("cd")
        end, "gzip", { settings = { transforms = { upper(), web.GZipContentEncoding } } })
        assert.equal(201, response.code)
        assert.equal("false", response.headers:get("X-Upper"))
        assert.equal("ABCD.", gunzip(response.body))
    end)

    it("may change nothing", function()
        local response = fetch(write("abc"), "gzip",
            { settings = { transforms = { web.OutputTransform } } })
        assert.equal("abc", response.body)
        response = fetch(write("abc"), "gzip", { settings = { transforms = {} } })
        assert.equal("abc", response.body)
    end)

    it("must be classes", function()
        for _, bad in ipairs { 1, { 1 }, { {} } } do
            assert.has_error(function() web.Application({}, { transforms = bad }) end,
                "bad transforms: expected a list of OutputTransform classes")
        end
    end)
end)
