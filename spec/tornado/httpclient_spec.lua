-- tornado.httpclient: PARITY §10, rows of requests' options and of responses, against servers in
-- this process. httpclient/faults_spec.lua has servers that misbehave, peers_spec.lua others'.
local core = require "tornado.core"
local gen = require "tornado.gen"
local httpclient = require "tornado.httpclient"
local HTTPHeaders = require("tornado.httputil").HTTPHeaders
local ioloop = require "tornado.ioloop"
local redirects = require "tornado.httpclient.redirects"
local testing = require "tornado.testing"
local util = require "tornado.util"
local urls = require "tornado.httpclient.urls"
local web = require "tornado.web"

local on_time = dofile "spec/tornado/on_time.lua"

local Echo = web.RequestHandler:extend "Echo"

local function echo(self)
    local headers = {}
    for name, value in self.request.headers:get_all() do headers[name] = value end
    self:set_header("X-Method", self.request.method)
    self:write { method = self.request.method, headers = headers, body = self.request.body or "",
        uri = self.request.uri }
end

for _, verb in ipairs { "get", "post", "put", "patch", "delete", "options" } do
    Echo[verb] = echo
end

local Status = web.RequestHandler:extend "Status"
function Status:get(code)
    self:set_status(tonumber(code))
    if code ~= "204" and code ~= "304" then self:write("status " .. code) end
end

local Goto = web.RequestHandler:extend "Goto"
local function go(self)
    self:set_status(tonumber(self:get_argument("code", "302")))
    self:set_header("Location", self:get_argument("to"))
    self:finish("moved")
end
Goto.get, Goto.post, Goto.put, Goto.head = go, go, go, go

local Hello = web.RequestHandler:extend "Hello"
function Hello:get() self:write(("hello "):rep(1000)) end
Hello.head = Hello.get

local Big = web.RequestHandler:extend "Big"
function Big:get()
    for _ = 1, tonumber(self:get_argument("pieces")) do
        self:write(("x"):rep(65536))
        self:flush()
    end
end

-- Waits until the case is over.
local hung = {}
local Hang = web.RequestHandler:extend "Hang"
function Hang:get() -- luacheck: ignore 212
    local waiter = ioloop.waiter()
    hung[#hung + 1] = waiter
    ioloop.wait(waiter)
end

local Wait = web.RequestHandler:extend "Wait"
function Wait:get()
    gen.sleep(tonumber(self:get_argument("s")))
    self:write("waited")
end

local app = web.Application({
    { "/echo", Echo }, { [[/status/(\d+)]], Status }, { "/goto", Goto }, { "/hello", Hello },
    { "/big", Big }, { "/wait", Wait }, { "/hang", Hang },
}, { compress_response = true })

local server, base, client

local function setup(options)
    server = testing.serve(app)
    base = "http://" .. server.address
    client = httpclient.AsyncHTTPClient(options or { max_clients = 20 })
    finally(function()
        client:close()
        for _, waiter in ipairs(hung) do ioloop.wake(waiter) end
        hung = {}
    end)
end

local function fetch(path, options)
    return client:fetch(base .. path, options)
end

local function spawn(...)
    local future = gen.spawn(...)
    future:add_done_callback(function() end) -- whoever awaits it looks at its error
    return future
end

local function fails(path, options)
    local ok, err = pcall(fetch, path, options)
    assert.is_false(ok)
    return err
end

describe("tornado.httpclient", function()
    it("fetches", function()
        setup()
        local response = fetch("/hello")
        assert.equal(200, response.code)
        assert.equal("OK", response.reason)
        assert.equal(("hello "):rep(1000), response.body)
        assert.equal(response.body, response.buffer)
        assert.equal(base .. "/hello", response.effective_url)
        assert.equal("HTTP/1.1", response.version)
        assert.equal("text/html; charset=UTF-8", response.headers:get("content-type"))
        assert.is_nil(response.error)
        assert.truthy(math.abs(response.start_time - ioloop.time()) < 5)
        for _, name in ipairs { "queue", "namelookup", "connect", "appconnect", "pretransfer",
            "starttransfer", "total", "redirect" } do
            assert.equal("number", type(response.time_info[name]))
        end
        assert.truthy(response.request_time <= 5)
        response:rethrow()
        assert.equal("GET", response.request.method)
    end)

    it("has a client for the process", function()
        local own, before = testing.serve(app), core.counts().pooled
        assert.equal(200, httpclient.fetch("http://" .. own.address .. "/hello").code)
        assert.equal(httpclient.AsyncHTTPClient(), httpclient.AsyncHTTPClient())
        httpclient.AsyncHTTPClient.configure(nil, { defaults = { user_agent = "mine" } })
        local response = httpclient.fetch("http://" .. own.address .. "/echo")
        assert.equal("mine", response:json().headers["User-Agent"])
        httpclient.AsyncHTTPClient():close()
        httpclient.AsyncHTTPClient.configure(nil, {})
        assert.equal(before, core.counts().pooled)
    end)

    it("sends methods with and without bodies", function()
        setup()
        for _, method in ipairs { "POST", "PUT", "PATCH" } do
            local sent = fetch("/echo", { method = method, body = "a body" }):json()
            assert.equal(method, sent.method)
            assert.equal("a body", sent.body)
            assert.equal("6", sent.headers["Content-Length"])
            assert.equal(method == "POST" and "application/x-www-form-urlencoded" or nil,
                sent.headers["Content-Type"])
            assert.is_nil(sent.headers.Expect)
            assert.is_nil(sent.headers.Accept)
        end
        for _, method in ipairs { "GET", "DELETE", "OPTIONS" } do
            local sent = fetch("/echo", { method = method }):json()
            assert.equal(method, sent.method)
            assert.is_nil(sent.headers["Content-Length"])
        end
        assert.equal("", fetch("/hello", { method = "HEAD" }).body)
        assert.equal("", fetch("/echo", { method = "POST", body = "" }):json().body)
        local body = ("0123456789"):rep(50000)
        assert.equal(body, fetch("/echo", { method = "POST", body = body }):json().body)
        assert.equal("after", fetch("/echo", { method = "PUT", body = "after" }):json().body)
        assert.equal("", fetch("/echo"):json().body)
    end)

    it("holds methods to their bodies", function()
        setup()
        assert.matches("Body must not be nil for method POST",
            tostring(fails("/echo", { method = "POST" })))
        assert.matches("Body must be nil for method DELETE",
            tostring(fails("/echo", { method = "DELETE", body = "x" })))
        assert.matches("unknown method \"WHAT\"", tostring(fails("/echo", { method = "WHAT" })))
        assert.equal("x", fetch("/echo", { method = "DELETE", body = "x",
            allow_nonstandard_methods = true }):json().body)
        assert.matches("Body must be nil for GET request", tostring(fails("/echo",
            { body = "x", allow_nonstandard_methods = true })))
        local response = fetch("/echo", { method = "BREW", allow_nonstandard_methods = true,
            raise_error = false })
        assert.equal(405, response.code)
    end)

    it("sends headers and never changes the caller's", function()
        setup()
        local headers = { ["X-One"] = "1", ["X-Empty"] = "", Cookie = "a=b" }
        local sent = fetch("/echo", { headers = headers, user_agent = "me/1",
            if_modified_since = 784111777 }):json()
        assert.equal("1", sent.headers["X-One"])
        assert.equal("", sent.headers["X-Empty"])
        assert.equal("a=b", sent.headers.Cookie)
        assert.equal("me/1", sent.headers["User-Agent"])
        assert.equal("Sun, 06 Nov 1994 08:49:37 GMT", sent.headers["If-Modified-Since"])
        assert.same({ ["X-One"] = "1", ["X-Empty"] = "", Cookie = "a=b" }, headers)
        sent = fetch("/echo", { headers = { ["Content-Length"] = "99", Host = "other" },
            method = "POST", body = "xy" }):json()
        assert.equal("2", sent.headers["Content-Length"])
        assert.equal("other", sent.headers.Host)
        assert.equal("ctornado/0.1.0", fetch("/echo"):json().headers["User-Agent"])
    end)

    it("refuses what would split a request", function()
        setup()
        for _, options in ipairs {
            { headers = { ["X-A"] = "a\r\nX-B: c" } }, { headers = { ["X-A\n"] = "a" } },
            { user_agent = "a\nb" }, { method = "GET / HTTP/1.1\r\nX:",
            allow_nonstandard_methods = true },
        } do
            local ok, err = pcall(client.fetch, client, base .. "/echo", options)
            assert.is_false(ok)
            assert.truthy(util.isinstance(err, httpclient.ValueError), tostring(err))
        end
        for _, url in ipairs { base .. "/a b", base .. "/a\r\nX-A: b", "ftp://a/", "file:///etc",
            "nonsense", "http://", "http://a:99999/", "http://a b/", "//a/" } do
            local ok, err = pcall(client.fetch, client, url)
            assert.is_false(ok, url)
            assert.truthy(util.isinstance(err, httpclient.ValueError), url)
        end
    end)

    it("refuses options it does not know", function()
        setup()
        assert.matches('unknown option "timeout"', fails("/echo", { timeout = 1 }))
        assert.matches("bad connect_timeout: expected number",
            tostring(fails("/echo", { connect_timeout = "1" })))
        assert.matches("bad streaming_callback", tostring(fails("/", { streaming_callback = 1 })))
        assert.matches("bad auth_mode", tostring(fails("/", { auth_mode = "ntlm" })))
        assert.has_error(function() httpclient.AsyncHTTPClient { clients = 1 } end)
        local request = httpclient.HTTPRequest(base .. "/echo")
        assert.equal(200, client:fetch(request).code)
        assert.has_error(function() client:fetch(request, { method = "GET" }) end)
    end)

    it("raises for what is no success", function()
        setup()
        local err = fails("/status/404")
        assert.equal(404, err.code)
        assert.equal("HTTP 404: Not Found", tostring(err))
        assert.equal("status 404", err.response.body)
        assert.equal(httpclient.HTTPError, err.class)
        assert.equal(304, fails("/status/304").code)
        local response = fetch("/status/500", { raise_error = false })
        assert.equal(500, response.code)
        assert.equal(500, response.error.code)
        assert.has_error(function() response:rethrow() end)
        assert.equal(204, fetch("/status/204").code)
    end)

    it("keeps connections", function()
        setup()
        for _ = 1, 20 do fetch("/echo") end
        assert.equal(1, core.counts().connections)
        gen.await(gen.spawn(function() for _ = 1, 5 do fetch("/hello") end end))
        assert.equal(1, core.counts().connections)
        client:close()
        testing.wait_until(function() return core.counts().connections == 0 end)
        assert.matches("closed AsyncHTTPClient", select(2, pcall(fetch, "/echo")))
    end)

    it("decodes bodies, up to a limit", function()
        setup()
        local response = fetch("/hello")
        assert.matches("gzip", response.headers:get("X-Consumed-Content-Encoding"))
        assert.is_nil(response.headers:get("Content-Encoding"))
        assert.equal("gzip", fetch("/echo"):json().headers["Accept-Encoding"]:sub(1, 4))
        local plain = fetch("/hello", { decompress_response = false })
        assert.equal(6000, #plain.body)
        assert.is_nil(plain.headers:get("X-Consumed-Content-Encoding"))
        local raw = fetch("/hello", { decompress_response = false,
            headers = { ["Accept-Encoding"] = "gzip" } })
        assert.equal("gzip", raw.headers:get("Content-Encoding"))
        assert.equal("\31\139", raw.body:sub(1, 2))
        assert.matches("too long", tostring(fails("/hello", { max_body_size = 5999 })))
        assert.equal(200, fetch("/hello", { max_body_size = 6000 }).code)
    end)

    it("gives the head and the body as they come", function()
        setup()
        local lines, size, most = {}, 0, 0
        local response = fetch("/big?pieces=40", {
            header_callback = function(line) lines[#lines + 1] = line end,
            streaming_callback = function(piece)
                size = size + #piece
                most = math.max(most, #piece)
                if size < 500000 then gen.sleep(0.001) end
            end,
        })
        assert.equal(40 * 65536, size)
        assert.truthy(most <= 65536 + 32768)
        assert.equal("", response.body)
        assert.equal("HTTP/1.1 200 OK\r\n", lines[1])
        assert.equal("\r\n", lines[#lines])
        assert.equal(40 * 65536, #fetch("/big?pieces=40").body)
    end)

    it("holds back a server that sends more than is read", function()
        setup()
        local gate = {}
        local size = 0
        local co = gen.spawn(function()
            local function take(piece)
                if size == 0 then
                    gate.on = ioloop.waiter()
                    ioloop.wait(gate.on)
                end
                size = size + #piece
            end
            return fetch("/big?pieces=400", { decompress_response = false,
                streaming_callback = take })
        end)
        testing.wait_until(function() return gate.on end)
        testing.wait_until(function() return core.counts().requests == 1 end)
        gen.sleep(0.05)
        assert.equal(1, core.counts().requests) -- the handler still waits in flush()
        ioloop.wake(gate.on)
        gen.await(co)
        assert.equal(400 * 65536, size)
    end)

    it("raises what callbacks raise, and leaves nothing", function()
        setup()
        local err = fails("/big?pieces=10", {
            streaming_callback = function() error("mine", 0) end })
        assert.equal("mine", err)
        err = fails("/hello", { header_callback = function() error { mine = true } end })
        assert.is_true(err.mine)
    end)

    it("sends bodies that are produced", function()
        setup()
        local sent = fetch("/echo", { method = "POST", body_producer = function(write)
            for i = 1, 3 do
                gen.await(write("piece " .. i .. " "))
                gen.sleep(0.001)
            end
        end }):json()
        assert.equal("piece 1 piece 2 piece 3 ", sent.body)
        assert.equal("chunked", sent.headers["Transfer-Encoding"])
        sent = fetch("/echo", { method = "PUT", headers = { ["Content-Length"] = "5" },
            body_producer = function(write) write("12345") end }):json()
        assert.equal("12345", sent.body)
        assert.equal("5", sent.headers["Content-Length"])
        sent = fetch("/echo", { method = "POST", body_producer = function(write)
            for _ = 1, 20 do write(("y"):rep(50000)) end
        end }):json()
        assert.equal(1000000, #sent.body)
        assert.equal("", fetch("/echo", { method = "POST", body_producer = function() end })
            :json().body)
    end)

    it("sends what is produced in chunks behind a head that goes in pieces", function()
        setup()
        local tls = testing.serve(app, { server = { max_header_size = 262144,
            ssl_options = { self_signed = true } } })
        for _, size in ipairs { 10, 60000, 65300, 65536, 70000, 140000 } do
            local sent = client:fetch("https://" .. tls.address .. "/echo", {
                method = "POST", validate_cert = false, max_header_size = 1000000,
                headers = { ["X-Long"] = ("x"):rep(size) },
                body_producer = function(write)
                    write("5\r\nhello\r\n0\r\n\r\n")
                    gen.moment()
                    for _ = 1, 20 do write(("y"):rep(50000)) end
                end,
            }):json()
            assert.equal("chunked", sent.headers["Transfer-Encoding"])
            assert.equal("5\r\nhello\r\n0\r\n\r\n", sent.body:sub(1, 15))
            assert.equal(1000015, #sent.body)
        end
    end)

    it("holds producers to their Content-Length, and raises what they raise", function()
        setup()
        local function try(producer, length)
            return tostring(fails("/echo", { method = "POST", body_producer = producer,
                headers = { ["Content-Length"] = length } }))
        end
        assert.matches("more than the Content%-Length of 3",
            try(function(write) write("1234") end, "3"))
        assert.matches("wrote 1 bytes of a Content%-Length of 3",
            try(function(write) write("1") end, "3"))
        assert.equal("mine", try(function() error("mine", 0) end))
        assert.matches("expected string", try(function(write) write(5) end))
    end)

    it("waits for 100 Continue", function()
        setup()
        on_time(1, function() -- libcurl by itself would wait as long
            local sent = fetch("/echo", { method = "POST", body = "later",
                expect_100_continue = true, request_timeout = 60 })
            assert.equal("later", sent:json().body)
            assert.equal("100-continue", sent:json().headers.Expect)
        end)
    end)

    it("follows redirects", function()
        setup()
        local response = fetch("/goto?to=/echo%3Fa=1")
        assert.equal("/echo?a=1", response:json().uri)
        assert.equal(base .. "/echo?a=1", response.effective_url)
        assert.equal(base .. "/goto?to=/echo%3Fa=1", response.request.url)
        assert.equal(302, fails("/goto?to=/echo", { follow_redirects = false }).code)
        assert.equal(302, fails("/goto?to=/goto?to=/echo", { max_redirects = 1 }).code)
        assert.equal(200, fetch("/goto?to=" .. base .. "/echo").code)
        local pieces = {}
        fetch("/goto?to=/status/200", { streaming_callback = function(piece)
            pieces[#pieces + 1] = piece
        end })
        assert.equal("status 200", table.concat(pieces))
    end)

    it("changes methods on redirects as browsers do", function()
        setup()
        local function after(code, method)
            local body = method ~= "HEAD" and "body" or nil
            local response = fetch("/goto?to=/echo&code=" .. code, { method = method, body = body,
                raise_error = false })
            local got = method ~= "HEAD" and response:json()
            return got and got.method .. " " .. got.body or response.headers:get("X-Method")
        end
        assert.equal("GET ", after(301, "POST"))
        assert.equal("GET ", after(302, "POST"))
        assert.equal("GET ", after(303, "POST"))
        assert.equal("GET ", after(303, "PUT"))
        assert.equal("POST body", after(307, "POST"))
        assert.equal("POST body", after(308, "POST"))
        assert.equal("PUT body", after(302, "PUT"))
        local err = fails("/goto?to=/echo&code=307", { method = "POST",
            body_producer = function(write) write("x") end })
        assert.matches("body_producer", tostring(err))
    end)

    it("keeps secrets to their origin", function()
        setup()
        local other = testing.serve(app)
        local options = { headers = { Authorization = "secret", Cookie = "a=b", ["X-A"] = "kept" } }
        local sent = fetch("/goto?to=/echo", options):json().headers
        assert.equal("secret", sent.Authorization)
        sent = fetch("/goto?to=http://" .. other.address .. "/echo", options):json().headers
        assert.is_nil(sent.Authorization)
        assert.is_nil(sent.Cookie)
        assert.equal("kept", sent["X-A"])
        sent = fetch("/goto?to=http://" .. other.address .. "/echo",
            { auth_username = "u", auth_password = "p" }):json().headers
        assert.is_nil(sent.Authorization)
        sent = fetch("/goto?to=http://x:y@" .. other.address .. "/echo"):json().headers
        assert.is_nil(sent.Authorization)
    end)

    it("counts another scheme, port or host as another origin", function()
        local function secrets_behind(from, to)
            local request = httpclient.HTTPRequest(from, { client_cert = "c.pem",
                client_key = "c.key", auth_username = "u", auth_password = "p", headers = {
                    Authorization = "a", Cookie = "b", ["Proxy-Authorization"] = "c" } })
            local parts = urls.parse(from)
            local response = { code = 302, headers = HTTPHeaders { Location = to } }
            local new = redirects.next(request, parts, parts, response)
            local headers = new.headers
            local any = headers:has "Authorization" or headers:has "Cookie" or
                headers:has "Proxy-Authorization" or new.auth_username or new.auth_password or
                new.client_cert or new.client_key
            return any and true or false
        end
        assert.is_true(secrets_behind("https://a.test/", "/x"))
        assert.is_true(secrets_behind("https://a.test/", "https://A.test:443/x"))
        assert.is_false(secrets_behind("https://a.test/", "http://a.test/x"))
        assert.is_false(secrets_behind("http://a.test/", "https://a.test/x"))
        assert.is_false(secrets_behind("https://a.test/", "https://a.test:444/x"))
        assert.is_false(secrets_behind("https://a.test/", "https://b.a.test/x"))
        assert.is_false(secrets_behind("https://a.test/", "//b.test/x"))
    end)

    it("authenticates", function()
        setup()
        local function sent(url, options)
            return client:fetch(url, options):json().headers.Authorization
        end
        local echoes = server.address .. "/echo"
        assert.equal("Basic dTpw", sent("http://" .. echoes,
            { auth_username = "u", auth_password = "p" }))
        assert.equal("Basic dTpw", sent("http://u:p@" .. echoes))
        assert.equal("Basic QTpi", sent("http://%41:b@" .. echoes,
            { auth_username = "u", auth_password = "p" }))
        assert.is_nil(sent("http://" .. echoes))
    end)

    it("reaches unix sockets and names that are said to be elsewhere", function()
        setup()
        local path = os.tmpname()
        os.remove(path)
        testing.serve(app, { unix = path })
        assert.equal(200, client:fetch("http://localhost/echo", { unix_socket = path }).code)
        local response = client:fetch("http://some.test:81/echo",
            { resolve = { ["some.test"] = server.address } })
        assert.equal("some.test:81", response:json().headers.Host)
        local mapped = httpclient.AsyncHTTPClient { hostname_mapping = {
            ["a.test:80"] = "127.0.0.1:" .. server.port } }
        assert.equal("a.test", mapped:fetch("http://a.test/echo"):json().headers.Host)
        mapped:close()
        assert.equal(200, client:fetch(("http://localhost:%d/echo"):format(server.port)).code)
    end)

    it("refuses addresses that are not public when asked to", function()
        setup()
        fetch("/echo")
        local err = fails("/echo", { public_only = true })
        assert.equal(599, err.code)
        assert.matches("not public", tostring(err))
    end)

    it("speaks from the interface it is told", function()
        setup()
        assert.equal(200, fetch("/echo", { network_interface = "127.0.0.1" }).code)
        assert.equal(599, fails("/echo", { network_interface = "192.0.2.1" }).code)
    end)

    it("has deadlines", function()
        setup { max_clients = 1 }
        local err = fails("/hang", { request_timeout = 0.1 })
        assert.equal("Timeout during request", tostring(err))
        assert.equal(httpclient.HTTPTimeoutError, err.class)
        assert.equal(599, err.code)
        local holder = spawn(fetch, "/wait?s=0.2")
        err = fails("/hello", { request_timeout = 0.05 })
        assert.equal("Timeout in request queue", tostring(err))
        err = fails("/hello", { connect_timeout = 0.05 })
        assert.equal("Timeout in request queue", tostring(err))
        assert.equal(200, fetch("/hello", { connect_timeout = 0, request_timeout = 0 }).code)
        assert.equal("waited", gen.await(holder).body)
        err = fails("/goto?to=/hang", { request_timeout = 0.2 })
        assert.equal("Timeout during request", tostring(err))
    end)

    it("limits how many wait", function()
        setup { max_clients = 1, max_queue = 1 }
        local first, second = spawn(fetch, "/wait?s=0.05"), spawn(fetch, "/hello")
        assert.matches("queue is full", tostring(fails("/hello")))
        assert.equal(200, gen.await(first).code)
        assert.equal(200, gen.await(second).code)
        assert.equal(0, client.queue.active)
        local third, fourth = spawn(fetch, "/hang"), spawn(fetch, "/hello")
        client:close()
        for _, future in ipairs { third, fourth } do
            local ok, err = pcall(gen.await, future)
            assert.is_false(ok)
            assert.equal("the client was closed", tostring(err))
        end
    end)

    it("leaves nothing when its wait is cancelled", function()
        setup { max_clients = 2 }
        local waiters = {}
        for i = 1, 5 do
            local future = spawn(function()
                waiters[i] = coroutine.running()
                fetch("/hang")
            end)
            future:add_done_callback(function() waiters[i] = nil end)
        end
        gen.sleep(0.02)
        assert.equal(2, core.counts().fetches)
        for i = 1, 5 do ioloop.cancel(ioloop.waiter_of(waiters[i]), "enough") end
        testing.wait_until(function() return next(waiters) == nil end)
        assert.equal(0, core.counts().fetches)
        assert.equal(0, client.queue.active)
        assert.equal(0, client.queue.waiting)
        assert.equal(200, fetch("/hello").code)
    end)

    it("runs a thousand at once, and leaves as little", function()
        testing.set_timeout(300)
        setup { max_clients = 1000 }
        local function burst(path)
            local futures = {}
            for i = 1, 1000 do futures[i] = spawn(fetch, path) end
            for i = 1, 1000 do assert.equal(200, gen.await(futures[i]).code) end
        end
        burst("/wait?s=0.1")
        assert.equal(0, core.counts().fetches)
        assert.equal(0, client.queue.active)
        local waiting = {}
        for i = 1, 1000 do
            gen.spawn(function()
                waiting[i] = coroutine.running()
                fetch("/hang")
            end):add_done_callback(function() waiting[i] = nil end)
        end
        testing.wait_until(function() return core.counts().fetches == 1000 end)
        for i = 1, 1000 do ioloop.cancel(ioloop.waiter_of(waiting[i]), "enough") end
        testing.wait_until(function() return next(waiting) == nil end)
        assert.equal(0, core.counts().fetches)
        server:stop()
    end)

    it("tries again when asked to", function()
        setup()
        local tries = 0
        local flaky = testing.serve(web.Application { { "/", (function()
            local Flaky = web.RequestHandler:extend "Flaky"
            function Flaky:get()
                tries = tries + 1
                if tries < 3 then self:set_status(503) end
                self:write("try " .. tries)
            end
            Flaky.post = Flaky.get
            return Flaky
        end)() } })
        local url = "http://" .. flaky.address .. "/"
        assert.equal("try 3", client:fetch(url, { retries = 3, retry_delay = 0.001 }).body)
        tries = 0
        local ok, err = pcall(client.fetch, client, url, { retries = 1, retry_delay = 0.001 })
        assert.is_false(ok)
        assert.equal(503, err.code)
        assert.equal(2, tries)
        tries = 0
        pcall(client.fetch, client, url, { retries = 3, method = "POST", body = "" })
        assert.equal(1, tries)
    end)
end)

describe("tornado.httpclient.urls", function()
    it("takes URLs apart", function()
        local parts = urls.parse("HTTPS://U%3A:p%40@[::1]:444?q#f")
        assert.equal("https", parts.scheme)
        assert.equal("::1", parts.host)
        assert.equal(444, parts.port)
        assert.equal("U:", parts.user)
        assert.equal("p@", parts.password)
        assert.equal("https://[::1]:444/?q", parts.url)
        assert.equal("http://a:80", urls.parse("http://A/").origin)
        assert.is_true(urls.parse("http://127.0.0.1/").is_literal)
        assert.is_false(urls.parse("http://127.0.0.1.a/").is_literal)
    end)

    it("joins as RFC 3986 §5.4 does", function()
        local from = urls.parse("http://a/b/c/d;p?q")
        for reference, url in pairs {
            ["g:h"] = "g:h", ["g"] = "http://a/b/c/g", ["./g"] = "http://a/b/c/g",
            ["g/"] = "http://a/b/c/g/", ["/g"] = "http://a/g", ["//g"] = "http://g",
            ["?y"] = "http://a/b/c/d;p?y", ["g?y"] = "http://a/b/c/g?y", ["g#s"] = "http://a/b/c/g",
            [";x"] = "http://a/b/c/;x", [""] = "http://a/b/c/d;p?q", ["."] = "http://a/b/c/",
            ["./"] = "http://a/b/c/", [".."] = "http://a/b/", ["../g"] = "http://a/b/g",
            ["../.."] = "http://a/", ["../../g"] = "http://a/g", ["../../../g"] = "http://a/g",
            ["/./g"] = "http://a/g", ["/../g"] = "http://a/g", ["g."] = "http://a/b/c/g.",
            ["..g"] = "http://a/b/c/..g", ["g;x=1/../y"] = "http://a/b/c/y",
            ["a b"] = "http://a/b/c/a%20b",
        } do
            assert.equal(url, urls.join(from, reference), reference)
        end
    end)
end)
