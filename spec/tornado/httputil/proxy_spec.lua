-- tornado.httputil.proxy: xheaders (PARITY §2, check 56 of §29), and who is believed.
local proxy = require "tornado.httputil.proxy"
local testing = require "tornado.testing"
local web = require "tornado.web"

local Who = web.RequestHandler:extend "Who"

function Who:get()
    local request = self.request
    self:write(request.remote_ip .. " " .. request:full_url())
end

local app = web.Application { { "/", Who } }

-- "IP SCHEME", as a handler sees it.
local function seen(headers, options)
    options = options or {}
    headers.Host = "a"
    local body = testing.request(app, "/", {
        headers = headers, remote_ip = options.remote_ip,
        server = {
            xheaders = options.xheaders ~= false,
            trusted_downstream = options.trusted or { "5.5.5.5" },
        },
    }).body
    return (body:gsub("://a/$", ""))
end

describe("xheaders", function()
    it("give the address and the scheme", function()
        assert.equal("127.0.0.1 http", seen {})
        assert.equal("4.4.4.4 http", seen { ["X-Real-Ip"] = "4.4.4.4" })
        assert.equal("4.4.4.4 http", seen { ["X-Forwarded-For"] = "127.0.0.1, 4.4.4.4" })
        assert.equal("4.4.4.4 https", seen {
            ["X-Real-Ip"] = "4.4.4.4", ["X-Forwarded-For"] = "1.1.1.1", ["X-Scheme"] = "https" })
        assert.equal("2620:0:1cfe:face:b00c::3 http",
            seen { ["X-Real-Ip"] = "2620:0:1cfe:face:b00c::3" })
        assert.equal("1.2.3.4 http", seen { ["X-Real-Ip"] = "::ffff:1.2.3.4" })
    end)

    it("pass over trusted proxies from the right", function()
        assert.equal("4.4.4.4 http", seen { ["X-Forwarded-For"] = "1.1.1.1, 4.4.4.4,5.5.5.5" })
        assert.equal("4.4.4.4 http", seen { ["X-Forwarded-For"] = "4.4.4.4, 5.5.5.5, 5.5.5.5" })
        assert.equal("5.5.5.5 http", seen { ["X-Forwarded-For"] = "5.5.5.5" })
        local inner = { trusted = { "10.0.0.0/8", "fd00::/9" } }
        assert.equal("4.4.4.4 http", seen({
            ["X-Forwarded-For"] = "9.9.9.9, 4.4.4.4, fd7f::1, 10.255.0.1" }, inner))
        assert.equal("fd80::1 http", seen({ ["X-Forwarded-For"] = "4.4.4.4, fd80::1" }, inner))
        assert.equal("10.0.0.1 http", seen({ ["X-Forwarded-For"] = "10.0.0.1, 10.0.0.2" }, inner))
    end)

    it("come as Forwarded as well, from the right", function()
        local inner = { trusted = { "10.0.0.0/8", "fd00::/9" } }
        local function forwarded(text) return seen({ Forwarded = text }, inner) end
        assert.equal("4.4.4.4 http", forwarded "for=4.4.4.4")
        assert.equal("4.4.4.4 https", forwarded "For=\"4.4.4.4:80\";PROTO=https;by=10.0.0.1")
        assert.equal("2001:db8::1 http", forwarded 'for="[2001:db8::1]:4711"; proto=http')
        assert.equal("4.4.4.4 https",
            forwarded "for=9.9.9.9;proto=http, for=4.4.4.4;proto=https, for=10.0.0.1;proto=http")
        assert.equal("4.4.4.4 http", forwarded 'for=4.4.4.4 , for="[fd00::1]",for=10.1.1.1')
        assert.equal("10.0.0.2 http", forwarded "for=10.0.0.2, for=10.0.0.1")
        assert.equal("127.0.0.1 https", forwarded "for=9.9.9.9, for=unknown;proto=https")
        assert.equal("127.0.0.1 http", forwarded "for=9.9.9.9, for=_hidden")
        for _, bad in ipairs { "", "for", "for=", "for=4.4.4.4,", "for=4.4.4.4;", ", for=4.4.4.4",
            "for=4.4.4.4;for=5.5.5.5", 'for="4.4.4.4', "for=4.4.4.4 x", "for=2001:db8::1",
            'for="[::g]"', "for=4.4.4.4;proto=ftp;x", "for =4.4.4.4" } do
            assert.equal("127.0.0.1 http", forwarded(bad))
        end
        assert.equal("4.4.4.4 http", seen({
            Forwarded = "for=9.9.9.9;proto=https", ["X-Real-Ip"] = "4.4.4.4" }, inner))
    end)

    it("change nothing when they are garbage", function()
        for _, bad in ipairs { "4.4.4.4<script>", "www.google.com", "", "4.4.4", "4.4.4.4:80",
            "4.4.4.4, 1.1.1.1", "::g", ("1"):rep(200) } do
            assert.equal("127.0.0.1 http", seen { ["X-Real-Ip"] = bad })
        end
        assert.equal("127.0.0.1 http", seen { ["X-Forwarded-For"] = "4.4.4.4, unknown" })
        for _, bad in ipairs { "ftp", "", "https, ftp", "HTTPS", "httpsx" } do
            assert.equal("127.0.0.1 http", seen { ["X-Forwarded-Proto"] = bad })
        end
    end)

    it("take the last word for the scheme", function()
        assert.equal("127.0.0.1 https", seen { ["X-Forwarded-Proto"] = "http , https" })
        assert.equal("127.0.0.1 https", seen { ["X-Forwarded-Proto"] = "https" })
        assert.equal("127.0.0.1 http", seen { ["X-Forwarded-Proto"] = "https , http" })
        assert.equal("127.0.0.1 https",
            seen { ["X-Scheme"] = "https", ["X-Forwarded-Proto"] = "http" })
    end)

    it("are believed of this machine and of trusted proxies alone", function()
        local headers = { ["X-Real-Ip"] = "4.4.4.4", ["X-Scheme"] = "https" }
        local function from(ip, trusted)
            return seen(headers, { remote_ip = ip, trusted = trusted or {} })
        end
        assert.equal("4.4.4.4 https", from "127.1.2.3")
        assert.equal("4.4.4.4 https", from "::1")
        assert.equal("9.9.9.9 http", from "9.9.9.9")
        assert.equal("::2 http", from "::2")
        assert.equal("9.9.9.9 http", from("9.9.9.9", { "9.9.9.8", "9.9.8.0/24" }))
        assert.equal("4.4.4.4 https", from("9.9.9.9", { "9.9.9.8/31" }))
        assert.equal("4.4.4.4 https", from("9.9.9.9", { "0.0.0.0/0" }))
        assert.equal("4.4.4.4 https", from("fd00::1", { "fd00::/8" }))
        assert.equal("4.4.4.4 https", from("9.9.9.9", { "::ffff:9.9.9.0/120" }))
        assert.equal("9.9.9.9 http", from("9.9.9.9", { "::ffff:9.9.8.0/120" }))
    end)

    it("are ignored when they are off", function()
        assert.equal("127.0.0.1 http", seen({ ["X-Real-Ip"] = "4.4.4.4", ["X-Scheme"] = "https" },
            { xheaders = false }))
    end)

    it("hold for one request of a connection, and over unix sockets", function()
        local path = os.tmpname()
        os.remove(path)
        for _, unix in ipairs { false, path } do
            local server = testing.serve(app, { unix = unix or nil, server = { xheaders = true } })
            local connection = server:connect()
            connection:send("GET / HTTP/1.1\r\nHost: a\r\nX-Real-Ip: 4.4.4.4\r\n" ..
                "X-Scheme: https\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert.equal("4.4.4.4 https://a/", connection:read_response().body)
            assert.equal((unix and "0.0.0.0" or "127.0.0.1") .. " http://a/",
                connection:read_response().body)
        end
    end)
end)

describe("networks()", function()
    it("names what is no network", function()
        for _, bad in ipairs { "10.0.0.0/33", "::/129", "a", "10.0.0.1/", "/8", "10.0.0.1:80", "",
            5, "10.0.0.0/8/8", "10.0.0.0/-1" } do
            local networks, item = proxy.networks { "1.1.1.1", bad }
            assert.is_nil(networks)
            assert.equal(bad, item)
        end
        assert.equal(2, #assert(proxy.networks { "10.0.0.0/0", "::1" }))
    end)
end)
