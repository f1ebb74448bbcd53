-- tornado.httpclient and servers that do what they must not: each has its documented error, within
-- its deadline, and nothing is left (PARITY §10.1, SECURITY §7).
local core = require "tornado.core"
local gen = require "tornado.gen"
local httpclient = require "tornado.httpclient"
local locks = require "tornado.locks"
local resolver = require "tornado.netutil.resolver"
local testing = require "tornado.testing"
local util = require "tornado.util"

local peers = dofile "spec/tornado/httpclient/peers.lua"
local serve_names = dofile "spec/tornado/netutil/name_server.lua"

describe("tornado.httpclient with a bad server", function()
    local base, stop, client

    setup(function()
        local address
        address, stop = peers.start()
        base = "http://" .. address
    end)

    teardown(function() stop() end)

    local function open(options)
        client = peers.client(finally, options)
    end

    local function fetch(path, options)
        return client:fetch(base .. path, options)
    end

    local function fails(path, options)
        local ok, err = pcall(fetch, path, options)
        assert.is_false(ok, path)
        assert.truthy(util.isinstance(err, httpclient.HTTPClientError), tostring(err))
        return err
    end

    it("raises HTTPStreamClosedError when the connection ends early", function()
        open()
        for _, path in ipairs { "/empty", "/half", "/half-head", "/reset", "/cut" } do
            local err = fails(path)
            assert.equal(httpclient.HTTPStreamClosedError, err.class)
            assert.equal(599, err.code)
            assert.truthy(#tostring(err) > 5)
        end
    end)

    it("refuses messages that are framed badly", function()
        open()
        for path, why in pairs {
            ["/both"] = "both Content%-Length and Transfer%-Encoding",
            ["/lengths"] = "bad Content%-Length", ["/coding"] = "Transfer%-Encoding",
            ["/204"] = "204 with a body", ["/garbage"] = "", ["/nul"] = "",
            ["/space"] = "bad header line", ["/status"] = "", ["/old"] = "",
            ["/flood"] = "too many interim", ["/nogzip"] = "",
        } do
            local err = fails(path)
            assert.equal(httpclient.HTTPStreamClosedError, err.class, path .. tostring(err))
            assert.matches(why, tostring(err))
        end
    end)

    it("takes gzip that is whole, and no other", function()
        open()
        local function both(check, path, options)
            check(path, options or {})
            check(path, { streaming_callback = function() end })
        end
        for path, why in pairs {
            ["/cut-gzip"] = "gzip body is cut off", ["/no-trailer"] = "gzip body is cut off",
            ["/junk-gzip"] = "not only gzip", ["/wrong-gzip"] = "not gzip",
            ["/nogzip"] = "not gzip",
        } do
            both(function(...)
                local err = fails(...)
                assert.equal(httpclient.HTTPStreamClosedError, err.class, path)
                assert.matches(why, tostring(err))
            end, path)
        end
        local response = fetch("/two-gzips")
        assert.equal("hello you", response.body)
        assert.equal("x-gzip", response.headers:get "X-Consumed-Content-Encoding")
        assert.equal("", fetch("/no-gzip").body)
        assert.equal("raw", fetch("/twice-gzip").body)
        assert.equal(206, fetch("/part-gzip").code)
        assert.equal("\31\139", fetch("/cut-gzip", { decompress_response = false }).body:sub(1, 2))
        local size, slow = 0, 0
        fetch("/bomb", { streaming_callback = function(piece)
            size, slow = size + #piece, math.max(slow, #piece)
            if size % 5 == 0 then gen.moment() end
        end })
        assert.equal(20000000, size)
        assert.is_true(slow <= 65536 + 16384)
    end)

    it("takes what is unusual and right", function()
        open()
        assert.equal("hello", fetch("/equal").body)
        assert.equal("final", fetch("/interim").body)
        assert.equal("hello", fetch("/trailer").body)
        assert.is_nil(fetch("/trailer").headers:get("X-Trailer"))
        assert.equal("a b", fetch("/folded").headers:get("X-A"))
        assert.equal("Something Else", fetch("/reason").reason)
        assert.equal("all of it", fetch("/until-close").body)
        assert.same({ "a=1", "b=2" }, fetch("/cookies").headers:get_list("Set-Cookie"))
        assert.equal(302, fails("/noplace").code)
    end)

    it("limits heads and bodies", function()
        open()
        assert.matches("header is too long", tostring(fails("/header")))
        assert.matches("header is too long", tostring(fails("/huge")))
        assert.matches("header is too long", tostring(fails("/many")))
        assert.equal(200, fetch("/header", { max_header_size = 100000 }).code)
        assert.matches("body is too long", tostring(fails("/bomb", { max_body_size = 1000000 })))
        assert.equal(20000000, #fetch("/bomb").body)
        assert.matches("Content%-Length too long", tostring(fails("/half", { max_body_size = 99 })))
        local size = 0
        local err = fails("/bomb", { max_body_size = 1000000, streaming_callback = function(piece)
            size = size + #piece
        end })
        assert.matches("body is too long", tostring(err))
        assert.truthy(size <= 1000000)
    end)

    it("has deadlines for servers that are slow or silent", function()
        open()
        local err = fails("/slow", { request_timeout = 0.5 })
        assert.equal("Timeout during request", tostring(err))
        err = fails("/never", { request_timeout = 0.2 })
        assert.equal(httpclient.HTTPTimeoutError, err.class)
        err = fails("/slow", { request_timeout = 0.5, streaming_callback = function() end })
        assert.equal("Timeout during request", tostring(err))
        for _, name in ipairs { "streaming_callback", "header_callback" } do
            err = fails("/interim", { request_timeout = 0.2, [name] = function() gen.sleep(9) end })
            assert.equal("Timeout during request", tostring(err))
        end
    end)

    it("says why it cannot connect", function()
        open()
        local ok, err = pcall(client.fetch, client, "http://127.0.0.1:1/")
        assert.is_false(ok)
        assert.equal(599, err.code)
        assert.equal(7, err.curl_code)
        assert.matches("Failed to connect to 127.0.0.1 port 1", tostring(err))
        ok, err = pcall(client.fetch, client, "http://no-such-name.invalid/",
            { request_timeout = 3 })
        assert.is_false(ok)
        assert.equal(599, err.code)
    end)

    it("does not wait for a name server that never answers", function()
        open()
        local mute = peers.mute_name_server(finally)
        resolver.setup { servers = { mute } }
        finally(function() resolver.setup {} end)
        local ok, err = pcall(client.fetch, client, "http://some.test/", { request_timeout = 0.3 })
        assert.is_false(ok)
        assert.equal("Timeout while connecting", tostring(err))
        local fetched = { hostname_mapping = { ["some.test"] = base:match("//(.*)") } }
        local mapped = peers.client(finally, fetched)
        assert.equal("final", mapped:fetch("http://some.test/interim").body)
    end)

    it("is cancelled while it waits for a name server", function()
        open()
        resolver.setup { servers = { peers.mute_name_server(finally) } }
        finally(function() resolver.setup {} end)
        local task = gen.spawn(client.fetch, client, "http://some.test/")
        gen.moment()
        task:cancel()
        local ok, err = pcall(gen.await, task)
        assert.is_false(ok)
        assert.equal(gen.CancelledError, err.class)
        ok, err = pcall(gen.with_timeout, 0.05, client.fetch, client, "http://some.test/")
        assert.is_false(ok)
        assert.equal(gen.TimeoutError, err.class)
    end)

    it("does not wait long for addresses of IPv6", function()
        open()
        local server = serve_names(finally)
        local url = "http://half.test:" .. base:match(":(%d+)$") .. "/interim"
        local response = client:fetch(url, { request_timeout = 2 })
        assert.equal("final", response.body)
        assert.equal("final", client:fetch(url).body)
        assert.same({ "half.test", "half.test" }, { server.asked[1], server.asked[2] })
        local ok, err = pcall(client.fetch, client, "http://nx.test/")
        assert.is_false(ok)
        assert.matches("Could not resolve host: nx.test", tostring(err))
    end)

    it("stops going round in circles", function()
        open()
        local err = fails("/loop")
        assert.equal("HTTP 302: Found", tostring(err))
        assert.matches("Unsupported url scheme", tostring(fails("/badplace")))
        assert.equal(302, fails("/badplace", { follow_redirects = false }).code)
    end)

    it("takes an answer that comes before the body is sent", function()
        open()
        local raised
        local response = fetch("/early", { method = "POST", raise_error = false,
            body_producer = function(write)
                local ok, err = pcall(function()
                    for _ = 1, 10000 do
                        write(("x"):rep(10000))
                    end
                end)
                raised = not ok and err
            end })
        assert.equal(413, response.code)
        testing.wait_until(function() return raised end)
        assert.equal(httpclient.HTTPStreamClosedError, raised.class)
        response = fetch("/early", { method = "POST", raise_error = false,
            body_producer = function(write)
                for _ = 1, 10000 do write(("x"):rep(10000)) end
            end })
        assert.equal(413, response.code)
    end)

    it("is done with the answer, whether the body was taken or not", function()
        open()
        local over = locks.Event()
        finally(function() over:set() end)
        local function producer(write)
            write("some")
            over:wait()
        end
        for _, path in ipairs { "/hasty-200", "/hasty-413", "/hasty-204", "/hasty-chunks",
            "/hasty-500" } do
            for name, options in pairs {
                body = { body = ("x"):rep(20000000) },
                chunked = { body_producer = producer },
                sized = { body_producer = producer, headers = { ["Content-Length"] = "20000000" } },
                stream = { body_producer = producer, streaming_callback = function() end },
            } do
                options.method, options.raise_error, options.request_timeout = "POST", false, 60
                local response = fetch(path, options)
                assert.equal(tonumber(path:match "%d+") or 200, response.code, path .. name)
                assert.equal((name == "stream" or path == "/hasty-204") and "" or "done",
                    response.body, path .. name)
            end
        end
        over:set()
        assert.equal(0, core.counts().fetches)
    end)

    it("keeps the connection when the body was taken", function()
        open()
        local options = { method = "POST", body = ("x"):rep(3000000) }
        local first = fetch("/keep", options).body
        for size = 0, 2 do
            options.body = ("x"):rep(1000 ^ size)
            assert.equal(first, fetch("/keep", options).body)
        end
    end)

    it("goes on when a kept connection was closed", function()
        open()
        for i = 1, 60 do
            assert.equal("once", fetch("/once").body)
            for _ = 1, i % 3 do gen.moment() end
        end
    end)

    it("does not keep the connection of a fetch that was given up", function()
        open()
        local first = fetch("/keep").body
        assert.equal(first, fetch("/keep").body)
        fails("/slow", { request_timeout = 0.1 })
        assert.not_equal(first, fetch("/keep").body)
    end)

    it("keeps unlike requests on connections of their own", function()
        open()
        local own = fetch("/keep").body
        assert.not_equal(own, fetch("/keep", { network_interface = "127.0.0.1" }).body)
        assert.equal(own, fetch("/keep").body)
    end)

    it("digests", function()
        open()
        local options = { auth_username = "u", auth_password = "p", auth_mode = "digest" }
        assert.equal("digested", fetch("/digest", options).body)
        local pieces = {}
        options.streaming_callback = function(piece) pieces[#pieces + 1] = piece end
        assert.equal(200, fetch("/digest", options).code)
        assert.equal("digested", table.concat(pieces))
        options.auth_password = "q"
        assert.equal(403, fails("/digest", options).code)
        assert.equal(401, fails("/digest").code)
    end)

    it("digests for proxies", function()
        open()
        local host, port = base:match "//(.*):(%d+)$"
        local options = { proxy_host = host, proxy_port = tonumber(port), proxy_username = "u",
            proxy_password = "p", proxy_auth_mode = "digest" }
        local url = "http://somewhere.test/page"
        assert.equal("digested by the proxy", client:fetch(url, options).body)
        assert.equal("digested by the proxy", client:fetch(url, options).body)
        options.proxy_password = "q"
        assert.equal(403, select(2, pcall(client.fetch, client, url, options)).code)
        options.proxy_username = nil
        assert.equal(407, select(2, pcall(client.fetch, client, url, options)).code)
    end)

    it("tells what a proxy says when it opens no tunnel", function()
        open()
        local host, port = base:match "//(.*):(%d+)$"
        local told = {}
        local function via(code, more)
            local options = { proxy_host = host, proxy_port = tonumber(port) }
            for name, value in pairs(more or {}) do options[name] = value end
            local ok, err = pcall(client.fetch, client,
                ("https://somewhere.test:%d/page"):format(code), options)
            assert.is_false(ok)
            return err
        end
        local body = { method = "POST", body = ("x"):rep(1000) }
        for _, code in ipairs { 407, 403, 502, 302 } do
            for _, more in ipairs { {}, { raise_error = false }, body, { retries = 1 },
                { header_callback = function(line) told[#told + 1] = line end },
                { streaming_callback = function(piece) told[#told + 1] = piece end } } do
                local err = via(code, more)
                assert.equal(httpclient.HTTPClientError, err.class, tostring(err))
                assert.equal(code, err.code)
                assert.equal("the proxy opened no tunnel: The Proxy Says", err.message)
                assert.equal(code, err.response.code)
                assert.equal("The Proxy Says", err.response.reason)
                assert.matches("^Digest", err.response.headers:get "Proxy-Authenticate")
                assert.equal("", err.response.body)
            end
        end
        assert.same({}, told)
        local digests = { proxy_username = "u", proxy_password = "p",
            proxy_auth_mode = "digest" }
        assert.equal(403, via(407, digests).code)
        for _, more in ipairs { {}, digests, body } do
            assert.equal(599, via(299, more).code)
        end
    end)

    it("sends nothing of one request with the next", function()
        open { max_clients = 1 }
        fetch("/digest", { auth_username = "u", auth_password = "p", auth_mode = "digest" })
        fetch("/echo-head", { method = "POST", body = "", headers = { ["X-A"] = "1" },
            auth_username = "u", auth_password = "p" })
        local head = fetch("/echo-head").body
        assert.matches("^GET /echo%-head HTTP/1.1\r\nHost: [%d.:]+\r\n"
            .. "Accept%-Encoding: gzip[^\r]*\r\nUser%-Agent: ctornado/[%d.]+\r\n\r\n$", head)
    end)

    it("does not wait for the answer to another request", function()
        open()
        local waiting = gen.spawn(pcall, fetch, "/never", { request_timeout = 300 })
        gen.sleep(0.05)
        assert.equal("final", fetch("/interim").body)
        assert.is_false(waiting:done())
        waiting:cancel()
    end)

    it("leaves nothing when a thousand are refused", function()
        open { max_clients = 1000 }
        testing.set_timeout(300)
        local before = core.counts().descriptors
        local futures = {}
        for i = 1, 1000 do
            futures[i] = gen.spawn(pcall, client.fetch, client, "http://127.0.0.1:1/")
        end
        for _, future in ipairs(futures) do assert.is_false(gen.await(future)) end
        assert.equal(before, core.counts().descriptors)
        assert.equal(0, core.counts().fetches)
    end)
end)

describe("tornado.httpclient over TLS", function()
    local certificates, client

    setup(function() certificates = peers.certificates() end)
    teardown(peers.remove_certificates)

    local function open(name, more)
        testing.set_timeout(300) -- Python has to begin
        local at = certificates .. "/" .. name
        local address, stop = peers.start(at .. ".pem " .. at .. ".key " .. (more or ""))
        client = peers.client(finally, { defaults = { -- where only what hangs takes as long
            connect_timeout = 300, request_timeout = 300,
        } })
        finally(stop)
        return "https://" .. address
    end

    local function fails(url, options)
        local ok, err = pcall(client.fetch, client, url, options)
        assert.is_false(ok)
        assert.equal(599, err.code)
        return tostring(err)
    end

    it("trusts whom it is told to, and nobody else", function()
        local base = open "good"
        local ca = certificates .. "/ca.pem"
        assert.matches("certificate", fails(base .. "/keep"))
        assert.equal(200, client:fetch(base .. "/keep", { ca_certs = ca }).code)
        assert.equal(200, client:fetch(base .. "/keep", { ssl_options = { ca_certs = ca,
            minimum_version = "1.3" } }).code)
        assert.equal(200, client:fetch(base .. "/keep", { validate_cert = false }).code)
        assert.matches("certificate", fails(base .. "/keep"))
        fails(base .. "/keep", { ca_certs = "/no/such/file" })
        local ok, err = pcall(client.fetch, client, base, { ssl_options = { verified = false } })
        assert.is_false(ok)
        assert.matches('unknown option "verified"', tostring(err))
    end)

    it("does not share connections that trust others", function()
        local base = open "good"
        local ca = certificates .. "/ca.pem"
        local first = client:fetch(base .. "/keep", { validate_cert = false }).body
        local second = client:fetch(base .. "/keep", { ca_certs = ca }).body
        assert.not_equal(first, second)
        assert.equal(first, client:fetch(base .. "/keep", { validate_cert = false }).body)
        assert.equal(second, client:fetch(base .. "/keep", { ca_certs = ca }).body)
    end)

    it("shows a certificate, on connections of its own", function()
        local base = open("good", certificates .. "/ca.pem")
        local ca = certificates .. "/ca.pem"
        local mine = { ca_certs = ca, client_cert = certificates .. "/client.pem",
            client_key = certificates .. "/client.key" }
        assert.equal(200, client:fetch(base .. "/keep", mine).code)
        fails(base .. "/keep", { ca_certs = ca })
        assert.equal(200, client:fetch(base .. "/keep", mine).code)
    end)

    -- RFC 9112 §9.8: whoever cuts the connection would shorten the body.
    it("takes a body that ends with the connection when the server says that it ends", function()
        local base = open "good"
        local options = { ca_certs = certificates .. "/ca.pem" }
        for _ = 1, 2 do
            options.streaming_callback = nil
            assert.equal("all of it", client:fetch(base .. "/until-goodbye", options).body)
            assert.matches("before the TLS session", fails(base .. "/until-close", options))
            local ok, err = pcall(client.fetch, client, base .. "/until-close", options)
            assert.is_false(ok)
            assert.equal(httpclient.HTTPStreamClosedError, err.class)
            local pieces = {}
            options.streaming_callback = function(piece) pieces[#pieces + 1] = piece end
            client:fetch(base .. "/until-goodbye", options)
            assert.matches("before the TLS session", fails(base .. "/until-close", options))
            assert.equal("all of itall of it", table.concat(pieces))
        end
        assert.equal("once", client:fetch(base .. "/once", { ca_certs = options.ca_certs }).body)
    end)

    it("refuses names that are wrong and certificates that are over", function()
        local base = open "wrong"
        local ca = certificates .. "/ca.pem"
        assert.matches("name", fails(base .. "/keep", { ca_certs = ca }))
        base = open "late"
        assert.matches("expired", fails(base .. "/keep", { ca_certs = ca }))
    end)
end)
